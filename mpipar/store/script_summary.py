"""What the file of a script tells, while it runs too: what of it can be read at once."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from mpipar.core.plan import Plan
from mpipar.core.run_record import Placement, RunRecord, Timing, Trouble
from mpipar.store import task_tables
from mpipar.store.attributes import Provenance, when
from mpipar.store.stored_calls import Array, StoredCall
from mpipar.store.summary import PROCESSES, RANKS, SPANS, Summary, Words
from mpipar.store.task_look import add_logs, log_path
from mpipar.store.task_tables import Tasks
from mpipar.store.task_timeline import timeline_of, workers_of

CALLS = {
    "call": "i8",
    "function": "O",
    "tasks": "i8",
    "done": "i8",
    "known": "i8",
    "seconds": "f8",
    "digest": "O",
}


@dataclass(frozen=True)
class ScriptSummary(Summary):
    """A script, what its tasks have come to, and how; ``blocks`` of it are tasks.

    Attributes
    ----------
    about : dict
        The script, its arguments, versions, …
    calls : numpy.ndarray
        A row for each call: call, function, tasks, done, known, seconds, digest.
    finished : bool
        Whether the script has come to its end.
    committed : float
        Time of the last commit, in seconds since 1970.
    writer : str
        The process that had the file last: "process 12 on node1", or nothing.
    """

    words: ClassVar[Words] = Words("task", "with tasks", "the start of the script")

    about: dict[str, Any] = field(default_factory=dict)
    calls: Array = field(default_factory=lambda: task_tables.no_rows(CALLS), repr=False)
    finished: bool = True
    committed: float = 0.0
    writer: str = ""

    @property
    def why_no_timeline(self) -> str:
        """Why there is no timeline; nothing if there is one."""
        if self.timeline is not None:
            return ""
        return "no task was evaluated in its last run"

    @property
    def done(self) -> int:
        """How many tasks have an outcome."""
        return int(self.calls["done"].sum())


def script_summary(
    path: Path,
    file: h5py.File,
    writer: str,
) -> ScriptSummary:
    """Return what an open file tells, with what its run has logged since. Raises BadInput, and what
    h5py and NumPy raise if it is damaged.
    """
    tasks = task_tables.get(path, file)
    committed = path.stat().st_mtime
    logged = add_logs(path, tasks)
    if logged is not None:
        committed = time.time()
        with contextlib.suppress(OSError, ValueError):  # the file has just taken it in
            folder = log_path(path, 0).parent
            committed = max(log.stat().st_mtime for log in folder.glob("tasks-*.log"))
        tasks.workers = workers_of(logged)
        tasks.timeline = timeline_of(logged)
        tasks.about.update(begin=logged.begin, end=committed)
    return _summary(path, tasks, committed, writer)


def _summary(
    path: Path,
    tasks: Tasks,
    committed: float,
    writer: str,
) -> ScriptSummary:
    about = tasks.about
    calls = table_of_calls(tasks.calls)
    processes, per_rank = _who(tasks)
    timeline = None
    if len(tasks.timeline):
        timeline = np.zeros(len(tasks.timeline), [*SPANS.items()])
        for name, source in zip(SPANS, ("worker", "first", "tasks", "begin", "end"), strict=True):
            timeline[name] = tasks.timeline[source]
        if timeline["worker"].min() < 0 or timeline["worker"].max() >= len(processes):
            raise ValueError("its timeline has other workers")
        if timeline["blocks"].min() < 1:
            raise ValueError("its timeline has spans without tasks")
    begin = float(about.get("begin", 0.0))
    end = float(about.get("end", 0.0))
    last = float(tasks.timeline["end"].max(initial=0.0))
    run = RunRecord(
        name=Path(str(about.get("script", "script"))).name,
        parameters={},
        plan=Plan(int(calls["tasks"].sum()), 1),
        seed=0,
        placement=Placement(
            schedule="dynamic",
            ranks=max(1, len(per_rank)),
            nodes=max(1, len(set(per_rank["host"].tolist()))),
            workers=_most_workers(processes),
        ),
        trouble=Trouble(),
        timing=Timing(
            elapsed=max(end - begin, last),
            blocks=processes["blocks"].tolist(),
            seconds=processes["seconds"].tolist(),
            longest=processes["longest"].tolist(),
        ),
    )
    return ScriptSummary(
        path=path,
        size=path.stat().st_size,
        run=run,
        provenance=Provenance(
            created=when(end),
            mpipar=_text(about, "mpipar"),
            python=_text(about, "python"),
            numpy=_text(about, "numpy"),
            h5py=_text(about, "h5py"),
        ),
        value=None,
        error=None,
        numbers=0,
        processes=processes,
        per_rank=per_rank,
        timeline=timeline,
        skipped=np.empty(0),
        rows=[],
        about=about,
        calls=calls,
        finished=tasks.finished,
        committed=committed,
        writer=writer,
    )


def _text(about: dict[str, Any], name: str) -> str | None:
    value = about.get(name)
    return None if value is None else str(value)


def table_of_calls(calls: list[StoredCall]) -> Array:
    """Return a row for each call: how many tasks it has, and how many of them are done."""
    table = np.empty(len(calls), [*CALLS.items()])
    for row, call in zip(table, calls, strict=True):
        row["call"] = call.number
        row["function"] = call.name
        row["digest"] = call.function.hex()
        row["tasks"] = call.tasks
        row["done"] = len(np.unique(call.row_indices))
        row["known"] = call.known
        row["seconds"] = call.busy
    return table


def _who(tasks: Tasks) -> tuple[Array, Array]:
    """Return a row for each process, and one for each rank."""
    hosts = tasks.about.get("hosts")
    if not isinstance(hosts, list):
        hosts = []
    processes = np.empty(len(tasks.workers), [*PROCESSES.items()])
    for source, name in (("rank", "rank"), ("worker", "pid"), ("tasks", "blocks")):
        processes[name] = tasks.workers[source]
    processes["seconds"] = tasks.workers["seconds"]
    processes["longest"] = tasks.workers["longest"]
    processes["host"] = [_host(hosts, rank) for rank in processes["rank"].tolist()]
    known_ranks = set(processes["rank"].tolist()) | set(range(len(hosts)))
    per_rank = np.zeros(len(known_ranks), [*RANKS.items()])
    for row, rank in zip(per_rank, sorted(known_ranks), strict=True):
        own = processes[processes["rank"] == rank]
        row["rank"] = rank
        row["host"] = _host(hosts, rank)
        row["blocks"] = own["blocks"].sum()
        row["seconds"] = own["seconds"].sum()
    return processes, per_rank


def _host(hosts: list[Any], rank: int) -> str:
    return str(hosts[rank]) if 0 <= rank < len(hosts) else "?"


def _most_workers(processes: Array) -> int:
    """Return how many workers a rank had."""
    _, counts = np.unique(processes["rank"], return_counts=True)
    return int(counts.max(initial=1))
