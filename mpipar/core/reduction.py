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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpipar.base.overriding import override
from mpipar.core.casting import change
from mpipar.core.exact import FRACTION_BITS, ExactArray, from_fixed, to_fixed
from mpipar.core.partials import Array as Array
from mpipar.core.partials import check_real, describe, has_whole_numbers, plain
from mpipar.core.plan import Block
from mpipar.core.row_types import blank_rows, can_be_stored, is_of_numbers

if TYPE_CHECKING:
    import numpy.typing as npt


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

    :meth:`merge` must be associative, and neither it nor :meth:`add` may depend on block order.
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

    @override
    def start(self) -> Any:
        return None

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        if isinstance(partial, float):  # np.float64 is one
            if isinstance(total, tuple) and math.isfinite(partial):  # the same as below, sooner
                return total[0] + to_fixed(partial), total[1], False
            return self.merge(total, self._scalar(partial))
        if isinstance(partial, int):
            return self.merge(total, (int(partial) << FRACTION_BITS, 0.0, True))
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

    @override
    def merge(self, total: Any, other: Any) -> Any:
        if total is None:
            return other
        if other is None:
            return total
        if isinstance(total, ExactArray) != isinstance(other, ExactArray):
            raise TypeError("ExactSum got numbers from some blocks and arrays from others")
        if isinstance(total, ExactArray):
            total.merge(other)
            return total
        fixed, special, whole = total
        more_fixed, more_special, also_whole = other
        return fixed + more_fixed, special + more_special, whole and also_whole

    @override
    def finish(self, total: Any) -> Any:
        if total is None:
            return 0.0
        if isinstance(total, ExactArray):
            return total.value()
        fixed, special, whole = total
        if special != 0:
            return special
        rounded = from_fixed(fixed)
        integer = fixed >> FRACTION_BITS
        if whole and rounded != integer:
            return integer
        return rounded

    @staticmethod
    def _scalar(x: float) -> tuple[int, float, bool]:
        if math.isfinite(x):
            return to_fixed(x), 0.0, False
        return 0, x, False


class Count(Reduction):
    """The sum of whole numbers, or of arrays of them: exact, and never overflowing."""

    @override
    def start(self) -> Any:
        return 0

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        if isinstance(partial, int):
            return self.merge(total, int(partial))
        array = plain(partial, "Count", _FILL)
        if array is None or not has_whole_numbers(array):
            raise TypeError(f"Count needs whole numbers, got {describe(partial)}")
        if array.ndim == 0:
            return self.merge(total, int(array.item()))
        is_wide = array.dtype in (np.uint64, object)
        return self.merge(total, array.astype(object if is_wide else np.int64))

    @override
    def merge(self, total: Any, other: Any) -> Any:
        if isinstance(total, int) and total == 0:
            return other
        if isinstance(other, int) and other == 0:
            return total
        if np.shape(total) != np.shape(other):
            raise ValueError(
                f"Count needs partials of one shape: got {np.shape(other)} after {np.shape(total)}"
            )
        sums = total + other
        if isinstance(total, int) or total.dtype == object or other.dtype == object:
            return sums
        # Where it overflowed, the operands have one sign, the sum the other.
        overflow = ((total ^ sums) & (other ^ sums)) < 0
        if overflow.any():
            return total.astype(object) + other
        return sums

    def finish(self, total: Any) -> Any:
        """Return an int, or an array: of int64 if all of its numbers fit, of Python integers if
        not.
        """
        if isinstance(total, int) or total.dtype != object:
            return total
        numbers = total.flat
        fits = all(-(2**63) <= x < 2**63 for x in numbers)
        if not fits:
            return total
        return total.astype(np.int64)


