"""The blocks of a run, and the near-equal shares of them.

A plan depends on the number of items and the block size alone, never on who evaluates the blocks:
that is the first half of "the same bits whatever the number of ranks" (the second half is
:mod:`mpipar.core.reduction`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.core.block import Block as Block
from mpipar.core.devices import DEVICES
from mpipar.core.devices.cpu import CPU


class Plan:
    """The index space ``0 … n - 1`` cut into blocks of one size (the last may be shorter).

    Parameters
    ----------
    n : int
        Number of items, ≥ 0, of any magnitude.
    block : int
        Items in a block, ≥ 1.
    """

    __slots__ = ("block", "n")

    def __init__(self, n: int, block: int) -> None:
        if n < 0:
            raise ValueError(f"a plan needs n ≥ 0, got {n}")
        if block < 1:
            raise ValueError(f"a plan needs blocks of at least 1 item, got {block}")
        self.n = n
        self.block = block

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Plan):
            return NotImplemented
        return (self.n, self.block) == (other.n, other.block)

    def __hash__(self) -> int:
        return hash((self.n, self.block))

    def __repr__(self) -> str:
        return f"Plan(n={self.n}, block={self.block})"

    @classmethod
    def by_default(cls, n: int, device: str = CPU.name) -> Plan:
        """Cut ``n`` items into blocks of a size that depends on ``n`` and the device alone."""
        return cls(n, DEVICES[device].default_block(n))

    def check_on(self, device: str) -> None:
        """Raise BadInput if a device can't have blocks of this size."""
        there = DEVICES[device]
        if there.most_items is not None and self.n > there.most_items:
            raise BadInput(
                f"{there.one} counts to {there.most_items}, and there are {self.n} items",
                option="device",
            )
        if there.largest_block is None or min(self.block, self.n) <= there.largest_block:
            return
        most = f"{there.largest_block:_} items on {there.one}"
        raise BadInput(f"expected at most {most}, got {self.block:_}", option="block")

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n // self.block)

    def __getitem__(self, index: int) -> Block:
        """Return block ``index``."""
        start = index * self.block
        if not 0 <= start < self.n:
            raise IndexError(f"block {index} is not one of the plan's {self.n_blocks}")
        stop = min(start + self.block, self.n)
        return Block(index, start, stop)

    def blocks(self, indices: Iterable[int]) -> Iterator[Block]:
        """Yield blocks of the plan, in the time that a loop takes."""
        n = self.n
        size = self.block
        for index in indices:
            start = index * size
            stop = start + size
            yield Block(index, start, stop if stop < n else n)


def slice_share(n: int, rank: int, size: int) -> range:
    """Return the share of ``rank``, one contiguous slice of ``range(n)``, longer by one in the
    first ``n % size``.
    """
    length, longer = divmod(n, size)
    start = rank * length + min(rank, longer)
    if rank < longer:
        length += 1
    return range(start, start + length)


def number_of_items(n: Any, who: str) -> int:
    """Return how many items a kernel has, given as any whole number. Raises BadInput."""
    if hasattr(n, "item") and getattr(n, "ndim", None) == 0:
        n = n.item()
    if isinstance(n, float) and n.is_integer():
        n = int(n)
    if not isinstance(n, int) or n < 0:
        raise BadInput(f"{who} can't have {n!r} items")
    return n
