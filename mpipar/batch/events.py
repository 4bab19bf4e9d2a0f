"""What is looked for in the events of a journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def last(events: Sequence[dict[str, Any]], *kinds: str) -> dict[str, Any]:
    """Return the last event of some kinds; an empty one if there is none."""
    for event in reversed(events):
        if event["event"] in kinds:
            return dict(event)
    return {}


def number(event: dict[str, Any], name: str) -> int | None:
    """Return a detail that is a whole number; None if there is none."""
    value = event.get(name)
    if isinstance(value, int):
        return value
    return None


def time_of(event: dict[str, Any]) -> float | None:
    """Return when an event was, in seconds since 1970; None if it doesn't say."""
    value = event.get("time")
    if isinstance(value, (int, float)):
        return float(value)
    return None
