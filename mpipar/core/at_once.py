"""Adding the partials of many blocks at once, where these are plain numbers: one by one they would
take longer than a short block does. The totals are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mpipar.core.exact import FRACTION_BITS, to_fixed
from mpipar.core.reduction import Count, ExactSum, Reduction

_FEW = 16
"""Up to so many numbers NumPy would take longer for."""

_MOST = 2**20
"""So many at a time: sums of their halves have 64 bits."""

_MANTISSA_BITS = 53
_HALF_BITS = 32
_HALF = 2**_HALF_BITS - 1


class AtOnce(NamedTuple):
    """How a reduction adds plain numbers.

    Attributes
    ----------
    types : frozenset of type
        Which partials are such numbers.
    total : callable
        Returns the reduction's total of some of them, one at least.
    """

    types: frozenset[type]
    total: Callable[[Sequence[Any]], Any]


def total_of_doubles(numbers: Sequence[float]) -> tuple[int, float, bool]:
    """Return the total of an ExactSum that numbers have been added to."""
    fixed = 0
    special = 0.0
    for first in range(0, len(numbers), _MOST):
        some = numbers[first : first + _MOST]
        if len(some) > _FEW:
            array = np.array(some, np.float64)
            is_finite = np.isfinite(array)
            fixed += _fixed(array[is_finite])
            some = array[~is_finite].tolist()
        for number in some:
            if math.isfinite(number):
                fixed += to_fixed(number)
            else:
                special += number
    return fixed, special, False


def total_of_integers(numbers: Sequence[int]) -> int:
    """Return the total of a Count that numbers have been added to."""
    return sum(map(int, numbers))  # those of NumPy would overflow


AT_ONCE: dict[type[Reduction], AtOnce] = {
    ExactSum: AtOnce(frozenset({float, np.float64}), total_of_doubles),
    Count: AtOnce(frozenset({int, np.int64}), total_of_integers),
}
"""For reductions of these types; a class that is derived of one may add otherwise."""

NEVER = AtOnce(frozenset(), sum)


def at_once(reduction: Reduction) -> AtOnce:
    """Return how a reduction adds many numbers."""
    return AT_ONCE.get(type(reduction), NEVER)


def _fixed(x: Any) -> int:
    """Return the exact sum of finite doubles, as a whole number of 2⁻¹⁰⁷⁴."""
    if not x.size:
        return 0
    fraction, exponent = np.frexp(x)
    mantissa = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64)
    places = exponent.astype(np.int64) + (FRACTION_BITS - _MANTISSA_BITS)
    below = np.maximum(-places, 0)  # bits that what is not normal hasn't
    mantissa >>= below
    places += below
    order = np.argsort(places, kind="stable")
    mantissa = mantissa[order]
    places = places[order]
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    low = np.add.reduceat(mantissa & _HALF, starts)
    high = np.add.reduceat(mantissa >> _HALF_BITS, starts)
    total = 0
    groups = zip(low.tolist(), high.tolist(), places[starts].tolist(), strict=True)
    for low_sum, high_sum, shift in groups:
        total += ((high_sum << _HALF_BITS) + low_sum) << shift
    return total
