"""Reductions of samples: extremes, moments, histograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpipar.base.overriding import override
from mpipar.core.exact import FRACTION_BITS, shifted, to_fixed
from mpipar.core.partials import Array, Doubles, check_real, doubles, has_large, split_mask
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


class Deviations(NamedTuple):
    """What a kernel may return for :class:`Moments` in place of samples that it has summed itself.

    Attributes
    ----------
    n : int
        Number of samples, ≥ 1.
    centre : float
        A number about their mean.
    rest, squares : float
        Σ (x − centre), and Σ (x − centre)² · 4⁻ᵏ.
    exponent : int
        k: 0, but where squares would be too small for doubles.
    """

    n: int
    centre: float
    rest: float
    squares: float
    exponent: int = 0


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

    @override
    def start(self) -> Any:
        return None

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        values, mask = _samples(partial, "MinMax")
        if values.shape != (block.size,):
            raise TypeError(
                f"MinMax needs one value for each of the {block.size} items, got shape"
                f" {values.shape}"
            )
        items = np.arange(block.size)
        if mask is not None:
            items = np.flatnonzero(~mask)
            values = values[items]
        if not values.size:
            return total
        low = int(values.argmin())
        high = int(values.argmax())
        mine = (
            values[low].item(),
            block.start + int(items[low]),
            values[high].item(),
            block.start + int(items[high]),
        )
        return self.merge(total, mine)

    @override
    def merge(self, total: Any, other: Any) -> Any:
        if total is None:
            return other
        if other is None:
            return total
        low = min(total[:2], other[:2], key=_by_least)
        high = min(total[2:], other[2:], key=_by_largest)
        return (*low, *high)

    @override
    def finish(self, total: Any) -> Extremes:
        if total is None:
            return Extremes(None, None, None, None)
        return Extremes(*total)


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

    @override
    def start(self) -> Any:
        return None

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        if isinstance(partial, Deviations):
            return self.merge(total, (partial.n, *_sums_of_deviations(partial)))
        samples, mask = _samples(partial, "Moments")
        if mask is not None:
            samples = samples[~_masked_rows(mask)]
        if len(samples) == 0:
            return total
        if has_large(samples):
            sums, squares = _sums_of_integers(samples)
        else:
            sums, squares = _sums(samples.astype(np.float64, copy=False))
        return self.merge(total, (len(samples), sums, squares))

    @override
    def merge(self, total: Any, other: Any) -> Any:
        if total is None:
            return other
        if other is None:
            return total
        n, sums, squares = total
        more, more_sums, more_squares = other
        if np.shape(sums) != np.shape(more_sums):
            raise ValueError(
                f"Moments needs samples of one shape: {np.shape(more_sums)} after {np.shape(sums)}"
            )
        return n + more, sums + more_sums, squares + more_squares

    @override
    def finish(self, total: Any) -> Statistics:
        if total is None:
            return Statistics(math.nan, math.nan, math.nan, 0)
        n, sums, squares = total
        mean = _divide_each(sums, n << FRACTION_BITS)
        if n == 1:
            nan = mean * math.nan
            return Statistics(mean, nan, nan, n)
        spread = n * squares - sums**2
        pairs = n * (n - 1)
        variance = _divide_each(spread, pairs << (2 * FRACTION_BITS))
        error = (variance / n) ** 0.5
        if np.any(variance < _LEAST_SQUARE):
            error = _root_each(spread, n * n * (n - 1))
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
            real = check_real(given, edges, "Histogram")
            self.edges = doubles(real, "Histogram")
        except TypeError as error:
            raise ValueError(str(error)) from None
        are_several = self.edges.ndim == 1 and len(self.edges) >= 2
        if not are_several or not np.all(np.diff(self.edges) > 0):
            raise ValueError("Histogram needs two edges or more, increasing")

    @override
    def start(self) -> Any:
        return np.zeros(len(self.edges) + 1, np.int64)  # below, the bins, above

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        values, mask = _samples(partial, "Histogram")
        values = values.ravel() if mask is None else values[~mask]
        samples = doubles(values, "Histogram")
        if np.isnan(samples).any():
            raise TypeError("Histogram can't place NaN in a bin")
        counts, _ = np.histogram(samples, self.edges)
        total[1:-1] += counts
        total[0] += np.count_nonzero(samples < self.edges[0])
        total[-1] += np.count_nonzero(samples > self.edges[-1])
        return total

    @override
    def merge(self, total: Any, other: Any) -> Any:
        return total + other

    @override
    def finish(self, total: Any) -> Counts:
        below, *_, above = total
        return Counts(total[1:-1], self.edges, int(below), int(above))


def _by_least(pair: tuple[float, int]) -> tuple[bool, float, int]:
    """Return what (value, item) is sorted by to have the least first: NaN is less than all."""
    value, item = pair
    if value != value:
        return False, 0.0, item
    return True, value, item


def _by_largest(pair: tuple[float, int]) -> tuple[bool, float, int]:
    """Return what (value, item) is sorted by to have the largest first: NaN is larger than all."""
    value, item = pair
    return _by_least((-value, item))


def _samples(partial: Any, who: str) -> tuple[Array, Array | None]:
    """Return real numbers, with one dimension at least, and where they are masked."""
    array, mask = split_mask(partial)
    samples = np.atleast_1d(check_real(array, partial, who))
    if mask is not None:
        mask = np.atleast_1d(mask)
    return samples, mask


def _masked_rows(mask: Array) -> Array:
    """Return which samples are masked: all of each, or nothing of it, as there is one n for all of
    their numbers.
    """
    rows = mask.reshape(len(mask), -1)
    masked = np.asarray(rows.any(axis=1))
    if not np.array_equal(masked, rows.all(axis=1)):
        raise TypeError(
            "Moments can't leave out parts of samples:"
            " write one Moments for each column, in an Each"
        )
    return masked


def _sums_of_integers(samples: Array) -> tuple[Any, Any]:
    """Return Σ x · 2¹⁰⁷⁴ and Σ x² · 2²¹⁴⁸ of whole numbers."""
    numbers = samples.astype(object)
    sums = np.sum(numbers, axis=0)
    squares = np.sum(numbers**2, axis=0)
    return sums << FRACTION_BITS, squares << (2 * FRACTION_BITS)


def _sums(samples: Doubles) -> tuple[Any, Any]:
    """Return Σ x · 2¹⁰⁷⁴ and Σ x² · 2²¹⁴⁸ of doubles; sums of deviations from about the mean are
    rounded.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # refused below
        centre = samples.mean(axis=0)
        deviations = samples - centre
        rest = deviations.sum(axis=0)
        squares = np.square(deviations).sum(axis=0)
    are_finite = np.all(np.isfinite(centre)) and np.all(np.isfinite(squares))
    if not are_finite:
        raise TypeError(_NOT_FINITE)
    if np.any(squares < _LEAST_SQUARE) and deviations.any():
        squares_fixed = _tiny_squares(deviations)
    else:
        squares_fixed = _to_fixed_each(squares) << FRACTION_BITS
    return _around(len(samples), _to_fixed_each(centre), _to_fixed_each(rest), squares_fixed)


