"""What a function has between points: poles, and peaks narrower than the points' distance.

No sum over points can know of them. A formula's constants, the bounds and the largest value seen
tell where to look.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpipar.core.reduction import Array
from mpipar.inputs.common import Function
from mpipar.inputs.constants import constants_of

_MOST_PLACES = 400
_AROUND = np.array([-3.0, -2.0, -1.5, -1.0, 1.0, 1.5, 2.0, 3.0])
"""Where points are around a place, in their distances."""
_NEARER = 0.5 * 10.0 ** -np.arange(1.0, 14.0)
_WITHIN = np.geomspace(1e-14, 1.0, 257)  # where the width of a peak is told
_ENOUGH = 10  # random points on a peak: without any is less than one run in 10,000
_GENERIC = 0.6180339887498949  # where in the bounds of other variables
_POLE = 0.9  # the exponent from which a function grows about as fast as 1/x
_MOST_ZOOMS = 60
_SCANNED = 512
_UNEVEN = 0.58  # the exponent from which samples have no variance; at 0.5, errors still hold
_FAR = np.linspace(0.017, 0.983, 24)  # in the bounds, where a function's size is told
_BEYOND = 10.0  # of the differences of what is seen
_NOTICED = 1e-9  # of the function's size
_SETTLED = 0.01  # how much the last two values of a peak may differ


def near_constants(
    f: Function,
    over: Sequence[float],
    step: float,
    step_of_corners: float,
    random_points: int | None = None,
) -> str:
    """Return what a function has near its constants and bounds that points don't see, or nothing.

    Parameters
    ----------
    f : callable
    over : sequence of float
        Lower and upper bound of each variable.
    step : float
        The distance of points along one axis, as a part of the bounds.
    step_of_corners : float
        The same, where points have to be near in all variables.
    random_points : int, optional
        The number of points, if they are random: what adds less than their standard error needn't
        be seen.
    """
    constants = list(constants_of(f))
    found = _Search(f, over, step, random_points).along_axes(constants)
    if not found and len(over) > 2:
        found = _Search(f, over, step_of_corners, random_points).at_corners(constants)
    return found


def at_peak(
    f: Function,
    over: Sequence[float],
    place: Sequence[float],
    step: float,
) -> tuple[float | None, str]:
    """Return how |f| grows near its largest value on a grid, and what no point has seen there.

    The growth is the exponent of the distance, if it is clearly larger there.

    Parameters
    ----------
    f : callable
    over : sequence of float
        Lower and upper bound of each variable.
    place : sequence of float
        Where |f| is largest on the grid.
    step : float
        The distance of points, as a part of the bounds.
    """
    search = _Search(f, over, step)
    start = np.asarray(place, dtype=float)
    first = search.magnitude(start[:, None])[0]
    best, where = search.climbed(start, first)
    if not best > 1.3 * first:
        return None, ""
    return search.growth(where), search.at(where, search.axes)


def without_variance(f: Function, over: Sequence[float]) -> str:
    """Return where random samples of a function have no variance, hence no error, or nothing.

    It is looked for along a line for each variable, which what grows on a point alone isn't on.

    Parameters
    ----------
    f : callable
    over : sequence of float
        Lower and upper bound of each variable.
    """
    anywhere = _Search(f, over, 1.0).anywhere()
    for axis in range(len(anywhere)):
        line = functools.partial(_on_line, f, anywhere, axis)
        search = _Search(line, over[2 * axis : 2 * axis + 2], 1 / _SCANNED)
        place = search.highest()
        if place is None:
            continue
        growth = search.growth(place)
        if growth >= _UNEVEN:
            return f"it grows about as x**-{growth:.2g} near {place[0]:.9g}"
    return ""


def _on_line(f: Function, place: Array, axis: int, x: Array) -> Any:
    """Return the values of a function at x on the axis, with the other variables of a place."""
    variables: list[Any] = [np.full_like(x, value) for value in place]
    variables[axis] = x
    return f(*variables)


class _Search:
    """Looks for what points in the bounds of a function don't see.

    Attributes
    ----------
    f : callable
    low, high : array of shape (variables, 1)
        The bounds.
    widths : array of shape (variables,)
        The distance of points along each axis.
    axes : list of int
    """

    def __init__(
        self,
        f: Function,
        over: Sequence[float],
        step: float,
        random_points: int | None = None,
    ) -> None:
        bounds = np.asarray(over, dtype=float).reshape(-1, 2)
        low, high = bounds.T
        self.f = f
        self.low = low[:, None]
        self.high = high[:, None]
        self.step = step
        self.random_points = random_points
        self.widths = step * (high - low)
        self.axes = list(range(len(bounds)))

    def along_axes(self, constants: list[float]) -> str:
        """Look where one variable has a special value, and the others have any."""
        for axis in self.axes:
            for place in self._within(constants, axis):
                where = self.anywhere()
                where[axis] = place
                found = self.at(where, [axis])
                if found:
                    return found
        return ""

    def anywhere(self) -> Array:
        """Return a place that is special for no variable."""
        place = self.low + _GENERIC * (self.high - self.low)
        return np.asarray(place[:, 0])

    def at_corners(self, constants: list[float]) -> str:
        """Look where all variables have special values."""
        dimensions = len(self.axes)
        most = max(2, int(_MOST_PLACES ** (1 / dimensions)))
        special = [self._within(constants, axis)[:most] for axis in self.axes]
        corners = itertools.product(*special)
        for corner in itertools.islice(corners, 2 * _MOST_PLACES):
            where = np.array(corner)
            found = self.at(where, self.axes)
            # Not the border of something that the diagonal alone touches.
            if not found:
                continue
            if all(self.at(where, [axis], dimensions) for axis in self.axes):
                return found
        return ""

    def _within(self, constants: list[float], axis: int) -> list[float]:
        """Return the bounds of a variable, and the constants between them."""
        low = self.low[axis, 0]
        high = self.high[axis, 0]
        inside = [low, high]
        inside += [constant for constant in constants if low < constant < high]
        return list(dict.fromkeys(inside))[:_MOST_PLACES]

    def climbed(self, where: Array, best: float) -> tuple[float, Array]:
        """Return how large |f| is, and where, as one looks nearer and nearer from a place."""
        radius = self.step * (self.high - self.low)
        least = 4.0 * np.spacing(np.abs(where))[:, None]
        directions = _directions(len(self.axes))
        for _ in range(_MOST_ZOOMS):
            near = where[:, None] + radius * directions
            near = np.clip(near, self.low, self.high)
            heights = self.magnitude(near)
            highest = np.nanmax(heights, initial=0.0)
            if highest > best:
                best = highest
                where = near[:, np.nanargmax(heights)]
            radius = radius / 4.0
            if np.all(radius < least):
                break
        return best, where

    def highest(self) -> Array | None:
        """Return where |f| is largest by far, or None; of one variable."""
        random = np.random.default_rng(0)
        places = self.low + (self.high - self.low) * random.random((1, _SCANNED))
        heights = self.magnitude(places)
        if np.isnan(heights).all():
            return None
        first = np.nanargmax(heights)
        best, where = self.climbed(places[:, first], heights[first])
        return where if best > 1.3 * heights[first] else None

    def growth(self, where: Array) -> float:
        """Return the exponent by which |f| grows towards a place along the axes."""
        growth = 0.0
        for axis in self.axes:
            view = _View(self, where, [axis])
            for distances in (view.nearer, -view.nearer):
                heights = np.abs(_finite(view.values(distances)))
                heights = heights[heights > 0]
                if len(heights) > 1:
                    decades = float(np.log10(heights[-1] / heights[0]))
                    growth = max(growth, decades / (len(heights) - 1))
        return growth

    def at(
        self,
        where: Array,
        axes: list[int],
        power: int | None = None,
    ) -> str:
        """Return what a function has at a place, seen from points along some axes.

        A pole is 1/r to a power, by default the number of axes.
        """
        power = power or len(axes)
        view = _View(self, where, axes)
        seen = _finite(view.values(_AROUND))
        if len(seen) < 3:
            return ""
        highest = np.abs(seen).max()
        scale = max(highest, self._size())
        place = ", ".join(f"{x:.9g}" for x in where[axes])
        for side in (1.0, -1.0):
            hidden = _finite(view.values(side * view.nearer))
            if len(hidden) < 4:
                continue
            if _is_pole(hidden, power):
                form = "1/x" if power == 1 else f"1/r**{power}"
                growth = f"as fast as {form} near {place}"
                return f"it grows about {growth}, as what has no integral does"
            if _is_peak(hidden, seen, scale) and self._matters(view, side, hidden[-1], seen):
                sides = self.high[axes] - self.low[axes]
                distance = self.step * sides.max()
                width = f"narrower than {distance:.1g}, the distance of points"
                return f"it has a peak near {place} that is {width}"
        return ""

    def _matters(self, view: _View, side: float, height: float, seen: Array) -> bool:
        """Return whether few random points are on a peak that adds more to the mean than the
        standard error.
        """
        if self.random_points is None:
            return True
        usual = np.median(seen)
        values = view.values(side * _WITHIN)
        is_peak = np.abs(values - height) < np.abs(values - usual)
        width = self.step * _WITHIN[is_peak].max(initial=0.0)
        share = width ** len(view.axes)
        is_seen = share * self.random_points >= _ENOUGH
        return bool(not is_seen and share * abs(height - usual) > self.standard_error)

    @functools.cached_property
    def standard_error(self) -> float:
        """The standard error of the mean of so many random points, without what hides."""
        assert self.random_points is not None
        random = np.random.default_rng(0)
        places = self.low + (self.high - self.low) * random.random((len(self.low), _SCANNED))
        values = _finite(self.values(places))
        return float(np.std(values) / np.sqrt(self.random_points)) if len(values) else 0.0

    def _size(self) -> float:
        """Return the largest of some values from all over the bounds, without their signs."""
        far = self.low + (self.high - self.low) * _FAR
        values = _finite(self.values(far))
        return float(np.abs(values).max(initial=0.0))

    def values(self, x: Array) -> Array:
        """Return the values at places, nan where they can't be had."""
        count = x.shape[1]
        try:
            with np.errstate(all="ignore"):
                values = np.asarray(self.f(*x), dtype=float)
            return np.broadcast_to(values, (count,))
        except Exception:  # the run will tell of what fails at its points
            return np.full(count, np.nan)

    def magnitude(self, x: Array) -> Array:
        """Return |f| at places, nan where it isn't finite."""
        values = np.abs(self.values(x))
        return np.where(np.isfinite(values), values, np.nan)


