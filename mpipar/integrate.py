"""Integral over a box.   mpirun -np 4 python -m mpipar.integrate --f "x**2" --over 0 1 --samples
1e7 --seed 7
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from mpipar import (
    BadInput,
    Block,
    Each,
    Estimate,
    ExactSum,
    Moments,
    PositiveInt,
    Reduction,
    RunFailed,
    driver,
)
from mpipar.base.overriding import override
from mpipar.base.text import several
from mpipar.core import midpoint
from mpipar.core.midpoint_error import judge
from mpipar.inputs import hidden
from mpipar.inputs.common import shortened
from mpipar.inputs.each_alone import check_each_alone
from mpipar.inputs.expression import function_of

Method = Literal["montecarlo", "midpoint"]

_WHERE = midpoint.PEAKS.index("where")
_REMEDY = "take more --samples, or other bounds"
_SAMPLES_OF_PEAK = 30
"""How many random points see a peak, if its error is to hold."""
_PLACES = np.array([0.618, 0.236, 0.854, 0.146])  # in a box, in no order, where a function is tried


def integrand(
    f: str,
    dimensions: int,
    xp: Any = None,
) -> Callable[..., Any]:
    """Return the function of its variables, for arrays of the library xp."""
    return function_of(f, variables(dimensions), xp)


def variables(dimensions: int) -> list[str]:
    """Return x, y, z, or x0, x1, … if there are more."""
    if dimensions <= 3:
        return list("xyz"[:dimensions])
    return [f"x{axis}" for axis in range(dimensions)]


def bounds(over: list[float]) -> Iterator[tuple[float, float]]:
    """Return the lower and the upper bound of each variable."""
    return zip(over[0::2], over[1::2], strict=True)


def points(samples: int, over: list[float], method: Method) -> int:
    """Return the number of points, without those that are looked at for the error alone."""
    if method == "montecarlo":
        return samples
    dimensions = len(over) // 2
    grid = midpoint.grid(samples, dimensions)
    if grid is None:
        return 0
    return int(grid.m**dimensions)


def reduction_of(method: Method) -> Reduction:
    """Return what is made of the blocks: moments of samples, or sums and peaks over a grid."""
    if method == "montecarlo":
        return Moments()
    return Each(sums=ExactSum(), peaks=Peaks())


class Peaks(Reduction):
    """The largest of each of midpoint.PEAKS; the place is that of the largest absolute value, the
    first of equals.
    """

    @override
    def start(self) -> Any:
        return None

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        return self.merge(total, [float(number) for number in np.asarray(partial)])

    @override
    def merge(self, total: Any, other: Any) -> Any:
        if total is None:
            return other
        if other is None:
            return total
        first = min(total, other, key=_by_size_and_place)
        largest = list(map(max, total, other))
        largest[_WHERE] = first[_WHERE]
        return largest


def _by_size_and_place(peaks: list[float]) -> tuple[float, float]:
    """Return what has the largest absolute value first, and the first of equals."""
    high, where, low, *_ = peaks
    return -max(high, low), where


@driver(n=points, reduction=reduction_of, block={"cpu": 2**15, "gpu": 2**22})
def integrate(
    block: Block,
    rng: Any,
    xp: Any,
    *,
    f: str,
    over: list[float],
    samples: PositiveInt = 10**6,
    method: Method = "montecarlo",
    rel_error: float | None = None,
) -> Any:
    """Integrate a function of one or more variables over a box, with an estimate of the error.

    Parameters
    ----------
    f : str
        NumPy expression of x, y, z (or x0, x1, … if there are more), or module:function or
        path/file.py:function.
    over : list of float
        Lower and upper bound for each variable.
    samples : int
        Number of points, at most.
    method : str
        Random points, with the standard error; or midpoints of a grid, with a bound of the error,
        or none and why.
    rel_error : float
        Stop as soon as the standard error is so small a part of the value.

    Examples
    --------
    mpirun -np 2 python -m mpipar.integrate --f "x**2" --over 0 1 --samples 1e6 --seed 7
    """
    low = xp.asarray(over[0::2], dtype=xp.float64)[:, None]
    high = xp.asarray(over[1::2], dtype=xp.float64)[:, None]
    width = high - low
    dimensions = len(over) // 2
    call = integrand(f, dimensions, xp)
    if method == "montecarlo":
        x = low + width * rng.random((dimensions, block.size))
        variables = [x[axis, :] for axis in range(dimensions)]
        return xp.broadcast_to(call(*variables), (block.size,))
    grid = midpoint.grid(samples, dimensions)
    assert grid is not None, "checked before"
    box = midpoint.Box(low, width, grid)
    sums, peaks = midpoint.evaluate(xp, call, box, block.start, block.stop)
    return {"sums": sums, "peaks": peaks}


@integrate.made_on("compiled", strict=False, boundscheck=False, error_model="numpy")
def compiled(*, f: str, over: list[float], method: Method) -> Any:
    """Return the same for a formula that is compiled, but for rounding."""
    from mpipar.kernels import formula_loops, midpoint_loops

    names = variables(len(over) // 2)
    if method == "montecarlo":
        return formula_loops.of_formula(formula_loops.samples, f, names)
    return midpoint_loops.of_formula(f, names)


@integrate.check
def check(
    *,
    f: str,
    over: list[float],
    samples: int,
    method: Method,
    rel_error: float | None,
) -> None:
    """Refuse what can't be integrated."""
    check_bounds(over)
    if rel_error is not None and (rel_error <= 0 or method == "midpoint"):
        raise BadInput(
            "expected a number above 0, with random points (the midpoint rule has a fixed grid)",
            option="rel_error",
        )
    dimensions = len(over) // 2
    steps = steps_of(samples, dimensions, method)
    columns = []
    for axis, (low, high) in enumerate(bounds(over)):
        columns.append(low + (high - low) * np.roll(_PLACES, axis))
    function = integrand(f, dimensions)
    check_each_alone(f, function, columns, real=True)
    random_points = samples if method == "montecarlo" else None
    unseen = hidden.near_constants(function, over, *steps, random_points)
    if unseen:
        raise BadInput(f"{shortened(f)}: {unseen}; {_REMEDY}", option="f")
    uneven = hidden.without_variance(function, over) if method == "montecarlo" else ""
    if uneven:
        raise BadInput(
            f"{shortened(f)}: {uneven}, so random points have no error estimate;"
            " take --method midpoint, or other bounds",
            option="f",
        )


