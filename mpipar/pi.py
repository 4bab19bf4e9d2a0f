"""π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.   mpirun -np 4 python -m mpipar.pi --steps 1e9"""

import functools

import numpy as np

from mpipar import Block, ExactSum, PositiveInt, driver

BLOCK = 2**16


@functools.cache
def buffers() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the middles of pairs of a block's steps, and room for three arrays of that size."""
    middles = np.arange(1.0, BLOCK, 2.0)
    return middles, np.empty_like(middles), np.empty_like(middles), np.empty_like(middles)


@driver(n="steps", reduction=ExactSum, block=BLOCK)
def pi(block: Block, *, steps: PositiveInt = 10**9) -> float:
    """π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.

    Parameters
    ----------
    steps : int
        Number of intervals.
    """
    y = np.arange(block.start, block.stop) + 0.5
    y *= y
    y += float(steps) ** 2
    return float(np.sum(1.0 / y))


@pi.finish
def scale(total: float, *, steps: int) -> float:
    """Return 1/n · Σ 4/(1 + (y/n)²) from Σ 1/(n² + y²), with y = i + ½ and n steps."""
    return 4.0 * steps * total


if __name__ == "__main__":
    pi.main()
