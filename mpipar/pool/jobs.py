"""What a pool is asked to do: jobs of many tasks, cut into batches.

A job hands out its tasks in order, and takes in what comes out of them in any order. All is called
by the engine's thread, but for what the script's own threads wait for.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

BATCH_SECONDS = 0.01
"""What a batch of short tasks is to take: some hundred times what it costs to hand one out."""

DISPATCH_SECONDS = 1e-4
"""What the engine takes for a batch; with very many workers, batches are longer, so that it keeps
up.
"""

_ABSENT = object()

# part of a batch that takes as long as it should, as long as there is that much for each worker
_SMALLEST = 0.1
# the first batches have such a part of what counts as one task, if the script doesn't say how many
_FIRST = 2

_AT_ONCE_SECONDS = 1e-3  # for each worker; what takes less is handed out at once

_GROWTH = 4  # a batch has at most so many times the tasks of the largest one before


class Raised(NamedTuple):
    """The outcome of a task that raised an exception."""

    error: BaseException


class Sink(Protocol):
    """Who wants the outcome of a single task."""

    def start(self) -> bool:
        """Return whether the outcome is still wanted; from now on the task counts as running."""

    def put(self, outcome: Any) -> None:
        """Take in the value, or a Raised."""

    def cancel(self) -> None:
        """Want no outcome any more."""


Who = tuple[int, int, float]
"""Who did some tasks: the rank, the number of its worker, and the seconds that they took."""


Piece = tuple[int, list[Any]]
"""Outcomes of neighbouring tasks, from one on."""


class Keeper(Protocol):
    """Who keeps what comes out of a job's tasks, for later runs of the script."""

    def note(
        self,
        indices: Sequence[int],
        outcomes: Sequence[Any],
        who: Who,
    ) -> None:
        """Keep what came out of some tasks just now: values, or Raised."""


class Recalled(Keeper, Protocol):
    """What is known of a job, and who keeps the rest.

    Attributes
    ----------
    number : int
        Of the job.
    pieces : list of (int, list)
        Known outcomes of neighbouring tasks, from one on, in order.
    """

    number: int
    pieces: list[Piece]


