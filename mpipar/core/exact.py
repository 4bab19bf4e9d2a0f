"""Sums of doubles without any rounding, until the end.

Every finite double is a whole multiple of 2⁻¹⁰⁷⁴. A sum held as a whole number of that unit is
exact, hence the same in whatever order its terms come; it is rounded once, when it is asked for.
That makes a correctly rounded, order-free sum (the idea of Kulisch's long accumulator; U. Kulisch,
*Computer Arithmetic and Validity*, 2008).

One sum is a Python integer (:func:`to_fixed`, :func:`from_fixed`). Many sums side by side, for
arrays, are
:class:`ExactArray`: 32-bit digits in 64-bit words, for just the range of exponents that occurs.
"""

from __future__ import annotations

import math

import numpy as np

from mpipar.core.partials import Array, Doubles

FRACTION_BITS = 1074
"""The smallest positive double is 2 to the minus this."""

_ONE = 1 << FRACTION_BITS

_DIGIT = 32  # bits of a digit
_MASK = np.int64(2**_DIGIT - 1)
_PADDING = 2 * _DIGIT  # digits below the smallest double, so that no mantissa starts under digit 0
_UNIT_BITS = FRACTION_BITS + _PADDING  # digit 0 is in units of 2 to the minus this
_MANTISSA_BITS = 53  # of a double
_LEAST_ROUNDED = 2.0**53  # whole numbers below are doubles
_ADDITIONS = 2**28  # a word takes this many digits before it could overflow; see ExactArray._carry


def to_fixed(x: float) -> int:
    """Return the finite ``x`` as a whole number of 2⁻¹⁰⁷⁴."""
    fraction, exponent = math.frexp(x)
    places = exponent + (FRACTION_BITS - _MANTISSA_BITS)
    if places < 0:  # below the normal range a double has fewer bits
        return int(math.ldexp(x, FRACTION_BITS))
    return int(fraction * _LEAST_ROUNDED) << places


def from_fixed(total: int) -> float:
    """Return the double nearest to ``total`` · 2⁻¹⁰⁷⁴ (ties to even; ±inf beyond the range of
    doubles).
    """
    try:
        return total / _ONE  # Python rounds the quotient of two integers correctly
    except OverflowError:
        return math.inf if total > 0 else -math.inf


