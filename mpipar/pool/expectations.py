"""How long tasks of a function take, as far as earlier jobs have shown."""

from __future__ import annotations

from collections.abc import Hashable
from types import CodeType
from typing import Any

from mpipar.pool.jobs import Job, name_of

_MOST = 256  # functions that are remembered


class Expectations:
    """What jobs with the same function took: those of a sampler come thousands of times, and are
    short.
    """

    def __init__(self) -> None:
        # {which function: seconds that a task of it takes}
        self._seconds: dict[Hashable, float] = {}

    def of(self, job: Job) -> float | None:
        """Return how many seconds a task of a job may take; None if that isn't known."""
        return self._seconds.get(_key(job.function))

    def learn(self, job: Job) -> None:
        """Remember how long the tasks of a job took: rather too long, as the next ones may
        differ.
        """
        if job.function is None or not job.noted:
            return
        if len(self._seconds) >= _MOST:
            self._seconds.clear()
        key = _key(job.function)
        mean = job.took / job.noted
        before = self._seconds.get(key, 0.0)
        self._seconds[key] = max(mean, before / 2)


def _key(function: Any) -> Hashable:
    """Return what tells functions apart, but not two closures of the same code."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return getattr(function, "__module__", None), name_of(function)
    return code.co_filename, code.co_firstlineno, name_of(function)
