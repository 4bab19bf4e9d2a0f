"""The orders that ranks get for the workers of a pool, which start when they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mpipar.pool.slot import Slot
from mpipar.pool.worker_manager import KILL, OPEN, RETIRE, SEND, Order
from mpipar.runtime.channel import Frames


class _Beginning(NamedTuple):
    """What workers begin with."""

    setup: bytes
    script: bytes


class Staff:
    """The workers of a pool, in all ranks.

    Parameters
    ----------
    pool : int
        Its number.
    order : callable
        ``order(rank, order, frames)``: have something done by the worker manager of a rank.
    """

    def __init__(self, pool: int, order: Callable[[int, Order, Frames], None]) -> None:
        self._pool = pool
        self._order = order
        self._in_ranks: dict[int, int] = {}  # that live
        self._beginning: _Beginning | None = None  # until they start

    def open(self, in_ranks: dict[int, int], setup: bytes, script: bytes) -> None:
        """Have so many workers in each rank, which :meth:`start` starts."""
        self._in_ranks = in_ranks
        self._beginning = _Beginning(setup, script)

    def start(self) -> None:
        """Start the workers, unless they have been started, or are no longer wanted."""
        if self._beginning is None:
            return
        beginning = self._beginning
        self._beginning = None
        size = sum(self._in_ranks.values())
        first = 0
        for rank, count in self._in_ranks.items():
            numbers = f"{count} {first} {size}".encode()
            self._order(rank, Order(OPEN, self._pool), [numbers, *beginning])
            first += count

    def send(self, slot: Slot, frames: Frames) -> None:
        """Send a message to a worker."""
        self.start()
        self._order(slot.rank, Order(SEND, self._pool, slot.number), frames)

    def renew(self, slot: Slot) -> None:
        """Replace a worker, which is idle."""
        self._order(slot.rank, Order(RETIRE, self._pool, slot.number), ())

    def end(self, how: str = KILL) -> None:
        """End all workers: as ``how`` says, KILL or CLOSE."""
        if self._beginning is not None:
            self._beginning = None
            return
        for rank in self._in_ranks:
            self._order(rank, Order(how, self._pool), ())

    def lose(self, rank: int) -> None:
        """Have no workers in a rank any more."""
        del self._in_ranks[rank]
