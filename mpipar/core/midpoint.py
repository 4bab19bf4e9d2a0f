"""The midpoint rule on a grid, with what tells its error.

Each third midpoint of an axis is the midpoint of a grid three times as coarse, and each ninth that
of one nine times as coarse. How sums differ from grid to grid tells the order, observed and not
supposed. The rest is seen between the points: second differences along an axis (:data:`BENDS`), and
pairs of points around the midpoint of each ninth cell, mirrored in it, whose mean less the value at
the midpoint is on average the error (:data:`PAIRS`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Function = Callable[..., Any]

STEPS = (1, 3, 9)
"""How many times coarser the grids are that are compared."""

SUMS = ("fine", "coarse", "coarsest", "size")
BENDS = ("bend1", "bend3", "bend9")
PAIRS = ("pairs", "over", "apart")
NAMES = (*SUMS, *BENDS, *PAIRS)
"""What of a block is summed: values of each grid, |values|; |second differences|; pairs, what they
are over, |that|.
"""

PEAKS = ("high", "where", "low", "bend", "apart")
"""Of what the largest is kept: the value and |value|'s place, minus the value, |second difference|,
|over|.
"""

_FEW = 9_000  # cells, below which each has a pair of points
_FEWEST = 27  # points on an axis whose differences tell an order
_EVERY = 9


class Grid(NamedTuple):
    """A grid of m midpoints on each axis of a box.

    Attributes
    ----------
    m : int
        A multiple of 9.
    every : int
        Of how many cells one has a pair of points.
    """

    m: int
    every: int


def grid(samples: int, dimensions: int) -> Grid | None:
    """Return the finest grid that takes at most so many points, with those for its error; None if
    there is none.
    """
    others = _others(dimensions)
    m = _side(samples * _EVERY // (_EVERY + others), dimensions)
    if m**dimensions >= _FEW:
        return Grid(m, _EVERY)
    m = _side(samples // (1 + others), dimensions)
    if m >= least_side(dimensions):
        return Grid(m, 1)
    return None


def _others(dimensions: int) -> int:
    """Return how many other points one of :data:`_EVERY` cells is compared with: a pair, and
    neighbours on an axis.
    """
    return 2 if dimensions == 1 else 4  # on one axis neighbours are had anyway


def least_side(dimensions: int) -> int:
    """Return how many points an axis needs."""
    return _FEWEST if dimensions == 1 else max(STEPS)


def least_samples(dimensions: int) -> int:
    """Return how many points :func:`grid` needs."""
    cells = int(least_side(dimensions) ** dimensions)
    others = _others(dimensions)
    if cells < _FEW:
        return (1 + others) * cells
    return -(-cells * (_EVERY + others) // _EVERY)


def _side(cells: int, dimensions: int) -> int:
    """Return the largest multiple of 9 whose power isn't above ``cells``."""
    m = int((cells + 0.5) ** (1 / dimensions)) // 9 * 9
    while (m + 9) ** dimensions <= cells:
        m += 9
    return m


class Box(NamedTuple):
    """Where a function is integrated: columns of lower bounds and of widths, a row for each axis,
    and the grid.
    """

    low: Any
    width: Any
    grid: Grid

    def values(self, xp: Any, function: Function, places: Any) -> Any:
        """Return the function's values at places, in units of the grid's step from the lower
        bounds.
        """
        x = self.low + self.width * (places / self.grid.m)
        variables = [x[axis, :] for axis in range(x.shape[0])]
        values = xp.asarray(function(*variables))
        if str(values.dtype).startswith("complex"):
            raise TypeError("f has complex values")
        doubles = xp.asarray(values, dtype=xp.float64)
        return xp.broadcast_to(doubles, x.shape[1:])


def evaluate(
    xp: Any,
    function: Function,
    box: Box,
    start: int,
    stop: int,
) -> tuple[Any, Any]:
    """Return :data:`NAMES` and :data:`PEAKS` of the cells ``start … stop - 1``; the last axis goes
    fastest.
    """
    dimensions = box.low.shape[0]
    m = box.grid.m
    halo = max(STEPS) if dimensions == 1 else 0  # points that belong to the blocks beside, too
    first = max(0, start - halo)
    last = min(m**dimensions, stop + halo)
    index = _indices(xp, xp.arange(first, last), m, dimensions)
    places = xp.asarray(index, dtype=xp.float64) + 0.5
    around = box.values(xp, function, places)
    y = around[start - first : stop - first]
    size = xp.abs(y)
    sums = [xp.sum(y)]
    for step in STEPS[1:]:
        is_coarse = _is_coarse(xp, index, start, step)
        sums.append(xp.sum(y[is_coarse]))
    sums.append(xp.sum(size))

    chosen = _chosen(xp, box.grid.every, start, stop)
    over = y[:0]
    bends = [y[:0]] * len(STEPS)
    if dimensions == 1:
        bends = [_bends(xp, around, first, start, stop, m, step) for step in STEPS]
    if chosen.shape[0]:
        cells = _indices(xp, chosen, m, dimensions)
        centre = xp.asarray(cells, dtype=xp.float64) + 0.5
        middle = xp.take(y, chosen - start)
        over = _pairs(xp, function, box, chosen, centre, middle)
        if dimensions > 1:
            bends[0] = _bends_anywhere(xp, function, box, chosen, centre, middle)
    apart = xp.abs(over)
    sums += [xp.sum(bend) for bend in bends]
    count = xp.sum(xp.ones_like(over))
    sums += [count, xp.sum(over), xp.sum(apart)]

    where = xp.asarray(xp.argmax(size) + start, dtype=xp.float64)
    peaks = [
        xp.max(y),
        where,
        xp.max(-y),
        _largest(xp, bends[0]),
        _largest(xp, apart),
    ]
    return xp.stack(sums), xp.stack(peaks)


