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
from mpipar.base.text import several
from mpipar.core import midpoint
from mpipar.inputs import hidden
from mpipar.inputs.common import shortened
from mpipar.inputs.each_alone import check_each_alone
from mpipar.inputs.expression import function_of

Method = Literal["montecarlo", "midpoint"]

_PARTS = (("sums", midpoint.NAMES), ("peaks", midpoint.PEAKS))
_REMEDY = "take more --samples, or other bounds"
_PLACES = np.array([0.618, 0.236, 0.854, 0.146])  # in a box, in no order, where a function is tried


def integrand(f: str, dimensions: int, xp: Any = None) -> Callable[..., Any]:
    """Return the function of x, y, z, or of x0, x1, … if there are more, for arrays of the library
    xp.
    """
    return function_of(
        f, [f"x{axis}" for axis in range(dimensions)] if dimensions > 3 else "xyz"[:dimensions], xp
    )


def bounds(over: list[float]) -> Iterator[tuple[float, float]]:
    """Return the lower and the upper bound of each variable."""
    return zip(over[0::2], over[1::2], strict=True)


def points(samples: int, over: list[float], method: Method) -> int:
    """Return the number of points, without those that are looked at for the error alone."""
    if method == "montecarlo":
        return samples
    found = midpoint.grid(samples, len(over) // 2)
    return 0 if found is None else int(found.m ** (len(over) // 2))


class Peaks(Reduction):
    """The largest of each of midpoint.PEAKS; the place is that of the largest absolute value, the
    first of equals.
    """

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        return self.merge(total, [float(number) for number in np.asarray(partial)])

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if total is None or other is None:
            return total if other is None else other
        place = min((total, other), key=lambda peaks: (-max(peaks[0], peaks[2]), peaks[1]))[1]
        largest = list(map(max, total, other))
        largest[midpoint.PEAKS.index("where")] = place
        return largest


@driver(
    n=points,
    reduction=lambda method: (
        Moments() if method == "montecarlo" else Each(sums=ExactSum(), peaks=Peaks())
    ),
    block={"cpu": 2**15, "gpu": 2**22},
)
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
    low, high = (
        xp.asarray(bounds, dtype=xp.float64)[:, None] for bounds in (over[0::2], over[1::2])
    )
    axes = range(len(over) // 2)
    call = integrand(f, len(axes), xp)
    if method == "montecarlo":
        x = low + (high - low) * rng.random((len(axes), block.size))
        return xp.broadcast_to(call(*(x[axis, :] for axis in axes)), (block.size,))
    grid = midpoint.grid(samples, len(axes))
    assert grid is not None, "checked before"
    box = midpoint.Box(low, high - low, grid)
    sums, peaks = midpoint.evaluate(xp, call, box, block.start, block.stop)
    return {"sums": sums, "peaks": peaks}


@integrate.check
def check(
    *, f: str, over: list[float], samples: int, method: Method, rel_error: float | None
) -> None:
    """Refuse what can't be integrated."""
    if not over or len(over) % 2 or any(low >= high for low, high in bounds(over)):
        raise BadInput(
            f"over: expected a lower and a larger upper bound for each variable, got {over}"
        )
    if not math.isfinite(math.prod(high - low for low, high in bounds(over))):
        raise BadInput(f"over: expected finite bounds, of a finite volume, got {over}")
    if rel_error is not None and (rel_error <= 0 or method == "midpoint"):
        raise BadInput(
            "rel_error: expected a number above 0, with random points (the midpoint rule has a"
            " fixed grid)"
        )
    dimensions = len(over) // 2
    if method == "midpoint" and midpoint.grid(samples, dimensions) is None:
        fewest = midpoint.least_samples(dimensions)
        raise BadInput(
            f"samples: the midpoint rule needs {fewest} points or more in"
            f" {several(dimensions, 'dimension')}"
        )
    if method == "montecarlo" and samples < 2:
        raise BadInput("samples: one random point has no standard error; take more")
    columns = [
        low + (high - low) * np.roll(_PLACES, axis) for axis, (low, high) in enumerate(bounds(over))
    ]
    check_each_alone(f, integrand(f, len(columns)), columns, real=True)
    grid = midpoint.grid(samples, dimensions) if method == "midpoint" else None
    step = samples ** (-1 / dimensions) if grid is None else 1 / grid.m
    unseen = hidden.near_constants(integrand(f, dimensions), over, step)
    if unseen:
        raise BadInput(f"f: {shortened(f)}: {unseen}; {_REMEDY}")


@integrate.enough
def reached(result: Estimate, *, rel_error: float) -> bool:
    """Return whether the error asked for is reached."""
    return result.error <= rel_error * abs(result.value)


@integrate.finish
def estimate(total: Any, *, f: str, over: list[float], samples: int, method: Method) -> Estimate:
    """Return the integral and its error. Raises RunFailed where no error can be had."""
    volume, dimensions = math.prod(high - low for low, high in bounds(over)), len(over) // 2
    if method == "montecarlo":
        return _finite(Estimate(volume * total.value, volume * total.error))
    grid = midpoint.grid(samples, dimensions)
    assert grid is not None, "checked before"
    sums, peaks = (dict(zip(names, map(float, total[key]), strict=True)) for key, names in _PARTS)
    growth, unseen = hidden.at_peak(
        integrand(f, dimensions), over, _place(peaks["where"], grid.m, over), 1 / grid.m
    )
    mean, error, refusal = midpoint.judge(sums, peaks, grid.m, dimensions, growth)
    refusal = refusal or unseen
    if refusal:
        raise RunFailed(
            f"{shortened(f)}: the error of the midpoint rule can't be had: {refusal}; {_REMEDY}"
        )
    return _finite(Estimate(volume * mean, volume * error))


def _finite(result: Estimate) -> Estimate:
    if not all(map(math.isfinite, result)):
        raise RunFailed(
            f"the integral, {result.value}, or its error, {result.error}, is beyond the range of"
            " doubles"
        )
    return result


def _place(item: float, m: int, over: list[float]) -> list[float]:
    """Return where a point of the grid is."""
    index = np.unravel_index(int(item), (m,) * (len(over) // 2))
    return [
        low + (high - low) * (i + 0.5) / m
        for i, (low, high) in zip(index, bounds(over), strict=True)
    ]


if __name__ == "__main__":
    integrate.main()
