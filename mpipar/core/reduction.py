"""Reductions: how the partials of blocks become the result.

A reduction folds the partials of blocks into a *total*, merges totals, and makes the result of the
last one. Totals are merged in an order that depends on ranks, workers and timing; yet the result
never does, for one of two reasons:

* the total is exact, so that order doesn't matter (:class:`ExactSum` and :class:`Count` here, and
  all of
  :mod:`mpipar.core.statistics`), or
* the total remembers which block each piece is from (:mod:`mpipar.core.ordered`).

A total is made of plain Python and NumPy objects, so that it can be sent and stored.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpipar.core.casting import change
from mpipar.core.exact import FRACTION_BITS, ExactArray, from_fixed, to_fixed
from mpipar.core.partials import Array as Array
from mpipar.core.partials import check_real, describe, plain
from mpipar.core.plan import Block
from mpipar.core.row_types import blank_rows

_FILL = "write .filled(0), or .filled() with what is to be added"


class Estimate(NamedTuple):
    """A value with its standard error: what a driver's ``finish`` may return.

    Attributes
    ----------
    value, error : float
        The estimate and its standard error, in the same unit.
    """

    value: float
    error: float


class Reduction(ABC):
    """How partials become a result; subclass it for one of your own.

    :meth:`merge` must be associative and, together with :meth:`add`, must not depend on the order of blocks.
    """

    @abstractmethod
    def start(self) -> Any:
        """Return the total of no block."""

    @abstractmethod
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        """Return ``total`` with the ``partial`` of ``block``; may change ``total``. Raises
        TypeError for bad ones.
        """

    @abstractmethod
    def merge(self, total: Any, other: Any) -> Any:
        """Return the total of the blocks of both; may change ``total``."""

    def finish(self, total: Any) -> Any:
        """Return the result of a total."""
        return total

    def datasets(self) -> tuple[Dataset, ...]:
        """Return the datasets that partials have rows for: of most reductions none."""
        return ()

    def rows(self, partial: Any) -> dict[str, Array]:
        """Return the rows in a partial that :meth:`add` has taken, {name of a dataset: rows}."""
        return {}


class ExactSum(Reduction):
    """The correctly rounded sum of real numbers, or of arrays of them (element by element).

    The sum over blocks is exact, and rounded once at the end. What a kernel rounds within a block
    is its own affair. A sum with infinities or NaN is what IEEE arithmetic makes of them. Where all
    blocks gave whole numbers (of type int, or arrays of integers) and no double is their sum, it is
    a whole number.
    """

    # A total is None, an ExactArray, or
    # (sum in units of 2⁻¹⁰⁷⁴, sum of what wasn't finite, whether all was of integers).

    def start(self) -> Any:  # noqa: D102
        return None

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if isinstance(partial, int):
            return self.merge(total, (int(partial) << FRACTION_BITS, 0.0, True))
        if isinstance(partial, float):  # np.float64 is one
            return self.merge(total, self._scalar(partial))
        array = check_real(plain(partial, "ExactSum", _FILL), partial, "ExactSum")
        if array.ndim == 0:
            number = array.item()
            return self.add(total, number, block)
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
        return total[0] + other[0], total[1] + other[1], total[2] and other[2]

    def finish(self, total: Any) -> Any:  # noqa: D102
        if total is None:
            return 0.0
        if isinstance(total, ExactArray):
            return total.value()
        fixed, special, whole = total
        if special != 0:
            return special
        rounded = from_fixed(fixed)
        integer = fixed >> FRACTION_BITS
        return integer if whole and rounded != integer else rounded

    @staticmethod
    def _scalar(x: float) -> tuple[int, float, bool]:
        return (to_fixed(x), 0.0, False) if math.isfinite(x) else (0, x, False)


class Count(Reduction):
    """The sum of whole numbers, or of arrays of them: exact, and never overflowing."""

    def start(self) -> Any:  # noqa: D102
        return 0

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if isinstance(partial, int):
            return self.merge(total, int(partial))
        array = plain(partial, "Count", _FILL)
        wide = array is not None and array.dtype in (np.uint64, object)
        if array is None or not (
            array.dtype.kind in "iub" or (wide and all(isinstance(x, int) for x in array.flat))
        ):
            raise TypeError(f"Count needs whole numbers, got {describe(partial)}")
        if array.ndim == 0:
            return self.merge(total, int(array.item()))
        return self.merge(total, array.astype(object if wide else np.int64))

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        if isinstance(total, int) and total == 0:
            return other
        if isinstance(other, int) and other == 0:
            return total
        if np.shape(total) != np.shape(other):
            raise ValueError(
                f"Count needs partials of one shape: got {np.shape(other)} after {np.shape(total)}"
            )
        if isinstance(total, int) or total.dtype == object or other.dtype == object:
            return total + other
        sums = total + other
        overflow = (
            (total ^ sums) & (other ^ sums)
        ) < 0  # the operands have one sign, the sum the other
        return total.astype(object) + other if overflow.any() else sums

    def finish(self, total: Any) -> Any:
        """Return an int, or an array: of int64 if all of its numbers fit, of Python integers if
        not.
        """
        if isinstance(total, int) or total.dtype != object:
            return total
        fits = all(-(2**63) <= x < 2**63 for x in total.flat)
        return total.astype(np.int64) if fits else total


class Each(Reduction):
    """Several reductions side by side: a kernel returns a dict with a partial for each name, the
    result is a dict too.

    Parameters
    ----------
    **reductions : Reduction or a subclass of it that needs no arguments
        The reduction of each name.
    """

    def __init__(self, **reductions: Reduction | type[Reduction]) -> None:
        self.reductions: Mapping[str, Reduction] = {
            name: _made(name, one) for name, one in reductions.items()
        }

    def start(self) -> Any:  # noqa: D102
        return {name: reduction.start() for name, reduction in self.reductions.items()}

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if not isinstance(partial, Mapping) or partial.keys() != self.reductions.keys():
            raise TypeError(
                f"Each needs a dict with {', '.join(self.reductions)}, got {describe(partial)}"
            )
        for name, reduction in self.reductions.items():
            total[name] = reduction.add(total[name], partial[name], block)
        return total

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        return {
            name: reduction.merge(total[name], other[name])
            for name, reduction in self.reductions.items()
        }

    def finish(self, total: Any) -> Any:  # noqa: D102
        return {name: reduction.finish(total[name]) for name, reduction in self.reductions.items()}

    def datasets(self) -> tuple[Dataset, ...]:  # noqa: D102
        return tuple(
            dataset for reduction in self.reductions.values() for dataset in reduction.datasets()
        )

    def rows(self, partial: Any) -> dict[str, Array]:  # noqa: D102
        rows: dict[str, Array] = {}
        for name, reduction in self.reductions.items():
            rows |= reduction.rows(partial[name])
        return rows


def _made(name: str, reduction: Any) -> Reduction:
    """Return a reduction of the name in an Each, made of its class if that is given."""
    if isinstance(reduction, type) and issubclass(reduction, Reduction):
        try:
            return reduction()
        except TypeError as error:
            raise TypeError(f"Each: {name}={reduction.__name__} needs arguments: {error}") from None
    if not isinstance(reduction, Reduction):
        raise TypeError(
            f"Each: {name} should be a Reduction, such as ExactSum, got {reduction!r:.60}"
        )
    return reduction


class Dataset(Reduction):
    """Rows of a dataset, in block order: what a map makes. The result is the number of rows.

    The rows themselves never meet in one process: each block's go from the process that evaluated
    it straight to the file. Only where there is no file are they kept, and handed over in memory.

    Parameters
    ----------
    name : str
        Name of the dataset in the result file.
    dtype : dtype, optional
        Type of the rows; if None, that of what the kernel returns. Floating-point numbers are
        rounded to it; a value that is beyond its range, cut off, or a whole number that it hasn't,
        is refused.
    row : tuple of int
        Shape of a row.
    one_each : bool
        Whether a block has one row for each item, or else any number of them.
    units, description : str
        Attributes of the dataset.
    """

    # A total is the number of rows.

    def __init__(
        self,
        name: str,
        dtype: npt.DTypeLike | None = None,
        *,
        row: tuple[int, ...] = (),
        one_each: bool = True,
        units: str = "1",
        description: str = "",
    ) -> None:
        self.name = name
        self.dtype = None if dtype is None else np.dtype(dtype)
        self.row = tuple(row)
        self.one_each = one_each
        self.units = units
        self.description = description

    def start(self) -> Any:  # noqa: D102
        return 0

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        rows = self.rows(partial)[self.name]
        if rows.shape[1:] != self.row or (self.one_each and len(rows) != block.size):
            shape = ", ".join(map(str, (block.size if self.one_each else "any", *self.row)))
            hint = self._meant(rows, block)
            raise TypeError(
                f"the dataset {self.name!r} needs rows of shape ({shape}), got"
                f" {describe(partial)}{hint}"
            )
        if self.dtype is not None and not _fits(rows.dtype, self.dtype):
            raise TypeError(
                f"the dataset {self.name!r} needs {self.dtype}, got {describe(partial)}"
            )
        changed = None if self.dtype is None else change(rows, self.dtype)
        if changed is not None:
            raise TypeError(
                f"the dataset {self.name!r} of {self.dtype} would store {changed}: give it a wider"
                " dtype"
            )
        return total + len(rows)

    def _meant(self, rows: Array, block: Block) -> str:
        """Return what to write for rows such as these."""
        written = f"Dataset({self.name!r}, …"
        if len(rows) == block.size and rows.shape[1:] != self.row:
            return f"; if that is a row for each item, write {written}, row={rows.shape[1:]})"
        if rows.shape[1:] == self.row:
            return f"; if a block may have any number of rows, write {written}, one_each=False)"
        return ""

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        return total + other

    def datasets(self) -> tuple[Dataset, ...]:  # noqa: D102
        return (self,)

    def rows(self, partial: Any) -> dict[str, Array]:  # noqa: D102
        rows = plain(
            partial,
            f"the dataset {self.name!r}",
            "write .filled() with what stands for them, nan perhaps",
        )
        if rows is None:
            raise TypeError(
                f"the dataset {self.name!r} needs rows of one shape, got {describe(partial)}"
            )
        return {self.name: np.atleast_1d(rows)}

    @property
    def known_beforehand(self) -> bool:
        """Whether the place of each block's rows is known before any is evaluated."""
        return self.one_each and self.dtype is not None and _is_of_numbers(self.dtype)

    def missing(self, block: Block, dtype: np.dtype[Any]) -> Array:
        """Return what stands in for the rows of a block that was skipped: NaN, or 0 where there is
        no NaN.
        """
        return blank_rows((block.size if self.one_each else 0, *self.row), dtype)


def _fits(rows: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    """Return whether rows of a type can be stored as another."""
    if rows.names is None or dtype.names is None:
        return rows.names == dtype.names and np.can_cast(rows, dtype, "same_kind")
    return set(rows.names) == set(dtype.names) and all(
        _fits(rows[name], dtype[name]) for name in dtype.names
    )


def _is_of_numbers(dtype: np.dtype[Any]) -> bool:
    """Return whether HDF5 stores the same bytes as NumPy has: not so for text."""
    if dtype.names is None:
        return dtype.base.kind in "biufc"
    return all(_is_of_numbers(dtype[name]) for name in dtype.names)
