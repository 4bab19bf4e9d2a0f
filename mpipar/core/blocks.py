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
        self.ranges = tuple(filter(None, ranges))
        lengths = map(_length, self.ranges)
        self._offsets = [0, *itertools.accumulate(lengths)]
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
        start = min(positions.start, self.count)
        stop = min(positions.stop, self.count)
        found = []
        index = bisect.bisect_right(self._offsets, start) - 1
        while start < stop:
            offset = self._offsets[index]
            piece = self.ranges[index][start - offset : stop - offset]
            found.append(piece)
            start += _length(piece)
            index += 1
        return Blocks(found)

    def every(self, rank: int, size: int) -> Blocks:
        """Return each ``size``-th block of the sequence, from position ``rank`` on."""
        found = []
        for whole, offset in zip(self.ranges, self._offsets, strict=False):
            first = (rank - offset) % size
            found.append(whole[first::size])
        return Blocks(found)


def united(ranges: Iterable[range]) -> list[range]:
    """Return the union of ranges, which may overlap, as disjoint ranges of step 1, in order."""
    plain: list[range] = []
    stepped: list[range] = []
    for one in filter(None, ranges):
        if one.step == 1 or _length(one) == 1:
            plain.append(range(one[0], one[-1] + 1))
        else:
            stepped.append(one)
    if stepped:
        plain += _runs(stepped)
    plain.sort(key=_start)
    joined: list[range] = []
    for one in plain:
        last = joined[-1] if joined else None
        if last is not None and one.start <= last.stop:
            stop = max(last.stop, one.stop)
            joined[-1] = range(last.start, stop)
        else:
            joined.append(one)
    return joined


def missing(done: Iterable[range], n: int) -> Blocks:
    """Return what of 0 … n − 1 is in none of the ranges."""
    gaps = []
    start = 0
    for one in united(done):
        gaps.append(range(start, min(one.start, n)))
        start = one.stop
    gaps.append(range(start, n))
    return Blocks(gaps)


def _runs(stepped: list[range]) -> list[range]:
    """Return the union of ranges with steps as ranges of step 1.

    The shares of a cyclic schedule interlock, and together fill about as much as they span: a byte
    for each will do.
    """
    first = min(one[0] for one in stepped)
    last = max(one[-1] for one in stepped)
    before = first - 1  # there is a 0 at each end
    marks = np.zeros(last - first + 3, np.int8)
    for one in stepped:
        start = one[0] - before
        stop = one[-1] - before + 1
        marks[start : stop : one.step] = 1
    changes = np.flatnonzero(np.diff(marks))
    pairs = changes.reshape(-1, 2).tolist()
    return [range(first + start, first + stop) for start, stop in pairs]


def _start(one: range) -> int:
    return one.start


def _length(one: range) -> int:
    """Return how many numbers a range has, which may be more than ``len`` can count."""
    return max(0, -((one.start - one.stop) // one.step))
