"""Random numbers on any array library: Philox4x32-10, counted and without state.

J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
A block of four 32-bit words is a function of a 64-bit key and a 128-bit counter, so that any thread
of a GPU can make any of them. It is written in the operations of the Python array API, and gives
the same bits with each library that has that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from mpipar.core.streams import words

XArray: TypeAlias = Any
"""An array of whatever library."""

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85  # what the key grows by from round to round
_LOW = 0xFFFFFFFF


def philox4x32(
    counter: Sequence[XArray], key: Sequence[int]
) -> tuple[XArray, XArray, XArray, XArray]:
    """Return four words for each counter, of ten rounds.

    Parameters
    ----------
    counter : four arrays of uint64, of one shape
        Its words, each below 2³².
    key : two int
        Each below 2³².

    Returns
    -------
    four arrays of uint64
        Each number below 2³².
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = (second >> 32) ^ c1 ^ k0, second & _LOW
        c2, c3 = (first >> 32) ^ c3 ^ k1, first & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return c0, c1, c2, c3


class PhiloxStream:
    """The random stream of one block on a device, keyed by (seed, block index) as that on the CPU
    is.

    It has those of the methods of :class:`numpy.random.Generator` that are below, so that one
    source draws from both.

    Parameters
    ----------
    xp : module
        The array library.
    seed, index : int
        Of the run, and of the block.

    Attributes
    ----------
    words : tuple of four int
        What seed and index hash to: the key, and the upper half of the counter.

    Notes
    -----
    A call for m numbers uses ⌈m/2⌉ counters. The first half of the numbers, in C order, is made of
    words 0 and 1 of each, the second half of words 2 and 3: of ``random((2, m))`` number i of both
    rows is of counter i.
    """

    def __init__(self, xp: Any, seed: int, index: int) -> None:
        self._xp = xp
        self.words = words(seed, index)
        self._next = 0

    def take(self, count: int) -> int:
        """Set aside ``count`` counters for a kernel that draws by itself; return the first."""
        first = self._next
        self._next += count
        return first

    def random(self, size: int | tuple[int, ...] | None = None) -> XArray:
        """Return doubles in [0, 1), multiples of 2⁻⁵³."""
        count, shape = _count_of(size)
        first, second = self._doubles((count + 1) // 2)
        return self._xp.reshape(self._xp.concat([first, second])[:count], shape)

    def uniform(
        self, low: float = 0.0, high: float = 1.0, size: int | tuple[int, ...] | None = None
    ) -> XArray:
        """Return doubles in [low, high)."""
        return low + (high - low) * self.random(size)

    def standard_normal(self, size: int | tuple[int, ...] | None = None) -> XArray:
        """Return doubles of the normal distribution, by the transformation of Box and Muller.

        Their last bits are as exact as the library's logarithm, sine and cosine, which differ from
        one to another.
        """
        xp, (count, shape) = self._xp, _count_of(size)
        first, second = self._doubles((count + 1) // 2)
        radius, angle = xp.sqrt(-2.0 * xp.log(1.0 - first)), 2.0 * math.pi * second
        return xp.reshape(
            xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)])[:count], shape
        )

    def normal(
        self, loc: float = 0.0, scale: float = 1.0, size: int | tuple[int, ...] | None = None
    ) -> XArray:
        """Return doubles of the normal distribution with this mean and standard deviation."""
        return loc + scale * self.standard_normal(size)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"rng on a GPU has no {name!r}: it has random, uniform, standard_normal and normal;"
            " make others of these"
        )

    def _doubles(self, count: int) -> tuple[XArray, XArray]:
        """Return two arrays of ``count`` doubles in [0, 1)."""
        xp, first = self._xp, self.take(count)
        *key, third, fourth = self.words
        number = xp.arange(first, first + count, dtype=xp.uint64)
        upper = [xp.full((count,), word, dtype=xp.uint64) for word in (third, fourth)]
        w0, w1, w2, w3 = philox4x32([number & _LOW, number >> 32, *upper], key)
        return self._double(w0, w1), self._double(w2, w3)

    def _double(self, low: XArray, high: XArray) -> XArray:
        return self._xp.asarray(((high << 32) | low) >> 11, dtype=self._xp.float64) * 2.0**-53


def _count_of(size: int | tuple[int, ...] | None) -> tuple[int, tuple[int, ...]]:
    """Return how many numbers a size is, and the shape."""
    shape = () if size is None else tuple(size) if isinstance(size, (tuple, list)) else (int(size),)
    return math.prod(shape), shape
