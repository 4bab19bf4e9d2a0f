"""The workers of a pool as the engine sees them, and what they have."""

from __future__ import annotations

from collections import deque
from typing import Any

from mpipar.pool.jobs import Job


class Handed:
    """Tasks that a worker has: those of them that it hasn't sent the outcome of."""

    __slots__ = ("indices", "is_short", "job", "lent", "number")

    def __init__(self, number: int, job: Job, indices: Any, *, is_short: bool) -> None:
        self.number, self.job, self.indices, self.is_short = number, job, indices, is_short
        self.lent: list[Any] = []  # what its items need of this process


class Slot:
    """A place for a worker process, as the engine sees it: the process there may change."""

    def __init__(self, rank: int, number: int, names: dict[str, int], units: float) -> None:
        self.rank, self.number = rank, number
        self.batches: deque[Handed] = deque()
        self.is_over = False  # whether there is no process any more
        self.begin(names, units)

    def begin(self, names: dict[str, int], units: float) -> None:
        """Note that there is a new process."""
        self.pid: int | None = None  # until it is ready
        self.names = dict(names)  # {name of the main script: version of what it has been told}
        self.jobs: set[int] = set()  # whose functions it has
        self.forget: list[int] = []
        self.units = units  # what it will still do before it is replaced
