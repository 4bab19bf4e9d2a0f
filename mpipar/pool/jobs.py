"""What a pool is asked to do: jobs of many tasks, cut into batches. Imports nothing of mpipar.

A job hands out its tasks in order, and takes in what comes out of them in any order. All is called by the engine's
thread, but for what the script's own threads wait for.
"""

from __future__ import annotations

import itertools
import math
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import TimeoutError as PoolTimeoutError
from typing import Any, NamedTuple, Protocol

BATCH_SECONDS = 0.01
"""What a batch of short tasks is to take: some hundred times what it costs to hand one out."""

DISPATCH_SECONDS = 1e-4
"""What the engine takes for a batch; with very many workers, batches are longer, so that it keeps up."""

_ABSENT = object()

_FIRST = 8  # the first batches have such a part of what counts as one task, if the script doesn't say how many

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
    again : deque of int
        Tasks that were handed out to workers that died, to be handed out one by one.
    deaths : Counter
        {task: how many workers have died of it alone}.
    """

    def __init__(self, function: Any, kind: str, chunksize: int | None = None) -> None:
        self.function, self.kind, self.chunksize = function, kind, chunksize
        self.unit = 1
        self.number = -1
        self.again: deque[int] = deque()
        self.deaths: Counter[int] = Counter()
        self.pickled: Any = None  # the function, once it is
        self._seconds: float | None = None  # of a task, about
        self._largest = 1  # batch so far

    def describe(self, task: int) -> str:
        """Return the name of a task's function, for messages."""
        return _name(self.function)

    def start(self) -> None:  # noqa: B027 (most have nothing to do)
        """Begin; called by the script's thread."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Return how many tasks can be handed out now."""

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
    def put(self, indices: Sequence[int], outcomes: list[Any], *, all_well: bool = False) -> None:
        """Take in the outcomes of tasks: values, or Raised, but for ``all_well``: then there is none of these."""

    @abstractmethod
    def cancel(self, error: BaseException) -> None:
        """End the job: what is still to come is this error."""

    def note(self, count: int, seconds: float) -> None:
        """Note how long some tasks of a batch took."""
        mean = seconds / max(1, count)
        self._seconds = mean if self._seconds is None else (self._seconds + mean) / 2
        self._largest = max(self._largest, count)

    def batch_size(self, workers: int) -> int:
        """Return how many tasks the next batch should have: some milliseconds' worth, and few when few are left."""
        smallest = self.chunksize or 1
        if self._seconds is None:
            return self.chunksize or max(1, self.unit // _FIRST)
        wanted = self.target(workers) / max(self._seconds, 1e-8)
        share = math.ceil(self.waiting / (2 * workers))
        return max(smallest, int(min(wanted, share, _GROWTH * max(self._largest, smallest))))

    def is_short(self, count: int, workers: int) -> bool:
        """Return whether a batch is so short that its worker should have the next one before it is done."""
        return self._seconds is not None and count * self._seconds < 1.5 * self.target(workers)

    @staticmethod
    def target(workers: int) -> float:
        """Return how long a batch should take, in seconds."""
        return max(BATCH_SECONDS, workers * DISPATCH_SECONDS)


class ListJob(Job):
    """Tasks that are all known, and whose values are wanted as one list.

    Parameters
    ----------
    function, kind, chunksize
        As for Job.
    items : sequence
    unit : int
        As for Job.
    done : callable
        Called with the list, or a Raised: the first task's in the order of the list.
    """

    def __init__(
        self,
        function: Any,
        kind: str,
        items: Sequence[Any],
        done: Callable[[Any], None],
        *,
        chunksize: int | None = None,
        unit: int = 1,
    ) -> None:
        super().__init__(function, kind, chunksize)
        self.unit = unit
        self._items, self._done = items, done
        self._next = 0
        self._left = len(items)
        self._values: list[Any] = [None] * len(items)
        self._raised: tuple[int, Raised] | None = None

    @property
    def waiting(self) -> int:  # noqa: D102
        return len(self._items) - self._next

    @property
    def is_done(self) -> bool:  # noqa: D102
        return self._left == 0

    def take(self, count: int) -> tuple[Sequence[int], Any]:  # noqa: D102
        indices = range(self._next, min(self._next + count, len(self._items)))
        self._next = indices.stop
        return indices, self._items[indices.start : indices.stop]

    def items(self, indices: Sequence[int]) -> Any:  # noqa: D102
        return [self._items[index] for index in indices]

    def put(self, indices: Sequence[int], outcomes: list[Any], *, all_well: bool = False) -> None:  # noqa: D102
        if all_well and isinstance(indices, range):
            self._values[indices.start : indices.stop] = outcomes
        else:
            for index, outcome in zip(indices, outcomes, strict=True):
                self._values[index] = outcome
                if type(outcome) is Raised and (self._raised is None or index < self._raised[0]):
                    self._raised = index, outcome
        self._left -= len(outcomes)
        if self._left == 0:
            self._done(self._values if self._raised is None else self._raised[1])

    def cancel(self, error: BaseException) -> None:  # noqa: D102
        if self._left:
            self._left, self._next = 0, len(self._items)
            self._done(Raised(error))


class CallsJob(Job):
    """Single tasks, each with a function, arguments and a sink of its own. It is never done."""

    is_done = False

    def __init__(self) -> None:
        super().__init__(None, "calls")
        self._numbers = itertools.count()
        self._calls: deque[tuple[int, Any, Sink]] = deque()
        self._out: dict[int, tuple[Any, Sink]] = {}

    def add(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], sink: Sink) -> None:
        """Add a task."""
        self._calls.append((next(self._numbers), (function, arguments, keywords), sink))

    def cancel_waiting(self) -> None:
        """Cancel all tasks that haven't been handed out."""
        for _, _, sink in self._calls:
            sink.cancel()

    @property
    def waiting(self) -> int:  # noqa: D102
        return len(self._calls)

    @property
    def unfinished(self) -> int:
        """Return how many tasks there are that have no outcome yet."""
        return len(self._calls) + len(self._out)

    def take(self, count: int) -> tuple[Sequence[int], Any]:  # noqa: D102
        indices: list[int] = []
        items: list[Any] = []
        while self._calls and len(items) < count:
            index, item, sink = self._calls.popleft()
            if sink.start():
                self._out[index] = item, sink
                indices.append(index)
                items.append(item)
        return indices, items

    def items(self, indices: Sequence[int]) -> Any:  # noqa: D102
        return [self._out[index][0] for index in indices]

    def describe(self, task: int) -> str:  # noqa: D102
        return _name(self._out[task][0][0])

    def put(self, indices: Sequence[int], outcomes: list[Any], *, all_well: bool = False) -> None:  # noqa: D102
        for index, outcome in zip(indices, outcomes, strict=True):
            out = self._out.pop(index, None)
            if out is not None:
                out[1].put(outcome)

    def cancel(self, error: BaseException) -> None:  # noqa: D102
        while self._calls:
            index, item, sink = self._calls.popleft()
            if sink.start():
                self._out[index] = item, sink
        self.put(list(self._out), [Raised(error)] * len(self._out))


