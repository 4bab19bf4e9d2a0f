"""A block: what a kernel evaluates in one call."""

from __future__ import annotations

from collections.abc import Iterator


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
