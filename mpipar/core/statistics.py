"""Reductions of samples: extremes, moments, histograms. Imports mpipar.core alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpipar.core.exact import FRACTION_BITS, to_fixed
from mpipar.core.plan import Block
from mpipar.core.reduction import Array, Reduction, real_array


class Statistics(NamedTuple):
    """The result of :class:`Moments`: scalars, or arrays of the shape of one sample.

    Attributes
    ----------
    value
        Mean of the samples.
    error
        Standard error of the mean, √(variance / n).
    variance
        Unbiased sample variance (divided by n − 1).
    n : int
        Number of samples.
    """

    value: Any
    error: Any
    variance: Any
    n: int


class Extremes(NamedTuple):
    """The result of :class:`MinMax`; ``argmin`` and ``argmax`` are item numbers. All None if there was no item."""

    min: float | None
    argmin: int | None
    max: float | None
    argmax: int | None


class Counts(NamedTuple):
    """The result of :class:`Histogram`: ``counts`` (k), ``edges`` (k + 1), and how many samples were outside."""

    counts: Array
    edges: Array
    below: int
    above: int


class MinMax(Reduction):
    """The smallest and the largest value, and where they are. A kernel returns one value for each item of its block.

    Among equals the first item counts. NaN is smaller and larger than anything, as in ``numpy.min`` and ``numpy.max``.
    """

    # A total is None or (min, where, max, where).

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        values = np.atleast_1d(real_array(partial, "MinMax"))
        if values.shape != (block.size,):
            raise TypeError(f"MinMax needs one value for each of the {block.size} items, got shape {np.shape(partial)}")
        low, high = int(values.argmin()), int(values.argmax())
        mine = values[low].item(), block.start + low, values[high].item(), block.start + high
        return self.merge(total, mine)

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if total is None or other is None:
            return total if other is None else other
        low = min(total[:2], other[:2], key=lambda pair: (not _is_nan(pair[0]), *_comparable(pair, 1)))
        high = min(total[2:], other[2:], key=lambda pair: (not _is_nan(pair[0]), *_comparable(pair, -1)))
        return (*low, *high)

    def finish(self, total: Any) -> Extremes:  # noqa: D102
        return Extremes(None, None, None, None) if total is None else Extremes(*total)


class Moments(Reduction):
    """Mean, variance and standard error of samples. A kernel returns the samples of its block along the first axis.

    Notes
    -----
    Within a block, mean and squared deviations are NumPy's. Across blocks they are combined without rounding, from
    Σ nᵦ, Σ nᵦ·meanᵦ and Σ (M2ᵦ + nᵦ·meanᵦ²) as whole numbers, so that a mean far from 0 costs no digits
    (T. F. Chan, G. H. Golub, R. J. LeVeque, *The American Statistician* 37, 242, 1983, with exact sums).
    """

    # A total is None or [n, Σ n·mean · 2¹⁰⁷⁴, Σ (M2 + n·mean²) · 2²¹⁴⁸]; integers, or object arrays of them.

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        samples = np.atleast_1d(real_array(partial, "Moments"))
        n = len(samples)
        if n == 0:
            return total
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            mean = samples.mean(axis=0)
            deviations = np.square(samples - mean).sum(axis=0)
        if not np.all(np.isfinite(mean)) or not np.all(np.isfinite(deviations)):
            raise TypeError("Moments needs finite samples, and the sum of their squares in the range of doubles")
        mean_fixed = _to_fixed_each(mean)
        squares = (_to_fixed_each(deviations) << FRACTION_BITS) + n * mean_fixed**2
        return self.merge(total, (n, n * mean_fixed, squares))

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if total is None or other is None:
            return total if other is None else other
        if np.shape(total[1]) != np.shape(other[1]):
            raise ValueError(f"Moments needs samples of one shape: {np.shape(other[1])} after {np.shape(total[1])}")
        return total[0] + other[0], total[1] + other[1], total[2] + other[2]

    def finish(self, total: Any) -> Statistics:  # noqa: D102
        if total is None:
            return Statistics(math.nan, math.nan, math.nan, 0)
        n, sums, squares = total
        mean = _divide_each(sums, n << FRACTION_BITS)
        if n == 1:
            nan = mean * math.nan
            return Statistics(mean, nan, nan, n)
        variance = _divide_each(n * squares - sums**2, (n * (n - 1)) << (2 * FRACTION_BITS))
        return Statistics(mean, (variance / n) ** 0.5, variance, n)


class Histogram(Reduction):
    """Counts of samples in bins. A kernel returns the samples of its block, of any shape.

    Parameters
    ----------
    edges : array_like, shape (k + 1,)
        Increasing edges of k bins; as for ``numpy.histogram``, each bin has its left edge, the last both.
    """

    def __init__(self, edges: npt.ArrayLike) -> None:
        self.edges = np.asarray(edges, dtype=np.float64)
        if self.edges.ndim != 1 or len(self.edges) < 2 or not np.all(np.diff(self.edges) > 0):
            raise ValueError("Histogram needs two edges or more, increasing")

    def start(self) -> Any:  # noqa: D102
        return np.zeros(len(self.edges) + 1, np.int64)  # below, the bins, above

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        samples = real_array(partial, "Histogram").ravel()
        if np.isnan(samples).any():
            raise TypeError("Histogram can't place NaN in a bin")
        counts, _ = np.histogram(samples, self.edges)
        total[1:-1] += counts
        total[0] += np.count_nonzero(samples < self.edges[0])
        total[-1] += np.count_nonzero(samples > self.edges[-1])
        return total

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        return total + other

    def finish(self, total: Any) -> Counts:  # noqa: D102
        return Counts(total[1:-1], self.edges, int(total[0]), int(total[-1]))


def _is_nan(x: float) -> bool:
    return x != x


def _comparable(pair: tuple[float, int], sign: int) -> tuple[float, int]:
    """Order (value, item): by value times ``sign`` and then by item; NaN by item alone."""
    value, item = pair
    return (0.0 if _is_nan(value) else sign * value), item


_to_fixed_each: Callable[[Any], Any] = np.frompyfunc(lambda x: to_fixed(float(x)), 1, 1)


def _divide(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


_divide_all: Callable[[Any, Any], Any] = np.frompyfunc(_divide, 2, 1)


def _divide_each(numerator: Any, denominator: int) -> Any:
    """Divide integers by one, each quotient correctly rounded; an array of doubles for an array."""
    quotient = _divide_all(numerator, denominator)
    return quotient.astype(np.float64) if isinstance(quotient, np.ndarray) else float(quotient)
