"""What came out of a run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mpipar.base.text import items_in_blocks, several
from mpipar.core.kernel import BoundKernel
from mpipar.core.plan import Plan
from mpipar.core.reduction import Array
from mpipar.core.row_types import common_dtype, converted, exact_dtype
from mpipar.runtime.failure import Skipped
from mpipar.runtime.progress_state import Done, Record
from mpipar.runtime.timeline import Span

_MOST_SHOWN = 60  # letters of a value
_MOST_IN_LINE = 6  # numbers of an array


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What came out of a run, and how.

    Attributes
    ----------
    outcome : object
        What the kernel's finish, or else its reduction, gave.
    name : str
        Name of the kernel.
    parameters : dict
        Values of all parameters of the kernel.
    plan : Plan
        n, block size and blocks: of those that were evaluated, if the run ended early because that
        was enough.
    seed : int
        Seed of the random streams.
    schedule : str
        Who took which blocks.
    workers : int
        Worker processes in each rank; 1 is the rank itself.
    elapsed : float
        Seconds from the barrier before the first block to the end of the reduction.
    library : str
        The MPI library, or nothing.
    hosts : list of str
        The node of each rank.
    records : list of Record
        What each process evaluated.
    resumed_blocks : int
        How many blocks were done before this run.
    retried_blocks : int
        How many times a block was evaluated again.
    lost_workers : int
        How many worker processes died, or hung, and were replaced.
    lost_ranks : int
        How many ranks died, and the others went on.
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
    device : str
        cpu or gpu.
    gpus : list of str
        The model of each rank's GPU, if that is the device.
    """

    outcome: Any
    name: str
    parameters: dict[str, Any]
    plan: Plan
    seed: int
    schedule: str
    workers: int
    elapsed: float
    library: str
    hosts: list[str]
    records: list[Record]
    resumed_blocks: int
    retried_blocks: int
    lost_workers: int
    lost_ranks: int
    skipped: list[Skipped]
    datasets: Mapping[str, Any] = field(repr=False)
    partials: dict[int, Any] = field(repr=False)
    done: Done = field(repr=False)
    timelines: list[list[Span]] = field(default_factory=list, repr=False)
    device: str = "cpu"
    gpus: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"<Result of {self.name}:"
            f" {', '.join(f'{name} {text}' for name, text in self._told().items())}>"
        )

    def _repr_html_(self) -> str:
        """Return what notebooks show: a table of two columns."""
        rows = {"kernel": self.name, **self._told()}
        cells = (
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
            for name, text in rows.items()
        )
        return f"<table>{''.join(cells)}</table>"

    def _told(self) -> dict[str, str]:
        """Return the little that one wants to know at first."""
        told = {"value": _shortened(self.value)}
        if self.error is not None:
            told["error"] = _shortened(self.error)
        if self.datasets:
            told["datasets"] = ", ".join(
                f"{name} {_shape(rows)}" for name, rows in self.datasets.items()
            )
        if self.skipped:
            told["skipped"] = several(len(self.skipped), "block")
        told["of"] = items_in_blocks(self.plan.n, self.plan.n_blocks, self.plan.block)
        told["by"] = (
            f"{several(self.ranks, 'rank')} × {several(self.workers, 'worker')},"
            f" {self.elapsed:.3g} s"
        )
        return told

    @property
    def value(self) -> Any:
        """The value alone, where the outcome has an error too."""
        return getattr(self.outcome, "value", self.outcome)

    @property
    def error(self) -> Any:
        """The standard error of the value, or None."""
        return getattr(self.outcome, "error", None)

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return len(self.hosts)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(set(self.hosts))

    @property
    def evaluated_blocks(self) -> int:
        """Number of blocks evaluated in this run."""
        return sum(record.blocks for record in self.records)

    @property
    def imbalance(self) -> float:
        """The largest of the processes' times in kernels over their mean; 1 is perfect."""
        return imbalance([record.seconds for record in self.records])

    @property
    def lower_bound(self) -> float:
        """Seconds that no schedule can beat: the longest block, or an equal share of the time in
        kernels.
        """
        return lower_bound(
            [one.seconds for one in self.records], [one.longest for one in self.records]
        )


def _shortened(value: Any) -> str:
    """Return a value in one line, cut if it is long."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_shortened(item)}" for name, item in value.items())
    elif isinstance(value, np.ndarray) and value.size > _MOST_IN_LINE:
        return f"array of {value.dtype}, shape {value.shape}"
    else:
        text = " ".join(str(value).split())
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _shape(rows: Any) -> str:
    return " × ".join(map(str, rows.shape))


def imbalance(seconds: Sequence[float]) -> float:
    """Return the largest of the processes' times in kernels over their mean; 1 is perfect."""
    busy = sum(seconds)
    return max(seconds) * len(seconds) / busy if busy > 0 else 1.0


def lower_bound(seconds: Sequence[float], longest: Sequence[float]) -> float:
    """Return the seconds that no schedule can beat, from each process's time in kernels and its
    longest block.
    """
    return max(sum(seconds) / max(1, len(seconds)), max(longest, default=0.0))


def joined_rows(
    bound: BoundKernel, plan: Plan, kept: dict[int, dict[str, Array]], skipped: list[Skipped]
) -> dict[str, Array]:
    """Return the rows of each dataset in block order, from the rows of all blocks, {block:
    {dataset: rows}}.
    """
    joined = {}
    for dataset in bound.reduction.datasets():
        pieces = {index: rows[dataset.name] for index, rows in kept.items()}
        in_order = [piece for _, piece in sorted(pieces.items())]
        dtype = dataset.dtype or common_dtype(piece.dtype for piece in in_order)
        if dataset.dtype is None:
            dtype = exact_dtype(dtype, (piece.dtype for piece in in_order), in_order.copy)
        pieces |= {block.block: dataset.missing(plan[block.block], dtype) for block in skipped}
        empty = np.zeros((0, *dataset.row), dtype)
        joined[dataset.name] = np.concatenate(
            [empty, *(converted(pieces[index], dtype) for index in sorted(pieces))]
        )
    return joined
