"""Tasks from an iterator, and an iterator over their values."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing.pool import IMapIterator
from typing import Any, TypeAlias

from mpipar.pool.item_sources import Listed, Streamed, StreamedInPart
from mpipar.pool.jobs import Job, Raised, without
from mpipar.runtime.channel import Frames

_ABSENT = object()

SnapshotOfChunk: TypeAlias = Callable[[list[Any]], tuple[list[Any], bool]]


class FedJob(Job, IMapIterator):  # type: ignore[type-arg]
    """Tasks from an iterator that may be endless, whose values are wanted one by one; itself their
    iterator.

    A thread takes items from the iterator as they are needed: at any time, no more of them have
    been taken than will be handed out soon, or wait to be fetched. An exception in the iterator
    comes where its item would have.

    Parameters
    ----------
    function, kind, chunksize
        As for Job.
    iterable : iterable
    ordered : bool
        Whether values come in the order of the items.
    wake : callable
        Called when there are new items, and the engine waits for them.
    snapshot : callable, optional
        Returns an item as it is now: the iterator may go on to change it, as one that fills a
        buffer again and again. By default the iterable is a sequence in which nothing changes.
    window : float, optional
        How many items are taken at most before the value of the first is fetched.
    owner : object, optional
        What must live as long as the job.
    is_chunked
        As for Job.
    snapshot_of_chunk : callable, optional
        Returns the items of a chunk as they are now, and whether they have something in common.
    recalled : RecalledItems or RecalledStream, optional
        What is known of it, the former if the iterable is a sequence in which nothing changes; it
        keeps what comes out of the rest.
    """

    LARGEST_WINDOW = 2**16
    _BYTES = 2**25  # of values that wait to be fetched

    def __init__(  # noqa: PLR0913 (by name, all but the first three)
        self,
        function: Any,
        kind: str,
        iterable: Iterable[Any],
        *,
        chunksize: int = 1,
        ordered: bool = True,
        wake: Callable[[], None],
        snapshot: Callable[[Any], Any] | None = None,
        window: float | None = None,
        owner: object = None,
        recalled: Any = None,
        is_chunked: bool = False,
        snapshot_of_chunk: SnapshotOfChunk | None = None,
    ) -> None:
        super().__init__(function, kind, chunksize)
        self.unit = chunksize
        self.is_chunked = is_chunked
        self._snapshot_of_chunk = snapshot_of_chunk
        self._recalled = recalled
        self._source: Streamed | Listed
        self._iterator: Iterator[Any] = iter(())
        if snapshot is None:
            assert isinstance(iterable, Sequence)
            self._source = Listed(iterable, unit=chunksize if is_chunked else 1)
        else:
            self._source, self._iterator = Streamed(), iter(iterable)
        self._ordered = ordered
        self._wake = wake
        self._snapshot = snapshot
        self._owner = owner
        self._fixed_window = window
        self._window: float = window or max(64, chunksize)
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
        if recalled is not None:
            self._recall(iterable, snapshot)

    def _recall(self, iterable: Any, snapshot: Callable[[Any], Any] | None) -> None:
        """Take in what is known already, and hand out only the rest."""
        self.recall(self._recalled)
        if snapshot is not None:
            self._source = StreamedInPart()
            return
        ranges = []
        for first, outcomes in self._recalled.pieces:
            ranges.append(range(first, first + len(outcomes)))
            self.arrive(first, outcomes)
        self._source = Listed(iterable, without(ranges, len(iterable)))

    def start(self) -> None:  # noqa: D102
        if self._window == math.inf:
            self._feed()  # all at once; there may be no more threads at the end of a script
        else:
            threading.Thread(target=self._feed, name="mpipar imap", daemon=True).start()

    def _feed(self) -> None:
        error: BaseException | None = None
        try:
            source = self._source
            snapshot = self._snapshot
            if isinstance(source, Listed):
                self._feed_together(source)
            elif isinstance(source, StreamedInPart) and snapshot is not None:
                self._feed_what_is_unknown(source, snapshot)
            elif self._snapshot_of_chunk is not None and 1 < self.unit <= self._window:
                self._feed_in_chunks(source, self._snapshot_of_chunk)
            elif snapshot is not None:
                self._feed_one_by_one(source, snapshot)
            if (
                self._is_enough
                and self._cancelled is None
                and next(self._iterator, _ABSENT) is not _ABSENT
            ):
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

    def _feed_one_by_one(self, source: Streamed, snapshot: Callable[[Any], Any]) -> None:
        for item in self._iterator:
            source.append(snapshot(item))
            if not self._goes_on(1):
                break

    def _feed_in_chunks(self, source: Streamed, snapshot: SnapshotOfChunk) -> None:
        chunk: list[Any] = []
        try:
            for item in self._iterator:
                chunk.append(item)
                if len(chunk) == self.unit:
                    self._add_chunk(source, snapshot, chunk)
                    chunk = []
                    if not self._goes_on(self.unit):
                        break
        finally:  # what came before an exception is done, too
            self._add_chunk(source, snapshot, chunk)
            self._fed += len(chunk)

    def _add_chunk(
        self,
        source: Streamed,
        snapshot: SnapshotOfChunk,
        chunk: list[Any],
    ) -> None:
        items, have_common = snapshot(chunk)
        self.is_chunked = self.is_chunked or have_common  # before anybody may take it
        source.extend(items)

    def _feed_what_is_unknown(
        self,
        source: StreamedInPart,
        snapshot: Callable[[Any], Any],
    ) -> None:
        for number, item in enumerate(self._iterator):
            known = self._recalled.known(number, item)
            if known is None:
                source.add(number, snapshot(item))
            else:
                self.arrive(number, [known.outcome])
            if not self._goes_on(1):
                break

    def _feed_together(self, source: Listed) -> None:
        while True:
            count = source.allow(max(1, self._window - (self._fed - self._released)))
            if not count or not self._goes_on(count):
                break

    def _goes_on(self, count: int) -> bool:
        """Note that so many items were taken; return whether to go on, once there is room for
        more.
        """
        self._fed += count
        if self.is_starving:
            self.is_starving = False
            self._wake()
        if self._fed - self._released >= self._window:
            with self._condition:
                while self._fed - self._released >= self._window and not self._is_enough:
                    self._condition.wait()
        return not self._is_enough

    @property
    def waiting(self) -> int:  # noqa: D102
        return self._source.waiting

    @property
    def is_done(self) -> bool:  # noqa: D102
        return self._cancelled is not None or (self._end is not None and self._put >= self._end)

    def take(self, count: int) -> tuple[Sequence[int], Any]:  # noqa: D102
        if not self._source.waiting:
            self.is_starving = True  # before the second look, or what is fed in between would wait
        count = min(count, self._source.waiting)  # before it is told whether these are in chunks
        return self._source.take(self.in_whole_chunks(self._source.first, count))

    def items(self, indices: Sequence[int]) -> Any:  # noqa: D102
        return self._source.items(indices)

    def arrive(self, first: int, outcomes: list[Any]) -> None:
        """Take in outcomes of neighbouring tasks that have not been handed out."""
        with self._condition:
            self._put += len(outcomes)
            self._arrived[first] = outcomes
            self._condition.notify_all()

    def put(self, indices: Sequence[int], outcomes: list[Any], *, all_well: bool = False) -> None:  # noqa: D102
        self._source.forget(indices)
        with self._condition:
            self._put += len(outcomes)
            if isinstance(indices, range):
                self._arrived[indices.start] = outcomes
            else:
                self._arrived.update(
                    (index, [outcome]) for index, outcome in zip(indices, outcomes, strict=True)
                )
            self._condition.notify_all()

    def note_size(self, count: int, frames: Frames) -> None:
        """Note how many bytes some values have."""
        size = sum(memoryview(frame).nbytes for frame in frames)
        self._bytes_per_value = max(self._bytes_per_value / 2, size / max(1, count))

    def note(self, count: int, seconds: float) -> None:  # noqa: D102
        super().note(count, seconds)
        if self._window < self.LARGEST_WINDOW and self._fixed_window is None:
            self._window = min(self.LARGEST_WINDOW, max(self._window, 256 * self._largest))

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

    def __next__(self) -> Any:  # type: ignore[override]
        outcome = self.outcome()
        if type(outcome) is Raised:
            raise outcome.error
        return outcome

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
        outcome = self.outcome(timeout)
        if type(outcome) is Raised:
            raise outcome.error
        return outcome

    def outcome(self, timeout: float | None = None) -> Any:
        """Return the same, but a Raised instead of raising what a task raised."""
        if (
            self._fixed_window is None or self._window == math.inf
        ):  # nobody waits for each single one to be fetched
            try:
                return self._current.popleft()
            except IndexError:
                pass
        with self._condition:
            if not self._condition.wait_for(self._has_more, timeout):
                raise PoolTimeoutError
            if not self._current:
                self._take_next_batch()
            outcome = self._current.popleft()
            if self._fixed_window is not None:
                self._released += 1
                self._condition.notify_all()
        return outcome

    def _has_more(self) -> bool:
        if self._current or self._cancelled is not None or self._fetched == self._end:
            return True
        if self._ordered:
            return self._fetched in self._arrived
        return bool(self._arrived)

    def _take_next_batch(self) -> None:
        if self._fetched == self._end:
            raise StopIteration
        key = self._fetched
        if not self._ordered:
            key = next(iter(self._arrived), key)
        outcomes = self._arrived.pop(key, None)
        if outcomes is None:
            assert self._cancelled is not None
            raise self._cancelled
        self._fetched += len(outcomes)
        self._current.extend(outcomes)
        if self._fixed_window is None:
            self._released = self._fetched
            self._condition.notify_all()
