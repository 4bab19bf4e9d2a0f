"""How long tasks of a function take, as far as earlier jobs have shown. Imports jobs beside it."""

from __future__ import annotations

from mpipar.pool.jobs import Job, name_of

_MOST = 256  # functions that are remembered


class Expectations:
    """What jobs with the same function took: those of a sampler come thousands of times, and are short."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}  # {name of a function: seconds that a task of it takes}

    def of(self, job: Job) -> float | None:
        """Return how many seconds a task of a job may take; None if that isn't known."""
        return self._seconds.get(name_of(job.function))

    def learn(self, job: Job) -> None:
        """Remember how long the tasks of a job took: rather too long, as the next ones may differ."""
        if job.function is None or not job.noted:
            return
        if len(self._seconds) >= _MOST:
            self._seconds.clear()
        name = name_of(job.function)
        self._seconds[name] = max(job.took / job.noted, self._seconds.get(name, 0.0) / 2)
