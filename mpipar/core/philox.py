"""Random numbers on any array library: Philox4x32-10, counted and without state.

J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
A block of four 32-bit words is a function of a 64-bit key and a 128-bit counter, so that any thread
of a GPU can make any of them. It is written in the operations of the Python array API, and gives
the same bits with each library that has that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

from mpipar.core.streams import words

XArray: TypeAlias = Any
"""An array of whatever library."""

Size: TypeAlias = int | tuple[int, ...] | None
"""How many numbers are drawn: one as a number, so many, or an array of this shape."""

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85  # what the key grows by from round to round
_LOW = 0xFFFFFFFF


def philox4x32(
    counter: Sequence[XArray],
    key: Sequence[int],
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
        first = c0 * _MULTIPLIERS[0]
        second = c2 * _MULTIPLIERS[1]
        c0 = (second >> 32) ^ c1 ^ k0
        c1 = second & _LOW
        c2 = (first >> 32) ^ c3 ^ k1
        c3 = first & _LOW
        k0 = (k0 + _WEYL[0]) & _LOW
        k1 = (k1 + _WEYL[1]) & _LOW
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

    def random(self, size: Size = None) -> XArray:
        """Return doubles in [0, 1), multiples of 2⁻⁵³."""
        return self._shaped(size, lambda first, second: (first, second))

    def uniform(
        self,
        low: float = 0.0,
        high: float = 1.0,
        size: Size = None,
    ) -> XArray:
        """Return doubles in [low, high)."""
        return low + (high - low) * self.random(size)

    def standard_normal(self, size: Size = None) -> XArray:
        """Return doubles of the normal distribution, by the transformation of Box and Muller.

        Their last bits are as exact as the library's logarithm, sine and cosine, which differ from
        one to another.
        """
        xp = self._xp

        def normal(first: XArray, second: XArray) -> tuple[XArray, XArray]:
            radius = xp.sqrt(-2.0 * xp.log(1.0 - first))
            angle = 2.0 * math.pi * second
            return radius * xp.cos(angle), radius * xp.sin(angle)

        return self._shaped(size, normal)

    def normal(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        size: Size = None,
    ) -> XArray:
        """Return doubles of the normal distribution with this mean and standard deviation."""
        return loc + scale * self.standard_normal(size)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"rng on a GPU has no {name!r}: it has random, uniform, standard_normal and normal;"
            " make others of these"
        )

    def _shaped(self, size: Size, change: Callable[[XArray, XArray], Sequence[XArray]]) -> XArray:
        """Return an array of a size, of what ``change`` makes of its two halves."""
        shape = _shape_of(size)
        count = math.prod(shape)
        halves = change(*self._doubles((count + 1) // 2))
        xp = self._xp
        numbers = _joined(xp, list(halves))
        return xp.reshape(numbers[:count], shape)

    def _doubles(self, count: int) -> tuple[XArray, XArray]:
        """Return two arrays of ``count`` doubles in [0, 1)."""
        xp = self._xp
        first = self.take(count)
        *key, third, fourth = self.words
        number = xp.arange(first, first + count, dtype=xp.uint64)
        counter = [
            number & _LOW,
            number >> 32,
            xp.full((count,), third, dtype=xp.uint64),
            xp.full((count,), fourth, dtype=xp.uint64),
        ]
        w0, w1, w2, w3 = philox4x32(counter, key)
        return self._double(w0, w1), self._double(w2, w3)

    def _double(self, low: XArray, high: XArray) -> XArray:
        xp = self._xp
        bits = ((high << 32) | low) >> 11
        return xp.asarray(bits, dtype=xp.float64) * 2.0**-53


def _joined(xp: Any, arrays: list[XArray]) -> XArray:
    """Return arrays one after the other; ``concat`` is new in NumPy 2.0 and CuPy 14."""
    if hasattr(xp, "concat"):
        return xp.concat(arrays)
    return xp.concatenate(arrays)


def _shape_of(size: Size) -> tuple[int, ...]:
    if size is None:
        return ()
    if isinstance(size, (tuple, list)):
        return tuple(size)
    return (int(size),)
