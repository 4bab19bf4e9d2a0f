"""Reductions of samples: extremes, moments, histograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpipar.core.exact import FRACTION_BITS, to_fixed
from mpipar.core.partials import Array, check_real, doubles, has_large, split_mask
from mpipar.core.plan import Block
from mpipar.core.reduction import Reduction


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
    """The result of :class:`MinMax`; ``argmin`` and ``argmax`` are item numbers. All None if there
    was no item.
    """

    min: float | None
    argmin: int | None
    max: float | None
    argmax: int | None


class Counts(NamedTuple):
    """The result of :class:`Histogram`: ``counts`` (k), ``edges`` (k + 1), and how many samples
    were outside.
    """

    counts: Array
    edges: Array
    below: int
    above: int


class MinMax(Reduction):
    """The smallest and the largest value, and where they are. A kernel returns one value for each
    item of its block.

    Among equals the first item counts. NaN is smaller and larger than anything, as in ``numpy.min``
    and ``numpy.max``. Masked values are left out, as in ``numpy.ma.min``.
    """

    # A total is None or (min, where, max, where).

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        values, mask = _samples(partial, "MinMax")
        if values.shape != (block.size,):
            raise TypeError(
                f"MinMax needs one value for each of the {block.size} items, got shape"
                f" {values.shape}"
            )
        items = np.arange(block.size) if mask is None else np.flatnonzero(~mask)
        if mask is not None:
            values = values[items]
        if not values.size:
            return total
        low, high = int(values.argmin()), int(values.argmax())
        mine = (
            values[low].item(),
            block.start + int(items[low]),
            values[high].item(),
            block.start + int(items[high]),
        )
        return self.merge(total, mine)

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if total is None or other is None:
            return total if other is None else other
        low = min(
            total[:2], other[:2], key=lambda pair: (not _is_nan(pair[0]), *_comparable(pair, 1))
        )
        high = min(
            total[2:], other[2:], key=lambda pair: (not _is_nan(pair[0]), *_comparable(pair, -1))
        )
        return (*low, *high)

    def finish(self, total: Any) -> Extremes:  # noqa: D102
        return Extremes(None, None, None, None) if total is None else Extremes(*total)


class Moments(Reduction):
    """Mean, variance and standard error of samples. A kernel returns the samples of its block along
    the first axis.

    Notes
    -----
    Within a block, deviations from about the mean are summed in double precision, whatever the type
    of the samples; whole numbers beyond 2⁵³ are summed as such. Across blocks, sums are combined
    without rounding, as whole numbers, so that a mean far from 0 costs no digits (T. F. Chan, G. H.
    Golub, R. J. LeVeque, *The American Statistician* 37, 242, 1983, with exact sums). Masked
    samples are left out, as in ``numpy.ma.mean``.
    """

    # A total is None or (n, Σ x · 2¹⁰⁷⁴, Σ x² · 2²¹⁴⁸); integers, or object arrays of them.

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        samples, mask = _samples(partial, "Moments")
        if mask is not None:
            samples = samples[~_masked_rows(mask)]
        if len(samples) == 0:
            return total
        sums = (
            _sums_of_integers(samples)
            if has_large(samples)
            else _sums(samples.astype(np.float64, copy=False))
        )
        return self.merge(total, (len(samples), *sums))

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if total is None or other is None:
            return total if other is None else other
        if np.shape(total[1]) != np.shape(other[1]):
            raise ValueError(
                f"Moments needs samples of one shape: {np.shape(other[1])} after"
                f" {np.shape(total[1])}"
            )
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
        error = (variance / n) ** 0.5
        if np.any(variance < _LEAST_SQUARE):
            error = _root_each(n * squares - sums**2, n * n * (n - 1))
        return Statistics(mean, error, variance, n)


class Histogram(Reduction):
    """Counts of samples in bins. A kernel returns the samples of its block, of any shape; masked
    ones are left out.

    Parameters
    ----------
    edges : array_like, shape (k + 1,)
        Increasing edges of k bins; as for ``numpy.histogram``, each bin has its left edge, the last
        both.
    """

    def __init__(self, edges: npt.ArrayLike) -> None:
        given, mask = split_mask(edges)
        if mask is not None:
            raise ValueError("Histogram can't have masked edges")
        try:
            self.edges = doubles(check_real(given, edges, "Histogram"), "Histogram")
        except TypeError as error:
            raise ValueError(str(error)) from None
        if self.edges.ndim != 1 or len(self.edges) < 2 or not np.all(np.diff(self.edges) > 0):
            raise ValueError("Histogram needs two edges or more, increasing")

    def start(self) -> Any:  # noqa: D102
        return np.zeros(len(self.edges) + 1, np.int64)  # below, the bins, above

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        values, mask = _samples(partial, "Histogram")
        samples = doubles(values.ravel() if mask is None else values[~mask], "Histogram")
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


def _samples(partial: Any, who: str) -> tuple[Array, Array | None]:
    """Return real numbers, with one dimension at least, and where they are masked."""
    array, mask = split_mask(partial)
    samples = np.atleast_1d(check_real(array, partial, who))
    return samples, None if mask is None else np.atleast_1d(mask)


def _masked_rows(mask: Array) -> Array:
    """Return which samples are masked: all of each, or nothing of it, as there is one n for all of
    their numbers.
    """
    rows = mask.reshape(len(mask), -1)
    masked = np.asarray(rows.any(axis=1))
    if not np.array_equal(masked, rows.all(axis=1)):
        raise TypeError(
            "Moments can't leave out parts of samples: write one Moments for each column, in an"
            " Each"
        )
    return masked


def _sums_of_integers(samples: Array) -> tuple[Any, Any]:
    """Return Σ x · 2¹⁰⁷⁴ and Σ x² · 2²¹⁴⁸ of whole numbers."""
    numbers = samples.astype(object)
    return np.sum(numbers, axis=0) << FRACTION_BITS, np.sum(numbers**2, axis=0) << (
        2 * FRACTION_BITS
    )


def _sums(samples: npt.NDArray[np.float64]) -> tuple[Any, Any]:
    """Return Σ x · 2¹⁰⁷⁴ and Σ x² · 2²¹⁴⁸ of doubles; sums of deviations from about the mean are
    rounded.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # refused below
        centre = samples.mean(axis=0)
        deviations = samples - centre
        rest = deviations.sum(axis=0)
        squares = np.square(deviations).sum(axis=0)
    if not np.all(np.isfinite(centre)) or not np.all(np.isfinite(squares)):
        raise TypeError(
            "Moments needs finite samples, and the sum of their squares in the range of doubles"
        )
    if np.any(squares < _LEAST_SQUARE) and deviations.any():
        squares_fixed = _tiny_squares(deviations)
    else:
        squares_fixed = _to_fixed_each(squares) << FRACTION_BITS
    n, centre_fixed, rest_fixed = len(samples), _to_fixed_each(centre), _to_fixed_each(rest)
    return n * centre_fixed + rest_fixed, squares_fixed + centre_fixed * (
        2 * rest_fixed + n * centre_fixed
    )


