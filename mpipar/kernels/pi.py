"""Fast forms of π by the midpoint rule: passes over arrays in the cache, and two kernels in CUDA.

They return what the kernel of :mod:`mpipar.pi` does, but for rounding.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpipar.core.partials import Doubles
from mpipar.core.plan import Block

if TYPE_CHECKING:
    from fractions import Fraction


TILE = 512  # sums of four steps, 4 KiB
offsets = np.arange(0.0, 4.0 * TILE, 4.0)


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
    # Rows that begin with a cache line are a sixth faster to pass over.
    room = np.empty(4 * pairs + 7)
    first = -room.ctypes.data // 8 % 8
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
    total = 2.0 * float(s.sum())
    if block.size % 2:
        total += odd_one(block, steps)
    return total


def odd_one(block: Block, steps: int) -> float:
    """Return what the last step of a block of odd size adds, which has no neighbour."""
    n = radius(steps)
    y = (block.stop - 0.5) * n / steps
    return 1.0 / (n * n + y**2)


def tiles(block: Block, *, steps: int) -> float:
    """Return the same, but for rounding, in compiled code: four neighbours share one division.

    Tile by tile, the sums of four are put into a buffer in the first-level cache, each half of
    which is then added to the other, until one number is left: loops that a compiler makes vectors
    of without changing the order of a sum.
    """
    n = np.float64(np.float32(steps))  # the radius
    n2 = n * n + 0.25
    step = n / steps
    fours = np.empty(TILE)
    total = rest = 0.0
    whole = block.size // 4
    for first in range(0, whole, TILE):
        count = min(TILE, whole - first)
        left = (block.start + 4 * first + 1) * n / steps
        for i in range(count):
            # The middles of two pairs of neighbours, and of each pair 2 s / b.
            c = left + offsets[i] * step
            d = c + 2.0 * step
            c2 = c * c
            d2 = d * d
            s = n2 + c2
            t = n2 + d2
            a = s * s - c2
            b = t * t - d2
            fours[i] = (s * b + t * a) / (a * b)
        for i in range(count, TILE):
            fours[i] = 0.0
        half = TILE // 2
        while half:
            for i in range(half):
                fours[i] += fours[i + half]
            half //= 2
        # As if the sum of the tiles had twice the digits.
        tile = fours[0]
        before = total
        total += tile
        part = total - before
        rest += (before - (total - part)) + (tile - part)
    alone = 0.0
    for item in range(block.start + 4 * whole, block.stop):
        y = (item + 0.5) * step
        alone += 1.0 / (n * n + y * y)
    return 2.0 * (total + rest) + alone


def fused(block: Block, xp: Any, *, steps: int) -> Any:
    """Return the same, but for rounding, by two kernels in CUDA: the sums of tiles of steps, and
    the sum of these.
    """
    from mpipar.runtime.device import compiled

    threads = 256  # as in pi.cu
    tile = threads * 512
    source = compiled(Path(__file__).with_name("pi.cu"))
    sum_tiles = source.get_function("pi_tiles")
    sum_total = source.get_function("pi_total")
    of_all = lengths(steps)
    pairs = block.size // 2
    n_tiles = max(1, -(-pairs // tile))
    tiles = xp.empty((n_tiles,), dtype=xp.float64)
    total = xp.empty((), dtype=xp.float64)
    arguments: tuple[Any, ...] = (
        np.float64(float(block.start * of_all.step)),
        np.float64(of_all.step_high),
        np.float64(of_all.step_low),
        np.float64(of_all.n2),
        np.float64(of_all.u2),
        np.int64(pairs),
        tiles,
    )
    sum_tiles((n_tiles,), (threads,), arguments)
    alone = odd_one(block, steps) if block.size % 2 else 0.0
    arguments = (
        tiles,
        np.int64(n_tiles),
        np.float64(of_all.u2),
        np.float64(alone),
        total,
    )
    sum_total((1,), (threads,), arguments)
    return total


class Lengths(NamedTuple):
    """The lengths of pi.cu that all blocks have: a step, exactly and in two parts, n2 and u2."""

    step: Fraction
    step_high: float
    step_low: float
    n2: float
    u2: float


@functools.lru_cache(maxsize=1)
def lengths(steps: int) -> Lengths:
    """Return the lengths for so many steps."""
    from fractions import Fraction  # takes time to load, and no run on the CPU needs it

    n = int(radius(steps))
    u = Fraction(1, 2 ** (n.bit_length() - 1))
    step = u * Fraction(n, steps)
    high = float(step)
    return Lengths(
        step=step,
        step_high=high,
        step_low=float(step - Fraction(high)),
        n2=float(u**2 * (n**2 + Fraction(1, 4))),
        u2=float(u**2),
    )
