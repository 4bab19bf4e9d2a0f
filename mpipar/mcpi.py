"""π by Monte Carlo: the share of points that fall into a circle.   mpirun -np 4 python -m
mpipar.mcpi --samples 1e9
"""

from __future__ import annotations

import math
from typing import Any

from mpipar import Block, Count, Estimate, PositiveInt, driver
from mpipar.kernels.mcpi import fused, hits


def block_on_gpu(samples: int) -> int:
    """Return how many points a block has on a GPU: some blocks for each of several GPUs, and none
    is over at once.
    """
    return min(2**33, max(2**24, -(-samples // 32)))


@driver(n="samples", reduction=Count, block={"cpu": 2**15, "compiled": 2**20, "gpu": block_on_gpu})
def mcpi(block: Block, rng: Any, xp: Any, *, samples: PositiveInt = 10**8) -> Any:
    """π by Monte Carlo: the share of random points of a square that fall into its circle.

    Parameters
    ----------
    samples : int
        Number of points.
    """
    points = rng.random((2, block.size))
    points *= points
    x2, y2 = points[0, :], points[1, :]
    x2 += y2
    return xp.count_nonzero(x2 < 1.0)


mcpi.on("compiled", strict=False, boundscheck=False)(hits)
mcpi.on("gpu")(fused)


@mcpi.finish
def estimate(hits: int, *, samples: int) -> Estimate:
    """Return π and its standard error from the number of points in the circle (a binomial
    count).
    """
    share = hits / samples
    return Estimate(4.0 * share, 4.0 * math.sqrt(share * (1.0 - share) / samples))


if __name__ == "__main__":
    mcpi.main()
