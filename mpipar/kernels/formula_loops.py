"""Loops over the items of a block, for a formula that is compiled with them.

The formula is :class:`~mpipar.kernels.formula.Compilable`. A tile of items at a time goes through
its fast form, in the processor's vectors; and again through that which holds anywhere, if an
operand of one of its items was far. So the value of an item depends on nothing but the item.

Sums are kept for each place of a tile, and are summed up in the end: in vectors of any width, with
the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from mpipar.core.block import Block
from mpipar.core.partials import Array
from mpipar.core.statistics import Deviations
from mpipar.kernels.formula import Compilable, formula_of
from mpipar.kernels.trees import with_functions

TILE = 504
"""Items that go through a formula at a time: columns of some variables stay in the nearest cache.
A multiple of 9, so that a place of a tile is on the same grids in all of them.
"""

dtype = np.float64
"""Type of the values, where the formula's isn't put in its place."""


def near(columns: Array, i: int) -> tuple[Any, bool]:
    """Stand for the fast form of the formula."""
    raise NotImplementedError


def anywhere(columns: Array, i: int) -> Any:
    """Stand for the form of the formula that holds anywhere."""
    raise NotImplementedError


def of_formula(
    loop: Callable[..., Any],
    f: str,
    variables: Sequence[str],
) -> FunctionType:
    """Return a loop over the items of a block, for a formula of doubles.

    Raises
    ------
    BadInput
        If it can't be compiled.
    """
    formula = formula_of(f, variables)
    return with_functions(
        loop,
        evaluate=evaluation_of(formula),
        dtype=getattr(np, np.dtype(formula.type).name.replace("bool", "bool_")),
    )


def evaluation_of(formula: Compilable) -> FunctionType:
    """Return :func:`evaluate` for a formula."""
    return with_functions(evaluate, near=formula.near, anywhere=formula.anywhere)


def evaluate(columns: Array, count: int, out: Array, first: int) -> None:
    """Put the values of the first columns into ``out``, from ``first`` on."""
    is_outside = False
    for i in range(count):
        value, outside = near(columns, i)
        out[first + i] = value
        is_outside |= outside
    if is_outside:
        for i in range(count):
            out[first + i] = anywhere(columns, i)


def roots(block: Block, *, points: int, over: Array) -> Array:
    """Return the values for a part of an even grid."""
    low = over[0]
    step = (over[1] - low) / points
    out = np.empty(block.size, dtype)
    columns = np.empty((1, TILE))
    for first in range(0, block.size, TILE):
        count = min(TILE, block.size - first)
        start = block.start + first
        for i in range(count):
            columns[0, i] = (start + i) * step + low
        evaluate(columns, count, out, first)
    return out


def samples(block: Block, rng: Any, *, over: Array) -> Deviations:
    """Return sums of the values at random points of a box."""
    dimensions = len(over) // 2
    places = rng.random((dimensions, block.size))
    values = np.empty(block.size)
    columns = np.empty((dimensions, TILE))
    for first in range(0, block.size, TILE):
        count = min(TILE, block.size - first)
        for axis in range(dimensions):
            low = over[2 * axis]
            width = over[2 * axis + 1] - low
            for i in range(count):
                columns[axis, i] = low + width * places[axis, first + i]
        evaluate(columns, count, values, first)
    return deviations(values)


LEAST_SQUARE = 1e-290


def deviations(values: Array) -> Deviations:
    """Return sums of deviations from the mean of the first values, about that of all."""
    count = min(TILE, values.size)
    centre = values[:count].sum() / count
    rest, squares, largest = summed(values, centre, 1.0)
    exponent = 0
    if squares < LEAST_SQUARE and largest > 0.0:  # squares that are no doubles
        _, exponent = math.frexp(largest)
        _, squares, _ = summed(values, centre, math.ldexp(1.0, -exponent))
    return Deviations(values.size, centre, rest, squares, exponent)


def summed(
    values: Array,
    centre: float,
    scale: float,
) -> tuple[float, float, float]:
    """Return Σ d, Σ (scale · d)² and the largest |d|."""
    rest = np.zeros(TILE)
    squares = np.zeros(TILE)
    largest = np.zeros(TILE)
    for first in range(0, values.size, TILE):
        for i in range(min(TILE, values.size - first)):
            d = values[first + i] - centre
            rest[i] += d
            scaled = d * scale
            squares[i] += scaled * scaled
            largest[i] = max(largest[i], abs(d))
    return rest.sum(), squares.sum(), largest.max()
