"""Time limits as text, as job files have them."""

from __future__ import annotations

import re

_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


def seconds_of(text: str) -> float | None:
    """Return the seconds of a time limit; None if it isn't one, as "UNLIMITED".

    That is minutes, minutes:seconds, hours:minutes:seconds, days-hours, and what may follow these.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    days, *parts = found.groups()
    if days is None and parts[2] is None:
        parts = [None, *parts[:2]]
    hours, minutes, seconds = (float(part or 0) for part in parts)
    return ((float(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