class FedJob(Job):
    """Tasks from an iterator that may be endless, whose values are wanted one by one; itself their iterator.

    A thread takes items from the iterator as they are needed: at any time, no more of them have been taken than will
    be handed out soon, or wait to be fetched. An exception in the iterator comes where its item would have.

    Parameters
    ----------
    function, kind, chunksize
        As for Job.
    iterable : iterable
    ordered : bool
        Whether values come in the order of the items.
    wake : callable
        Called when there are new items, and the engine waits for them.
    window : float, optional
        How many items are taken at most before the value of the first is fetched.
    owner : object, optional
        What must live as long as the job.
    """

    LARGEST_WINDOW = 2**16
    _BYTES = 2**25  # of values that wait to be fetched

    def __init__(
        self,
        function: Any,
        kind: str,
        iterable: Iterable[Any],
        *,
        chunksize: int = 1,
        ordered: bool = True,
        wake: Callable[[], None],
        window: float | None = None,
        owner: object = None,
    ) -> None:
        super().__init__(function, kind, chunksize)
        self.unit = chunksize
        self._iterator = iter(iterable)
        self._ordered, self._wake = ordered, wake
        self._owner = owner
        self._fixed_window = window
        self._window: float = window or 64
        self._source: deque[Any] = deque()
        self._first = 0  # number of the first item in the source
        self._out: dict[int, Any] = {}
        self._fed = 0
        self._end: int | None = None  # how many items there are, once that is known
        self._put = 0
        self._bytes_per_value = 0.0
        self.is_starving = False  # whether the engine waits for items
        # What follows is shared with the threads that fetch values.
        self._condition = threading.Condition()
        self._arrived: dict[int, list[Any]] = {}  # {number of the first: outcomes}
        self._fetched = 0
        self._released = 0  # how many of these don't count for the window any more
        self._current: deque[Any] = deque()
        self._cancelled: BaseException | None = None
        self._is_enough = False  # whether to take no more items

    def start(self) -> None:  # noqa: D102
        if self._window == math.inf:
            self._feed()  # all at once; there may be no more threads at the end of a script
        else:
            threading.Thread(target=self._feed, name="mpipar imap", daemon=True).start()

    def _feed(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._iterator:
                self._source.append(item)
                self._fed += 1
                if self.is_starving:
                    self.is_starving = False
                    self._wake()
                if self._fed - self._released >= self._window:
                    with self._condition:
                        while self._fed - self._released >= self._window and not self._is_enough:
                            self._condition.wait()
                if self._is_enough:
                    break
            if self._is_enough and self._cancelled is None and next(self._iterator, _ABSENT) is not _ABSENT:
                error = RuntimeError("cannot schedule new futures after shutdown")
        except BaseException as raised:  # of the script's iterator
            error = raised
        with self._condition:
            self._end = self._fed
            if error is not None:
                self._arrived[self._fed] = [Raised(error)]
                self._end += 1
                self._put += 1
            self._condition.notify_all()
        self._wake()

    @property
    def waiting(self) -> int:  # noqa: D102
        return len(self._source)

    @property
    def is_done(self) -> bool:  # noqa: D102
        return self._cancelled is not None or (self._end is not None and self._put >= self._end)

    def take(self, count: int) -> tuple[Sequence[int], Any]:  # noqa: D102
        if not self._source:
            self.is_starving = True  # before the second look, or what is fed in between would wait
        items = [self._source.popleft() for _ in range(min(count, len(self._source)))]
        indices = range(self._first, self._first + len(items))
        self._first = indices.stop
        self._out.update(zip(indices, items, strict=True))
        return indices, items

    def items(self, indices: Sequence[int]) -> Any:  # noqa: D102
        return [self._out[index] for index in indices]

    def put(self, indices: Sequence[int], outcomes: list[Any], *, all_well: bool = False) -> None:  # noqa: D102
        for index in indices:
            del self._out[index]
        with self._condition:
            self._put += len(outcomes)
            if isinstance(indices, range):
                self._arrived[indices.start] = outcomes
            else:
                self._arrived.update((index, [outcome]) for index, outcome in zip(indices, outcomes, strict=True))
            self._condition.notify_all()

    def note_size(self, count: int, size: int) -> None:
        """Note how many bytes some values have."""
        self._bytes_per_value = max(self._bytes_per_value / 2, size / max(1, count))

    def note(self, count: int, seconds: float) -> None:  # noqa: D102
        super().note(count, seconds)
        if self._window < self.LARGEST_WINDOW and self._fixed_window is None:
            self._window = min(self.LARGEST_WINDOW, max(self._window, 64 * self._largest))

    def narrow(self, workers: int) -> None:
        """Hold the window to what fits into memory, and to what keeps all workers busy."""
        if self._fixed_window is None and self._window != math.inf:
            fits = self._BYTES / max(1.0, self._bytes_per_value)
            self._window = max(4 * workers * self.unit, min(self._window, fits))

    def hurry(self) -> None:
        """Don't wait for values to be fetched: somebody waits for the end of all tasks.

        All items are taken, however many; or no more, if the window is the user's.
        """
        with self._condition:
            self._is_enough = self._fixed_window is not None and self._window != math.inf
            self._window = math.inf
            self._condition.notify_all()

    def cancel(self, error: BaseException) -> None:  # noqa: D102
        with self._condition:
            if not self.is_done:
                self._cancelled = error
            self._is_enough = True
            self._source.clear()
            self._condition.notify_all()

    def __iter__(self) -> FedJob:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """Return the next value.

        Raises
        ------
        StopIteration
            After the last one.
        multiprocessing.TimeoutError
            If it doesn't come within ``timeout`` seconds.
        Exception
            Whatever its task raised.
        """
        with self._condition:
            if not self._condition.wait_for(self._has_more, timeout):
                raise PoolTimeoutError
            if not self._current:
                self._take_next_batch()
            outcome = self._current.popleft()
            if self._fixed_window is not None:
                self._released += 1
                self._condition.notify_all()
        if type(outcome) is Raised:
            raise outcome.error
        return outcome

    def _has_more(self) -> bool:
        if self._current or self._cancelled is not None or self._fetched == self._end:
            return True
        return self._fetched in self._arrived if self._ordered else bool(self._arrived)

    def _take_next_batch(self) -> None:
        if self._fetched == self._end:
            raise StopIteration
        key = self._fetched if self._ordered else next(iter(self._arrived), self._fetched)
        outcomes = self._arrived.pop(key, None)
        if outcomes is None:
            assert self._cancelled is not None
            raise self._cancelled
        self._fetched += len(outcomes)
        self._current.extend(outcomes)
        if self._fixed_window is None:
            self._released = self._fetched
            self._condition.notify_all()


def size_of(frames: Iterable[Any]) -> int:
    """Return how many bytes a message has."""
    return sum(memoryview(frame).nbytes for frame in frames)


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or type(function).__name__
