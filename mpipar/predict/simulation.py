"""Runs that are simulated: who evaluates which block when, by the rules of runtime.schedule.

With one process in each rank, ``stride`` and ``slice`` are sums. Where processes take from a
counter (``dynamic``, or the workers of a rank from that of the rank) it is a simulation of discrete
events, each of which is a process that is free: it tells how long its chunk took, and takes the
next. There are two forms of that: one event after the other from a heap; and for very many
processes all events of a short window of time at once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mpipar.core.plan import slice_share
from mpipar.predict.block_times import BlockTimes, Floats, ShareTimes, Whole
from mpipar.runtime.schedule import CHUNK_SECONDS, OLD_WEIGHT, SECONDS_A_TAKER

MOST_AT_ONCE = 2**22
"""So many blocks of ranks with workers are simulated at once."""

_FEW_POOLS = 16  # fewer are simulated one after the other
_MANY_TAKERS = 2**13  # from so many on, events are taken by windows
_WINDOWS = (
    1000  # in the time that a run takes: the order of events within a window is only nearly right
)
_MANY_EVENTS = (
    10**6
)  # from so many on, the middle of a run is not simulated: nobody waits for anything there
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


def simulate(
    schedule: str,
    times: BlockTimes,
    ranks: int,
    workers: int,
    fetch: Fetch,
    tick: Callable[[float], object],
) -> Simulated:
    """Return what a run takes; without what comes before its first block and after its last.

    Parameters
    ----------
    schedule : str
        stride, slice or dynamic.
    times : BlockTimes
        Of the blocks.
    ranks, workers : int
        Ranks, and processes in each.
    fetch : Fetch
        What ``dynamic`` pays for each chunk.
    tick : callable
        Called with the fraction that is done, now and then.
    """
    if schedule == "dynamic":
        takers = Takers(times, ranks, workers, fetch)
        return (
            takers.by_window(tick) if ranks * workers >= _MANY_TAKERS else takers.one_by_one(tick)
        )
    if workers == 1:
        sums = (
            times.every(ranks)
            if schedule == "stride"
            else times.sums(slice_bounds(times.count, ranks))
        )
        return Simulated(float(sums.max()), chunks=min(ranks, times.count))
    return _pools(schedule, times, ranks, workers, tick)


def slice_bounds(count: int, ranks: int) -> Whole:
    """Return where the slice of each rank begins, and the end of the last, of shape (ranks +
    1,).
    """
    length, longer = divmod(count, ranks)
    numbers = np.arange(ranks + 1)
    bounds: Whole = numbers * length + np.minimum(numbers, longer)
    return bounds


class Takers:
    """Processes that take chunks from one counter, as :class:`mpipar.runtime.schedule.Share` does.

    Parameters
    ----------
    times : BlockTimes
    ranks, workers : int
        The workers of a rank share what it knows of the time of blocks.
    fetch : Fetch
    """

    def __init__(self, times: BlockTimes, ranks: int, workers: int, fetch: Fetch) -> None:
        self._times, self._fetch = times, fetch
        self._workers, self._takers = workers, ranks * workers
        self._chunk_seconds = max(CHUNK_SECONDS, SECONDS_A_TAKER * self._takers)
        self._mean = np.full(ranks, np.nan)  # seconds of a block, as each rank knows
        self._taken = np.zeros(ranks, np.int64)  # of the counter, as each rank knows
        self._counter, self._chunks, self._waited, self._busy_until = 0, 0, 0.0, 0.0

    def one_by_one(self, tick: Callable[[float], object]) -> Simulated:
        """Simulate each event in its turn."""
        count, workers, takers = self._times.count, self._workers, self._takers
        latency, service = self._fetch
        mean: list[float | None] = [None] * len(self._mean)
        taken = [0] * len(mean)
        free = [
            (0.0, taker, 0, 0.0) for taker in range(takers)
        ]  # when, who, blocks of its last chunk and their time
        ended, counter, sums = 0.0, 0, _Sums(self._times)
        skip_from = self._head()
        while free:
            now, taker, blocks, seconds = free[0]
            rank = taker // workers
            if blocks:
                new, old = seconds / blocks, mean[rank]
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
            begin = now
            if latency or service:
                self._busy_until = max(now, self._busy_until) + service
                begin = max(self._busy_until + latency - service, now + latency)
                self._waited += begin - now
            first, counter = counter, counter + size
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
                skip_from, (skipped, by) = (
                    math.inf,
                    self._skip(counter, np.array([m or 0.0 for m in mean])),
                )
                counter += skipped
                taken = [before + skipped for before in taken]
                free = [(when + by, who, blocks, seconds) for when, who, blocks, seconds in free]
                self._busy_until += by
        return Simulated(ended, self._waited / takers, self._chunks)

    def by_window(self, tick: Callable[[float], object]) -> Simulated:
        """Simulate the events of a window of time at once, in the order in which processes were
        free.
        """
        count, takers = self._times.count, self._takers
        free = np.zeros(takers)  # when each is; infinite for those that are done
        blocks, seconds = np.zeros(takers, np.int64), np.zeros(takers)  # of its last chunk
        width = (
            max(self._times.total / takers, self._times.longest, self._fetch.service * takers)
            / _WINDOWS
        )
        ended, skip_from = 0.0, self._head()
        while True:
            begin = free.min()
            if np.isinf(begin):
                return Simulated(ended, self._waited / takers, self._chunks)
            now = np.flatnonzero(free <= begin + width)
            now = now[np.argsort(free[now], kind="stable")]
            ranks = now // self._workers
            self._note(ranks, blocks[now], seconds[now])
            going = self._taken[ranks] < count
            ended = max(ended, float(free[now[~going]].max(initial=0.0)))
            free[now[~going]] = np.inf
            now, ranks = now[going], ranks[going]
            starts = self._asked(free[now])
            bounds = self._counter + np.concatenate([[0], np.cumsum(self._sizes(ranks))])
            self._counter = int(bounds[-1])
            self._taken[ranks] = bounds[1:]
            bounds = np.minimum(bounds, count)
            got = np.diff(bounds)
            self._chunks += int(np.count_nonzero(got))
            seconds[now], blocks[now] = self._times.sums(bounds), got
            free[now] = np.where(got > 0, starts + seconds[now], np.inf)
            ended = max(ended, float(starts[got == 0].max(initial=0.0)))
            tick(min(1.0, self._counter / count))
            if self._counter >= skip_from:
                skip_from, (skipped, by) = math.inf, self._skip(self._counter, self._mean)
                self._counter += skipped
                self._taken += skipped
                free += by
                self._busy_until += by

    def _note(self, ranks: Whole, blocks: Whole, seconds: Floats) -> None:
        """Take in how long chunks took."""
        told = blocks > 0
        ranks, new = ranks[told], seconds[told] / blocks[told]
        old = self._mean[ranks]
        self._mean[ranks] = np.where(np.isnan(old), new, OLD_WEIGHT * old + (1 - OLD_WEIGHT) * new)

    def _sizes(self, ranks: Whole) -> Whole:
        """Return how many blocks each takes."""
        guided = (self._times.count - self._taken[ranks]) // (2 * self._takers)
        mean = self._mean[ranks]
        timely = np.minimum(self._chunk_seconds / np.maximum(mean, 1e-9), 2.0**40)
        known = ~np.isnan(mean)
        timely = np.where(known, timely, 1.0).astype(np.int64)
        sizes: Whole = np.where(known, np.maximum(1, np.minimum(guided, timely)), 1)
        return sizes

    def _asked(self, when: Floats) -> Floats:
        """Return when each has its answer from the counter, asked in this order; it serves one
        after the other.
        """
        latency, service = self._fetch
        if not (latency or service) or not len(when):
            return when
        before = service * np.arange(len(when))
        served = (
            np.maximum.accumulate(np.maximum(when, self._busy_until) - before) + before + service
        )
        # Not the last of these: some of a window are simulated after it, but ask before, and must
        # not wait for it.
        self._busy_until = max(self._busy_until, float(when[0])) + service * len(when)
        answered: Floats = np.maximum(served + latency - service, when + latency)
        self._waited += float((answered - when).sum())
        return answered

    def _chunk(self, mean: float) -> int:
        return max(1, int(self._chunk_seconds / max(mean, 1e-9)))

    def _head(self) -> float:
        """Return how many blocks are simulated before some are left out: all, if there aren't too
        many chunks.
        """
        chunk = self._chunk(self._times.total / max(1, self._times.count))
        few = self._times.count / chunk <= max(_MANY_EVENTS, 2 * (_HEAD + _TAIL) * self._takers)
        return math.inf if few else _HEAD * self._takers * chunk

    def _skip(self, counter: int, mean: Floats) -> tuple[int, float]:
        """Return how many blocks of the middle are left out, and how long they keep all processes
        busy.
        """
        chunk = self._chunk(float(np.nanmean(mean)))
        blocks = self._times.count - counter - (_TAIL + 4) * self._takers * chunk
        if blocks <= 0:
            return 0, 0.0
        chunks = blocks // chunk
        work = float(self._times.sums(np.array([counter, counter + blocks]))[0])
        waits = max(
            self._fetch.latency * chunks / self._takers,
            self._fetch.service * chunks - work / self._takers,
        )
        self._chunks += chunks
        self._waited += waits * self._takers
        return blocks, work / self._takers + waits


class _Sums:
    """The times of chunks, which follow one another; looked up for many blocks at once."""

    def __init__(self, times: BlockTimes) -> None:
        self._times = times
        self._start, self._before = 0, [0.0]

    def __call__(self, first: int, size: int) -> float:
        if first + size >= self._start + len(self._before):
            stop = min(self._times.count, first + max(size, 2**16))
            self._start = first
            self._before = [0.0, *np.cumsum(self._times.between(first, stop)).tolist()]
        return self._before[first + size - self._start] - self._before[first - self._start]


def _pools(
    schedule: str, times: BlockTimes, ranks: int, workers: int, tick: Callable[[float], object]
) -> Simulated:
    """Return what ranks take that have workers, which share out the blocks of their rank alone."""
    count = times.count
    if count // ranks > MOST_AT_ONCE or ranks < _FEW_POOLS:
        return _few_pools(schedule, times, ranks, workers, tick)
    bounds = slice_bounds(count, ranks)
    at_once = max(1, MOST_AT_ONCE // max(1, -(-count // ranks)))
    slowest, chunks = 0.0, 0
    for start in range(0, ranks, at_once):
        stop = min(start + at_once, ranks)
        if schedule == "slice":
            shares = np.diff(bounds[start : stop + 1])
            columns = np.arange(int(shares.max()))
            positions = bounds[start:stop, None] + columns
        else:
            numbers = np.arange(start, stop)
            shares = np.maximum(0, -(-(count - numbers) // ranks))
            positions = numbers[:, None] + np.arange(int(shares.max())) * ranks
        inside = np.arange(positions.shape[1]) < shares[:, None]
        seconds = np.where(inside, times.at(np.where(inside, positions, 0)), 0.0)
        ended, taken = _pools_of(seconds, shares, workers)
        slowest, chunks = max(slowest, ended), chunks + taken
        tick(stop / ranks)
    return Simulated(slowest, chunks=chunks)


def _few_pools(
    schedule: str, times: BlockTimes, ranks: int, workers: int, tick: Callable[[float], object]
) -> Simulated:
    """Return the same, for few ranks, or very many blocks of each: one rank after the other."""
    found = []
    for rank in range(ranks):
        own = (
            range(rank, times.count, ranks)
            if schedule == "stride"
            else slice_share(times.count, rank, ranks)
        )
        found.append(Takers(ShareTimes(times, own), 1, workers, Fetch()).one_by_one(bool))
        tick((rank + 1) / ranks)
    return Simulated(max(one.seconds for one in found), chunks=sum(one.chunks for one in found))


def _pools_of(seconds: Floats, shares: Whole, workers: int) -> tuple[float, int]:
    """Return when the last of some pools ends, and how many chunks there were.

    Parameters
    ----------
    seconds : numpy.ndarray
        Of shape (pools, most blocks): the times of their blocks, in the order in which they are
        taken.
    shares : numpy.ndarray
        Of shape (pools,): how many blocks each has.
    workers : int
    """
    pools = np.arange(len(shares))
    before = np.concatenate([np.zeros((len(shares), 1)), np.cumsum(seconds, axis=1)], axis=1)
    free = np.zeros((len(shares), workers))
    blocks, spent = np.zeros(free.shape, np.int64), np.zeros(free.shape)
    taken, mean = np.zeros(len(shares), np.int64), np.full(len(shares), np.nan)
    chunk_seconds, chunks = max(CHUNK_SECONDS, SECONDS_A_TAKER * workers), 0
    while len(pools := pools[taken[pools] < shares[pools]]):
        who = free[pools].argmin(axis=1)
        told = blocks[pools, who] > 0
        new = spent[pools, who] / np.maximum(1, blocks[pools, who])
        old = mean[pools]
        mean[pools] = np.where(
            told, np.where(np.isnan(old), new, OLD_WEIGHT * old + (1 - OLD_WEIGHT) * new), old
        )
        known = ~np.isnan(mean[pools])
        timely = np.minimum(
            chunk_seconds / np.maximum(np.where(known, mean[pools], 1.0), 1e-9), 2.0**40
        )
        size = np.minimum((shares[pools] - taken[pools]) // (2 * workers), timely.astype(np.int64))
        size = np.minimum(np.where(known, np.maximum(1, size), 1), shares[pools] - taken[pools])
        took = before[pools, taken[pools] + size] - before[pools, taken[pools]]
        free[pools, who] += took
        blocks[pools, who], spent[pools, who] = size, took
        taken[pools] += size
        chunks += len(pools)
    return float(free.max(initial=0.0)), chunks