class ExactArray:
    """An array of exact sums, all of one shape.

    Parameters
    ----------
    shape : tuple of int
        Shape of what is added and of the result.

    Notes
    -----
    The sum of element ``e`` is ``Σₖ words[k, e] · 2**(32·(low + k) − 1074 − 64)``, plus what came
    non-finite. Words are signed and hold more than one digit until a carry brings them back into 0
    … 2³² − 1 (the topmost keeps the sign). Memory: 8 bytes a word, three words for values of one
    magnitude, one more for each factor of 2³² between the smallest and the largest.
    """

    __slots__ = ("additions", "low", "shape", "special", "whole", "words")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.low = 0
        self.words: Array = np.zeros((0, math.prod(shape)), np.int64)
        self.special: Doubles | None = None
        self.additions = 0
        self.whole = True  # whether all that was added is of integers

    def add(self, values: Array) -> None:
        """Add ``values``, real and of this shape."""
        if values.shape != self.shape:
            raise ValueError(f"partials must have one shape: got {values.shape} after {self.shape}")
        is_whole = values.dtype.kind in "iub"
        if is_whole and values.dtype.itemsize == 8:  # a double has room for half of the bits
            low = values & values.dtype.type(_MASK)
            high = values - low
            self._add(high.astype(np.float64).ravel())
            self._add(low.astype(np.float64).ravel())
        else:
            self.whole = self.whole and is_whole
            self._add(values.astype(np.float64, copy=False).ravel())

    def _add(self, x: Doubles) -> None:
        finite = np.isfinite(x)
        if not finite.all():
            self._add_special(np.where(finite, 0.0, x))
            x = np.where(finite, x, 0.0)
        if not x.any():
            return
        fraction, exponent = np.frexp(x)
        mantissa = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64)
        lowest_bit = exponent.astype(np.int64) + (_UNIT_BITS - _MANTISSA_BITS)
        is_zero = mantissa == 0
        lowest_bit[is_zero] = lowest_bit[~is_zero].min()  # zeros widen nothing
        digit = lowest_bit // _DIGIT
        shift = lowest_bit % _DIGIT
        self._make_room(int(digit.min()), int(digit.max()) + 3)
        low_part = (mantissa & _MASK) << shift  # < 2⁶³
        high_part = (mantissa >> _DIGIT) << shift  # signed
        row = digit - self.low
        column = np.arange(x.size)
        self.words[row, column] += low_part & _MASK
        self.words[row + 1, column] += (low_part >> _DIGIT) + (high_part & _MASK)
        self.words[row + 2, column] += high_part >> _DIGIT
        self._count(1)

    def merge(self, other: ExactArray) -> None:
        """Add the sums of ``other``, of the same shape."""
        if other.shape != self.shape:
            raise ValueError(f"partials must have one shape: got {other.shape} after {self.shape}")
        self.whole = self.whole and other.whole
        if other.special is not None:
            self._add_special(other.special)
        length = len(other.words)
        if length:
            self._make_room(other.low, other.low + length)
            first = other.low - self.low
            self.words[first : first + length] += other.words
            self._count(other.additions)

    def value(self) -> Array:
        """Return the sums, each rounded once to the nearest double (ties to even).

        If all that was added is of integers, and one of the sums is no double, they are integers.
        """
        if len(self.words):
            rounded = self._rounded()
        else:
            rounded = np.zeros(math.prod(self.shape))
        if self.special is not None:
            rounded = np.where(self.special == 0, rounded, self.special)
        if self.whole and np.abs(rounded).max(initial=0) >= _LEAST_ROUNDED:
            return self._integers(rounded).reshape(self.shape)
        return rounded.reshape(self.shape)

    def _integers(self, rounded: Doubles) -> Array:
        """Return the sums, which are whole numbers, as such if one of them isn't the double that it
        is rounded to.
        """
        sums = [0] * rounded.size
        for k, words in enumerate(self.words.tolist()):
            shift = _DIGIT * (self.low + k) - _UNIT_BITS
            for column, word in enumerate(words):
                sums[column] += shifted(word, shift)
        if rounded.tolist() == sums:
            return rounded
        if all(-(2**63) <= x < 2**63 for x in sums):
            return np.array(sums, np.int64)
        return np.array(sums, object)

    def _add_special(self, values: Doubles) -> None:
        if self.special is None:
            self.special = values
            return
        with np.errstate(invalid="ignore"):  # inf − inf is nan, in whatever order they come
            self.special = self.special + values

    def _make_room(self, low: int, high: int) -> None:
        """Hold digits ``low`` … ``high - 1`` at least."""
        if not len(self.words):
            self.low = low
        below = max(0, self.low - low)
        above = max(0, high - self.low - len(self.words))
        if below or above:
            columns = self.words.shape[1]
            lower = np.zeros((below, columns), np.int64)
            upper = np.zeros((above, columns), np.int64)
            self.words = np.concatenate([lower, self.words, upper])
            self.low -= below

    def _count(self, additions: int) -> None:
        self.additions += additions
        if self.additions >= _ADDITIONS:
            self._carry()

    def _carry(self) -> None:
        """Bring all words but the topmost into 0 … 2³² − 1.

        An addition changes a word by less than 2³⁴, so 2²⁸ of them (and as many again in a merge)
        stay below 2⁶³.
        """
        high = self.low + len(self.words)
        if np.abs(self.words[-1]).max(initial=0) >= 2**30:
            self._make_room(self.low, high + 1)
        for k in range(len(self.words) - 1):
            self.words[k + 1] += self.words[k] >> _DIGIT
            self.words[k] &= _MASK
        self.additions = 1

    def _rounded(self) -> Doubles:
        # Room for the carry, and to look below the first digit.
        high = self.low + len(self.words)
        self._make_room(self.low - 2, high + 2)
        self._carry()
        negative = self.words[-1] < 0
        self.words[:, negative] *= -1
        self._carry()
        magnitude = self._rounded_positive()
        self.words[:, negative] *= -1
        np.negative(magnitude, out=magnitude, where=negative)
        return magnitude

    def _rounded_positive(self) -> Doubles:
        """Return the sums, none of which is negative, from words that are digits."""
        words = self.words
        column = np.arange(words.shape[1])
        is_set = words != 0
        above = np.argmax(is_set[::-1], axis=0)  # digits that are 0
        top = np.maximum(len(words) - 1 - above, 2)
        first = words[top, column].astype(np.uint64)
        second = words[top - 1, column].astype(np.uint64)
        third = words[top - 2, column].astype(np.uint64)
        _, length = np.frexp(first.astype(np.float64))  # bits of the first, exact as it is < 2³²
        up = (_DIGIT - length).astype(np.uint64)

        # 64 bits from the first set bit on, then one "sticky" bit for all that is below.
        leading = first << (up + _DIGIT)
        leading |= second << up
        leading |= third >> (_DIGIT - up)
        rest_of_third = (third << up) & np.uint64(_MASK)
        set_up_to_third = np.cumsum(is_set, axis=0)[top - 2, column]
        set_below_third = set_up_to_third - (third != 0)
        is_more_below = (rest_of_third != 0) | (set_below_third > 0)
        leading |= is_more_below.astype(np.uint64)

        digits = top + self.low - 1
        scale = _DIGIT * digits - _UNIT_BITS - up.astype(np.int64)
        with np.errstate(over="ignore"):  # beyond the range of doubles is inf
            # Below the normal range nothing is rounded here: such a sum has fewer than 53 bits
            # above 2⁻¹⁰⁷⁴.
            magnitude: Doubles = np.ldexp(leading.astype(np.float64), scale)
        return magnitude


def shifted(x: int, bits: int) -> int:
    """Return x · 2ᵇⁱᵗˢ, rounded down."""
    if bits >= 0:
        return x << bits
    return x >> -bits
