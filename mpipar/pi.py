"""π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.   mpirun -np 4 python -m mpipar.pi --steps 1e9"""

from __future__ import annotations

from typing import Any

from mpipar import Block, ExactSum, PositiveInt, driver
from mpipar.kernels.pi import fused, passes, radius, tiles


def block_on_gpu(steps: int) -> int:
    """Return how many steps a block has on a GPU: some blocks for each of several GPUs, and none is
    over at once.
    """
    return min(2**34, max(2**27, -(-steps // 16)))


@driver(n="steps", reduction=ExactSum, block={"cpu": 2**16, "gpu": block_on_gpu})
def pi(block: Block, xp: Any, *, steps: PositiveInt = 10**9) -> Any:
    """π by the midpoint rule on ∫₀¹ 4/(1+x²) dx.

    Parameters
    ----------
    steps : int
        Number of intervals.
    """
    # In units of a step the sum is 4 Σ n/(n² + y²) with y = ½, 1½, …. The unit is stretched by up
    # to 2⁻²⁴, so that n² is exact: rounding it would shift the whole sum.
    n = radius(steps)
    y = (xp.arange(block.start, block.stop, dtype=xp.float64) + 0.5) * (n / steps)
    return xp.sum(1.0 / (n * n + y * y))


pi.on("cpu")(passes)
pi.on("compiled", strict=False, boundscheck=False, error_model="numpy")(tiles)
pi.on("gpu")(fused)


@pi.finish
def scale(total: float, *, steps: int) -> float:
    """Return π from Σ 1/(n² + y²), with one rounding."""
    numerator, denominator = total.as_integer_ratio()
    return 4 * int(radius(steps)) ** 2 * numerator / (denominator * steps)


if __name__ == "__main__":
    pi.main()
