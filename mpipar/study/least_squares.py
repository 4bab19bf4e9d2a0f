"""Least squares with bounds, and confidence intervals of what they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Residuals: TypeAlias = Callable[[Doubles], Doubles]
"""What is left between points and a law with these values."""

_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)
"""By degrees of freedom from 1 on: 95 % of Student's distribution is within plus or minus this."""
_STEPS = 200  # of the search for the least squares


def least_squares(
    residuals: Residuals,
    start: Doubles,
    upper: float,
) -> tuple[Doubles, list[bool]]:
    """Return the values in [0, upper] with the least squares, and which of them are at no bound.

    Levenberg's and Marquardt's damped steps; values at a bound that the squares press against are
    held there.
    """
    values = start
    damping = 1e-3
    rest = residuals(values)
    free = np.ones(len(values), bool)
    for _ in range(_STEPS):
        slopes = _slopes(residuals, values)
        gradient = slopes.T @ rest
        held_below = (values <= 0) & (gradient > 0)
        held_above = (values >= upper) & (gradient < 0)
        free = ~(held_below | held_above)
        if not free.any():
            break
        step = np.zeros(len(values))
        step[free] = _damped_step(slopes[:, free], gradient[free], damping)
        tried = np.clip(values + step, 0.0, upper)
        new = residuals(tried)
        if new @ new <= rest @ rest:
            moved = np.abs(tried - values).max()
            values = tried
            rest = new
            damping = damping / 10
            if moved <= 1e-13 * (np.abs(values).max() + 1e-6):
                break
        else:
            damping *= 10
            if damping > 1e12:
                break
    return values, free.tolist()


def _damped_step(slopes: Doubles, gradient: Doubles, damping: float) -> Doubles:
    squares = slopes.T @ slopes
    scale = np.maximum(np.diag(squares), 1e-300)
    damped = squares + damping * np.diag(scale)
    step, *_ = np.linalg.lstsq(damped, -gradient, rcond=None)
    return np.asarray(step)


def _slopes(residuals: Residuals, values: Doubles) -> Doubles:
    columns = []
    for index in range(len(values)):
        change = np.zeros(len(values))
        distance = 1e-6 * max(abs(float(values[index])), 1e-3)
        change[index] = distance
        difference = residuals(values + change) - residuals(values - change)
        columns.append(difference / (2 * distance))
    return np.stack(columns, axis=1)


def half_widths(
    residuals: Residuals,
    values: Doubles,
    free: list[bool],
) -> list[float | None]:
    """Return half the width of the 95 % confidence interval of each value."""
    slopes = _slopes(residuals, values)[:, free]
    rest = residuals(values)
    widths: list[float | None] = [None] * len(values)
    freedom = len(rest) - sum(free)
    if freedom < 1 or not any(free):
        return widths
    inverse = np.linalg.pinv(slopes.T @ slopes)
    covariance = inverse * float(rest @ rest) / freedom
    variances = np.maximum(np.diag(covariance), 0.0)
    half = _student(freedom) * np.sqrt(variances)
    for place, width in zip(np.flatnonzero(free), half, strict=True):
        widths[place] = float(width)
    return widths


def _student(freedom: int) -> float:
    """Return half the width, in standard errors, of a 95 % interval with so many degrees of
    freedom.
    """
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    return 1.96 + 2.5 / freedom
