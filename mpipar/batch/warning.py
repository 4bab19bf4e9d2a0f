"""What a warning means that a job's time is nearly up.

A scheduler may warn a job at once, where the warning is as long as its time limit, or longer. A job
that believed it would be requeued each time it has just begun.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mpipar.runtime import journal

VARIABLE = "MPIPAR_WARNED"
"""Set by a batch script that was warned before it could begin."""

EARLY_SECONDS = 60.0
"""After its start a job that is warned was so because of its start: schedulers look at limits every
30 s or so.
"""

_WARNING = 120  # seconds before its end at which a job commits
_SHORTEST_WARNING = 10  # if it is a short one


def usual_warning(limit: float | None) -> int:
    """Return how many seconds before its end a job is warned that doesn't say; None has no end."""
    if limit is None:
        return _WARNING
    return int(max(_SHORTEST_WARNING, min(_WARNING, limit // 4)))


def kept_until(
    now: float,
    start: float | None,
    end: float | None,
    *,
    warned_before: bool,
) -> float | None:
    """Return when a warning that has just come is to be believed; None if at once.

    Parameters
    ----------
    now, start, end : float
        Seconds since 1970: at present, and when the job was started and is to end; None where that
        isn't known.
    warned_before : bool
        Whether the job was warned this early before, and was requeued.
    """
    if start is None or end is None or now > start + EARLY_SECONDS:
        return None
    limit = end - start
    believed_at = end - usual_warning(limit)
    is_no_end = limit <= usual_warning(None) or warned_before
    if is_no_end and now < believed_at:
        return believed_at
    return None


def was_early(events: Sequence[dict[str, Any]]) -> bool:
    """Return whether a journal tells of a warning just after a start."""
    begun = -math.inf
    for event in events:
        at = event.get("time")
        if not isinstance(at, (int, float)):
            continue
        if event["event"] == journal.STEP:
            begun = at
        is_warning = event["event"] == journal.SIGNAL and event.get("name") == "SIGUSR1"
        if is_warning and at <= begun + EARLY_SECONDS:
            return True
    return False