def _is_coarse(xp: Any, index: Any, start: int, step: int) -> Any:
    """Return which points of a block, from ``start`` on, are on a grid so many times coarser."""
    dimensions = index.shape[0]
    if dimensions == 1:
        return slice((step // 2 - start) % step, None, step)
    return xp.all(index % step == step // 2, axis=0)


def _largest(xp: Any, values: Any) -> Any:
    return xp.max(values) if values.shape[0] else xp.sum(values)


def _chosen(xp: Any, every: int, start: int, stop: int) -> Any:
    """Return one of ``every`` cells, any: those of them that are in a block."""
    groups = xp.arange(start // every, (stop - 1) // every + 1)
    of_group = _mixed(xp, groups, 0) % xp.asarray(every, dtype=xp.uint64)
    item = groups * every + xp.asarray(of_group, dtype=groups.dtype)
    is_in_block = (item >= start) & (item < stop)
    return item[is_in_block]


def _indices(xp: Any, rest: Any, m: int, dimensions: int) -> Any:
    """Return where points are on each axis of the grid."""
    faster: list[Any] = []
    for _ in range(dimensions - 1):
        slower = rest // m
        faster.insert(0, rest - slower * m)
        rest = slower
    return xp.stack([rest, *faster])


def _bends(
    xp: Any,
    around: Any,
    first: int,
    start: int,
    stop: int,
    m: int,
    step: int,
) -> Any:
    """Return |second differences| at the points of one grid that are in a block, and have a
    neighbour on both sides.
    """
    centre = step // 2
    begin = max(start, step)
    begin += (centre - begin) % step
    end = min(stop, m - step)
    low = begin - first
    count = max(0, -(-(end - begin) // step))
    middle = around[max(0, low) :: step][:count]
    left = around[max(0, low - step) :: step][:count]
    right = around[max(0, low + step) :: step][:count]
    return xp.abs((left - middle) + (right - middle))


def _pairs(
    xp: Any,
    function: Function,
    box: Box,
    chosen: Any,
    centre: Any,
    middle: Any,
) -> Any:
    """Return what pairs of points have on average over their midpoint."""
    axes = range(centre.shape[0])
    anywhere = [_uniform(xp, chosen, axis + 1) for axis in axes]
    offset = xp.stack(anywhere) - 0.5
    right = box.values(xp, function, centre + offset)
    left = box.values(xp, function, centre - offset)
    return ((right - middle) + (left - middle)) / 2.0


def _bends_anywhere(
    xp: Any,
    function: Function,
    box: Box,
    chosen: Any,
    centre: Any,
    middle: Any,
) -> Any:
    """Return |second differences| along an axis for each cell, any, with 0 where a neighbour is out
    of the box.
    """
    dimensions = centre.shape[0]
    last = box.grid.m - 0.5
    number = _mixed(xp, chosen, dimensions + 1)
    any_axis = number % xp.asarray(dimensions, dtype=xp.uint64)
    axis = xp.asarray(any_axis, dtype=xp.int64)
    steps = [xp.asarray(axis == k, dtype=xp.float64) for k in range(dimensions)]
    along = xp.stack(steps)
    above = xp.clip(centre + along, 0.5, last)
    below = xp.clip(centre - along, 0.5, last)
    right = box.values(xp, function, above)
    left = box.values(xp, function, below)
    bends = xp.abs((right - middle) + (left - middle))
    is_inside = xp.all(above - below == 2.0 * along, axis=0)
    return xp.where(is_inside, bends, xp.zeros_like(bends))


def _mixed(xp: Any, numbers: Any, salt: int) -> Any:
    """Return a whole number below 2³² for each, as good as random, and the same on each machine."""

    def words(values: Any) -> Any:
        return xp.asarray(values, dtype=xp.uint64)

    low = words(2**32 - 1)
    half = words(16)
    mixed = (words(numbers) + words(salt * 0x9E3779B9 + 1)) & low
    for factor in (0x7FEB352D, 0x846CA68B):  # "lowbias32" of Chris Wellons
        mixed = mixed ^ (mixed >> half)
        mixed = mixed * words(factor) & low
    return mixed ^ (mixed >> half)


def _uniform(xp: Any, numbers: Any, salt: int) -> Any:
    mixed = _mixed(xp, numbers, salt)
    return xp.asarray(mixed, dtype=xp.float64) * 2.0**-32