def check_bounds(over: list[float]) -> None:
    """Refuse bounds that aren't those of a box with a volume."""
    are_pairs = over and len(over) % 2 == 0
    if not are_pairs or any(low >= high for low, high in bounds(over)):
        raise BadInput(
            f"expected a lower and a larger upper bound for each variable, got {over}",
            option="over",
        )
    if not math.isfinite(volume_of(over)):
        raise BadInput(f"expected finite bounds, of a finite volume, got {over}", option="over")


def steps_of(samples: int, dimensions: int, method: Method) -> tuple[float, float]:
    """Return how narrow what points see is, in one variable and in all of them, for a box of width
    1. Refuses too few.
    """
    if method == "montecarlo":
        if samples < 2:
            raise BadInput("one random point has no standard error; take more", option="samples")
        part = _SAMPLES_OF_PEAK / samples
        return part, float(part ** (1 / dimensions))
    grid = midpoint.grid(samples, dimensions)
    if grid is None:
        fewest = midpoint.least_samples(dimensions)
        where = several(dimensions, "dimension")
        raise BadInput(
            f"the midpoint rule needs {fewest} points or more in {where}", option="samples"
        )
    return 1 / grid.m, 1 / grid.m


def volume_of(over: list[float]) -> float:
    """Return the volume of the box."""
    return math.prod(high - low for low, high in bounds(over))


@integrate.enough
def reached(result: Estimate, *, rel_error: float) -> bool:
    """Return whether the error asked for is reached."""
    return result.error <= rel_error * abs(result.value)


@integrate.finish
def estimate(
    total: Any,
    *,
    f: str,
    over: list[float],
    samples: int,
    method: Method,
) -> Estimate:
    """Return the integral and its error. Raises RunFailed where no error can be had."""
    volume = volume_of(over)
    if method == "montecarlo":
        return _finite(Estimate(volume * total.value, volume * total.error))
    dimensions = len(over) // 2
    grid = midpoint.grid(samples, dimensions)
    assert grid is not None, "checked before"
    sums = dict(zip(midpoint.NAMES, map(float, total["sums"]), strict=True))
    peaks = dict(zip(midpoint.PEAKS, map(float, total["peaks"]), strict=True))
    place = _place(peaks["where"], grid.m, over)
    growth, unseen = hidden.at_peak(integrand(f, dimensions), over, place, 1 / grid.m)
    mean, error, refusal = judge(sums, peaks, grid.m, dimensions, growth)
    refusal = refusal or unseen
    if refusal:
        raise RunFailed(
            f"{shortened(f)}: the error of the midpoint rule can't be estimated: {refusal};"
            f" {_REMEDY}"
        )
    return _finite(Estimate(volume * mean, volume * error))


def _finite(result: Estimate) -> Estimate:
    if not all(map(math.isfinite, result)):
        raise RunFailed(
            f"the integral, {result.value}, or its error, {result.error},"
            " is beyond the range of doubles"
        )
    return result


def _place(item: float, m: int, over: list[float]) -> list[float]:
    """Return where a point of the grid is."""
    shape = (m,) * (len(over) // 2)
    index = np.unravel_index(int(item), shape)
    place: list[float] = []
    for i, (low, high) in zip(index, bounds(over), strict=True):
        place.append(low + (high - low) * (i + 0.5) / m)
    return place


if __name__ == "__main__":
    integrate.main()
