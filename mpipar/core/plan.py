"""The blocks of a run, and the near-equal shares of them.

A plan depends on the number of items and the block size alone, never on who evaluates the blocks:
that is the first half of "the same bits whatever the number of ranks" (the second half is
:mod:`mpipar.core.reduction`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LARGEST_DEFAULT_BLOCK = 2**15
"""Items in a default block, at most: 256 KiB of doubles, so that a few NumPy buffers stay in the
cache.
"""

DEFAULT_BLOCKS = 2**12
"""Blocks that a small default plan is cut into, so that they can be balanced over many workers."""

SMALLEST_GPU_BLOCK, LARGEST_GPU_BLOCK = 2**20, 2**24
"""Items in a default block on a GPU: enough to fill it, and 128 MiB of doubles, of which it has
room for many.
"""

LARGEST_BLOCK_ON_GPU = 2**44
"""Items in any block there: CUDA has less than 2³¹ blocks of threads, each of 2¹⁴ points in
mpipar.mcpi.
"""


class Block:
    """A contiguous range of the index space: what a kernel evaluates in one call.

    Attributes
    ----------
    index : int
        Number of the block in its plan, from 0.
    start, stop : int
        The items ``start, start + 1, …, stop - 1``.

    Notes
    -----
    ``len(block)`` and ``for i in block`` treat a block as its items.
    """

    __slots__ = ("index", "start", "stop")

    def __init__(self, index: int, start: int, stop: int) -> None:
        self.index = index
        self.start = start
        self.stop = stop

    @property
    def size(self) -> int:
        """Number of items."""
        return self.stop - self.start

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Block):
            return NotImplemented
        return (self.index, self.start, self.stop) == (other.index, other.start, other.stop)

    def __hash__(self) -> int:
        return hash((self.index, self.start, self.stop))

    def __repr__(self) -> str:
        return f"Block(index={self.index}, start={self.start}, stop={self.stop})"


@dataclass(frozen=True, slots=True)
class Plan:
    """The index space ``0 … n - 1`` cut into blocks of one size (the last may be shorter).

    Parameters
    ----------
    n : int
        Number of items, ≥ 0, of any magnitude.
    block : int
        Items in a block, ≥ 1.
    """

    n: int
    block: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"a plan needs n ≥ 0, got {self.n}")
        if self.block < 1:
            raise ValueError(f"a plan needs blocks of at least 1 item, got {self.block}")

    @classmethod
    def by_default(cls, n: int, device: str = "cpu") -> Plan:
        """Cut ``n`` items into blocks of a size that depends on ``n`` and the device (cpu or gpu)
        alone.
        """
        if device == "gpu":
            return cls(n, min(LARGEST_GPU_BLOCK, max(SMALLEST_GPU_BLOCK, n // 64)))
        return cls(n, max(1, min(LARGEST_DEFAULT_BLOCK, n // DEFAULT_BLOCKS)))

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n // self.block)

    def __getitem__(self, index: int) -> Block:
        """Return block ``index``."""
        start = index * self.block
        if not 0 <= start < self.n:
            raise IndexError(f"block {index} is not one of the plan's {self.n_blocks}")
        return Block(index, start, min(start + self.block, self.n))


def slice_share(n: int, rank: int, size: int) -> range:
    """Return the share of ``rank``, one contiguous slice of ``range(n)``, longer by one in the
    first ``n % size``.
    """
    length, longer = divmod(n, size)
    start = rank * length + min(rank, longer)
    return range(start, start + length + (rank < longer))
