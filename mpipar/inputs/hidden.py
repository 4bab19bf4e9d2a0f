"""What a function has between points that are looked at: poles, and peaks narrower than their
distance.

No sum over points can know of them. A formula's constants, the bounds and the largest value seen
tell where to look.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from mpipar.core.reduction import Array
from mpipar.inputs.common import Function
from mpipar.inputs.constants import constants_of

_MOST_PLACES = 400
# Where points are, in their distances.
_AROUND = np.array([-3.0, -2.0, -1.5, -1.0, 1.0, 1.5, 2.0, 3.0])
_NEARER = 0.5 * 10.0 ** -np.arange(1.0, 14.0)
_GENERIC = 0.6180339887498949  # where in the bounds of other variables
_POLE = 0.9  # the exponent from which a function grows about as fast as 1/x
_MOST_ZOOMS = 60
_FAR = np.linspace(0.017, 0.983, 24)  # in the bounds, where a function's size is told
_BEYOND = 10.0  # of the differences of what is seen
_NOTICED = 1e-9  # of the function's size
_SETTLED = 0.01  # how much the last two values of a peak may differ


def near_constants(f: Function, over: Sequence[float], step: float) -> str:
    """Return what a function has near its constants and bounds that points ``step`` apart don't
    see, or nothing.

    Parameters
    ----------
    f : callable
    over : sequence of float
        Lower and upper bound of each variable.
    step : float
        The distance of points, as a part of the bounds.
    """
    bounds = _bounds_of(over)
    constants = list(constants_of(f))
    for axis, (low, high) in enumerate(bounds):
        for place in _within(constants, low, high):
            found = _at(f, bounds, [axis], _others(bounds, axis, place), step)
            if found:
                return found
    if len(bounds) > 1:
        return _at_corners(f, bounds, constants, step)
    return ""


def at_peak(
    f: Function, over: Sequence[float], place: Sequence[float], step: float
) -> tuple[float | None, str]:
    """Return how |f| grows near the place where it is largest on a grid, and what no point of it
    has seen there.

    The growth is the exponent of the distance, if it is clearly larger there.

    Parameters
    ----------
    f : callable
    over : sequence of float
        Lower and upper bound of each variable.
    place : sequence of float
    step : float
        The distance of points, as a part of the bounds.
    """
    bounds = _bounds_of(over)
    start = np.asarray(place, dtype=float)
    first = _magnitude(f, start[:, None])[0]
    best, where = _climbed(f, bounds, start, first, step)
    if not best > 1.3 * first:
        return None, ""
    axes = list(range(len(bounds)))
    unseen = _at(f, bounds, axes, where, step)
    return _growth(f, bounds, where, step), unseen


def _bounds_of(over: Sequence[float]) -> Array:
    """Return a row of two bounds for each variable."""
    bounds = np.asarray(over, dtype=float)
    return bounds.reshape(-1, 2)


def _climbed(
    f: Function, bounds: Array, where: Array, best: float, step: float
) -> tuple[float, Array]:
    """Return how large |f| is, and where, as one looks nearer and nearer from a place."""
    low = bounds[:, :1]
    high = bounds[:, 1:]
    radius = step * (high - low)
    least = 4.0 * np.spacing(np.abs(where))[:, None]
    for _ in range(_MOST_ZOOMS):
        near = where[:, None] + radius * _directions(len(bounds))
        near = np.clip(near, low, high)
        heights = _magnitude(f, near)
        highest = np.nanmax(heights, initial=0.0)
        if highest > best:
            best = highest
            where = near[:, np.nanargmax(heights)]
        radius = radius / 4.0
        if np.all(radius < least):
            break
    return best, where


def _growth(f: Function, bounds: Array, where: Array, step: float) -> float:
    """Return the exponent by which |f| grows towards a place along the axes."""
    growth = 0.0
    for axis in range(len(bounds)):
        view = _View(f, bounds, [axis], where, step)
        for sign in (1.0, -1.0):
            heights = np.abs(view.values(sign * view.nearer))
            is_of_use = np.isfinite(heights) & (heights > 0)
            heights = heights[is_of_use]
            if len(heights) > 1:
                decades = float(np.log10(heights[-1] / heights[0]))
                growth = max(growth, decades / (len(heights) - 1))
    return growth


def _directions(dimensions: int) -> Array:
    """Return places in a cube of half width 1: anywhere, and on its axes."""
    line = np.linspace(-1.0, 1.0, 21)
    if dimensions == 1:
        return line[None, :]
    random = np.random.default_rng(0)
    anywhere = random.uniform(-1.0, 1.0, (dimensions, 100))
    on_axes = [np.outer(axis, line) for axis in np.eye(dimensions)]
    return np.concatenate([anywhere, *on_axes], axis=1)


def _within(constants: Iterable[float], low: float, high: float) -> list[float]:
    inside = [low, high, *(x for x in constants if low < x < high)]
    return list(dict.fromkeys(inside))[:_MOST_PLACES]


def _others(bounds: Array, axis: int, place: float) -> Array:
    """Return a place on one axis, and any on the others."""
    low = bounds[:, 0]
    high = bounds[:, 1]
    where = low + _GENERIC * (high - low)
    where[axis] = place
    return where


def _at_corners(f: Function, bounds: Array, constants: list[float], step: float) -> str:
    """Look where all variables have special values."""
    dimensions = len(bounds)
    most = max(2, int(_MOST_PLACES ** (1 / dimensions)))
    special = [_within(constants, low, high)[:most] for low, high in bounds]
    corners = itertools.islice(itertools.product(*special), 2 * _MOST_PLACES)
    axes = list(range(dimensions))
    for corner in corners:
        where = np.array(corner)
        found = _at(f, bounds, axes, where, step)
        # Not the border of something that the diagonal alone touches.
        along_each = (_at(f, bounds, [axis], where, step, dimensions) for axis in axes)
        if found and all(along_each):
            return found
    return ""


class _View:
    """A function along a line through a place: ``values(distances)``, and how near one can look."""

    def __init__(
        self, f: Function, bounds: Array, axes: list[int], where: Array, step: float
    ) -> None:
        self.f = f
        self.low = bounds[:, :1]
        self.high = bounds[:, 1:]
        self.where = where
        self.direction = np.zeros(len(bounds))
        self.direction[axes] = step * (bounds[axes, 1] - bounds[axes, 0])
        # So that at least some digits of the distance are right.
        rounding = np.spacing(np.abs(where[axes]))
        least = 1e3 * max(rounding / np.abs(self.direction[axes]))
        self.nearer = _NEARER[least < _NEARER]

    def values(self, distances: Array) -> Array:
        """Return the values at distances, in those of points; nan out of bounds."""
        places = self.where[:, None] + self.direction[:, None] * distances
        inside = np.clip(places, self.low, self.high)
        is_inside = np.all((places >= self.low) & (places <= self.high), axis=0)
        return np.where(is_inside, _values(self.f, inside), np.nan)


def _at(
    f: Function,
    bounds: Array,
    axes: list[int],
    where: Array,
    step: float,
    power: int | None = None,
) -> str:
    """Return what a function has at a place, seen from points along some axes.

    A pole is 1/r to a power, by default the number of axes.
    """
    power = power or len(axes)
    view = _View(f, bounds, axes, where, step)
    seen = _finite(view.values(_AROUND))
    if len(seen) < 3:
        return ""
    scale = max(np.abs(seen).max(), _size(f, bounds))
    place = ", ".join(f"{x:.9g}" for x in where[axes])
    for sign in (1.0, -1.0):
        hidden = _finite(view.values(sign * view.nearer))
        if len(hidden) < 4:
            continue
        if _is_pole(hidden, power):
            form = "1/x" if power == 1 else f"1/r**{power}"
            return f"it grows about as fast as {form} near {place}, as what has no integral does"
        if _is_peak(hidden, seen, scale):
            distance = step * np.ptp(bounds[axes], axis=1).max()
            width = f"narrower than {distance:.1g}, the distance of points"
            return f"it has a peak near {place} that is {width}"
    return ""


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
    return bool(is_settled and last > _BEYOND * (largest - smallest) + _NOTICED * scale)


def _size(f: Function, bounds: Array) -> float:
    """Return the largest of some values from all over the bounds, without their signs."""
    low = bounds[:, :1]
    high = bounds[:, 1:]
    far = _finite(_values(f, low + (high - low) * _FAR))
    return float(np.abs(far).max(initial=0.0))


def _finite(values: Array) -> Array:
    return values[np.isfinite(values)]


def _values(f: Function, x: Array) -> Array:
    count = x.shape[1]
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(f(*x), dtype=float)
        return np.broadcast_to(values, (count,))
    except Exception:  # the run will tell of what fails at its points
        return np.full(count, np.nan)


def _magnitude(f: Function, x: Array) -> Array:
    values = np.abs(_values(f, x))
    return np.where(np.isfinite(values), values, np.nan)