def _around(n: int, centre: Any, rest: Any, squares: Any) -> tuple[Any, Any]:
    """Return Σ x and Σ x² from sums of deviations, all as whole numbers.

    Σ x = n c + Σ d, and Σ x² = Σ d² + c (2 Σ d + n c), with x = c + d.
    """
    centres = n * centre
    return centres + rest, squares + centre * (2 * rest + centres)


def _sums_of_deviations(summed: Deviations) -> tuple[int, int]:
    """Return Σ x · 2¹⁰⁷⁴ and Σ x² · 2²¹⁴⁸ of what has been summed."""
    if not math.isfinite(summed.centre) or not math.isfinite(summed.squares):
        raise TypeError(_NOT_FINITE)
    squares = shifted(to_fixed(summed.squares), FRACTION_BITS + 2 * summed.exponent)
    return _around(summed.n, to_fixed(summed.centre), to_fixed(summed.rest), squares)


def _tiny_squares(deviations: Doubles) -> Any:
    """Return Σ d² · 2²¹⁴⁸ of numbers so small that squares of doubles would be 0."""
    largest = np.abs(deviations).max(axis=0)
    _, exponent = np.frexp(largest)
    scaled = np.ldexp(deviations, -exponent)
    squares = np.square(scaled).sum(axis=0)
    return _shift_each(_to_fixed_each(squares), FRACTION_BITS + 2 * exponent)


_NOT_FINITE = "Moments needs finite samples, and the sum of their squares in the range of doubles"

_LEAST_SQUARE = 1e-290  # sums of squares that are smaller have lost digits, or all


def _to_fixed(x: Any) -> int:
    return to_fixed(float(x))


_to_fixed_each: Callable[[Any], Any] = np.frompyfunc(_to_fixed, 1, 1)


def _shifted(x: int, bits: Any) -> int:
    return shifted(x, int(bits))


_shift_each: Callable[[Any, Any], Any] = np.frompyfunc(_shifted, 2, 1)


def _root(numerator: int, denominator: int) -> float:
    """Return √(numerator / denominator / 2²¹⁴⁸)."""
    bits = 128  # digits to round from
    square = (numerator << (2 * bits)) // denominator
    return _divide(math.isqrt(square), 1 << (bits + FRACTION_BITS))


_root_all: Callable[[Any, Any], Any] = np.frompyfunc(_root, 2, 1)


def _root_each(numerator: Any, denominator: int) -> Any:
    return _as_doubles(_root_all(numerator, denominator))


def _divide(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


_divide_all: Callable[[Any, Any], Any] = np.frompyfunc(_divide, 2, 1)


def _divide_each(numerator: Any, denominator: int) -> Any:
    """Divide integers by one, each quotient correctly rounded; an array of doubles for an array."""
    return _as_doubles(_divide_all(numerator, denominator))


def _as_doubles(number: Any) -> Any:
    if isinstance(number, np.ndarray):
        return number.astype(np.float64)
    return float(number)
