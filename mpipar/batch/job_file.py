"""Job files: what to run, on what, and where its output goes.

The keys, with what each means, are in ``job.schema.json``; what no schema can say is checked here.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpipar.base.drivers import DRIVERS
from mpipar.batch.document import Document, Key, expanded, schema_of
from mpipar.batch.job_state import seconds_of

# Options of sbatch that the job file has keys of its own for, or that mpipar needs for itself.
_OWN_KEYS = {
    "job-name": "name",
    "array": "array.tasks",
    "output": "output.folder",
    "nodes": "resources.nodes",
    "ntasks": "resources.ranks",
    "ntasks-per-node": "resources.ranks_per_node",
    "time": "resources.time",
    "cpus-per-task": "resources.cores_per_rank",
    "mem": "resources.memory",
    "partition": "resources.partition",
    "account": "resources.account",
    "gpus-per-node": "resources.gpus_per_node",
    "signal": "restart.warn",
    "requeue": "restart.requeue",
    "no-requeue": "restart.requeue",
    "no-kill": "restart.lost_nodes",
}
_RESERVED = (
    "wrap",
    "parsable",
    "test-only",
    "wait",
    "help",
    "usage",
    "version",
    "open-mode",
    "error",
    "chdir",
    "dependency",
    "hold",
    "quiet",
    "verbose",
    "ignore-pbs",
    "export-file",
    "input",
    "uid",
    "gid",
    "clusters",
    "workdir",
)
_WHOLE = (
    "export",
    "gpus",
)  # of other options these are the beginnings, which sbatch takes for the whole


_WARNING, _SHORTEST_WARNING = (
    120,
    10,
)  # seconds before its end at which a job commits, unless it is a short one


@dataclass(frozen=True)
class Job:
    """What a job file says, complete.

    Attributes
    ----------
    name : str
    arguments : list of str
        What follows ``python`` on the command line; ``{task}`` in it stands for the number of a
        task.
    check : list of str or None
        Arguments with which the same looks at its options and input alone, if it can.
    nodes, ranks_per_node, ranks : int or None
        How many, where the file says so.
    workers : int, "auto" or None
    cores_per_rank : int or None
    time, memory, partition, account : str
        Empty where the file says nothing.
    gpus_per_node : int or None
    sbatch : dict
        More options of sbatch.
    tasks, at_once : int
        Tasks of the array, and how many of them may run at a time; 0 if it is none, or if all may.
    folder : str
        Where output goes.
    output : str
        Name of the result file in it, for all tasks; empty if there is none.
    requeue : bool
    warn, attempts : int
    shrink : bool
        Whether it goes on with the nodes that are left when some are lost.
    """

    name: str
    arguments: list[str]
    check: list[str] | None
    nodes: int | None = None
    ranks_per_node: int | None = None
    ranks: int | None = None
    workers: int | str | None = None
    cores_per_rank: int | None = None
    time: str = ""
    memory: str = ""
    partition: str = ""
    account: str = ""
    gpus_per_node: int | None = None
    sbatch: dict[str, Any] = field(default_factory=dict)
    tasks: int = 0
    at_once: int = 0
    folder: str = ""
    output: str = ""
    requeue: bool = True
    warn: int = 120
    attempts: int = 3
    shrink: bool = False


def read_job(document: Document, base: Path) -> Job:
    """Return the job that a file describes.

    Parameters
    ----------
    document : Document
    base : Path
        Folder that a relative ``output.folder`` is in; see :meth:`mpipar.batch.site.Site.folder`.

    Raises
    ------
    BadInput
        With the file, the line, the key, what was got, and what is allowed.
    """
    document.check(schema_of("job"))
    values = document.values
    resources = _resources(document)
    name = values.get("name") or default_name(document.path)
    output, restart, array = (values.get(key, {}) for key in ("output", "restart", "array"))
    try:
        folder = base / expanded(output.get("folder", f"runs/{name}"))
    except ValueError as error:
        raise document.error(("output", "folder"), str(error)) from None
    tasks = int(array.get("tasks", 0))
    ranks = resources["ranks"] or (resources["nodes"] or 1) * (resources["ranks_per_node"] or 1)
    program = _Program(document, folder, ranks, tasks)
    return Job(
        name=name,
        arguments=program.arguments(),
        check=program.arguments(check=True) if program.is_driver else None,
        **resources,
        tasks=tasks,
        at_once=int(array.get("at_once", 0)),
        folder=str(folder),
        output=program.output,
        requeue=restart.get("requeue", True),
        warn=_warning(document, resources["time"]),
        attempts=int(restart.get("attempts", 3)),
        shrink=restart.get("lost_nodes") == "go-on",
    )


def _warning(document: Document, time: str) -> int:
    """Return how many seconds before its end a job is warned. Raises BadInput if it doesn't take as
    long.
    """
    limit = seconds_of(time) or math.inf
    given = document.values.get("restart", {}).get("warn")
    if given is None:
        return usual_warning(limit)
    if given >= limit:
        told = f"expected less than the time limit, which is {limit:g} s, got {int(given)}"
        raise document.error(("restart", "warn"), told)
    return int(given)


def usual_warning(limit: float | None) -> int:
    """Return how many seconds before its end a job is warned that doesn't say; None is a long
    one.
    """
    return int(max(_SHORTEST_WARNING, min(_WARNING, (math.inf if limit is None else limit) // 4)))


def default_name(path: Path) -> str:
    """Return the name of a job whose file says none: that of the file, as far as it can be one."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", path.stem).strip("-._+")
    return name[:64] or "job"


