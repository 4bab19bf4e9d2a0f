"""The midpoint rule for a formula that is compiled with it: :func:`mpipar.core.midpoint.evaluate`
in loops.

The values of the block are put into an array, those beside it too where there is one axis; sums,
second differences and pairs are taken from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FunctionType
from typing import Any

import numpy as np

from mpipar.core.block import Block
from mpipar.core.midpoint import NAMES, PEAKS, STEPS, grid
from mpipar.core.partials import Array
from mpipar.kernels.formula import formula_of
from mpipar.kernels.formula_loops import TILE, evaluate, evaluation_of
from mpipar.kernels.trees import with_functions

HALO = max(STEPS)
FINE = 0
COARSE = 1
COARSEST = 2
SIZE = 3
BENDS = 4
PAIRS = 7
OVER = 8
APART = 9
HIGH = 0
WHERE = 1
LOW = 2
BEND = 3
APART_MOST = 4
N_SUMS = len(NAMES)
N_PEAKS = len(PEAKS)


def of_formula(f: str, variables: Sequence[str]) -> FunctionType:
    """Return the loops for a formula. Raises BadInput if it can't be compiled."""
    evaluation = evaluation_of(formula_of(f, variables))
    functions: dict[str, Any] = {"evaluate": evaluation}
    for function in (put_values, put_pairs, put_neighbours, add_pairs):
        functions[function.__name__] = with_functions(function, **functions)
    return with_functions(midpoints, **functions)


def midpoints(
    block: Block,
    *,
    over: Array,
    samples: int,
) -> tuple[Array, Array]:
    """Return NAMES and PEAKS of the cells of a block, on the grid for so many points."""
    dimensions = len(over) // 2
    m, every = grid_of(samples, dimensions)
    halo = HALO if dimensions == 1 else 0
    first = max(0, block.start - halo)
    last = min(m**dimensions, block.stop + halo)
    around = np.empty(last - first)
    columns = np.empty((dimensions, TILE))
    for start in range(first, last, TILE):
        count = min(TILE, last - start)
        for i in range(count):
            rest = start + i
            for axis in range(dimensions - 1, 0, -1):
                columns[axis, i] = rest % m + 0.5
                rest //= m
            columns[0, i] = rest + 0.5
        put_values(columns, count, over, m, around, start - first)
    sums = np.zeros(N_SUMS)
    peaks = np.zeros(N_PEAKS)
    y = around[block.start - first : block.stop - first]
    add_values(y, block.start, dimensions, m, sums, peaks)
    if dimensions == 1:
        peaks[BEND] = 0.0
        for k, step in enumerate(STEPS):
            largest = add_bends(around, first, block, m, step, sums, BENDS + k)
            if k == 0:
                peaks[BEND] = largest
    add_pairs(y, block, over, m, every, sums, peaks)
    return sums, peaks


def grid_of(samples: int, dimensions: int) -> tuple[int, int]:
    """Return how many points an axis has, and of how many cells one has a pair."""
    found = grid(samples, dimensions)
    assert found is not None, "checked before"
    return found.m, found.every


def put_values(
    places: Array,
    count: int,
    over: Array,
    m: int,
    out: Array,
    first: int,
) -> None:
    """Put the values at places, in units of the grid's step, into ``out``; changes the places."""
    for axis in range(places.shape[0]):
        low = over[2 * axis]
        width = over[2 * axis + 1] - low
        for i in range(count):
            places[axis, i] = low + width * (places[axis, i] / m)
    evaluate(places, count, out, first)


def add_values(
    y: Array,
    start: int,
    dimensions: int,
    m: int,
    sums: Array,
    peaks: Array,
) -> None:
    """Add the values of a block on each grid, and note the largest."""
    fine = np.zeros(TILE)
    size = np.zeros(TILE)
    high = np.full(TILE, -np.inf)
    low = np.full(TILE, -np.inf)
    for first in range(0, y.size, TILE):
        for i in range(min(TILE, y.size - first)):
            value = y[first + i]
            fine[i] += value
            size[i] += abs(value)
            high[i] = max(high[i], value)
            low[i] = max(low[i], -value)
    sums[FINE] = fine.sum()
    sums[SIZE] = size.sum()
    if dimensions == 1:
        for place in range(TILE):
            if (start + place) % 3 == 1:
                sums[COARSE] += fine[place]
            if (start + place) % 9 == 4:
                sums[COARSEST] += fine[place]
    else:
        add_coarse(y, start, dimensions, m, sums)
    peaks[HIGH] = high.max()
    peaks[LOW] = low.max()
    peaks[WHERE] = start + place_of(y, max(peaks[HIGH], peaks[LOW]))


def place_of(y: Array, largest: float) -> int:
    """Return the first place of an absolute value; 0 if there is none."""
    for i in range(y.size):
        if abs(y[i]) == largest:
            return i
    return 0


def add_coarse(
    y: Array,
    start: int,
    dimensions: int,
    m: int,
    sums: Array,
) -> None:
    """Add the values on coarser grids, of several axes."""
    for i in range(y.size):
        if (start + i) % 3 != 1:  # the last axis goes fastest, and m is a multiple of 9
            continue
        rest = start + i
        is_coarse = True
        is_coarsest = True
        for _ in range(dimensions):
            index = rest % m
            rest //= m
            is_coarse &= index % 3 == 1
            is_coarsest &= index % 9 == 4
        if is_coarse:
            sums[COARSE] += y[i]
        if is_coarsest:
            sums[COARSEST] += y[i]


