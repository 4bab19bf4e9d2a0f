"""Fast forms of π by the midpoint rule: passes over arrays in the cache, and two kernels in CUDA.

They return what the kernel of :mod:`mpipar.pi` does, but for rounding.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mpipar.core.plan import Block

if TYPE_CHECKING:
    from fractions import Fraction


Doubles = npt.NDArray[np.float64]


def radius(steps: int) -> float:
    """Return the length that the kernel gives to the unit interval: about ``steps``, with an exact
    square.
    """
    return float(np.float32(steps))  # 24 bits


@functools.lru_cache(maxsize=2)  # of whole blocks, and of the last one
def buffers(pairs: int, steps: int) -> Doubles:
    """Return an array of 4 rows: the middles of the first pairs of steps, and room for three arrays
    of that size.
    """
    room = np.empty(4 * pairs + 7)
    first = (
        -room.ctypes.data // 8 % 8
    )  # rows that begin with a cache line are a sixth faster to pass over
    rows = room[first : first + 4 * pairs].reshape(4, pairs)
    rows[0] = np.arange(1.0, 2.0 * pairs, 2.0) * radius(steps) / steps
    return rows


def passes(block: Block, *, steps: int) -> float:
    """Return the same, but for rounding, faster: each line is one pass over arrays in the cache."""
    # Two neighbours y = c ∓ ½ share one division, the slowest operation: with s = n² + c² + ¼ they
    # are 2s / (s² − c²).
    n = radius(steps)
    middles, c2, s, bottom = buffers(block.size // 2, steps)
    np.add(middles, block.start * n / steps, out=c2)
    np.multiply(c2, c2, out=c2)
    np.add(c2, n * n + 0.25, out=s)
    np.multiply(s, s, out=bottom)
    np.subtract(bottom, c2, out=bottom)
    np.divide(s, bottom, out=s)
    of_pairs = 2.0 * float(s.sum())
    return of_pairs + odd_one(block, steps) if block.size % 2 else of_pairs


def odd_one(block: Block, steps: int) -> float:
    """Return what the last step of a block of odd size adds, which has no neighbour."""
    n = radius(steps)
    return 1.0 / (n * n + ((block.stop - 0.5) * n / steps) ** 2)


def fused(block: Block, xp: Any, *, steps: int) -> Any:
    """Return the same, but for rounding, by two kernels in CUDA: the sums of tiles of steps, and
    the sum of these.
    """
    from mpipar.runtime.device import compiled

    threads, tile = 256, 256 * 512  # as in pi.cu
    kernels, pairs = compiled(Path(__file__).with_name("pi.cu")), block.size // 2
    step, step_high, step_low, n2, u2 = lengths(steps)
    tiles = xp.empty((max(1, -(-pairs // tile)),), dtype=xp.float64)
    total = xp.empty((), dtype=xp.float64)
    doubles = [
        np.float64(length) for length in (float(block.start * step), step_high, step_low, n2, u2)
    ]
    kernels.get_function("pi_tiles")((tiles.size,), (threads,), (*doubles, np.int64(pairs), tiles))
    alone = odd_one(block, steps) if block.size % 2 else 0.0
    arguments = (tiles, np.int64(tiles.size), np.float64(u2), np.float64(alone), total)
    kernels.get_function("pi_total")((1,), (threads,), arguments)
    return total


@functools.lru_cache(maxsize=1)
def lengths(steps: int) -> tuple[Fraction, float, float, float, float]:
    """Return the lengths of pi.cu that all blocks have: a step, exactly and in two parts, n2 and
    u2.
    """
    from fractions import Fraction  # takes time to load, and no run on the CPU needs it

    n = int(radius(steps))
    u = Fraction(1, 2 ** (n.bit_length() - 1))
    step = u * Fraction(n, steps)
    high = float(step)
    return (
        step,
        high,
        float(step - Fraction(high)),
        float(u**2 * (n**2 + Fraction(1, 4))),
        float(u**2),
    )