class _Program:
    """What a job runs."""

    def __init__(self, document: Document, folder: Path, ranks: int, tasks: int) -> None:
        self._document, self._ranks = document, ranks
        self._run = document.values["run"]
        output = document.values.get("output", {})
        self.is_driver = "driver" in self._run
        self._checkpoint = output.get("checkpoint")
        self.output = ""
        if self.is_driver:
            default = re.sub(
                r"\W+", "-", Path(self._run["driver"]).name.partition(":")[2] or self._run["driver"]
            )
            self.output = output.get("file", f"{default}{'-{task}' * bool(tasks)}.h5")
            if tasks > 1 and "{task}" not in self.output:
                raise document.error(
                    ("output", "file"), f"expected a name with {{task}} in it, got {self.output!r}"
                )
        else:
            for key in ("file", "checkpoint"):
                if key in output:
                    raise document.error(
                        ("output", key), "is for drivers; a script writes what it writes"
                    )
        self._path, self._folder = folder / self.output, folder
        self._tasks = tasks

    def arguments(self, *, check: bool = False) -> list[str]:
        words = self._target()
        for table, factor in (("options", None), ("options_per_rank", self._ranks)):
            for name, value in self._run.get(table, {}).items():
                words += self._option(("run", table, name), name, value, factor)
        if self.is_driver:
            words += [f"--output={self._path}", "--resume"]
            words += [] if self._checkpoint is None else [f"--checkpoint={self._checkpoint:g}"]
            words += ["--dry-run"] if check else []
        for index, value in enumerate(self._run.get("arguments", ())):
            self._refuse_own(("run", "arguments", index), as_text(value))
            words.append(as_text(value))
        if any("{task}" in word for word in words) and not self._tasks:
            raise self._document.error(("run",), "{task} is for arrays: [array] tasks is missing")
        if self._tasks:
            words = [word.replace("{tasks}", str(self._tasks)) for word in words]
        return [word.replace("{folder}", str(self._folder)) for word in words]

    def _target(self) -> list[str]:
        run = self._run
        if "driver" in run:
            driver = run["driver"]
            if ":" in driver:
                self._must_exist("driver", driver.rpartition(":")[0], only=".py")
                return ["-m", "mpipar", "run", driver]
            if driver not in DRIVERS:
                there = (
                    f"there is no driver {driver!r}; there are {', '.join(DRIVERS)}, and your own"
                    " as FILE.py:KERNEL"
                )
                raise self._document.error(("run", "driver"), there)
            return ["-m", f"mpipar.{driver}"]
        if "script" in run:
            self._must_exist("script", run["script"])
            return [
                "-m",
                "mpipar",
                "run",
                f"./{run['script']}" if run["script"].startswith("-") else run["script"],
            ]
        return ["-m", "mpipar", "run", "-m", run["module"]]

    def _must_exist(self, key: str, name: str, only: str = "") -> None:
        if name.endswith(only) and not os.path.isfile(
            name
        ):  # Path's raises if the name is too long
            raise self._document.error(
                ("run", key), f"expected a file, got {name!r}, which isn't one"
            )

    def _option(self, key: Key, name: str, value: Any, factor: int | None) -> list[str]:
        words = option_words(name, value * factor if factor else value)
        self._refuse_own(key, words[0])
        return words

    def _refuse_own(self, key: Key, word: str) -> None:
        """Raise BadInput for an option of drivers that a job gives by itself."""
        flag = word.partition("=")[0]
        if self.is_driver and flag in (
            "--output",
            "--resume",
            "--checkpoint",
            "--workers",
            "--dry-run",
            "--help",
        ):
            keys = {
                "--output": "output.file",
                "--checkpoint": "output.checkpoint",
                "--workers": "resources.workers",
            }
            raise self._document.error(
                key, f"use {keys[flag]}" if flag in keys else "can't be an option of a job"
            )