class Each(Reduction):
    """Several reductions side by side: a kernel returns a dict with a partial for each name, or a
    tuple of partials in the order of the names; the result is a dict.

    Parameters
    ----------
    **reductions : Reduction or a subclass of it that needs no arguments
        The reduction of each name.
    """

    def __init__(self, **reductions: Reduction | type[Reduction]) -> None:
        self.reductions: Mapping[str, Reduction] = {
            name: _made(name, reduction) for name, reduction in reductions.items()
        }

    @override
    def start(self) -> Any:
        return {name: reduction.start() for name, reduction in self.reductions.items()}

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        for name, part in self._named(partial).items():
            total[name] = self.reductions[name].add(total[name], part, block)
        return total

    def _named(self, partial: Any) -> Mapping[str, Any]:
        """Return partials by their names. Compiled code has tuples, and no dicts."""
        if isinstance(partial, tuple) and len(partial) == len(self.reductions):
            return dict(zip(self.reductions, partial, strict=True))
        if isinstance(partial, Mapping) and partial.keys() == self.reductions.keys():
            return partial
        names = ", ".join(self.reductions)
        raise TypeError(f"Each needs a dict with {names}, got {describe(partial)}")

    @override
    def merge(self, total: Any, other: Any) -> Any:
        return {
            name: reduction.merge(total[name], other[name])
            for name, reduction in self.reductions.items()
        }

    @override
    def finish(self, total: Any) -> Any:
        return {name: reduction.finish(total[name]) for name, reduction in self.reductions.items()}

    @override
    def datasets(self) -> tuple[Dataset, ...]:
        datasets: list[Dataset] = []
        for reduction in self.reductions.values():
            datasets += reduction.datasets()
        return tuple(datasets)

    @override
    def rows(self, partial: Any) -> dict[str, Array]:
        rows: dict[str, Array] = {}
        for name, part in self._named(partial).items():
            rows |= self.reductions[name].rows(part)
        return rows


def _made(name: str, reduction: Any) -> Reduction:
    """Return a reduction of the name in an Each, made of its class if that is given."""
    if isinstance(reduction, type) and issubclass(reduction, Reduction):
        try:
            return reduction()
        except TypeError as error:
            what = f"{name}={reduction.__name__}"
            raise TypeError(f"Each: {what} needs arguments: {error}") from None
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

    @override
    def start(self) -> Any:
        return 0

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        rows = self.rows(partial)[self.name]
        self._check_shape(rows, partial, block)
        if self.dtype is None:
            return total + len(rows)
        if not can_be_stored(rows.dtype, self.dtype):
            raise TypeError(
                f"the dataset {self.name!r} needs {self.dtype}, got {describe(partial)}"
            )
        changed = change(rows, self.dtype)
        if changed is not None:
            raise TypeError(
                f"the dataset {self.name!r} of {self.dtype} would store {changed}:"
                " give it a wider dtype"
            )
        return total + len(rows)

    def _check_shape(
        self,
        rows: Array,
        partial: Any,
        block: Block,
    ) -> None:
        shape_of_row = rows.shape[1:]
        has_one_each = len(rows) == block.size
        fits_row = shape_of_row == self.row
        if fits_row and (has_one_each or not self.one_each):
            return
        written = f"Dataset({self.name!r}, …"
        hint = ""
        if has_one_each:
            hint = f"; if that is a row for each item, write {written}, row={shape_of_row})"
        elif fits_row:
            hint = f"; if a block may have any number of rows, write {written}, one_each=False)"
        count = block.size if self.one_each else "any"
        needed = ", ".join(map(str, (count, *self.row)))
        raise TypeError(
            f"the dataset {self.name!r} needs rows of shape ({needed}),"
            f" got {describe(partial)}{hint}"
        )

    @override
    def merge(self, total: Any, other: Any) -> Any:
        return total + other

    @override
    def datasets(self) -> tuple[Dataset, ...]:
        return (self,)

    @override
    def rows(self, partial: Any) -> dict[str, Array]:
        who = f"the dataset {self.name!r}"
        rows = plain(
            partial,
            who,
            "write .filled() with what stands for them, nan perhaps",
        )
        if rows is None:
            raise TypeError(f"{who} needs rows of one shape, got {describe(partial)}")
        return {self.name: np.atleast_1d(rows)}

    @property
    def known_beforehand(self) -> bool:
        """Whether the place of each block's rows is known before any is evaluated."""
        return self.one_each and self.dtype is not None and is_of_numbers(self.dtype)

    def missing(self, block: Block, dtype: np.dtype[Any]) -> Array:
        """Return what stands in for the rows of a block that was skipped: NaN, or 0 where there is
        no NaN.
        """
        count = block.size if self.one_each else 0
        return blank_rows((count, *self.row), dtype)
