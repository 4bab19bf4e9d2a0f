"""What a function has between points that are looked at: poles, and peaks narrower than their
distance.

No sum over points can know of them. A formula's constants, the bounds and the largest value seen
tell where to look.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType
from typing import Any

import numpy as np

from mpipar.core.reduction import Array
from mpipar.inputs.expression import Expression

_MOST_CONSTANTS = 40
_MOST_PLACES = 400
_AROUND = np.array(
    [-3.0, -2.0, -1.5, -1.0, 1.0, 1.5, 2.0, 3.0]
)  # where points are, in their distances
_NEARER = 0.5 * 10.0 ** -np.arange(1.0, 14.0)
_GENERIC = 0.6180339887498949  # where in the bounds of other variables
_POLE = 0.9  # the exponent from which a function grows about as fast as 1/x
_MOST_ZOOMS = 60
_FAR = np.linspace(0.017, 0.983, 24)  # in the bounds, where a function's size is told
_BEYOND = 10.0  # of the differences of what is seen
_NOTICED = 1e-9  # of the function's size
_SETTLED = 0.01  # how much the last two values of a peak may differ


def near_constants(f: Callable[..., Any], over: Sequence[float], step: float) -> str:
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
    bounds = np.reshape(np.asarray(over, dtype=float), (-1, 2))
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
    f: Callable[..., Any], over: Sequence[float], place: Sequence[float], step: float
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
    bounds = np.reshape(np.asarray(over, dtype=float), (-1, 2))
    low, high, where = bounds[:, :1], bounds[:, 1:], np.asarray(place, dtype=float)
    first = best = _magnitude(f, where[:, None])[0]
    radius, least = step * (high - low), 4.0 * np.spacing(np.abs(where))[:, None]
    for _ in range(_MOST_ZOOMS):
        near = np.clip(where[:, None] + radius * _directions(len(bounds)), low, high)
        heights = _magnitude(f, near)
        if np.nanmax(heights, initial=0.0) > best:
            best, where = np.nanmax(heights), near[:, np.nanargmax(heights)]
        radius = radius / 4.0
        if np.all(radius < least):
            break
    if not best > 1.3 * first:
        return None, ""
    axes = list(range(len(bounds)))
    return _growth(f, bounds, where, step), _at(f, bounds, axes, where, step)


def _growth(f: Callable[..., Any], bounds: Array, where: Array, step: float) -> float:
    """Return the exponent by which |f| grows towards a place along the axes."""
    growth = 0.0
    for axis in range(len(bounds)):
        view = _View(f, bounds, [axis], where, step)
        for sign in (1.0, -1.0):
            heights = np.abs(view.values(sign * view.nearer))
            heights = heights[np.isfinite(heights) & (heights > 0)]
            if len(heights) > 1:
                growth = max(growth, float(np.log10(heights[-1] / heights[0])) / (len(heights) - 1))
    return growth


def _directions(dimensions: int) -> Array:
    """Return places in a cube of half width 1, more of them near its centre, and those on its
    axes.
    """
    line = np.linspace(-1.0, 1.0, 21)
    if dimensions == 1:
        return line[None, :]
    anywhere = np.random.default_rng(0).uniform(-1.0, 1.0, (dimensions, 100))
    axes = np.concatenate([np.outer(axis, line) for axis in np.eye(dimensions)], axis=1)
    return np.concatenate([anywhere, axes], axis=1)


def constants_of(f: Callable[..., Any]) -> Iterator[float]:
    """Yield numbers that a function's special places may be made of, each once."""
    own = list(dict.fromkeys(x for x in _numbers_of(f) if math.isfinite(x)))[:_MOST_CONSTANTS]
    seen: set[float] = set()
    for number in (*own, *_made_of(own)):
        for signed in (number, -number):
            if signed not in seen:
                seen.add(signed)
                yield signed


def _made_of(own: list[float]) -> Iterator[float]:
    """Yield roots of linear and quadratic terms with these coefficients."""
    yield from (0.0, 1.0)
    yield from (math.sqrt(abs(x)) for x in own)
    yield from (one / other for one in own for other in own if other)
    yield from (
        one * math.pi / other for one in (*own[:8], 1.0) for other in (*own[:8], 1.0, 2.0) if other
    )


def _numbers_of(f: Callable[..., Any]) -> Iterator[float]:
    if isinstance(f, Expression):
        yield from _numbers_in(f)
        return
    codes = [getattr(f, "__code__", None)]
    while codes:
        code = codes.pop()
        if isinstance(code, CodeType):
            codes += [one for one in code.co_consts if isinstance(one, CodeType)]
            yield from (
                float(one)
                for one in code.co_consts
                if isinstance(one, (int, float)) and abs(one) < 1e300
            )


