"""Schedules: who takes which blocks.

Every schedule is a sequence of the blocks that are missing and a counter that says how many of them
are taken:

=========  ===============================  ========================================
schedule   blocks                           counter
=========  ===============================  ========================================
stride     rank, rank + size, …             of this rank
slice      this rank's contiguous part      of this rank
dynamic    all                              shared by all ranks, one-sided
=========  ===============================  ========================================

Blocks are taken in chunks, which shrink towards the end (guided self-scheduling; C. D.
Polychronopoulos and D. J. Kuck, *IEEE Trans. Computers* C-36, 1425, 1987), and which are no longer
than a fraction of a second of measured work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpipar.base.errors import BadInput
from mpipar.core.parameters import one_of
from mpipar.core.plan import slice_share
from mpipar.runtime.communicator import Comm
from mpipar.runtime.counter import Counter

if TYPE_CHECKING:
    from mpipar.core.blocks import Blocks  # NumPy takes time to load

SCHEDULES = ("stride", "slice", "dynamic")

CHUNK_SECONDS = 0.02
"""Work in a chunk, at most: what may be left to wait for at the end."""

SECONDS_A_TAKER = 2e-5
"""… but more for many takers: the counter is asked no more than 50,000 times a second in all."""

OLD_WEIGHT = 0.75
"""What the time of earlier blocks counts, beside that of the last chunk."""


class Share:
    """The blocks that this rank may still take.

    Parameters
    ----------
    blocks : Blocks
        What all takers of the counter share out.
    counter : Counter
        How many of them are taken.
    takers : int
        How many processes take from the counter.
    """

    def __init__(
        self,
        blocks: Blocks,
        counter: Counter,
        takers: int,
    ) -> None:
        self._blocks = blocks
        self._counter = counter
        self._takers = takers
        self._taken = 0  # as far as this rank knows
        self._block_seconds: float | None = None
        self._chunk_seconds = max(CHUNK_SECONDS, SECONDS_A_TAKER * takers)

    def take(self) -> Blocks | None:
        """Return the next chunk, or None if nothing is left."""
        if self._taken >= self._blocks.count:
            return None
        size = self._next_size()
        first = self._counter.add(size)
        self._taken = first + size
        if first >= self._blocks.count:
            return None
        return self._blocks[first : first + size]

    def note(self, blocks: int, seconds: float) -> None:
        """Tell how long some blocks took, so that later chunks have a fitting size."""
        mean = seconds / max(1, blocks)
        if self._block_seconds is not None:
            mean = OLD_WEIGHT * self._block_seconds + (1 - OLD_WEIGHT) * mean
        self._block_seconds = mean

    @property
    def fraction_taken(self) -> float:
        """How much is taken, 0 to 1, as far as this rank knows."""
        if not self._blocks.count:
            return 1.0
        return min(1.0, self._taken / self._blocks.count)

    def _next_size(self) -> int:
        if self._block_seconds is None:
            return 1
        guided = (self._blocks.count - self._taken) // (2 * self._takers)
        timely = int(self._chunk_seconds / max(self._block_seconds, 1e-9))
        return max(1, min(guided, timely))


def share(
    schedule: str,
    blocks: Blocks,
    comm: Comm,
    workers: int,
) -> tuple[Share, Counter]:
    """Return this rank's share of some blocks, and its counter, to be freed afterwards. Collective
    over comm.

    Raises
    ------
    BadInput
        If there is no such schedule.
    """
    if schedule == "dynamic":
        counter = comm.shared_counter()
        return Share(blocks, counter, workers * comm.size), counter
    counter = Counter()
    if schedule == "stride":
        return Share(blocks.every(comm.rank, comm.size), counter, workers), counter
    if schedule == "slice":
        own = slice_share(blocks.count, comm.rank, comm.size)
        return Share(blocks[own.start : own.stop], counter, workers), counter
    raise BadInput(f"schedule: expected {one_of(SCHEDULES)}, got {schedule!r}")
