"""The error of the midpoint rule, from sums over grids and from what is between their points."""

from __future__ import annotations

import math
from typing import NamedTuple

from mpipar.core.midpoint import BENDS, STEPS, SUMS


class Judged(NamedTuple):
    """The mean of a function over a box, its error, or why there is none.

    Attributes
    ----------
    mean, error : float
    refusal : str
        One line, or nothing.
    """

    mean: float
    error: float
    refusal: str = ""


_LEAST_ORDER = 1.2
"""Of what a grid's differences are to those of one three times finer: below, they don't vanish."""

_SHARE = 0.01  # of all bends, that the largest is of where they aren't the same everywhere
_STANDARD_ERRORS = 4.0
_WORST = 0.3  # part of the mean of |f| that an error may be
_ROUNDING = 2.0**-51


def judge(
    sums: dict[str, float],
    peaks: dict[str, float],
    m: int,
    dimensions: int,
    growth: float | None,
) -> Judged:
    """Return the mean of a function over the box, and a bound of its error, from the sums over all
    blocks.

    Parameters
    ----------
    sums, peaks : dict
        What :data:`mpipar.core.midpoint.NAMES` and :data:`mpipar.core.midpoint.PEAKS` are.
    m : int
        Points on an axis.
    dimensions : int
    growth : float or None
        Exponent by which the function grows towards a place near its largest value on the grid, if
        it does.
    """
    n = m**dimensions
    mean = sums["fine"] / n
    size = sums["size"] / n
    spread = peaks["high"] + peaks["low"]
    numbers = [*sums.values(), *peaks.values()]
    if not all(map(math.isfinite, numbers)):
        return _refused(mean, "it is not finite, or too large, at a point of the grid or near one")
    means = []
    for name, step in zip(SUMS[:3], STEPS, strict=True):
        points = n / step**dimensions
        means.append(sums[name] / points)
    errors = [
        _ROUNDING * size if spread else 0.0,
        _of_pairs(sums, peaks["apart"]),
        _of_grids(*means),
    ]
    if dimensions == 1:
        bends = [sums[name] / m for name in BENDS]
        of_bends = _of_bends(bends, peaks["bend"] / m, growth)
        if max(bends) <= 2.0 * _ROUNDING * size:  # of a straight line, there is nothing else
            of_bends = max(bends)
        if of_bends is None:
            return _refused(mean, "sums over finer grids don't come closer to each other")
        errors.append(of_bends)
    else:
        # A jump is two bends of its height, and an error of at most a quarter of these; they are
        # samples.
        count = max(1.0, sums["pairs"])
        errors.append(dimensions * sums["bend1"] / count / 3.0)
        if growth is not None:
            errors.append(4.0 * spread / n)
    error = max(errors)
    if error > _WORST * size:
        return _refused(mean, "the points are too few to tell it")
    return Judged(mean, error)


def _refused(mean: float, why: str) -> Judged:
    return Judged(mean, math.nan, why)


def _of_pairs(sums: dict[str, float], largest: float) -> float:
    """Return how far the mean may be from that at the points of pairs, which are anywhere."""
    count = max(1.0, sums["pairs"])
    mean = abs(sums["over"])
    # At least the standard deviation.
    deviation = math.sqrt(sums["apart"] / count) * math.sqrt(largest)
    return 1.5 * mean / count + _STANDARD_ERRORS * deviation / math.sqrt(count)


def _of_bends(
    bends: list[float],
    largest: float,
    growth: float | None,
) -> float | None:
    """Return a bound from second differences on grids of steps h, 3h and 9h; None if the error has
    none.

    The sum with step h differs from that with h/3 by at most h/3 times the bends with h/3. If those
    are 1/q of the ones before, at each step, what is still to come is at most bends · (1/q + 1/q² +
    …) = bends / (q − 1).
    """
    by_step = zip(bends, STEPS, strict=True)
    fine, coarse, coarsest = (bend * step for bend, step in by_step)
    if fine == 0.0:
        return 0.0
    order = coarse / fine
    if coarsest > 0.0 and coarse > 0.0:
        order = min(order, coarsest / coarse)
    bends_are_everywhere = largest < _SHARE * fine
    if bends_are_everywhere:  # noise of rounding, or waves as short as the grid's step
        order = min(max(order, 2.0), 9.0)
        return fine / (order - 1.0)
    if growth is not None:  # towards a pole between points, whose distance differs on each grid
        order = 3.0 ** (1.0 - growth)
        fine = 1.5 * max(fine, coarse / order, coarsest / order**2)
    if order >= _LEAST_ORDER:
        return fine / (min(order, 9.0) - 1.0)
    return None


def _of_grids(fine: float, coarse: float, coarsest: float) -> float:
    """Return the error that the means of three grids tell, at the order that they show."""
    near = abs(fine - coarse)
    far = abs(coarse - coarsest)
    if near == 0.0 and far == 0.0:
        return 0.0
    order = min(9.0, far / near) if near > 0.0 else 9.0
    if order < _LEAST_ORDER:
        return near + far
    of_near = near / (order - 1.0)
    of_far = far / (order * (order - 1.0))
    return 1.5 * max(of_near, of_far)
