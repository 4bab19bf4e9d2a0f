"""What a warning means that a job's time is nearly up.

Slurm warns a job at once where ``--signal`` is as long as its time limit, or longer. A job that
believed it would be requeued each time it has just begun.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mpipar.batch.job_file import usual_warning
from mpipar.runtime import journal

VARIABLE = "MPIPAR_WARNED"
"""Set by a batch script that was warned before it could begin."""

EARLY_SECONDS = 60.0
"""After its start a job that is warned was so because of its start: Slurm looks at limits every 30
s.
"""


def kept_until(
    now: float, start: float | None, end: float | None, *, warned_before: bool
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
    is_no_end = limit <= usual_warning(None) or warned_before
    return end - usual_warning(limit) if is_no_end and now < end - usual_warning(limit) else None


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
