"""π by Monte Carlo: the share of points that fall into a circle.   mpirun -np 4 python -m mpipar.mcpi --samples 1e9"""

from __future__ import annotations

import math

import numpy as np

from mpipar import Block, Count, Estimate, PositiveInt, driver


@driver(n="samples", reduction=Count, block=2**15)
def mcpi(block: Block, rng: np.random.Generator, *, samples: PositiveInt = 10**8) -> int:
    """π by Monte Carlo: the share of random points of a square that fall into its circle.

    Parameters
    ----------
    samples : int
        Number of points.
    """
    x, y = rng.random((2, block.size))
    x *= x
    y *= y
    x += y
    return int(np.count_nonzero(x < 1.0))


@mcpi.finish
def estimate(hits: int, *, samples: int) -> Estimate:
    """Return π and its standard error from the number of points in the circle (a binomial count)."""
    share = hits / samples
    return Estimate(4.0 * share, 4.0 * math.sqrt(share * (1.0 - share) / samples))


if __name__ == "__main__":
    mcpi.main()
