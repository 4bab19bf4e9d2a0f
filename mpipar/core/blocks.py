"""Sets of block numbers as a few ranges."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator

import numpy as np


class Blocks:
    """A sequence of block numbers, kept as ranges: what is still to be evaluated, a share or a
    chunk of it.

    Parameters
    ----------
    ranges : iterable of range
        Disjoint, with steps ≥ 1; empty ones are dropped.

    Attributes
    ----------
    ranges : tuple of range
    count : int
        How many blocks there are; of any size, where ``len`` stops at 2⁶³.
    """

    __slots__ = ("_offsets", "count", "ranges")

    def __init__(self, ranges: Iterable[range]) -> None:
        self.ranges = tuple(r for r in ranges if r)
        self._offsets = [0, *itertools.accumulate(map(_length, self.ranges))]
        self.count = self._offsets[-1]

    def __iter__(self) -> Iterator[int]:
        return itertools.chain.from_iterable(self.ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocks) and self.ranges == other.ranges

    def __hash__(self) -> int:
        return hash(self.ranges)

    def __repr__(self) -> str:
        return f"Blocks({self.ranges!r})"

    def __reduce__(self) -> tuple[type[Blocks], tuple[tuple[range, ...]]]:
        return Blocks, (self.ranges,)

    def __getitem__(self, positions: slice) -> Blocks:
        """Return the blocks at these positions of the sequence; the slice has a start and a stop,
        both ≥ 0.
        """
        start, stop = min(positions.start, self.count), min(positions.stop, self.count)
        found = []
        index = bisect.bisect_right(self._offsets, start) - 1
        while start < stop:
            offset, whole = self._offsets[index], self.ranges[index]
            piece = whole[start - offset : stop - offset]
            found.append(piece)
            start += _length(piece)
            index += 1
        return Blocks(found)

    def every(self, rank: int, size: int) -> Blocks:
        """Return each ``size``-th block of the sequence, from position ``rank`` on."""
        ranges, offsets = self.ranges, self._offsets
        return Blocks(
            r[(rank - offset) % size :: size] for r, offset in zip(ranges, offsets, strict=False)
        )


def united(ranges: Iterable[range]) -> list[range]:
    """Return the union of ranges, which may overlap, as disjoint ranges of step 1, in order."""
    plain: list[range] = []
    stepped: list[range] = []
    for r in ranges:
        if r:
            (plain if r.step == 1 or _length(r) == 1 else stepped).append(r)
    if stepped:
        plain += _runs(stepped)
    joined: list[range] = []
    for r in sorted((range(r[0], r[-1] + 1) for r in plain), key=lambda r: r.start):
        if joined and r.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, r.stop))
        else:
            joined.append(r)
    return joined


def missing(done: Iterable[range], n: int) -> Blocks:
    """Return what of 0 … n − 1 is in none of the ranges."""
    gaps, start = [], 0
    for r in united(done):
        gaps.append(range(start, min(r.start, n)))
        start = r.stop
    gaps.append(range(start, n))
    return Blocks(gaps)


def _runs(stepped: list[range]) -> list[range]:
    """Return the union of ranges with steps as ranges of step 1.

    The shares of a cyclic schedule interlock, and together fill about as much as they span: a byte
    for each will do.
    """
    first = min(r[0] for r in stepped)
    marks = np.zeros(max(r[-1] for r in stepped) - first + 3, np.int8)  # with a 0 at each end
    for r in stepped:
        marks[r[0] - first + 1 : r[-1] - first + 2 : r.step] = 1
    edges = np.flatnonzero(np.diff(marks)).reshape(-1, 2)
    return [range(first + start, first + stop) for start, stop in edges.tolist()]


def _length(r: range) -> int:
    return max(0, -((r.start - r.stop) // r.step))
