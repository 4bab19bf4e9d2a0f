"""Single tasks that need not be evaluated again, and those of a job whose items come one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mpipar.pool.jobs import Piece, Raised, Who
from mpipar.pool.memory import Memory
from mpipar.store.stored_calls import NO_DIGEST
from mpipar.store.task_file import Span


class Task(NamedTuple):
    """A single task, as it was handed in.

    Attributes
    ----------
    function, item : bytes
        Digests of the function, and of what it is called with.
    name : str
        Of the function.
    """

    function: bytes
    item: bytes
    name: str


UNKNOWN = Task(b"", NO_DIGEST, "")
"""Stands for a task that can't be told from others."""


class Recollection(NamedTuple):
    """What came out of a task in an earlier run."""

    outcome: Any


class RecalledStream:
    """What finds out, item by item, what is known of a job.

    Parameters
    ----------
    memory : Memory
    function : bytes
        Digest of the function.
    name : str
        Of the function.
    number : int
        Of the job.
    digest_of : callable
        ``digest_of(index, item)`` returns the digest of an item as it is now.
    """

    def __init__(
        self,
        memory: Memory,
        function: bytes,
        name: str,
        number: int,
        digest_of: Callable[[int, Any], bytes],
    ) -> None:
        self.number = number
        self.pieces = _NOTHING
        self._memory = memory
        self._function = function
        self._name = name
        self._digest_of = digest_of
        self._expected: dict[int, Task] = {}

    def known(self, index: int, item: Any) -> Recollection | None:
        """Return what came out of an item in an earlier run; or None, and what comes out of it
        now is kept.
        """
        task = Task(self._function, self._digest_of(index, item), self._name)
        found = recollected(self._memory, task)
        if found is None:
            self._expected[index] = task
        return found

    def note(
        self,
        indices: Sequence[int],
        outcomes: Sequence[Any],
        who: Who,
    ) -> None:
        """Keep what came out of some tasks."""
        tasks = map(self._expected.pop, indices)
        keep(self._memory, tasks, outcomes, span_of(who))


_NOTHING: list[Piece] = []


class NotRecalled:
    """A job whose function can't be told from others: nothing is known of it, or kept.

    Parameters
    ----------
    number : int
        Of the job.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.pieces = _NOTHING

    def known(self, index: int, item: Any) -> None:
        """Know nothing of an item."""

    def note(
        self,
        indices: Sequence[int],
        outcomes: Sequence[Any],
        who: Who,
    ) -> None:
        """Keep nothing."""


def recollected(memory: Memory, task: Task) -> Recollection | None:
    """Return what came out of a single task in an earlier run, or None."""
    if task.item == NO_DIGEST:
        return None
    with memory.lock:
        tasks = memory.known.of(task.function)
        found = None
        if tasks is not None:
            found = tasks.item(task.item)
        memory.count(1, int(found is not None), is_met=tasks is not None)
    if found is None:
        return None
    outcome, stored = found
    if stored.is_foreign:  # and the lock is free again
        keep(memory, [task], [outcome], None)
    return Recollection(outcome)


def keep(
    memory: Memory,
    tasks: Iterable[Task],
    outcomes: Sequence[Any],
    span: Span | None,
) -> None:
    """Keep what came out of single tasks."""
    found: dict[bytes, tuple[str, list[bytes], list[Any]]] = {}
    for task, outcome in zip(tasks, outcomes, strict=True):
        if task.item == NO_DIGEST or type(outcome) is Raised:
            continue
        _, digests, values = found.setdefault(task.function, (task.name, [], []))
        digests.append(task.item)
        values.append(outcome)
    with memory.lock:
        for function, (name, digests, values) in found.items():
            memory.append_single(function, name, digests, values, span)


def span_of(who: Who) -> Span:
    """Return who did some tasks that have just come."""
    rank, worker, seconds = who
    return Span(rank, worker, time.time(), seconds)
