"""π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.   mpirun -np 4 python -m mpipar.pi --steps 1e9"""

from __future__ import annotations

import functools


import numpy as np
import numpy.typing as npt

from mpipar import Block, ExactSum, PositiveInt, driver

Doubles = npt.NDArray[np.float64]


@functools.lru_cache(maxsize=2)  # of whole blocks, and of the last one
def buffers(pairs: int) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Return the middles 1, 3, 5, … of pairs of steps, and room for three arrays of that size."""
    middles = np.arange(1.0, 2.0 * pairs, 2.0)
    return middles, np.empty_like(middles), np.empty_like(middles), np.empty_like(middles)


@driver(n="steps", reduction=ExactSum, block=2**16)
def pi(block: Block, *, steps: PositiveInt = 10**9) -> float:
    """π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.

    Parameters
    ----------
    steps : int
        Number of intervals.
    """
    # In units of a step, ¼ of the sum is Σ n/(n² + y²) with y = ½, 1½, …. Two neighbours y = c ∓ ½ share a division,
    # the slowest operation: with s = n² + c² + ¼ they are 2s / (s² − c²), of which each pass below does one step.
    square = float(steps) ** 2
    middles, c2, s, bottom = buffers(block.size // 2)
    np.add(middles, block.start, out=c2)
    np.multiply(c2, c2, out=c2)
    np.add(c2, square + 0.25, out=s)
    np.multiply(s, s, out=bottom)
    np.subtract(bottom, c2, out=bottom)
    np.divide(s, bottom, out=s)
    odd_one = 1.0 / (square + (block.stop - 0.5) ** 2) if block.size % 2 else 0.0
    return 2.0 * float(s.sum()) + odd_one


@pi.finish
def scale(total: float, *, steps: int) -> float:
    """Return 4 Σ n/(n² + y²) for n steps."""
    return 4.0 * steps * total


if __name__ == "__main__":
    pi.main()
