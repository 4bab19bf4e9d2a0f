"""The numbers of an array's tasks as text: "1-5:2,9" is 1, 3, 5 and 9."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?")


def tasks_of(text: str) -> list[str]:
    """Return the tasks of an array from text, which may end in "%2" for two at a time; empty if it
    isn't that.
    """
    tasks: dict[str, None] = {}
    for part in text.partition("%")[0].split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            return []
        first = int(found[1])
        last = int(found[2] or first)
        step = int(found[3] or 1) or 1
        tasks |= dict.fromkeys(map(str, range(first, last + 1, step)))
    return list(tasks)


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as text, in order: "1-3,7" for 1, 2, 3 and 7."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join(_range(first, last) for first, last in found)


def _range(first: int, last: int) -> str:
    return f"{first}-{last}" if last > first else f"{first}"


def job_id(number: str, task: str) -> str:
    """Return what a job, or a task of an array, is called: "12", or "12_3"."""
    if not task:
        return number
    return f"{number}_{task}"
