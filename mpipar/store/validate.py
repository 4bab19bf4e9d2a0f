"""Whether the tables of a result file can be those of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpipar.core.run_record import RunRecord
from mpipar.runtime.timeline import MOST_SPANS
from mpipar.store.attributes import MOST_SECONDS

Table = np.ndarray[Any, Any]


def check_tables(
    run: RunRecord,
    processes: Table,
    per_rank: Table,
    timeline: Table | None,
) -> None:
    """Raise ValueError if tables can't be of this run."""
    ranks = run.placement.ranks
    if ranks != len(per_rank):
        raise ValueError(f"ranks is {ranks}, and {len(per_rank)} are there")
    _check_columns(processes, times=("seconds", "longest"))
    _check_columns(per_rank, times=("seconds",))
    if timeline is not None:
        _check_numbers(timeline, len(processes), run.plan.n_blocks)
        _check_order(timeline)


def _check_columns(table: Table, times: tuple[str, ...]) -> None:
    """Raise ValueError if counts or times can't be what they should be."""
    if not (table["blocks"] >= 0).all():
        raise ValueError("blocks has numbers that can't be")
    for name in times:
        seconds = table[name]
        can_be = (seconds >= 0) & (seconds <= MOST_SECONDS)  # which NaN isn't, either
        if not can_be.all():
            raise ValueError(f"{name} has numbers that can't be")


def _check_numbers(spans: Table, processes: int, n_blocks: int) -> None:
    """Raise ValueError if no run can have these: what is drawn and simulated of them is bounded by
    that.
    """
    if len(spans) > processes * MOST_SPANS:
        raise ValueError(f"the timeline has {len(spans)} spans")
    worker = spans["worker"]
    block = spans["block"]
    blocks = spans["blocks"]
    can_be = (
        all((np.abs(spans[name]) <= MOST_SECONDS).all() for name in ("begin", "end"))
        and worker.min() >= 0
        and worker.max() < processes
        and block.min() >= 0
        and block.max() < n_blocks
        and blocks.min() > 0
        and blocks.sum(dtype=float) <= n_blocks  # whole numbers could wrap
    )
    if not can_be:
        raise ValueError("the timeline has spans that can't be")


def _check_order(spans: Table) -> None:
    """Raise ValueError if spans end before they begin, or overlap those of the same process."""
    order = np.lexsort((spans["end"], spans["begin"], spans["worker"]))
    worker = spans["worker"][order]
    begin = spans["begin"][order]
    end = spans["end"][order]
    rounding = 1e-9 * (end.max() - begin.min())
    same_process = worker[1:] == worker[:-1]
    overlap = begin[1:] < end[:-1] - rounding
    if (end < begin).any() or overlap[same_process].any():
        raise ValueError("the timeline has spans of a process that overlap")