class Job(ABC):
    """Tasks of one kind.

    Parameters
    ----------
    function : callable or None
        What is called for each task; None if each has its own.
    kind : str
        How it is called.
    chunksize : int, optional
        How many tasks are handed out together at least.

    Attributes
    ----------
    number : int
        Of the job; given by the pool.
    unit : int
        How many tasks count as one for workers that do only so many.
    is_chunked : bool
        Whether tasks of a chunk may have an object in common that can change: so each chunk stays
        whole, and is pickled by itself.
    again : deque of int
        Tasks that were handed out to workers that died, to be handed out one by one.
    returned : deque of int
        Tasks that were handed out, but given back before they were begun.
    deaths : defaultdict
        {task: how many workers have died of it alone}.
    keeper : Keeper or None
        Who keeps what comes out of its tasks, if it is kept.
    """

    def __init__(
        self,
        function: Any,
        kind: str,
        chunksize: int | None = None,
    ) -> None:
        self.function = function
        self.kind = kind
        self.chunksize = chunksize
        self.unit = 1
        self.is_chunked = False
        self.number = -1
        self.keeper: Keeper | None = None
        self.again: deque[int] = deque()
        self.returned: deque[int] = deque()
        self.deaths: defaultdict[int, int] = defaultdict(int)
        self.function_frames: Any = ()  # its pickle
        # what it uses of the script, as that was when the job was handed in
        self.stamp: Mapping[str, Any] = {}
        self.lent: list[Any] = []  # what its function needs of this process
        self.error: BaseException | None = None  # why it can't be sent
        self.expected: float | None = None  # seconds of a task, from earlier jobs like this
        self.noted, self.took = 0, 0.0  # tasks that have been done, and how many seconds they took
        self._seconds: float | None = None  # of a task, about
        self._largest = 1  # batch so far

    def describe(self, task: int) -> str:
        """Return the name of a task's function, for messages."""
        return name_of(self.function)

    def recall(self, recalled: Recalled) -> None:
        """Note what is known of this, before it is handed in."""
        self.number = recalled.number
        self.keeper = recalled

    def put_known(self) -> None:  # noqa: B027 (most have nothing to do)
        """Take in what is known already, before any task is handed out."""

    def start(self) -> None:  # noqa: B027 (most have nothing to do)
        """Begin; called by the script's thread."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Return how many tasks can be handed out now."""

    @property
    def total(self) -> int:
        """Return how many tasks there are, as far as that is known."""
        return self.waiting

    @property
    @abstractmethod
    def is_done(self) -> bool:
        """Return whether nothing will come any more."""

    @abstractmethod
    def take(self, count: int) -> tuple[Sequence[int], Any]:
        """Hand out up to so many tasks: their numbers and their items; perhaps none."""

    @abstractmethod
    def items(self, indices: Sequence[int]) -> Any:
        """Return the items of tasks that are out."""

    @abstractmethod
    def put(
        self,
        indices: Sequence[int],
        outcomes: list[Any],
        *,
        all_well: bool = False,
    ) -> None:
        """Take in the outcomes of tasks: values, or Raised, but for ``all_well``: then there is
        none of these.
        """

    @abstractmethod
    def cancel(self, error: BaseException) -> None:
        """End the job: what is still to come is this error."""

    def hand_out(
        self,
        workers: int,
        units: float,
        *,
        one_by_one: bool,
    ) -> tuple[Sequence[int], Any]:
        """Return the tasks that a worker is to have next: their numbers and their items; perhaps
        none.

        Parameters
        ----------
        workers : int
            How many there are.
        units : float
            How many tasks, or chunks of them, this one will still do.
        one_by_one : bool
            Whether it is to have one alone.
        """
        if self.again:
            indices = self._first(self.again, 1)
            return indices, self.items(indices)
        count = 1
        if not one_by_one:
            count = self.batch_size(workers)
        if units != math.inf:
            count = min(count, max(1, int(units)) * self.unit)
        if self.returned:
            return self.take_again(count)
        return self.take(count)

    def take_again(self, count: int) -> tuple[Sequence[int], Any]:
        """Hand out up to so many tasks of those that were given back."""
        indices = self._first(self.returned, count)
        return indices, self.items(indices)

    def _first(self, tasks: deque[int], count: int) -> list[int]:
        """Take so many tasks, and those that stay with them."""
        indices = [tasks.popleft() for _ in range(min(count, len(tasks)))]
        while tasks and self.is_inseparable([indices[-1], tasks[0]]):
            indices.append(tasks.popleft())
        return indices

    def is_inseparable(self, indices: Sequence[int]) -> bool:
        """Return whether some tasks can only be handed out together: one, or a chunk."""
        if len(indices) == 1:
            return True
        return self.is_chunked and indices[0] // self.unit == indices[-1] // self.unit

    def in_whole_chunks(self, first: int, count: int) -> int:
        """Return how many tasks to hand out, from one on, instead of so many."""
        if not self.is_chunked:
            return count
        return count + -(first + count) % self.unit

    def note(self, count: int, seconds: float) -> None:
        """Note how long some tasks of a batch took."""
        mean = seconds / max(1, count)
        self.noted += count
        self.took += seconds
        if self._seconds is None:
            self._seconds = mean
        else:
            self._seconds = (self._seconds + mean) / 2
        self._largest = max(self._largest, count)

    def batch_size(self, workers: int) -> int:
        """Return how many tasks the next batch should have: some milliseconds' worth, and few when
        few are left.
        """
        smallest = self.chunksize or 1
        left = self.waiting + len(self.returned)
        if left <= 1:
            return smallest
        if self._seconds is None:
            return self.chunksize or self._first_batch(workers)
        wanted = self.target(workers) / max(self._seconds, 1e-8)
        # half of what there is for each worker, or all of it if that is little
        little = min(int(wanted * _SMALLEST), math.ceil(left / workers))
        share = max(math.ceil(left / (2 * workers)), little)
        most = _GROWTH * max(self._largest, smallest)
        return max(smallest, int(min(wanted, share, most)))

    def _first_batch(self, workers: int) -> int:
        """Return how many tasks a batch should have of which none has come back: all, if they are
        known to be short.
        """
        if self.expected is not None:
            seconds = self.expected * self.total
            if seconds < DISPATCH_SECONDS:
                return self.total
            if seconds < workers * _AT_ONCE_SECONDS:
                return math.ceil(self.total / workers)
        return max(1, self.unit // _FIRST)

    def is_short(self, count: int, workers: int) -> bool:
        """Return whether a batch is so short that its worker should have the next one before it is
        done.
        """
        return self._seconds is not None and count * self._seconds < 1.5 * self.target(workers)

    @staticmethod
    def target(workers: int) -> float:
        """Return how long a batch should take, in seconds."""
        return max(BATCH_SECONDS, workers * DISPATCH_SECONDS)


def without(ranges: Iterable[range], count: int) -> Sequence[int]:
    """Return the numbers below ``count`` that aren't in some ranges, which are in order."""
    gaps = []
    start = 0
    for each in ranges:
        gaps.append(range(start, each.start))
        start = each.stop
    gaps.append(range(start, count))
    gaps = [gap for gap in gaps if gap]
    if len(gaps) == 1:
        return gaps[0]
    return list(itertools.chain.from_iterable(gaps))


def name_of(function: Any) -> str:
    """Return the name of a function, for messages."""
    return getattr(function, "__qualname__", None) or type(function).__name__
