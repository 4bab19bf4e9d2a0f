"""Runs that are simulated: who evaluates which block when, by the rules of runtime.schedule.

With one process in each rank, ``stride`` and ``slice`` are sums. Where processes take from a
counter (``dynamic``, or the workers of a rank from that of the rank) events are simulated.
"""

from __future__ import annotations

from collections.abc import Callable

from mpipar.predict.block_times import BlockTimes
from mpipar.predict.pools import simulate_pools, slice_bounds
from mpipar.predict.takers import Fetch, Simulated, Takers

_MANY_TAKERS = 2**13
"""From so many on, events are taken by windows of time."""


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
        if ranks * workers >= _MANY_TAKERS:
            return takers.by_window(tick)
        return takers.one_by_one(tick)
    if workers == 1:
        if schedule == "stride":
            sums = times.every(ranks)
        else:
            sums = times.sums(slice_bounds(times.count, ranks))
        return Simulated(float(sums.max()), chunks=min(ranks, times.count))
    return simulate_pools(schedule, times, ranks, workers, tick)
