"""Pictures of how work was shared out: times of processes and of blocks.

Matplotlib is loaded when it draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.base.text import several
from mpipar.store.summary import Summary
from mpipar.view.themes import LIGHT, Theme
from mpipar.view.timeline import NARROW, saved, seconds

Array = np.ndarray[Any, Any]

_MOST_BARS = 64
_MOST_RANKS_NAMED = 16
_BINS = 40
_HEIGHT = 2.9


def draw_shares(summary: Summary, theme: Theme = LIGHT) -> bytes:
    """Return a PNG of the time in kernels of each process, or of many as a distribution."""
    from matplotlib.ticker import MaxNLocator

    def draw(panel: Any) -> None:
        busy = summary.processes["seconds"]
        ranks = summary.processes["rank"]
        mean = float(busy.mean())
        longest = float(busy.max())
        if len(busy) <= _MOST_BARS:
            _bars(panel, busy, ranks, theme)
            panel.set_ylabel(f"time {summary.words.working}")
            line = panel.axhline
            axis = panel.yaxis
        else:
            panel.hist(busy, bins=_BINS, color=theme.work)
            panel.set_xlabel(f"time {summary.words.working}")
            panel.set_ylabel("processes")
            line = panel.axvline
            axis = panel.xaxis
        line(mean, color=theme.ink, linestyle=(0, (4, 2)), label=f"mean: {seconds(mean)}")
        line(longest, color=theme.longest, linewidth=1.4, label=f"longest: {seconds(longest)}")
        axis.set_major_locator(MaxNLocator(6))
        axis.set_major_formatter(lambda value, _: seconds(value))

    return _drawn(draw, theme)


def _bars(panel: Any, busy: Array, ranks: Array, theme: Theme) -> None:
    """Draw a bar for each process; the workers of a rank are beside each other, in one colour."""
    order = np.argsort(ranks, kind="stable")
    busy = busy[order]
    ranks = ranks[order]
    firsts = np.flatnonzero(np.diff(ranks, prepend=-1))
    has_workers = len(firsts) < len(busy)
    shades = [theme.work] * len(busy)
    if has_workers:
        colours = (theme.work, theme.bound)
        shades = [colours[int(rank) % 2] for rank in ranks]
    panel.bar(np.arange(len(busy)), busy, color=shades, width=0.85)
    shown = firsts[:: -(-len(firsts) // _MOST_RANKS_NAMED)]
    lasts = np.searchsorted(ranks, ranks[shown], "right") - 1
    names = [str(rank) for rank in ranks[shown]]
    panel.set_xticks((shown + lasts) / 2, names)
    panel.set_xlabel("rank, with its workers" if has_workers else "rank")
    panel.set_ylim(0, busy.max() * 1.1 or 1.0)


def draw_blocks(summary: Summary, theme: Theme = LIGHT) -> bytes:
    """Return a PNG of how many blocks took how long. Spans of several blocks count with their
    mean.
    """

    def draw(panel: Any) -> None:
        assert summary.timeline is not None
        each = summary.block_seconds
        blocks = summary.timeline["blocks"]
        there = each > 0
        _histogram(panel, each[there], blocks[there], theme, summary.words.item)
        longest = summary.longest_block
        panel.axvline(
            longest, color=theme.longest, linewidth=1.4, label=f"longest: {seconds(longest)}"
        )
        panel.xaxis.set_major_formatter(lambda value, _: seconds(value))

    return _drawn(draw, theme)


def _histogram(
    panel: Any,
    each: Array,
    blocks: Array,
    theme: Theme,
    item: str,
) -> None:
    """Draw how many blocks took how long, and the mean; on a logarithmic scale, where times are of
    several magnitudes.
    """
    low = 0.0
    high = 1.0
    if len(each):
        low = float(each.min())
        high = float(each.max())
    if low > 0 and high > 30 * low:
        bins = np.geomspace(low, high, _BINS + 1)
        panel.hist(each, bins=bins, weights=blocks, color=theme.work)
        panel.set_xscale("log")
        panel.xaxis.set_minor_formatter(lambda *_: "")
    else:
        bins = np.linspace(0.0, high * 1.0001, _BINS + 1)
        panel.hist(each, bins=bins, weights=blocks, color=theme.work)
    if len(each):
        mean = float(np.average(each, weights=blocks))
        panel.axvline(mean, color=theme.ink, linestyle=(0, (4, 2)), label=f"mean: {seconds(mean)}")
    has_spans = (blocks > 1).any()
    panel.set_xlabel(
        f"time of a {item} (mean of a span of several)" if has_spans else f"time of a {item}"
    )
    panel.set_ylabel(f"{item}s")


def about_shares(summary: Summary) -> str:
    """Return what a picture of the times of processes tells, in words."""
    busy = summary.processes["seconds"]
    return (
        f"Time {summary.words.working} of {several(len(busy), 'process', 'processes')}: from"
        f" {seconds(float(busy.min()))} to {seconds(float(busy.max()))}, mean"
        f" {seconds(float(busy.mean()))}."
    )


def _drawn(draw: Callable[[Any], None], theme: Theme) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(theme.style()):
        figure: Any = Figure(figsize=(NARROW, _HEIGHT), layout="constrained")
        draw(figure.subplots())
        figure.legend(loc="outside upper left", ncols=2)
        return saved(figure, "png")
