"""How fast a job gets on, and how long it will take yet."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

from mpipar.batch.events import last, number, time_of
from mpipar.batch.job_state import JobState
from mpipar.runtime import journal
from mpipar.store.progress import Progress

_SHORTEST = 1.0  # seconds from which a rate can be told


class Pace(NamedTuple):
    """How fast a job gets on.

    Attributes
    ----------
    rate, remaining : float or None
        Blocks a second since the ranks were last started, and the seconds that the rest will take;
        None if that can't be told.
    """

    rate: float | None = None
    remaining: float | None = None


def pace(events: list[dict[str, Any]], reached: Progress) -> Pace:
    """Return how fast a job that runs gets on, from its journal and its result so far."""
    start = last(events, journal.ALLOCATION)
    since = time_of(start)
    before = number(start, "done")
    if reached.finished or since is None:
        return Pace()
    if before is None:  # of the first start the step knows no output yet
        before = reached.before
    seconds = reached.committed - since
    blocks = reached.done - before
    if seconds < _SHORTEST or blocks <= 0:
        return Pace()
    rate = blocks / seconds
    rest = (reached.n_blocks - reached.done - reached.skipped) / rate
    since_commit = max(0.0, time.time() - reached.committed)
    return Pace(rate, max(0.0, rest - since_commit))


def more_allocations(state: JobState, remaining: float) -> int | None:
    """Return how many more times a job will have to be started; None if it has no time limit."""
    if not state.limit:
        return None
    left = state.limit - state.elapsed
    return max(0, math.ceil((remaining - left) / state.limit))
