"""What came out of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mpipar.core import result_card
from mpipar.core.kernel import BoundKernel
from mpipar.core.partials import Array, DType
from mpipar.core.plan import Plan
from mpipar.core.row_types import common_dtype, converted, exact_dtype
from mpipar.core.run_record import OfRun, RunRecord
from mpipar.runtime.failure import Skipped
from mpipar.runtime.progress_state import Done, Record
from mpipar.runtime.timeline import Span


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Result(OfRun):
    """What came out of a run, and how.

    Attributes
    ----------
    outcome : object
        What the kernel's finish, or else its reduction, gave.
    run : RunRecord
        What was run, and how that went; the properties tell of it.
    hosts : list of str
        The node of each rank.
    records : list of Record
        What each process evaluated.
    skipped : list of Skipped
        Blocks that failed, in order, if the run was to go on without them.
    datasets : dict
        {name: rows}: arrays, or, where there is an output, what reads from it when it is looked at.
    partials : dict
        {block index: partial}, if they were kept.
    done : Done
        All blocks that are done, and their total.
    timelines : list of list of Span
        When each of the processes in ``records`` evaluated which blocks, in seconds from the
        barrier before the first block, if that was kept.
    """

    outcome: Any
    run: RunRecord
    hosts: list[str]
    records: list[Record]
    skipped: list[Skipped]
    datasets: Mapping[str, Any]
    partials: dict[int, Any]
    done: Done
    timelines: list[list[Span]] = field(default_factory=list)

    def __repr__(self) -> str:
        return result_card.as_line(f"Result of {self.name}", self._card())

    def _repr_html_(self) -> str:
        """Return what notebooks show: a table of two columns."""
        return result_card.as_html({"kernel": self.name, **self._card()})

    def _card(self) -> dict[str, str]:
        return result_card.rows_of_card(self.run, self.value, self.error, self.datasets)

    @property
    def value(self) -> Any:
        """The value alone, where the outcome has an error too."""
        return getattr(self.outcome, "value", self.outcome)

    @property
    def error(self) -> Any:
        """The standard error of the value, or None."""
        return getattr(self.outcome, "error", None)


def joined_rows(
    bound: BoundKernel,
    plan: Plan,
    kept: dict[int, dict[str, Array]],
    skipped: list[Skipped],
) -> dict[str, Array]:
    """Return the rows of each dataset in block order, from the rows of all blocks, {block:
    {dataset: rows}}.
    """
    joined = {}
    for dataset in bound.reduction.datasets():
        pieces = {index: rows[dataset.name] for index, rows in kept.items()}
        dtype = dataset.dtype or _dtype_of([pieces[index] for index in sorted(pieces)])
        for block in skipped:
            pieces[block.block] = dataset.missing(plan[block.block], dtype)
        in_order = [np.zeros((0, *dataset.row), dtype)]
        for index in sorted(pieces):
            in_order.append(converted(pieces[index], dtype))
        joined[dataset.name] = np.concatenate(in_order)
    return joined


def _dtype_of(pieces: list[Array]) -> DType:
    """Return a type that holds all these rows."""
    types = [piece.dtype for piece in pieces]
    return exact_dtype(common_dtype(types), types, pieces.copy)
