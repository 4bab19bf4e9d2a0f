"""Reductions: how the partials of blocks become the result. Imports mpipar.core alone.

A reduction folds the partials of blocks into a *total*, merges totals, and makes the result of the last one. Totals are
merged in an order that depends on ranks, workers and timing; yet the result never does, for one of two reasons:

* the total is exact, so that order doesn't matter (:class:`ExactSum`, :class:`Count`, :class:`MinMax`,
  :class:`Moments`, :class:`Histogram`), or
* the total remembers which block each piece is from (:class:`Concatenate`, :class:`InOrder`).

A total is made of plain Python and NumPy objects, so that it can be sent and stored.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mpipar.core.exact import FRACTION_BITS, ExactArray, from_fixed, to_fixed
from mpipar.core.plan import Block

Array: TypeAlias = npt.NDArray[Any]


class Estimate(NamedTuple):
    """A value with its standard error: what a driver's ``finish`` may return.

    Attributes
    ----------
    value, error : float
        The estimate and its standard error, in the same unit.
    """

    value: float
    error: float


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


class Reduction(ABC):
    """How partials become a result; subclass it for one of your own.

    :meth:`merge` must be associative and, together with :meth:`add`, must not depend on the order of blocks.
    """

    @abstractmethod
    def start(self) -> Any:
        """Return the total of no block."""

    @abstractmethod
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        """Return ``total`` with the ``partial`` of ``block``; may change ``total``. Raises TypeError for bad ones."""

    @abstractmethod
    def merge(self, total: Any, other: Any) -> Any:
        """Return the total of the blocks of both; may change ``total``."""

    def finish(self, total: Any) -> Any:
        """Return the result of a total."""
        return total


class ExactSum(Reduction):
    """The correctly rounded sum of real numbers, or of arrays of them (element by element).

    The sum over blocks is exact, and rounded once at the end. What a kernel rounds within a block is its own affair.
    A sum with infinities or NaN is what IEEE arithmetic makes of them.
    """

    # A total is None, (sum in units of 2⁻¹⁰⁷⁴, sum of what wasn't finite), or an ExactArray.

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if isinstance(partial, int):
            return self.merge(total, (partial << FRACTION_BITS, 0.0))
        if isinstance(partial, float):  # np.float64 is one
            return self.merge(total, self._scalar(partial))
        array = _real_array(partial, "ExactSum")
        if array.ndim == 0:
            return self.merge(total, self._scalar(float(array)))
        if total is None:
            total = ExactArray(array.shape)
        if not isinstance(total, ExactArray):
            raise TypeError(f"ExactSum got an array of shape {array.shape} after a number")
        total.add(array)
        return total

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if total is None or other is None:
            return total if other is None else other
        if isinstance(total, ExactArray) != isinstance(other, ExactArray):
            raise TypeError("ExactSum got numbers from some blocks and arrays from others")
        if isinstance(total, ExactArray):
            total.merge(other)
            return total
        return total[0] + other[0], total[1] + other[1]

    def finish(self, total: Any) -> Any:  # noqa: D102
        if total is None:
            return 0.0
        if isinstance(total, ExactArray):
            return total.value()
        return from_fixed(total[0]) if total[1] == 0 else total[1]

    @staticmethod
    def _scalar(x: float) -> tuple[int, float]:
        return (to_fixed(x), 0.0) if math.isfinite(x) else (0, x)


class Count(Reduction):
    """The sum of whole numbers, or of arrays of them: exact, and never overflowing."""

    def start(self) -> Any:  # noqa: D102
        return 0

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if isinstance(partial, (int, np.integer)):
            return self.merge(total, int(partial))
        array = _array(partial)
        wide = array is not None and array.dtype in (np.uint64, object)
        if array is None or not (array.dtype.kind in "iub" or (wide and all(isinstance(x, int) for x in array.flat))):
            raise TypeError(f"Count needs whole numbers, got {_describe(partial)}")
        if array.ndim == 0:
            return self.merge(total, int(array))
        return self.merge(total, array.astype(object if wide else np.int64))

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if isinstance(total, int) and total == 0:
            return other
        if isinstance(other, int) and other == 0:
            return total
        if np.shape(total) != np.shape(other):
            raise ValueError(f"Count needs partials of one shape: got {np.shape(other)} after {np.shape(total)}")
        if isinstance(total, int) or total.dtype == object or other.dtype == object:
            return total + other
        sums = total + other
        overflow = ((total ^ sums) & (other ^ sums)) < 0  # the operands have one sign, the sum the other
        return total.astype(object) + other if overflow.any() else sums

    def finish(self, total: Any) -> Any:
        """Return an int, or an array: of int64 if all of its numbers fit, of Python integers if not."""
        if isinstance(total, int) or total.dtype != object:
            return total
        fits = all(-(2**63) <= x < 2**63 for x in total.flat)
        return total.astype(np.int64) if fits else total


class MinMax(Reduction):
    """The smallest and the largest value, and where they are. A kernel returns one value for each item of its block.

    Among equals the first item counts. NaN is smaller and larger than anything, as in ``numpy.min`` and ``numpy.max``.
    """

    # A total is None or (min, where, max, where).

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        values = np.atleast_1d(_real_array(partial, "MinMax"))
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
        samples = np.atleast_1d(_real_array(partial, "Moments"))
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
        samples = _real_array(partial, "Histogram").ravel()
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


class Concatenate(Reduction):
    """The arrays of all blocks, one after the other in block order, along the first axis."""

    # A total is {block index: array}.

    def start(self) -> Any:  # noqa: D102
        return {}

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        total[block.index] = np.array(partial, ndmin=1)  # a copy, as a kernel may use its buffer again
        return total

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        total.update(other)
        return total

    def finish(self, total: Any) -> Array:  # noqa: D102
        return np.concatenate([total[index] for index in sorted(total)]) if total else np.zeros(0)


class InOrder(Reduction):
    """An operation of your own, associative but perhaps not commutative, combined in block order.

    Partials are combined pairwise along one fixed binary tree over the blocks, so that even an operation that is only
    nearly associative, such as a product of floating-point matrices, gives the same bits whoever evaluates the blocks.

    Parameters
    ----------
    operation : callable
        ``operation(left, right)``: combine two neighbours, the left one from lower items. Must not change them.
    empty : optional
        The result for no block; None by default.
    """

    # A total is {(level, k): value}: the combined partials of blocks k·2ˡᵉᵛᵉˡ … (k + 1)·2ˡᵉᵛᵉˡ − 1.

    def __init__(self, operation: Callable[[Any, Any], Any], empty: Any = None) -> None:
        self.operation = operation
        self.empty = empty

    def start(self) -> Any:  # noqa: D102
        return {}

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if isinstance(partial, np.ndarray):
            partial = partial.copy()  # a kernel may use its buffer again
        return self._put(total, (0, block.index), partial)

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        for node, value in other.items():
            self._put(total, node, value)
        return total

    def finish(self, total: Any) -> Any:  # noqa: D102
        if not total:
            return self.empty
        nodes = sorted(total, key=lambda node: node[1] << node[0])
        result = total[nodes[0]]
        for node in nodes[1:]:
            result = self.operation(result, total[node])
        return result

    def _put(self, total: dict[tuple[int, int], Any], node: tuple[int, int], value: Any) -> dict[tuple[int, int], Any]:
        level, k = node
        while (level, k ^ 1) in total:
            sibling = total.pop((level, k ^ 1))
            value = self.operation(sibling, value) if k & 1 else self.operation(value, sibling)
            level, k = level + 1, k >> 1
        total[level, k] = value
        return total


class Each(Reduction):
    """Several reductions side by side: a kernel returns a dict with a partial for each name, the result is a dict too.

    Parameters
    ----------
    **reductions : Reduction
        The reduction of each name.
    """

    def __init__(self, **reductions: Reduction) -> None:
        self.reductions: Mapping[str, Reduction] = reductions

    def start(self) -> Any:  # noqa: D102
        return {name: reduction.start() for name, reduction in self.reductions.items()}

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if not isinstance(partial, Mapping) or partial.keys() != self.reductions.keys():
            raise TypeError(f"Each needs a dict with {', '.join(self.reductions)}, got {_describe(partial)}")
        for name, reduction in self.reductions.items():
            total[name] = reduction.add(total[name], partial[name], block)
        return total

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        return {name: reduction.merge(total[name], other[name]) for name, reduction in self.reductions.items()}

    def finish(self, total: Any) -> Any:  # noqa: D102
        return {name: reduction.finish(total[name]) for name, reduction in self.reductions.items()}


def _describe(partial: Any) -> str:
    if isinstance(partial, np.ndarray):
        return f"an array of {partial.dtype}, shape {partial.shape}"
    return f"{type(partial).__name__} {partial!r:.60}"


def _array(partial: Any) -> Array | None:
    """Return ``partial`` as an array, or None for a ragged list."""
    try:
        return np.asarray(partial)
    except ValueError:
        return None


def _real_array(partial: Any, who: str) -> Array:
    """Return ``partial`` as an array of real numbers. Raises TypeError for anything else."""
    array = _array(partial)
    if array is None or array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"{who} needs real numbers (of 64 bits at most), got {_describe(partial)}")
    return array


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
