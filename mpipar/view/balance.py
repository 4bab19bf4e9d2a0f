"""Pictures of how work was shared out: times of processes and of blocks.

Matplotlib is loaded when it draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.base.text import several
from mpipar.store.summary import Summary
from mpipar.view.timeline import LIGHT, NARROW, Theme, saved, seconds

_MOST_BARS = 64
_BINS = 40
_HEIGHT = 2.9


def draw_shares(summary: Summary, theme: Theme = LIGHT) -> bytes:
    """Return a PNG of the time in kernels of each process, or of many as a distribution."""
    from matplotlib.ticker import MaxNLocator

    def draw(panel: Any) -> None:
        busy, ranks = summary.processes["seconds"], summary.processes["rank"]
        mean = float(busy.mean())
        line, axis = (
            (panel.axhline, panel.yaxis)
            if len(busy) <= _MOST_BARS
            else (panel.axvline, panel.xaxis)
        )
        if len(busy) <= _MOST_BARS:
            order = np.argsort(ranks, kind="stable")
            shades = [
                (theme.work, theme.bound)[int(rank) % 2 if len(set(ranks)) < len(ranks) else 0]
                for rank in ranks[order]
            ]
            panel.bar(np.arange(len(busy)), busy[order], color=shades, width=0.85)
            firsts = np.flatnonzero(np.diff(ranks[order], prepend=-1))
            shown = firsts[:: -(-len(firsts) // 16)]
            middle = [
                (first + np.searchsorted(ranks[order], ranks[order][first], "right") - 1) / 2
                for first in shown
            ]
            panel.set_xticks(middle, [str(rank) for rank in ranks[order][shown]])
            panel.set_xlabel("rank" if len(firsts) == len(busy) else "rank, with its workers")
            panel.set_ylabel("time in kernels")
            panel.set_ylim(0, busy.max() * 1.1 or 1.0)
        else:
            panel.hist(busy, bins=_BINS, color=theme.work)
            panel.set_xlabel("time in kernels")
            panel.set_ylabel("processes")
        line(mean, color=theme.ink, linestyle=(0, (4, 2)), label=f"mean: {seconds(mean)}")
        line(
            busy.max(),
            color=theme.longest,
            linewidth=1.4,
            label=f"longest: {seconds(float(busy.max()))}",
        )
        axis.set_major_locator(MaxNLocator(6))
        axis.set_major_formatter(lambda value, _: seconds(value))

    return _drawn(draw, theme)


def draw_blocks(summary: Summary, theme: Theme = LIGHT) -> bytes:
    """Return a PNG of how many blocks took how long. Spans of several blocks count with their
    mean.
    """

    def draw(panel: Any) -> None:
        assert summary.timeline is not None
        each, blocks = summary.block_seconds, summary.timeline["blocks"]
        there = each > 0
        each, blocks = each[there], blocks[there]
        low, high = (float(each.min()), float(each.max())) if len(each) else (0.0, 1.0)
        wide = low > 0 and high > 30 * low
        bins = (
            np.geomspace(low, high, _BINS + 1)
            if wide
            else np.linspace(0.0, high * 1.0001, _BINS + 1)
        )
        panel.hist(each, bins=bins, weights=blocks, color=theme.work)
        if wide:
            panel.set_xscale("log")
            panel.xaxis.set_minor_formatter(lambda *_: "")
        if len(each):
            mean = float(np.average(each, weights=blocks))
            panel.axvline(
                mean, color=theme.ink, linestyle=(0, (4, 2)), label=f"mean: {seconds(mean)}"
            )
        longest = summary.longest_block
        panel.axvline(
            longest, color=theme.longest, linewidth=1.4, label=f"longest: {seconds(longest)}"
        )
        panel.xaxis.set_major_formatter(lambda value, _: seconds(value))
        panel.set_xlabel(
            "time of a block" + (" (mean of a span of several)" if (blocks > 1).any() else "")
        )
        panel.set_ylabel("blocks")

    return _drawn(draw, theme)


def about_shares(summary: Summary) -> str:
    """Return what a picture of the times of processes tells, in words."""
    busy = summary.processes["seconds"]
    return (
        f"Time in kernels of {several(len(busy), 'process', 'processes')}: from"
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
