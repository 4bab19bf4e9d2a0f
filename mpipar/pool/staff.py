"""The orders that ranks get for the workers of a pool, which start when they are wanted."""

from __future__ import annotations

from collections.abc import Callable

from mpipar.pool.slot import Slot
from mpipar.pool.worker_manager import KILL, OPEN, RETIRE, SEND, Order
from mpipar.runtime.channel import Frames


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
        # until they start: what those of a rank begin with
        self._begin: Callable[[int], Frames] | None = None

    def open(self, in_ranks: dict[int, int], begin: Callable[[int], Frames]) -> None:
        """Have so many workers in each rank, which :meth:`start` starts with what ``begin`` returns
        for it.
        """
        self._in_ranks = in_ranks
        self._begin = begin

    def start(self) -> None:
        """Start the workers, unless they have been started, or are no longer wanted."""
        if self._begin is None:
            return
        begin = self._begin
        self._begin = None
        size = sum(self._in_ranks.values())
        first = 0
        for rank, count in self._in_ranks.items():
            numbers = f"{count} {first} {size}".encode()
            self._order(rank, Order(OPEN, self._pool), [numbers, *begin(rank)])
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
        if self._begin is not None:
            self._begin = None
            return
        for rank in self._in_ranks:
            self._order(rank, Order(how, self._pool), ())

    def lose(self, rank: int) -> None:
        """Have no workers in a rank any more."""
        del self._in_ranks[rank]