def option_words(name: str, value: Any) -> list[str]:
    """Return an option of a driver as it stands on a command line."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [flag, *map(as_text, value)]
    return [f"{flag}={as_text(value)}"]


def as_text(value: Any) -> str:
    """Return a value as an argument; whole numbers without a point, as 1e9 is a float in TOML."""
    if (
        isinstance(value, float)
        and math.isfinite(value)
        and value.is_integer()
        and abs(value) < 2**63
    ):
        return str(int(value))
    return str(value)


def check_options(document: Document, key: Key, options: Iterable[str]) -> None:
    """Raise BadInput for options of sbatch that are not for job files and site profiles, or an
    abbreviation of one.
    """
    for option in options:
        names = [
            name
            for name in (*_OWN_KEYS, *_RESERVED)
            if name.startswith(option) and option not in _WHOLE
        ]
        if names:
            name = option if option in names else names[0]
            told = (
                f"use {_OWN_KEYS[name]}"
                if name in _OWN_KEYS
                else "can't be set here; mpipar needs it itself"
            )
            raise document.error((*key, option), told)


def _resources(document: Document) -> dict[str, Any]:
    """Return what a job needs. Raises BadInput for what doesn't go together."""
    table = document.values.get("resources", {})
    numbers = {
        key: None if key not in table else int(table[key])
        for key in ("nodes", "ranks_per_node", "ranks", "cores_per_rank", "gpus_per_node")
    }
    nodes, each, ranks = numbers["nodes"], numbers["ranks_per_node"], numbers["ranks"]
    if ranks and each and ranks != (nodes or 1) * each:
        told = (
            f"{nodes or 1} nodes × {each} ranks_per_node are {(nodes or 1) * each} ranks, got"
            f" {ranks}; leave one out"
        )
        raise document.error(("resources", "ranks"), told)
    if ranks and nodes and ranks < nodes:
        told = f"expected at least one rank for each of {nodes} nodes, got {ranks}"
        raise document.error(("resources", "ranks"), told)
    workers, time = table.get("workers"), table.get("time", "")
    cores = numbers["cores_per_rank"]
    if cores and isinstance(workers, int) and cores < workers:
        told = f"expected at least as many as workers ({workers}), got {cores}"
        raise document.error(("resources", "cores_per_rank"), told)
    check_options(document, ("resources", "sbatch"), table.get("sbatch", {}))
    return {
        **numbers,
        "workers": workers if workers in (None, "auto") else int(workers),
        "time": str(time if isinstance(time, str) else int(time)),
        **{key: table.get(key, "") for key in ("memory", "partition", "account")},
        "sbatch": table.get("sbatch", {}),
    }