def _numbers_in(f: Expression) -> Iterator[float]:
    """Yield the values of all parts of a formula that have no variable."""
    for node in ast.walk(ast.parse(f.text, mode="eval").body):
        names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        if not isinstance(node, ast.expr) or names & {*f.variables}:
            continue
        try:
            value = np.asarray(Expression(ast.unparse(node), ())())
        except Exception:  # a name alone, of a function perhaps
            continue
        if value.ndim == 0 and value.dtype.kind in "iuf":
            yield float(value)


def _within(constants: Iterable[float], low: float, high: float) -> list[float]:
    inside = [low, high, *(x for x in constants if low < x < high)]
    return list(dict.fromkeys(inside))[:_MOST_PLACES]


def _others(bounds: Array, axis: int, place: float) -> Array:
    """Return a place on one axis, and any on the others."""
    where = bounds[:, 0] + _GENERIC * (bounds[:, 1] - bounds[:, 0])
    where[axis] = place
    return where


def _at_corners(f: Callable[..., Any], bounds: Array, constants: list[float], step: float) -> str:
    """Look where all variables have special values."""
    most = max(2, int(_MOST_PLACES ** (1 / len(bounds))))
    axes = [_within(constants, low, high)[:most] for low, high in bounds]
    places = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)[
        : 2 * _MOST_PLACES
    ]
    every_axis = list(range(len(bounds)))
    for where in places:
        found = _at(f, bounds, every_axis, where, step)
        # Not the border of something that the diagonal alone touches.
        if found and all(_at(f, bounds, [axis], where, step, len(bounds)) for axis in every_axis):
            return found
    return ""


class _View:
    """A function along a line through a place: ``values(distances)``, and how near one can look."""

    def __init__(
        self, f: Callable[..., Any], bounds: Array, axes: list[int], where: Array, step: float
    ) -> None:
        self.f, self.bounds, self.where = f, bounds, where
        self.direction = np.zeros(len(bounds))
        self.direction[axes] = step * (bounds[axes, 1] - bounds[axes, 0])
        # So that at least some digits of the distance are right.
        least = 1e3 * max(np.spacing(np.abs(where[axes])) / np.abs(self.direction[axes]))
        self.nearer = _NEARER[least < _NEARER]

    def values(self, distances: Array) -> Array:
        """Return the values at distances, in those of points; nan out of bounds."""
        places = self.where[:, None] + self.direction[:, None] * distances
        low, high = self.bounds[:, :1], self.bounds[:, 1:]
        is_inside = np.all((places >= low) & (places <= high), axis=0)
        return np.where(is_inside, _values(self.f, np.clip(places, low, high)), np.nan)


def _at(
    f: Callable[..., Any],
    bounds: Array,
    axes: list[int],
    where: Array,
    step: float,
    power: int | None = None,
) -> str:
    """Return what a function has at a place, seen from points along some axes; a pole is 1/r to a
    power.
    """
    power = power or len(axes)
    view = _View(f, bounds, axes, where, step)
    seen = view.values(_AROUND)
    seen = seen[np.isfinite(seen)]
    if len(seen) < 3:
        return ""
    smallest, largest = seen.min(), seen.max()
    far = _values(f, bounds[:, :1] + (bounds[:, 1:] - bounds[:, :1]) * _FAR)
    scale = max(abs(smallest), abs(largest), np.abs(far[np.isfinite(far)]).max(initial=0.0))
    place = ", ".join(f"{x:.9g}" for x in where[axes])
    for sign in (1.0, -1.0):
        hidden = view.values(sign * view.nearer)
        hidden = hidden[np.isfinite(hidden)]
        if len(hidden) < 4:
            continue
        heights = np.abs(hidden[-4:])
        if heights.min() > 0 and np.all(np.diff(np.log10(heights)) >= _POLE * power):
            form = "1/x" if power == 1 else f"1/r**{power}"
            return f"it grows about as fast as {form} near {place}, as what has no integral does"
        beyond = np.maximum(smallest - hidden, hidden - largest)
        is_settled = abs(beyond[-1] - beyond[-2]) <= _SETTLED * abs(beyond[-1])
        if is_settled and beyond[-1] > _BEYOND * (largest - smallest) + _NOTICED * scale:
            distance = step * np.ptp(bounds[axes], axis=1).max()
            return (
                f"it has a peak near {place} that is narrower than {distance:.1g}, the distance of"
                " points"
            )
    return ""


def _values(f: Callable[..., Any], x: Array) -> Array:
    try:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(f(*x), dtype=float), (x.shape[1],))
    except Exception:  # the run will tell of what fails at its points
        return np.full(x.shape[1], np.nan)


def _magnitude(f: Callable[..., Any], x: Array) -> Array:
    values = np.abs(_values(f, x))
    return np.where(np.isfinite(values), values, np.nan)
