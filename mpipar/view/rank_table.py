"""What each rank, or each process, has done: as a table."""

from __future__ import annotations

import numpy as np

from mpipar.store.summary import Summary, Table
from mpipar.view.words import aligned

_FEW_RANKS = 16

RANK_HEADS = ("rank", "node", "blocks", "seconds", "of the mean")
_WORKER_HEADS = ("rank", "node", "pid", "blocks", "seconds", "longest block")


def rank_table(summary: Summary, *, full: bool) -> list[str]:
    """Return a line for each rank; of many, for some of them."""
    cells, is_whole = rank_cells(summary, full=full)
    lines = aligned([RANK_HEADS, *cells])
    if not is_whole:
        lines.append(f"(of {len(summary.per_rank)} ranks; --ranks lists all)")
    return lines


def rank_cells(summary: Summary, *, full: bool = False) -> tuple[list[list[str]], bool]:
    """Return the columns of RANK_HEADS and a remark for each rank, or of many for some; and whether
    these are all.
    """
    table = summary.per_rank
    is_whole = full or len(table) <= _FEW_RANKS
    chosen = _all_ranks(table) if is_whole else _some_ranks(table)
    mean = float(table["seconds"].mean())
    lines = []
    for row, remark in chosen.items():
        one = table[row]
        of_the_mean = f"{one['seconds'] / mean:.3f}" if mean > 0 else ""
        cells = [str(one["rank"]), one["host"], str(one["blocks"]), f"{one['seconds']:.3f}"]
        lines.append([*cells, of_the_mean, remark])
    return lines, is_whole


def _all_ranks(table: Table) -> dict[int, str]:
    """Return all rows, {row: remark}."""
    chosen = dict.fromkeys(range(len(table)), "")
    seconds = table["seconds"]
    if len(table) > 1 and seconds.any():
        slowest = np.argsort(seconds, kind="stable")[-1]
        chosen[int(slowest)] = "slowest"
    return chosen


def _some_ranks(table: Table) -> dict[int, str]:
    """Return the three slowest, the one in the middle and the fastest, {row: remark}."""
    order = np.argsort(table["seconds"], kind="stable").tolist()
    chosen = dict.fromkeys(reversed(order[-3:]), "slowest")
    chosen[order[len(order) // 2]] = "median"
    chosen[order[0]] = "fastest"
    return chosen


def worker_table(summary: Summary) -> list[str]:
    """Return a line for each process."""
    lines: list[list[str]] = []
    for one in summary.processes:
        who = [str(one["rank"]), one["host"], str(one["pid"])]
        did = [str(one["blocks"]), f"{one['seconds']:.3f}", f"{one['longest']:.6f}"]
        lines.append(who + did)
    return aligned([_WORKER_HEADS, *lines])
