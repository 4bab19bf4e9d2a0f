"""Integral over a box.   mpirun -np 4 python -m mpipar.integrate --f "x**2" --over 0 1 --samples 1e7 --seed 7"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from mpipar import BadInput, Block, Each, Estimate, ExactSum, Moments, PositiveInt, driver
from mpipar.inputs.each_alone import check_each_alone
from mpipar.inputs.expression import function_of

Method = Literal["montecarlo", "midpoint"]

_PLACES = np.array([0.618, 0.236, 0.854, 0.146])  # in a box, in no order, where a function is tried


def integrand(f: str, dimensions: int, xp: Any = None) -> Callable[..., Any]:
    """Return the function of x, y, z, or of x0, x1, … if there are more, for arrays of the library xp."""
    return function_of(f, [f"x{axis}" for axis in range(dimensions)] if dimensions > 3 else "xyz"[:dimensions], xp)


def bounds(over: list[float]) -> Iterator[tuple[float, float]]:
    """Return the lower and the upper bound of each variable."""
    return zip(over[0::2], over[1::2], strict=True)


def per_axis(samples: int, over: list[float]) -> int:
    """Return how many midpoints an axis has: a multiple of 3, as each third one is the midpoint of a coarser rule."""
    dimensions = len(over) // 2
    return 3 * max(1, int((samples + 0.5) ** (1 / dimensions)) // 3)


def points(samples: int, over: list[float], method: Method) -> int:
    """Return the number of points."""
    return samples if method == "montecarlo" else int(per_axis(samples, over) ** (len(over) // 2))


def indices(xp: Any, block: Block, m: int, dimensions: int) -> Any:
    """Return where the points of a block are on each axis of the grid, of m points each; the last goes fastest."""
    rest = xp.arange(block.start, block.stop)
    faster: list[Any] = []
    for _ in range(dimensions - 1):
        rest, item = rest // m, rest
        faster.insert(0, item - rest * m)
    return xp.stack([rest, *faster])


@driver(
    n=points,
    reduction=lambda method: Moments() if method == "montecarlo" else Each(fine=ExactSum(), coarse=ExactSum()),
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
        NumPy expression of x, y, z (or x0, x1, … if there are more), or module:function or path/file.py:function.
    over : list of float
        Lower and upper bound for each variable.
    samples : int
        Number of points, at most.
    method : str
        Random points, with the standard error; or midpoints of a grid, with the difference to a coarser one.
    rel_error : float
        Stop as soon as the standard error is so small a part of the value.

    Examples
    --------
    mpirun -np 2 python -m mpipar.integrate --f "x**2" --over 0 1 --samples 1e6 --seed 7
    """
    low, high = (xp.asarray(bounds, dtype=xp.float64)[:, None] for bounds in (over[0::2], over[1::2]))
    axes = range(len(over) // 2)
    call = integrand(f, len(axes), xp)
    if method == "montecarlo":
        x = low + (high - low) * rng.random((len(axes), block.size))
        return xp.broadcast_to(call(*(x[axis, :] for axis in axes)), (block.size,))
    m = per_axis(samples, over)
    index = indices(xp, block, m, len(axes))
    x = low + (high - low) * ((xp.asarray(index, dtype=xp.float64) + 0.5) / m)
    y = xp.broadcast_to(call(*(x[axis, :] for axis in axes)), (block.size,))
    return {"fine": xp.sum(y), "coarse": xp.sum(y[xp.all(index % 3 == 1, axis=0)])}


@integrate.check
def check(*, f: str, over: list[float], samples: int, method: Method, rel_error: float | None) -> None:
    """Refuse what can't be integrated."""
    if not over or len(over) % 2 or any(low >= high for low, high in bounds(over)):
        raise BadInput(f"over: expected a lower and a larger upper bound for each variable, got {over}")
    if rel_error is not None and (rel_error <= 0 or method == "midpoint"):
        raise BadInput("rel_error: expected a number above 0, with random points (the midpoint rule has a fixed grid)")
    if method == "midpoint" and points(samples, over, method) > samples:
        fewest = 3 ** (len(over) // 2)
        raise BadInput(f"samples: the midpoint rule needs {fewest} points or more in {len(over) // 2} dimensions")
    columns = [low + (high - low) * np.roll(_PLACES, axis) for axis, (low, high) in enumerate(bounds(over))]
    check_each_alone(f, integrand(f, len(columns)), columns, real=True)


@integrate.enough
def reached(result: Estimate, *, rel_error: float) -> bool:
    """Return whether the error asked for is reached."""
    return result.error <= rel_error * abs(result.value)


@integrate.finish
def estimate(total: Any, *, over: list[float], samples: int, method: Method) -> Estimate:
    """Return the integral and its error; of the midpoint rule the error is that of Richardson's extrapolation."""
    volume = math.prod(high - low for low, high in bounds(over))
    if method == "montecarlo":
        return Estimate(volume * total.value, volume * total.error)
    n = points(samples, over, method)
    fine, coarse = volume * total["fine"] / n, volume * total["coarse"] / (n / 3 ** (len(over) // 2))
    return Estimate(fine, abs(fine - coarse) / 8)  # error ∝ h², so that of coarse is 9 × that of fine


if __name__ == "__main__":
    integrate.main()
