"""The names of the lanes of a timeline, and how busy each was."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpipar.base.text import printable
from mpipar.store.summary import Summary
from mpipar.view.lanes import Lanes

MOST_LANES = 96
"""So many lanes are drawn one by one."""

NAMED_LANES = 32
"""So many lanes have room for words."""

_NAMED_RANKS = 16
_PARTED_RANKS = 64  # with a line between them


def name_lanes(panel: Any, lanes: Lanes, summary: Summary, is_wide: bool) -> None:
    """Name the lanes, or some of them, and tell how busy each was where there is room."""
    firsts = lanes.firsts
    if len(firsts) <= _NAMED_RANKS:
        places, names = _each_rank(lanes, summary)
    else:
        places, names = _some_ranks(lanes)
    panel.set_yticks(places, names, parse_math=False)
    panel.tick_params(axis="y", length=0)
    has_workers = len(firsts) < lanes.count
    are_lines = lanes.count <= MOST_LANES
    panel.set_ylabel("rank, with its workers" if has_workers and are_lines else "rank")
    if has_workers and len(firsts) <= _PARTED_RANKS:
        for first in firsts[1:]:
            panel.axhline(first, color=panel.xaxis.label.get_color(), linewidth=0.7, zorder=3)
    if lanes.count <= NAMED_LANES:
        _tell_busy(panel, lanes, is_wide)


def _each_rank(lanes: Lanes, summary: Summary) -> tuple[Any, list[str]]:
    """Return where the name of each rank goes, and the names: with hosts, if there are several."""
    firsts = lanes.firsts
    ranks = lanes.rank[firsts]
    bounds = np.append(firsts, lanes.count)
    names = [str(rank) for rank in ranks]
    if len(summary.hosts) > 1:
        table = summary.per_rank
        host_of = dict(zip(table["rank"].tolist(), table["host"], strict=True))
        names = [f"{rank} · {printable(host_of.get(int(rank), ''))[:16]}" for rank in ranks]
    return (bounds[:-1] + bounds[1:]) / 2, names


def _some_ranks(lanes: Lanes) -> tuple[Any, list[str]]:
    """Return where the names of some ranks with round numbers go, and the names."""
    from matplotlib.ticker import MaxNLocator

    ranks = lanes.rank[lanes.firsts]
    last = ranks[-1]
    round_numbers = MaxNLocator(8, integer=True).tick_values(0, last)
    chosen = [int(rank) for rank in round_numbers if 0 <= rank <= last]
    at = np.minimum(np.searchsorted(ranks, chosen), len(ranks) - 1)
    return lanes.firsts[at] + 0.5, [str(rank) for rank in ranks[at]]


def _tell_busy(panel: Any, lanes: Lanes, is_wide: bool) -> None:
    """Write the share of its time that each lane was busy beside it."""
    whole = (lanes.until - lanes.since) or 1.0
    for lane, own in enumerate(lanes.busy):
        panel.annotate(
            f"{100 * own / whole:.0f} %",
            (1, lane + 0.5),
            (5, 0),
            ("axes fraction", "data"),
            "offset points",
            va="center",
            fontsize=7,
        )
    if is_wide:
        panel.annotate(
            "busy", (1, 1), (5, 3), "axes fraction", "offset points", va="bottom", fontsize=7
        )
