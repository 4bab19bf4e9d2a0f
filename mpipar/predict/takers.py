"""Processes that take chunks from a counter, simulated.

It is a simulation of discrete events, each of which is a process that is free: it tells how long
its chunk took, and takes the next. There are two forms of that: one event after the other from a
heap; and for very many processes all events of a short window of time at once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from mpipar.predict.block_times import BlockTimes, Floats, Whole
from mpipar.runtime.schedule import CHUNK_SECONDS, OLD_WEIGHT, SECONDS_A_TAKER

_WINDOWS = 1000
"""In the time that a run takes: the order of events within a window is only nearly right."""
_MANY_EVENTS = 10**6
"""From so many on, the middle of a run is not simulated: nobody waits for anything there."""
_HEAD, _TAIL = 16, 32  # chunks of each taker that are simulated, from the beginning and to the end


class Fetch(NamedTuple):
    """What the shared counter costs.

    Attributes
    ----------
    latency : float
        Seconds of one fetch-and-add, if nobody else asks.
    service : float
        Seconds after which the counter can serve the next.
    """

    latency: float = 0.0
    service: float = 0.0


@dataclass(frozen=True)
class Simulated:
    """What a simulated run took, from the first block to the last.

    Attributes
    ----------
    seconds : float
    waited : float
        Seconds that a process waited for the counter, on average.
    chunks : int
        How many there were, as ranks have to tell which blocks they have done.
    """

    seconds: float
    waited: float = 0.0
    chunks: int = 0


class Takers:
    """Processes that take chunks from one counter, as :class:`mpipar.runtime.schedule.Share` does.

    Parameters
    ----------
    times : BlockTimes
    ranks, workers : int
        The workers of a rank share what it knows of the time of blocks.
    fetch : Fetch
    """

    def __init__(
        self,
        times: BlockTimes,
        ranks: int,
        workers: int,
        fetch: Fetch,
    ) -> None:
        self._times = times
        self._fetch = fetch
        self._is_fetch_free = not any(fetch)
        self._workers = workers
        self._takers = ranks * workers
        self._chunk_seconds = max(CHUNK_SECONDS, SECONDS_A_TAKER * self._takers)
        self._mean = np.full(ranks, np.nan)  # seconds of a block, as each rank knows
        self._taken = np.zeros(ranks, np.int64)  # of the counter, as each rank knows
        self._counter = 0
        self._chunks = 0
        self._waited = 0.0  # seconds, of all takers together
        self._busy_until = 0.0  # the counter

    def one_by_one(self, tick: Callable[[float], object]) -> Simulated:
        """Simulate each event in its turn."""
        # Runs once for each chunk, of which there may be a million: numbers are in locals and
        # lists, and little is called.
        count = self._times.count
        workers = self._workers
        takers = self._takers
        mean: list[float | None] = [None] * len(self._mean)
        taken = [0] * len(mean)
        free = _all_free(takers)
        ended = 0.0
        counter = 0
        sums = _Sums(self._times)
        skip_from = self._head()
        while free:
            now, taker, blocks, seconds = free[0]
            rank = taker // workers
            if blocks:
                new = seconds / blocks
                old = mean[rank]
                mean[rank] = new if old is None else OLD_WEIGHT * old + (1 - OLD_WEIGHT) * new
            if taken[rank] >= count:
                ended = max(ended, now)
                heapq.heappop(free)
                continue
            known = mean[rank]
            size = 1
            if known is not None:
                guided = (count - taken[rank]) // (2 * takers)
                size = max(1, min(guided, int(self._chunk_seconds / max(known, 1e-9))))
            begin = now if self._is_fetch_free else self._answer(now)
            first = counter
            counter += size
            taken[rank] = counter
            if first >= count:
                ended = max(ended, begin)
                heapq.heappop(free)
                continue
            self._chunks += 1
            size = min(size, count - first)
            seconds = sums(first, size)
            heapq.heapreplace(free, (begin + seconds, taker, size, seconds))
            if self._chunks % 4096 == 0:
                tick(min(1.0, counter / count))
            if counter >= skip_from:
                skip_from = math.inf
                skipped, busy = self._skip(counter, _or_zero(mean))
                counter += skipped
                taken = [before + skipped for before in taken]
                free = _later(free, busy)
                self._busy_until += busy
        return Simulated(ended, self._waited / takers, self._chunks)

    def _answer(self, now: float) -> float:
        """Return when the counter answers one who asks now."""
        latency, service = self._fetch
        self._busy_until = max(now, self._busy_until) + service
        answered = max(self._busy_until + latency - service, now + latency)
        self._waited += answered - now
        return answered

    def by_window(self, tick: Callable[[float], object]) -> Simulated:
        """Simulate the events of a window of time at once, in the order in which processes were
        free.
        """
        count = self._times.count
        takers = self._takers
        free = np.zeros(takers)  # when each is; infinite for those that are done
        # Of the last chunk of each.
        blocks = np.zeros(takers, np.int64)
        seconds = np.zeros(takers)
        least = max(
            self._times.total / takers,
            self._times.longest,
            self._fetch.service * takers,
        )
        width = least / _WINDOWS
        ended = 0.0
        skip_from = self._head()
        while True:
            begin = free.min()
            if np.isinf(begin):
                return Simulated(ended, self._waited / takers, self._chunks)
            now = np.flatnonzero(free <= begin + width)
            now = now[np.argsort(free[now], kind="stable")]
            ranks = now // self._workers
            self._note(ranks, blocks[now], seconds[now])
            going = self._taken[ranks] < count
            done = now[~going]
            ended = max(ended, float(free[done].max(initial=0.0)))
            free[done] = np.inf
            now = now[going]
            ranks = ranks[going]
            starts = self._asked(free[now])
            ends = np.cumsum(self._sizes(ranks))
            bounds = self._counter + np.concatenate([[0], ends])
            self._counter = int(bounds[-1])
            self._taken[ranks] = bounds[1:]
            bounds = np.minimum(bounds, count)
            got = np.diff(bounds)
            self._chunks += int(np.count_nonzero(got))
            seconds[now] = self._times.sums(bounds)
            blocks[now] = got
            free[now] = np.where(got > 0, starts + seconds[now], np.inf)
            last = starts[got == 0].max(initial=0.0)
            ended = max(ended, float(last))
            tick(min(1.0, self._counter / count))
            if self._counter >= skip_from:
                skip_from = math.inf
                skipped, busy = self._skip(self._counter, self._mean)
                self._counter += skipped
                self._taken += skipped
                free += busy
                self._busy_until += busy

    def _note(self, ranks: Whole, blocks: Whole, seconds: Floats) -> None:
        """Take in how long chunks took."""
        told = blocks > 0
        ranks = ranks[told]
        new = seconds[told] / blocks[told]
        old = self._mean[ranks]
        self._mean[ranks] = np.where(
            np.isnan(old),
            new,
            OLD_WEIGHT * old + (1 - OLD_WEIGHT) * new,
        )

    def _sizes(self, ranks: Whole) -> Whole:
        """Return how many blocks each takes."""
        left = self._times.count - self._taken[ranks]
        guided = left // (2 * self._takers)
        mean = self._mean[ranks]
        timely = self._chunk_seconds / np.maximum(mean, 1e-9)
        timely = np.minimum(timely, 2.0**40)
        known = ~np.isnan(mean)
        timely = np.where(known, timely, 1.0).astype(np.int64)
        sizes = np.minimum(guided, timely)
        found: Whole = np.where(known, np.maximum(1, sizes), 1)
        return found

    def _asked(self, when: Floats) -> Floats:
        """Return when each has its answer from the counter, asked in this order; it serves one
        after the other.
        """
        latency, service = self._fetch
        if self._is_fetch_free or not len(when):
            return when
        before = service * np.arange(len(when))
        earliest = np.maximum(when, self._busy_until)
        begun = np.maximum.accumulate(earliest - before) + before
        served = begun + service
        # Not the last of these: some of a window are simulated after it, but ask before, and must
        # not wait for it.
        begin = max(self._busy_until, float(when[0]))
        self._busy_until = begin + service * len(when)
        answered: Floats = np.maximum(served + latency - service, when + latency)
        self._waited += float((answered - when).sum())
        return answered

    def _chunk(self, mean: float) -> int:
        return max(1, int(self._chunk_seconds / max(mean, 1e-9)))

    def _head(self) -> float:
        """Return how many blocks are simulated before some are left out: all, if there aren't too
        many chunks.
        """
        mean = self._times.total / max(1, self._times.count)
        chunk = self._chunk(mean)
        many = max(_MANY_EVENTS, 2 * (_HEAD + _TAIL) * self._takers)
        if self._times.count / chunk <= many:
            return math.inf
        return _HEAD * self._takers * chunk

    def _skip(self, counter: int, mean: Floats) -> tuple[int, float]:
        """Return how many blocks of the middle are left out, and how long they keep all processes
        busy.
        """
        chunk = self._chunk(float(np.nanmean(mean)))
        tail = (_TAIL + 4) * self._takers * chunk
        blocks = self._times.count - counter - tail
        if blocks <= 0:
            return 0, 0.0
        chunks = blocks // chunk
        bounds = np.array([counter, counter + blocks])
        work = float(self._times.sums(bounds)[0])
        evaluating = work / self._takers
        asking = self._fetch.latency * chunks / self._takers
        queueing = self._fetch.service * chunks - evaluating
        waits = max(asking, queueing)
        self._chunks += chunks
        self._waited += waits * self._takers
        return blocks, evaluating + waits


_Free: TypeAlias = list[tuple[float, int, int, float]]
"""A heap of takers: when each is free, its number, blocks of its last chunk, and their time."""


def _all_free(takers: int) -> _Free:
    return [(0.0, taker, 0, 0.0) for taker in range(takers)]


def _later(free: _Free, seconds: float) -> _Free:
    """Return takers that are free so much later; their order stays."""
    return [(when + seconds, who, blocks, took) for when, who, blocks, took in free]


def _or_zero(means: Sequence[float | None]) -> Floats:
    return np.array([mean or 0.0 for mean in means])


class _Sums:
    """The times of chunks, which follow one another; looked up for many blocks at once."""

    def __init__(self, times: BlockTimes) -> None:
        self._times = times
        self._start = 0
        self._before = [0.0]

    def __call__(self, first: int, size: int) -> float:
        if first + size >= self._start + len(self._before):
            stop = min(self._times.count, first + max(size, 2**16))
            self._start = first
            sums = np.cumsum(self._times.between(first, stop))
            self._before = [0.0, *sums.tolist()]
        place = first - self._start
        return self._before[place + size] - self._before[place]