def add_bends(
    around: Array,
    first: int,
    block: Block,
    m: int,
    step: int,
    sums: Array,
    name: int,
) -> float:
    """Add |second differences| of one grid at its points with neighbours; return the largest."""
    begin = max(block.start, step)
    begin += (step // 2 - begin) % step
    end = min(block.stop, m - step)
    bends = np.zeros(TILE)
    largest = np.zeros(TILE)
    count = max(0, -(-(end - begin) // step))
    for start in range(0, count, TILE):
        for i in range(min(TILE, count - start)):
            middle = begin - first + (start + i) * step
            left = around[middle - step] - around[middle]
            right = around[middle + step] - around[middle]
            bend = abs(left + right)
            bends[i] += bend
            largest[i] = max(largest[i], bend)
    sums[name] = bends.sum()
    return float(largest.max())


def add_pairs(
    y: Array,
    block: Block,
    over: Array,
    m: int,
    every: int,
    sums: Array,
    peaks: Array,
) -> None:
    """Add what pairs of points have over the midpoint of one of ``every`` cells, and on several
    axes the second differences along one of them.
    """
    dimensions = len(over) // 2
    chosen = chosen_cells(block, every)
    centre = np.empty((dimensions, TILE))
    values = np.empty((4, TILE))
    for first in range(0, chosen.size, TILE):
        cells = chosen[first : first + TILE]
        put_centres(cells, m, centre)
        put_pairs(cells, centre, over, m, values)
        for i in range(cells.size):
            middle = y[cells[i] - block.start]
            mean = ((values[0, i] - middle) + (values[1, i] - middle)) / 2.0
            sums[OVER] += mean
            sums[APART] += abs(mean)
            peaks[APART_MOST] = max(peaks[APART_MOST], abs(mean))
        sums[PAIRS] += cells.size
        if dimensions == 1:
            continue
        is_inside = put_neighbours(cells, centre, over, m, values)
        for i in range(cells.size):
            if is_inside[i]:
                middle = y[cells[i] - block.start]
                bend = abs((values[2, i] - middle) + (values[3, i] - middle))
                sums[BENDS] += bend
                peaks[BEND] = max(peaks[BEND], bend)


def chosen_cells(block: Block, every: int) -> Array:
    """Return one of ``every`` cells, any: those of them that are in a block."""
    chosen = np.empty(block.size // every + 2, np.int64)
    count = 0
    for group in range(block.start // every, (block.stop - 1) // every + 1):
        item = group * every + int(mixed(group, 0) % np.uint64(every))
        if block.start <= item < block.stop:
            chosen[count] = item
            count += 1
    return chosen[:count]


def put_centres(cells: Array, m: int, centre: Array) -> None:
    """Put the midpoints of cells, in units of the grid's step."""
    dimensions = centre.shape[0]
    for i in range(cells.size):
        rest = cells[i]
        for axis in range(dimensions - 1, 0, -1):
            centre[axis, i] = rest % m + 0.5
            rest //= m
        centre[0, i] = rest + 0.5


def put_pairs(
    cells: Array,
    centre: Array,
    over: Array,
    m: int,
    values: Array,
) -> None:
    """Put the values at two points around each midpoint."""
    dimensions = centre.shape[0]
    right = np.empty((dimensions, TILE))
    left = np.empty((dimensions, TILE))
    for axis in range(dimensions):
        for i in range(cells.size):
            offset = mixed(cells[i], axis + 1) * 2.0**-32 - 0.5
            right[axis, i] = centre[axis, i] + offset
            left[axis, i] = centre[axis, i] - offset
    put_values(right, cells.size, over, m, values[0], 0)
    put_values(left, cells.size, over, m, values[1], 0)


def put_neighbours(
    cells: Array,
    centre: Array,
    over: Array,
    m: int,
    values: Array,
) -> Array:
    """Put the values at the neighbours of each midpoint along an axis, any; return whether both are
    in the box.
    """
    dimensions = centre.shape[0]
    above = centre.copy()
    below = centre.copy()
    is_inside = np.zeros(TILE, np.bool_)
    for i in range(cells.size):
        axis = int(mixed(cells[i], dimensions + 1) % np.uint64(dimensions))
        above[axis, i] = min(centre[axis, i] + 1.0, m - 0.5)
        below[axis, i] = max(centre[axis, i] - 1.0, 0.5)
        is_inside[i] = above[axis, i] - below[axis, i] == 2.0
    put_values(above, cells.size, over, m, values[2], 0)
    put_values(below, cells.size, over, m, values[3], 0)
    return is_inside


def mixed(number: int, salt: int) -> np.uint64:
    """Return a whole number below 2³², as :func:`mpipar.core.midpoint._mixed` does."""
    low = np.uint64(2**32 - 1)
    half = np.uint64(16)
    mixed = np.uint64(number + salt * 0x9E3779B9 + 1) & low
    mixed ^= mixed >> half
    mixed = mixed * np.uint64(0x7FEB352D) & low
    mixed ^= mixed >> half
    mixed = mixed * np.uint64(0x846CA68B) & low
    return mixed ^ (mixed >> half)
