"""Integral over a box.   mpirun -np 4 python -m mpipar.integrate --f "x**2" --over 0 1 --samples 1e7 --seed 7"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from mpipar import BadInput, Block, Each, Estimate, ExactSum, Moments, PositiveInt, driver
from mpipar.inputs.expression import function_of

Method = Literal["montecarlo", "midpoint"]


def integrand(f: str, dimensions: int) -> Callable[..., Any]:
    """Return the function of x, y, z, or of x0, x1, … if there are more."""
    return function_of(f, [f"x{axis}" for axis in range(dimensions)] if dimensions > 3 else "xyz"[:dimensions])


def per_axis(samples: int, over: list[float]) -> int:
    """Return how many midpoints an axis has: a multiple of 3, as each third one is the midpoint of a coarser rule."""
    dimensions = len(over) // 2
    return 3 * max(1, int((samples + 0.5) ** (1 / dimensions)) // 3)


def points(samples: int, over: list[float], method: Method) -> int:
    """Return the number of points."""
    return samples if method == "montecarlo" else int(per_axis(samples, over) ** (len(over) // 2))


@driver(
    n=points,
    reduction=lambda method: Moments() if method == "montecarlo" else Each(fine=ExactSum(), coarse=ExactSum()),
    block=2**15,
)
def integrate(
    block: Block,
    rng: np.random.Generator,
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
    low, high = np.array(over[0::2]), np.array(over[1::2])
    call, shape = integrand(f, len(low)), (len(low), block.size)
    if method == "montecarlo":
        x = low[:, None] + (high - low)[:, None] * rng.random(shape)
        return np.broadcast_to(call(*x), block.size)
    m = per_axis(samples, over)
    index = np.array(np.unravel_index(np.arange(block.start, block.stop), (m,) * len(low)))
    x = low[:, None] + (high - low)[:, None] * ((index + 0.5) / m)
    y = np.broadcast_to(call(*x), block.size)
    return {"fine": y.sum(), "coarse": y[(index % 3 == 1).all(axis=0)].sum()}


@integrate.check
def check(*, f: str, over: list[float], method: Method, rel_error: float | None) -> None:
    """Refuse what can't be integrated."""
    if not over or len(over) % 2 or any(low >= high for low, high in zip(over[0::2], over[1::2], strict=True)):
        raise BadInput(f"over: expected a lower and a larger upper bound for each variable, got {over}")
    if rel_error is not None and (rel_error <= 0 or method == "midpoint"):
        raise BadInput("rel_error: expected a number above 0, with random points (the midpoint rule has a fixed grid)")
    integrand(f, len(over) // 2)


@integrate.enough
def reached(result: Estimate, *, rel_error: float) -> bool:
    """Return whether the error asked for is reached."""
    return result.error <= rel_error * abs(result.value)


@integrate.finish
def estimate(total: Any, *, over: list[float], samples: int, method: Method) -> Estimate:
    """Return the integral and its error; of the midpoint rule the error is that of Richardson's extrapolation."""
    volume = math.prod(high - low for low, high in zip(over[0::2], over[1::2], strict=True))
    if method == "montecarlo":
        return Estimate(volume * total.value, volume * total.error)
    n = points(samples, over, method)
    fine, coarse = volume * total["fine"] / n, volume * total["coarse"] / (n / 3 ** (len(over) // 2))
    return Estimate(fine, abs(fine - coarse) / 8)  # error ∝ h², so that of coarse is 9 × that of fine


if __name__ == "__main__":
    integrate.main()