class _View:
    """A function along a line through a place: ``values(distances)``, and how near one can look."""

    def __init__(
        self,
        search: _Search,
        where: Array,
        axes: list[int],
    ) -> None:
        self.search = search
        self.where = where
        self.axes = axes
        self.direction = np.zeros(len(where))
        self.direction[axes] = search.widths[axes]
        # So that at least some digits of the distance are right.
        rounding = np.spacing(np.abs(where[axes]))
        least = 1e3 * max(rounding / np.abs(self.direction[axes]))
        self.nearer = _NEARER[least < _NEARER]

    def values(self, distances: Array) -> Array:
        """Return the values at distances, in those of points; nan out of bounds."""
        low = self.search.low
        high = self.search.high
        away = self.direction[:, None] * distances
        places = self.where[:, None] + away
        is_within = (places >= low) & (places <= high)
        values = self.search.values(np.clip(places, low, high))
        are_within = np.all(is_within, axis=0)
        return np.where(are_within, values, np.nan)


def _directions(dimensions: int) -> Array:
    """Return places in a cube of half width 1: anywhere, and on its axes."""
    line = np.linspace(-1.0, 1.0, 21)
    if dimensions == 1:
        return line[None, :]
    random = np.random.default_rng(0)
    anywhere = random.uniform(-1.0, 1.0, (dimensions, 100))
    on_axes = [np.outer(axis, line) for axis in np.eye(dimensions)]
    return np.concatenate([anywhere, *on_axes], axis=1)


def _is_pole(hidden: Array, power: int) -> bool:
    """Return whether values, each a tenth as far from a place as the last, grow as 1/r**power."""
    heights = np.abs(hidden[-4:])
    if not heights.min() > 0:
        return False
    growth = np.diff(np.log10(heights))
    return bool(np.all(growth >= _POLE * power))


def _is_peak(hidden: Array, seen: Array, scale: float) -> bool:
    """Return whether values near a place settle far beyond those that points see around it."""
    smallest = seen.min()
    largest = seen.max()
    beyond = np.maximum(smallest - hidden, hidden - largest)
    last = beyond[-1]
    is_settled = abs(last - beyond[-2]) <= _SETTLED * abs(last)
    noticed = _BEYOND * (largest - smallest) + _NOTICED * scale
    return bool(is_settled and last > noticed)


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]
