"""Ranks with workers that share out the blocks of their own rank, simulated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mpipar.core.plan import slice_share
from mpipar.predict.block_times import BlockTimes, Floats, ShareTimes, Whole
from mpipar.predict.takers import Fetch, Simulated, Takers
from mpipar.runtime.schedule import CHUNK_SECONDS, OLD_WEIGHT, SECONDS_A_TAKER

MOST_AT_ONCE = 2**22
"""So many blocks of ranks with workers are simulated at once."""
_FEW_POOLS = 16  # fewer are simulated one after the other


def slice_bounds(count: int, ranks: int) -> Whole:
    """Return where the slice of each rank begins, and the end of the last, of shape (ranks +
    1,).
    """
    length, longer = divmod(count, ranks)
    numbers = np.arange(ranks + 1)
    bounds: Whole = numbers * length + np.minimum(numbers, longer)
    return bounds


def simulate_pools(
    schedule: str,
    times: BlockTimes,
    ranks: int,
    workers: int,
    tick: Callable[[float], object],
) -> Simulated:
    """Return what a run takes whose ranks have workers; arguments are those of ``simulate``."""
    most = -(-times.count // ranks)
    has_many_blocks = times.count // ranks > MOST_AT_ONCE
    if has_many_blocks or ranks < _FEW_POOLS:
        return _one_after_the_other(schedule, times, ranks, workers, tick)
    at_once = max(1, MOST_AT_ONCE // max(1, most))
    slowest = 0.0
    chunks = 0
    for start in range(0, ranks, at_once):
        stop = min(start + at_once, ranks)
        chosen = range(start, stop)
        positions, shares = _shares(schedule, times.count, ranks, chosen)
        is_own = np.arange(positions.shape[1]) < shares[:, None]
        positions = np.where(is_own, positions, 0)
        seconds = np.where(is_own, times.at(positions), 0.0)
        ended, taken = _pools_of(seconds, shares, workers)
        slowest = max(slowest, ended)
        chunks += taken
        tick(stop / ranks)
    return Simulated(slowest, chunks=chunks)


def _shares(
    schedule: str,
    count: int,
    ranks: int,
    chosen: range,
) -> tuple[Whole, Whole]:
    """Return where in the plan the blocks of some ranks are, and how many each of them has.

    The first is of shape (ranks, most blocks); in a rank that has fewer, the last ones are not its
    own.
    """
    if schedule == "slice":
        bounds = slice_bounds(count, ranks)[chosen.start : chosen.stop + 1]
        shares = np.diff(bounds)
        firsts = bounds[:-1, None]
        return firsts + np.arange(int(shares.max())), shares
    numbers = np.arange(chosen.start, chosen.stop)
    shares = np.maximum(0, -(-(count - numbers) // ranks))
    steps = np.arange(int(shares.max())) * ranks
    return numbers[:, None] + steps, shares


def _one_after_the_other(
    schedule: str,
    times: BlockTimes,
    ranks: int,
    workers: int,
    tick: Callable[[float], object],
) -> Simulated:
    """Return the same, for few ranks, or very many blocks of each."""
    slowest = 0.0
    chunks = 0
    for rank in range(ranks):
        if schedule == "stride":
            own = range(rank, times.count, ranks)
        else:
            own = slice_share(times.count, rank, ranks)
        takers = Takers(ShareTimes(times, own), 1, workers, Fetch())
        pool = takers.one_by_one(bool)
        slowest = max(slowest, pool.seconds)
        chunks += pool.chunks
        tick((rank + 1) / ranks)
    return Simulated(slowest, chunks=chunks)


def _pools_of(
    seconds: Floats,
    shares: Whole,
    workers: int,
) -> tuple[float, int]:
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
    count = len(shares)
    chunk_seconds = max(CHUNK_SECONDS, SECONDS_A_TAKER * workers)
    none = np.zeros((count, 1))
    before = np.concatenate([none, np.cumsum(seconds, axis=1)], axis=1)
    free = np.zeros((count, workers))
    # Of the last chunk of each worker.
    blocks = np.zeros(free.shape, np.int64)
    spent = np.zeros(free.shape)
    taken = np.zeros(count, np.int64)
    mean = np.full(count, np.nan)
    chunks = 0
    pools = np.arange(count)
    while len(pools := pools[taken[pools] < shares[pools]]):
        who = free[pools].argmin(axis=1)
        mean[pools] = _new_means(
            mean[pools],
            blocks[pools, who],
            spent[pools, who],
        )
        first = taken[pools]
        left = shares[pools] - first
        size = _sizes(left, mean[pools], chunk_seconds, workers)
        took = before[pools, first + size] - before[pools, first]
        free[pools, who] += took
        blocks[pools, who] = size
        spent[pools, who] = took
        taken[pools] += size
        chunks += len(pools)
    return float(free.max(initial=0.0)), chunks


def _new_means(old: Floats, blocks: Whole, seconds: Floats) -> Floats:
    """Return what pools know of the time of a block, as some workers tell of their chunks."""
    new = seconds / np.maximum(1, blocks)
    smoothed = OLD_WEIGHT * old + (1 - OLD_WEIGHT) * new
    known = np.where(np.isnan(old), new, smoothed)
    return np.where(blocks > 0, known, old)


def _sizes(
    left: Whole,
    mean: Floats,
    chunk_seconds: float,
    workers: int,
) -> Whole:
    """Return how many blocks the next worker of each pool takes."""
    is_known = ~np.isnan(mean)
    known = np.where(is_known, mean, 1.0)
    timely = chunk_seconds / np.maximum(known, 1e-9)
    timely = np.minimum(timely, 2.0**40).astype(np.int64)
    guided = np.minimum(left // (2 * workers), timely)
    wanted = np.where(is_known, np.maximum(1, guided), 1)
    sizes: Whole = np.minimum(wanted, left)
    return sizes