def _tiny_squares(deviations: npt.NDArray[np.float64]) -> Any:
    """Return Σ d² · 2²¹⁴⁸ of numbers so small that squares of doubles would be 0."""
    exponent = np.frexp(np.abs(deviations).max(axis=0))[1]
    squares = np.square(np.ldexp(deviations, -exponent)).sum(axis=0)
    return _shift_each(_to_fixed_each(squares), FRACTION_BITS + 2 * exponent)


_LEAST_SQUARE = 1e-290  # sums of squares that are smaller have lost digits, or all

_to_fixed_each: Callable[[Any], Any] = np.frompyfunc(lambda x: to_fixed(float(x)), 1, 1)


def _shift(x: int, bits: int) -> int:
    return x << int(bits) if bits >= 0 else x >> -int(bits)


_shift_each: Callable[[Any, Any], Any] = np.frompyfunc(_shift, 2, 1)


def _root(numerator: int, denominator: int) -> float:
    """Return √(numerator / denominator / 2²¹⁴⁸)."""
    bits = 128  # digits to round from
    return _divide(
        math.isqrt((numerator << (2 * bits)) // denominator), 1 << (bits + FRACTION_BITS)
    )


_root_all: Callable[[Any, Any], Any] = np.frompyfunc(_root, 2, 1)


def _root_each(numerator: Any, denominator: int) -> Any:
    root = _root_all(numerator, denominator)
    return root.astype(np.float64) if isinstance(root, np.ndarray) else float(root)


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
