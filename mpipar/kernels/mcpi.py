"""Fast forms of π by Monte Carlo: one kernel in CUDA, which returns what that of :mod:`mpipar.mcpi`
does, and a compiled loop with random numbers of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mpipar.core.plan import Block

if TYPE_CHECKING:
    import numpy.typing as npt

    Words: TypeAlias = npt.NDArray[np.uint64]
    Counts: TypeAlias = npt.NDArray[np.int64]

LANES = 16
"""Generators side by side: enough for vectors of any processor, and for the time that a step takes.
"""

_1, _2, _3, _11, _24, _40 = map(np.uint64, (1, 2, 3, 11, 24, 40))  # of 64 bits, as the words are
_B, _C, _COUNTER = LANES, 2 * LANES, 3 * LANES  # where these begin in the state
_WARM_UP = 6  # pairs of numbers that NumPy drops, too


def hits(block: Block, seeds: Words, *, samples: int) -> int:
    """Return how many points of a block are in the circle, in compiled code. Its random numbers are
    its own.

    Point i is of generator i modulo LANES, an SFC64 (Chris Doty-Humphrey) as NumPy has it, which
    draws x and then y. Its seeds are the words 3 k, 3 k + 1 and 3 k + 2 for generator k.
    """
    state = np.empty(4 * LANES, np.uint64)
    for lane in range(LANES):
        state[lane] = seeds[3 * lane]
        state[_B + lane] = seeds[3 * lane + 1]
        state[_C + lane] = seeds[3 * lane + 2]
        state[_COUNTER + lane] = _1
    found = np.zeros(LANES, np.int64)
    points(state, found, _WARM_UP)
    found[:] = 0
    points(state, found, block.size // LANES)
    total = int(found.sum())
    found[:] = 0
    points(state, found, 1)
    return total + int(found[: block.size % LANES].sum())


def points(state: Words, found: Counts, rounds: int) -> None:
    """Draw a point by each generator, some times, and add those in the circle to what it has
    found.
    """
    for _ in range(rounds):
        for lane in range(LANES):  # one array for all: a compiler sees that places don't overlap
            a = state[lane]
            b = state[_B + lane]
            c = state[_C + lane]
            counter = state[_COUNTER + lane]
            first = a + b + counter
            a = b ^ (b >> _11)
            b = c + (c << _3)
            c = ((c << _24) | (c >> _40)) + first
            second = a + b + (counter + _1)
            state[lane] = b ^ (b >> _11)
            state[_B + lane] = c + (c << _3)
            state[_C + lane] = ((c << _24) | (c >> _40)) + second
            state[_COUNTER + lane] = counter + _2
            x = (first >> _11) * 2.0**-53
            y = (second >> _11) * 2.0**-53
            found[lane] += x * x + y * y < 1.0


def fused(block: Block, rng: Any, xp: Any, *, samples: int) -> Any:
    """Return the same, to the point, by one kernel in CUDA that draws the numbers that rng
    would.
    """
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
