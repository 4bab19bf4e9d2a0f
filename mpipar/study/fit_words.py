"""Fitted laws in words."""

from __future__ import annotations

from mpipar.base.text import several
from mpipar.study.laws import Fit, FittedParameter

_MEANINGS = {
    "Amdahl": {"f": "serial fraction f"},
    "Gustafson": {"a": "serial part a"},
    "USL": {"s": "contention s", "k": "coherency k"},
}
_NAMES = {
    "Amdahl": "Amdahl's law",
    "Gustafson": "Gustafson's law",
    "USL": "universal scalability law",
}
_FARTHEST_PEAK = 1e6  # processes: one that is farther away is not worth a word
_FAR = 2  # times the largest size: that a law holds there was not measured


def about_fit(fit: Fit, largest: int) -> str:
    """Return a law's parameters, how sure they are, and what follows.

    Parameters
    ----------
    fit : Fit
    largest : int
        Processes of the largest size that was measured.
    """
    found = []
    for parameter in fit.parameters:
        found.append(f"{_MEANINGS[fit.law][parameter.name]} = {with_interval(parameter)}")
    points = several(fit.points, "point")
    return f"{_NAMES[fit.law]}: {', '.join(found)}, from {points}{_consequence(fit, largest)}"


def _consequence(fit: Fit, largest: int) -> str:
    """Return what follows from a fit, or nothing."""
    peak = fit.peak
    if peak is not None and peak < _FARTHEST_PEAK and fit.parameters[-1].is_positive:
        text = f"; fastest with about {peak:.0f} processes, at a speedup of {fit.limit:.3g}"
        if peak > _FAR * largest:
            text += f", if it holds that far beyond the {largest} that were measured"
        return text
    if fit.law == "Amdahl" and fit.limit is not None:
        return f"; no number of processes goes beyond a speedup of {fit.limit:.3g}"
    return ""


def with_interval(parameter: FittedParameter) -> str:
    """Return a value with its confidence interval."""
    value = f"{parameter.value:.3g}"
    if parameter.at_bound:
        return f"{value} (at its bound)"
    if parameter.half_width is None:
        return f"{value} (no interval: as many parameters as points)"
    return f"{value} ± {parameter.half_width:.2g}"
