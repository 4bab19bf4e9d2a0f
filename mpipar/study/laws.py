"""The mathematics of scaling: speedup, efficiency, serial fraction, and fits of three laws.

In all of these, ``p`` is a number of processes, and ``baseline`` the number ``b`` that a speedup is
relative to, which need not be 1: by definition the speedup at ``b`` is ``b``. With ``b`` = 1 the
formulas are those of the papers.

================  ====================================================  ==========================================
law               speedup                                               where
================  ====================================================  ==========================================
Amdahl            (1 + f (b − 1)) / (f + (1 − f) / p)                   a problem of fixed size, serial fraction f
Gustafson         a b + (1 − a) p                                       a problem that grows with p, serial part a
USL               p (1 + s (b − 1) + k b (b − 1)) /                     fixed size, contention s, coherency k
                  (1 + s (p − 1) + k p (p − 1))
================  ====================================================  ==========================================
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mpipar.study.least_squares import Doubles, half_widths, least_squares

_RELATIVE_ERROR = 0.01  # of all speedups, where theirs aren't known: any gives the same fit


class FittedParameter(NamedTuple):
    """A parameter of a law, as fitted.

    Attributes
    ----------
    name : str
    value : float
    half_width : float or None
        Of its 95 % confidence interval; None if there are no more points than parameters, or it is
        at a bound.
    at_bound : bool
        Whether the best value within its bounds is one of these.
    """

    name: str
    value: float
    half_width: float | None
    at_bound: bool

    @property
    def is_positive(self) -> bool:
        """Whether all of its confidence interval is above 0."""
        if self.at_bound or self.half_width is None:
            return False
        return self.value > self.half_width


class Fit(NamedTuple):
    """A law fitted to speedups.

    Attributes
    ----------
    law : str
        "Amdahl", "Gustafson" or "USL".
    baseline : float
        Number of processes that speedups are relative to.
    parameters : tuple of FittedParameter
    points : int
        How many speedups it was fitted to, without that of the baseline, which is what it is by
        definition.
    """

    law: str
    baseline: float
    parameters: tuple[FittedParameter, ...]
    points: int

    def __call__(self, p: npt.ArrayLike) -> Doubles:
        """Return the speedups that the law says for numbers of processes."""
        values = np.array([parameter.value for parameter in self.parameters])
        law = _LAWS[self.law]
        return law.speedup(values, np.asarray(p, float), self.baseline)

    def value(self, name: str) -> float:
        """Return the value of a parameter."""
        return next(parameter.value for parameter in self.parameters if parameter.name == name)

    @property
    def limit(self) -> float | None:
        """The speedup that no number of processes goes beyond, or None if there is no such
        limit.
        """
        if self.law == "Amdahl" and self.value("f") > 0:
            f = self.value("f")
            return (1 + f * (self.baseline - 1)) / f
        if self.peak is not None:
            return float(self(self.peak))
        return None

    @property
    def peak(self) -> float | None:
        """The number of processes from which more are slower, or None.

        Only the USL has one, where k > 0.
        """
        if self.law != "USL":
            return None
        s = self.value("s")
        k = self.value("k")
        if k <= 0:
            return None
        return float(np.sqrt(max(1 - s, 0.0) / k))


def speedup(time: npt.ArrayLike, base_time: float, base: float = 1) -> Doubles:
    """Return the speedup of a problem of fixed size, b T(b) / T(p)."""
    seconds = np.asarray(time, float)
    return np.asarray(base * base_time / seconds)


def scaled_speedup(
    time: npt.ArrayLike,
    p: npt.ArrayLike,
    base_time: float,
) -> Doubles:
    """Return the scaled speedup of a problem that grows with p, p T(b) / T(p) (Gustafson, 1988)."""
    processes = np.asarray(p, float)
    seconds = np.asarray(time, float)
    return np.asarray(processes * base_time / seconds)


def efficiency(speedups: npt.ArrayLike, p: npt.ArrayLike) -> Doubles:
    """Return speedup / p: 1 is ideal."""
    processes = np.asarray(p, float)
    return np.asarray(np.asarray(speedups, float) / processes)


def karp_flatt(
    speedups: npt.ArrayLike,
    p: npt.ArrayLike,
    baseline: float = 1,
) -> Doubles:
    """Return the serial fraction that each speedup means by Amdahl's law; nan at the baseline.

    For a baseline of 1 it is (1/S − 1/p) / (1 − 1/p). If it grows with p, the loss is overhead that
    grows with p, such as communication; if it stays, it is code that isn't parallel. It is negative
    where a speedup is more than ideal.

    References
    ----------
    A. H. Karp and H. P. Flatt, "Measuring parallel processor performance", Communications of the
    ACM 33 (1990) 539.
    """
    s = np.asarray(speedups, float)
    p = np.asarray(p, float)
    below = s - s / p - baseline + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p == baseline, np.nan, (1 - s / p) / below)


def amdahl(f: float, p: npt.ArrayLike, baseline: float = 1) -> Doubles:
    """Return the speedup of a problem of fixed size of which the fraction ``f`` is serial.

    References
    ----------
    G. M. Amdahl, "Validity of the single processor approach to achieving large scale computing
    capabilities", AFIPS Conference Proceedings 30 (1967) 483.
    """
    return _amdahl(np.array([f]), np.asarray(p, float), baseline)


def gustafson(a: float, p: npt.ArrayLike, baseline: float = 1) -> Doubles:
    """Return the scaled speedup of a problem that grows with p, where the part ``a`` of the time is
    serial.

    References
    ----------
    J. L. Gustafson, "Reevaluating Amdahl's law", Communications of the ACM 31 (1988) 532.
    """
    return _gustafson(np.array([a]), np.asarray(p, float), baseline)


def usl(s: float, k: float, p: npt.ArrayLike, baseline: float = 1) -> Doubles:
    """Return the speedup by the universal scalability law: contention ``s``, and coherency ``k``
    between all pairs.

    References
    ----------
    N. J. Gunther, "A simple capacity model of massively parallel transaction systems", CMG
    Conference (1993); and "Guerrilla Capacity Planning", Springer (2007).
    """
    return _usl(np.array([s, k]), np.asarray(p, float), baseline)


def _amdahl(values: Doubles, p: Doubles, b: float) -> Doubles:
    (f,) = values
    at_baseline = 1 + f * (b - 1)
    seconds = f + (1 - f) / p
    return np.asarray(at_baseline / seconds)


def _gustafson(values: Doubles, p: Doubles, b: float) -> Doubles:
    (a,) = values
    return np.asarray(a * b + (1 - a) * p)


def _usl(values: Doubles, p: Doubles, b: float) -> Doubles:
    s, k = values
    at_baseline = 1 + s * (b - 1) + k * b * (b - 1)
    slower_by = 1 + s * (p - 1) + k * p * (p - 1)
    return np.asarray(p * at_baseline / slower_by)


def fit(
    law: str,
    p: Sequence[float],
    speedups: Sequence[float],
    errors: Sequence[float] | None = None,
    baseline: float = 1,
) -> Fit:
    """Fit a law to speedups by weighted least squares.

    Parameters
    ----------
    law : str
        "Amdahl", "Gustafson" or "USL".
    p : sequence of float
        Numbers of processes; that of the baseline is left out, as its speedup has no information.
    speedups : sequence of float
        Measured speedups, relative to the baseline.
    errors : sequence of float, optional
        Their standard errors: each weighs by one over the square of its own. By default all errors
        are in proportion to the speedups.
    baseline : float
        Number of processes that speedups are relative to.

    Returns
    -------
    Fit
        Confidence intervals are from the scatter of the points about the law, hence for the law
        being true.

    Raises
    ------
    ValueError
        If there are fewer points than parameters.
    """
    model = _LAWS[law]
    processes = np.asarray(p, float)
    measured = np.asarray(speedups, float)
    if errors is None:
        sigma = measured * _RELATIVE_ERROR
    else:
        sigma = np.asarray(errors, float)
    use = processes != baseline
    processes = processes[use]
    measured = measured[use]
    sigma = sigma[use]
    if len(processes) < len(model.parameters):
        raise ValueError(
            f"{law} has {len(model.parameters)} parameters,"
            f" got {len(processes)} points besides the baseline"
        )

    def residuals(values: Doubles) -> Doubles:
        expected = model.speedup(values, processes, baseline)
        return np.asarray((expected - measured) / sigma)

    start = model.start(processes, measured, baseline)
    start = np.clip(start, 0.0, model.upper)
    values, free = least_squares(residuals, start, model.upper)
    widths = half_widths(residuals, values, free)
    found = []
    for name, value, width, is_free in zip(model.parameters, values, widths, free, strict=True):
        found.append(FittedParameter(name, float(value), width, at_bound=not is_free))
    return Fit(law, baseline, tuple(found), len(processes))


def _start_of_amdahl(p: Doubles, s: Doubles, b: float) -> Doubles:
    fractions = karp_flatt(s, p, b)
    return np.array([np.median(fractions)])


def _start_of_gustafson(p: Doubles, s: Doubles, b: float) -> Doubles:
    parts = (p - s) / (p - b)
    return np.array([np.median(parts)])


def _start_of_usl(p: Doubles, s: Doubles, b: float) -> Doubles:
    """Return the solution of the law times its denominator, which is linear in both parameters."""
    of_contention = p * (b - 1) - s * (p - 1)
    of_coherency = p * b * (b - 1) - s * p * (p - 1)
    matrix = np.stack([of_contention, of_coherency], axis=1)
    solution, *_ = np.linalg.lstsq(matrix / p[:, None], (s - p) / p, rcond=None)
    return np.asarray(solution)


class _Law(NamedTuple):
    """What is known of a law.

    Attributes
    ----------
    speedup : callable
        Returns speedups, from the values of the parameters, the processes, and the baseline.
    parameters : tuple of str
    upper : float
        What no parameter is above; none is below 0.
    start : callable
        Returns where the search for the parameters begins, from processes, speedups and baseline.
    """

    speedup: Callable[[Doubles, Doubles, float], Doubles]
    parameters: tuple[str, ...]
    upper: float
    start: Callable[[Doubles, Doubles, float], Doubles]


_LAWS = {
    "Amdahl": _Law(_amdahl, ("f",), 1.0, _start_of_amdahl),
    "Gustafson": _Law(_gustafson, ("a",), 1.0, _start_of_gustafson),
    "USL": _Law(_usl, ("s", "k"), np.inf, _start_of_usl),
}
