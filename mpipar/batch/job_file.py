"""Job files: what to run, on what, and where its output goes.

The keys, with what each means, are in ``job.schema.json``; what no schema can say is checked here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpipar.batch.document import Document, Key, expanded, schema_of
from mpipar.batch.job_program import Program
from mpipar.batch.schedulers import scheduler
from mpipar.batch.walltime import seconds_of
from mpipar.batch.warning import usual_warning

_NUMBERS = ("nodes", "ranks_per_node", "ranks", "cores_per_rank", "gpus_per_node")
_TEXTS = ("memory", "partition", "account")


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
    own_options : dict
        More options, which are the scheduler's own.
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
    own_options: dict[str, Any] = field(default_factory=dict)
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
    output, restart, array = (values.get(key, {}) for key in ("output", "restart", "array"))
    resources = _resources(document)
    name = values.get("name") or default_name(document.path)
    try:
        folder = base / expanded(output.get("folder", f"runs/{name}"))
    except ValueError as error:
        raise document.error(("output", "folder"), str(error)) from None
    tasks = int(array.get("tasks", 0))
    ranks = resources["ranks"] or (resources["nodes"] or 1) * (resources["ranks_per_node"] or 1)
    program = Program(document, folder, ranks, tasks)
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
    """Return how many seconds before its end a job is warned.

    Raises
    ------
    BadInput
        If it doesn't take as long.
    """
    limit = seconds_of(time) or math.inf
    given = document.values.get("restart", {}).get("warn")
    if given is None:
        return usual_warning(limit)
    if given >= limit:
        told = f"expected less than the time limit, which is {limit:g} s, got {int(given)}"
        raise document.error(("restart", "warn"), told)
    return int(given)


def default_name(path: Path) -> str:
    """Return the name of a job whose file says none: that of the file, as far as it can be one."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", path.stem).strip("-._+")
    return name[:64] or "job"


def check_options(document: Document, key: Key, options: Iterable[str]) -> None:
    """Raise BadInput for the scheduler's options that are not for job files and site profiles."""
    for option in options:
        problem = scheduler().refusal(option)
        if problem:
            raise document.error((*key, option), problem)


def _resources(document: Document) -> dict[str, Any]:
    """Return what a job needs. Raises BadInput for what doesn't go together."""
    table = document.values.get("resources", {})
    numbers: dict[str, int | None] = dict.fromkeys(_NUMBERS)
    for key in table.keys() & numbers.keys():
        numbers[key] = int(table[key])
    _check_ranks(document, numbers["nodes"], numbers["ranks_per_node"], numbers["ranks"])
    workers = table.get("workers")
    time = table.get("time", "")
    cores = numbers["cores_per_rank"]
    if cores and isinstance(workers, int) and cores < workers:
        told = f"expected at least as many as workers ({workers}), got {cores}"
        raise document.error(("resources", "cores_per_rank"), told)
    if workers not in (None, "auto"):
        workers = int(workers)
    if not isinstance(time, str):
        time = int(time)
    options = scheduler().options_table
    own_options = table.get(options, {})
    check_options(document, ("resources", options), own_options)
    return {
        **numbers,
        "workers": workers,
        "time": str(time),
        **{key: table.get(key, "") for key in _TEXTS},
        "own_options": own_options,
    }


def _check_ranks(
    document: Document,
    nodes: int | None,
    each: int | None,
    ranks: int | None,
) -> None:
    """Raise BadInput if a number of ranks doesn't go with nodes and ranks on each."""
    if not ranks:
        return
    key = ("resources", "ranks")
    count = nodes or 1
    if each and ranks != count * each:
        told = (
            f"{count} nodes × {each} ranks_per_node are {count * each} ranks, got {ranks}; leave"
            " one out"
        )
        raise document.error(key, told)
    if nodes and ranks < nodes:
        told = f"expected at least one rank for each of {nodes} nodes, got {ranks}"
        raise document.error(key, told)
