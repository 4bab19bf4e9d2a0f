"""Fast forms of π by Monte Carlo: a compiled loop, and one kernel in CUDA. They return what the kernel
of :mod:`mpipar.mcpi` does, to the point.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mpipar.core.plan import Block

Words = npt.NDArray[np.uint64]

TILE = 1024  # points
_1, _3, _11, _24, _40 = map(np.uint64, (1, 3, 11, 24, 40))  # of 64 bits, as the words are


def hits(block: Block, sfc64: Words, *, samples: int) -> int:
    """Return the same, to the point, in compiled code that draws the numbers that rng would."""
    x = np.empty(block.size, np.uint64)
    y = np.empty(TILE, np.uint64)
    draw(sfc64, x)
    found = 0
    for first in range(0, block.size, TILE):
        count = min(TILE, block.size - first)
        draw(sfc64, y[:count])
        found += inside(x[first : first + count], y)
    return found


def draw(state: Words, words: Words) -> None:
    """Fill an array with the next words of a stream (SFC64 of Chris Doty-Humphrey, as NumPy has
    it).
    """
    a, b, c, counter = state
    for i in range(words.size):
        word = a + b + counter
        counter += _1
        a = b ^ (b >> _11)
        b = c + (c << _3)
        c = ((c << _24) | (c >> _40)) + word
        words[i] = word
    state[0] = a
    state[1] = b
    state[2] = c
    state[3] = counter


def inside(xs: Words, ys: Words) -> int:
    """Return how many points are in the circle."""
    found = 0
    for i in range(xs.size):
        x = (xs[i] >> _11) * 2.0**-53
        y = (ys[i] >> _11) * 2.0**-53
        if x * x + y * y < 1.0:
            found += 1
    return found


def fused(block: Block, rng: Any, xp: Any, *, samples: int) -> Any:
    """Return the same, to the point, by one kernel in CUDA that draws the numbers that rng would."""
    from mpipar.runtime.device import compiled

    threads = 256  # as in mcpi.cu
    tile = 16384
    source = Path(__file__).with_name("mcpi.cu")
    kernel = compiled(source).get_function("mcpi_hits")
    hits = xp.zeros((), dtype=xp.uint64)
    arguments = (
        *map(np.uint32, rng.words),
        np.uint64(rng.take(block.size)),
        np.uint64(block.size),
        hits,
    )
    tiles = -(-block.size // tile)
    kernel((tiles,), (threads,), arguments)
    return hits
