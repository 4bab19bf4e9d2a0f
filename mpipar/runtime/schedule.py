"""Schedules: who takes which blocks. Imports mpipar.core, and comm and counter beside it.

Every schedule is a sequence of positions and a counter that says how many of them are taken:

=========  ===============================  ========================================
schedule   positions                        counter
=========  ===============================  ========================================
stride     rank, rank + size, …             of this rank
slice      this rank's contiguous part      of this rank
dynamic    all                              shared by all ranks, one-sided
=========  ===============================  ========================================

Blocks are taken in chunks, which shrink towards the end (guided self-scheduling; C. D. Polychronopoulos and D. J. Kuck,
*IEEE Trans. Computers* C-36, 1425, 1987), and which are no longer than a fraction of a second of measured work.
"""

from __future__ import annotations

from mpipar.core.errors import BadInput
from mpipar.core.parameters import one_of
from mpipar.core.plan import slice_share, stride_share
from mpipar.runtime.comm import Comm
from mpipar.runtime.counter import Counter

SCHEDULES = ("stride", "slice", "dynamic")

_CHUNK_SECONDS = 0.02  # work in a chunk, at most: what may be left to wait for at the end
_SECONDS_A_TAKER = 2e-5  # … but more for many takers: the counter is asked no more than 50,000 times a second in all


class Share:
    """The blocks that this rank may still take.

    Parameters
    ----------
    positions : range
        Blocks that all takers of the counter share out.
    counter : Counter
        How many of them are taken.
    takers : int
        How many processes take from the counter.
    """

    def __init__(self, positions: range, counter: Counter, takers: int) -> None:
        self._positions = positions
        self._length = (positions.stop - positions.start + positions.step - 1) // positions.step  # len() stops at 2⁶³
        self._counter = counter
        self._takers = takers
        self._taken = 0  # as far as this rank knows
        self._block_seconds: float | None = None
        self._chunk_seconds = max(_CHUNK_SECONDS, _SECONDS_A_TAKER * takers)

    def take(self) -> range | None:
        """Return the next chunk of block numbers, or None if nothing is left."""
        if self._taken >= self._length:
            return None
        size = self._next_size()
        first = self._counter.add(size)
        self._taken = first + size
        if first >= self._length:
            return None
        return self._positions[first : first + size]

    def note(self, blocks: int, seconds: float) -> None:
        """Tell how long some blocks took, so that later chunks have a fitting size."""
        mean = seconds / blocks
        old = self._block_seconds
        self._block_seconds = mean if old is None else 0.75 * old + 0.25 * mean

    @property
    def fraction_taken(self) -> float:
        """How much of the positions is taken, 0 to 1, as far as this rank knows."""
        return min(1.0, self._taken / self._length) if self._length else 1.0

    def _next_size(self) -> int:
        if self._block_seconds is None:
            return 1
        guided = (self._length - self._taken) // (2 * self._takers)
        timely = int(self._chunk_seconds / max(self._block_seconds, 1e-9))
        return max(1, min(guided, timely))


def share(schedule: str, n_blocks: int, comm: Comm, workers: int) -> tuple[Share, Counter]:
    """Return this rank's share of ``n_blocks`` blocks, and its counter, to be freed afterwards. Collective over comm.

    Raises
    ------
    BadInput
        If there is no such schedule.
    """
    if schedule == "stride":
        counter = Counter()
        return Share(stride_share(n_blocks, comm.rank, comm.size), counter, workers), counter
    if schedule == "slice":
        counter = Counter()
        return Share(slice_share(n_blocks, comm.rank, comm.size), counter, workers), counter
    if schedule == "dynamic":
        counter = comm.shared_counter()
        return Share(range(n_blocks), counter, workers * comm.size), counter
    raise BadInput(f"schedule: expected {one_of(SCHEDULES)}, got {schedule!r}")
