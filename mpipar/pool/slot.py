"""The workers of a pool as the engine sees them, and what they have."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from mpipar.pool.jobs import Job
from mpipar.pool.main_names import Definition


class Handed:
    """Tasks that a worker has: those of them that it hasn't sent the outcome of."""

    __slots__ = ("indices", "is_chunked", "is_short", "job", "lent", "number")

    def __init__(
        self,
        number: int,
        job: Job,
        indices: Any,
        lent: list[Any],
        *,
        is_short: bool,
        is_chunked: bool = False,
    ) -> None:
        self.number = number
        self.job = job
        self.indices = indices
        self.lent = lent  # what its items need of this process
        self.is_short = is_short
        self.is_chunked = is_chunked  # whether its chunks are pickled each by itself


class Slot:
    """A place for a worker process, as the engine sees it: the process there may change."""

    def __init__(
        self,
        rank: int,
        number: int,
        names: dict[str, int],
        units: float,
    ) -> None:
        self.rank = rank
        self.number = number
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

    def batch(self, number: int) -> Handed | None:
        """Return the batch with a number, if the worker has it."""
        for batch in self.batches:
            if batch.number == number:
                return batch
        return None

    def news(self, stamp: Mapping[str, Definition]) -> list[Definition]:
        """Return those of some definitions that the worker hasn't, and note that it gets them."""
        news = []
        for definition in stamp.values():
            if self.names.get(definition.name) != definition.version:
                news.append(definition)
        self.names.update((each.name, each.version) for each in news)
        return news


class Slots:
    """All places for workers, and those that want tasks.

    Parameters
    ----------
    renew : callable
        ``renew(slot)`` replaces a worker that has done as many tasks as it may.

    Attributes
    ----------
    by_place : dict
        {(rank, number in it): its slot}.
    free : deque of Slot
        That have nothing to do.
    almost_free : deque of Slot
        That have one short batch.
    """

    def __init__(self, renew: Callable[[Slot], None]) -> None:
        self._renew = renew
        self.by_place: dict[tuple[int, int], Slot] = {}
        self.free: deque[Slot] = deque()
        self.almost_free: deque[Slot] = deque()

    def open(
        self,
        workers: dict[int, int],
        names: dict[str, int],
        units: float,
    ) -> None:
        """Have so many places in each rank, and all of them free."""
        for number in range(max(workers.values())):  # few tasks go to different ranks
            for rank, count in workers.items():
                if number < count:
                    slot = Slot(rank, number, names, units)
                    self.by_place[rank, number] = slot
                    self.free.append(slot)

    def set_free(self, slot: Slot) -> None:
        """Note that a worker has less to do, or nothing."""
        with contextlib.suppress(ValueError):
            self.almost_free.remove(slot)
        if not slot.batches:
            if slot.units <= 0:
                self._renew(slot)
            self.free.append(slot)
        elif len(slot.batches) == 1 and slot.batches[0].is_short and slot.units > 0:
            self.almost_free.append(slot)

    def hold(self, slot: Slot) -> None:
        """Give a worker no more until it has done what it has."""
        with contextlib.suppress(ValueError):
            self.almost_free.remove(slot)

    def forget(self, job: int) -> None:
        """Have workers forget a job's function with the next batch that they get."""
        for slot in self.by_place.values():
            if job in slot.jobs:
                slot.jobs.remove(job)
                slot.forget.append(job)

    def lose(self, rank: int) -> list[Slot]:
        """Return the places that were in a rank, and are no more."""
        lost = [slot for slot in self.by_place.values() if slot.rank == rank]
        for slot in lost:
            del self.by_place[rank, slot.number]
            slot.is_over = True
            for queue in (self.free, self.almost_free):
                with contextlib.suppress(ValueError):
                    queue.remove(slot)
        return lost

    def drop(self) -> None:
        """Have none any more: all is over."""
        for slot in self.by_place.values():
            slot.is_over = True
        self.by_place.clear()
        self.free.clear()
        self.almost_free.clear()
