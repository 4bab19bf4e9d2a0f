"""π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.   mpirun -np 4 python -m mpipar.pi --steps 1e9"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from mpipar import Block, ExactSum, PositiveInt, driver

Doubles = npt.NDArray[np.float64]


def radius(steps: int) -> float:
    """Return the length that the kernel gives to the unit interval: about ``steps``, with an exact square."""
    return float(np.float32(steps))  # 24 bits


@functools.lru_cache(maxsize=2)  # of whole blocks, and of the last one
def buffers(pairs: int, steps: int) -> Doubles:
    """Return an array of 4 rows: the middles of the first pairs of steps, and room for three arrays of that size."""
    room = np.empty(4 * pairs + 7)
    first = -room.ctypes.data // 8 % 8  # rows that begin with a cache line are a sixth faster to pass over
    rows = room[first : first + 4 * pairs].reshape(4, pairs)
    rows[0] = np.arange(1.0, 2.0 * pairs, 2.0) * radius(steps) / steps
    return rows


@driver(n="steps", reduction=ExactSum, block=2**16)
def pi(block: Block, *, steps: PositiveInt = 10**9) -> float:
    """π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.

    Parameters
    ----------
    steps : int
        Number of intervals.
    """
    # In units of a step the sum is 4 Σ n/(n² + y²) with y = ½, 1½, …. Two neighbours y = c ∓ ½ share one division, the
    # slowest operation: with s = n² + c² + ¼ they are 2s / (s² − c²). Each line is one pass over arrays in the cache.
    # The unit is stretched by up to 2⁻²⁴, so that n² is exact: rounding it would shift the whole sum.
    n = radius(steps)
    middles, c2, s, bottom = buffers(block.size // 2, steps)
    np.add(middles, block.start * n / steps, out=c2)
    np.multiply(c2, c2, out=c2)
    np.add(c2, n * n + 0.25, out=s)
    np.multiply(s, s, out=bottom)
    np.subtract(bottom, c2, out=bottom)
    np.divide(s, bottom, out=s)
    odd_one = 1.0 / (n * n + ((block.stop - 0.5) * n / steps) ** 2) if block.size % 2 else 0.0
    return 2.0 * float(s.sum()) + odd_one


@pi.finish
def scale(total: float, *, steps: int) -> float:
    """Return π from Σ 1/(n² + y²), with one rounding."""
    numerator, denominator = total.as_integer_ratio()
    return 4 * int(radius(steps)) ** 2 * numerator / (denominator * steps)


if __name__ == "__main__":
    pi.main()
