"""Pictures of a study, for papers: PNG, SVG and PDF. Matplotlib is loaded when it draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpipar.base.text import several
from mpipar.study.crossover import Comparison
from mpipar.study.design import STRONG
from mpipar.study.table import LOW, ScalingRow, ScalingTable, Series
from mpipar.view.style import COLOURS, GREY, HEIGHT, MARKERS, STYLE, WIDTH, decades, save

_MOST_TICKS = 9


def draw_scaling(parts: Sequence[ScalingTable], stem: Path) -> list[Path]:
    """Draw speedup and efficiency, a row of panels for each part; return the files: stem.png, .svg
    and .pdf.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure: Any = Figure(figsize=(WIDTH, HEIGHT * len(parts)), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08)
        panels = figure.subplots(len(parts), 2, squeeze=False)
        letters = iter("abcd")
        for part, (left, right) in zip(parts, panels, strict=True):
            left.set_title(f"({next(letters)}) {part.mode} scaling: speedup")
            right.set_title(f"({next(letters)}) {part.mode} scaling: efficiency")
            _speedup(left, part)
            _efficiency(right, part)
        return save(figure, stem)


def draw_crossover(comparisons: Sequence[Comparison], stem: Path) -> list[Path]:
    """Draw serial and parallel times over problem sizes, and their ratio; return the files."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure: Any = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08)
        left, right = figure.subplots(1, 2)
        left.set_title("(a) time of the whole command")
        right.set_title("(b) serial / parallel")
        lines = comparisons[0].lines
        left.plot(
            [line.items for line in lines],
            [line.serial for line in lines],
            "k--",
            marker="x",
            label="serial",
        )
        right.axhline(1, color="k", linestyle="--", linewidth=0.9, zorder=1)
        for one, colour, marker in zip(comparisons, _cycle(COLOURS), _cycle(MARKERS), strict=False):
            items = [line.items for line in one.lines]
            style = {"color": colour, "marker": marker, "label": one.words}
            left.plot(items, [line.parallel for line in one.lines], **style)
            right.plot(items, [line.speedup for line in one.lines], **style)
            if one.crossover:
                for panel in (left, right):
                    panel.axvline(one.crossover, color=colour, linestyle=":", linewidth=1, zorder=1)
                mantissa, exponent = f"{one.crossover:.1e}".split("e")
                text = f"${mantissa} \\times 10^{{{int(exponent)}}}$"
                right.annotate(
                    text,
                    (one.crossover, 1),
                    xytext=(3, -9),
                    textcoords="offset points",
                    color=colour,
                    fontsize=7,
                )
        for panel in (left, right):
            panel.set_xscale("log")
            panel.set_xlabel("problem size (items)")
        left.set_yscale("log")
        left.set_ylabel("time (s)")
        right.set_ylabel("time serial / time parallel")
        ratios = [line.speedup for one in comparisons for line in one.lines]
        low, high = min(*ratios, 1), max(*ratios, 1)
        _log2_axis(right.yaxis, [2.0**power for power in range(_floor2(low), _floor2(high) + 2)])
        right.set_ylim(low / 1.2, high * 1.2)
        for panel in (left, right):
            panel.legend(loc="upper left")
        decades(left)
        return save(figure, stem)


def _speedup(panel: Any, part: ScalingTable) -> None:
    rows = part.rows
    _log2_axis(panel.xaxis, [row.processes for row in rows])
    grid = np.geomspace(min(row.processes for row in rows), max(row.processes for row in rows), 200)
    panel.plot(grid, grid, color=GREY, linestyle="--", label="ideal", zorder=1)
    dashes = {"Amdahl": "-", "Gustafson": "-", "USL": ":"}
    for series, colour, marker in _styled(part):
        for fit in series.fits:
            many = len(part.series) > 1
            found = ", ".join(f"{one.name} = {one.value:.2g}" for one in fit.parameters)
            panel.plot(
                grid,
                fit(grid),
                dashes[fit.law],
                color=colour,
                linewidth=1,
                zorder=2,
                label=f"{fit.law}: {found}{_of(series) if many else ''}",
            )
        _points(panel, part, series, colour, marker, "speedup")
    lowest = min(min(row.slowest for row in rows), min(row.processes for row in rows))
    highest = max(max(row.fastest for row in rows), max(row.processes for row in rows))
    _log2_axis(panel.yaxis, [2.0**power for power in range(_floor2(lowest), _floor2(highest) + 2)])
    panel.set_ylim(lowest / 1.15, highest * 1.25)
    base = part.baseline.size
    processes = several(base.processes, "process", "processes")
    panel.set_ylabel(f"{'' if part.mode == STRONG else 'scaled '}speedup (relative to {processes})")
    panel.set_xlabel(_across(rows))
    panel.legend(loc="best")


def _efficiency(panel: Any, part: ScalingTable) -> None:
    rows = part.rows
    _log2_axis(panel.xaxis, [row.processes for row in rows])
    panel.axhline(1, color=GREY, linestyle="--", zorder=1, label="ideal")
    panel.axhline(
        LOW, color="k", linestyle="-.", linewidth=0.8, zorder=1, label=f"efficiency {LOW}"
    )
    grid = np.geomspace(min(row.processes for row in rows), max(row.processes for row in rows), 200)
    for series, colour, marker in _styled(part):
        for fit, dash in zip(series.fits, ("-", ":"), strict=False):
            panel.plot(grid, fit(grid) / grid, dash, color=colour, linewidth=1, zorder=2)
        _points(panel, part, series, colour, marker, "efficiency")
    highest = max(row.fastest / row.processes for row in rows)
    panel.set_ylim(0, max(1.1, highest * 1.05))
    panel.set_ylabel("efficiency (speedup / processes)")
    panel.set_xlabel(_across(rows))
    panel.legend(loc="best")


def _points(
    panel: Any, part: ScalingTable, series: Series, colour: str, marker: str, what: str
) -> None:
    """Draw the median of each size with bars from the slowest to the fastest run; oversubscribed
    sizes are hollow.
    """
    many = len(part.series)
    aside = 2 ** (
        0.06 * (part.series.index(series) - (many - 1) / 2)
    )  # that bars of several series are told apart
    for rows, is_over in (
        ([row for row in series.rows if not row.oversubscribed], False),
        ([row for row in series.rows if row.oversubscribed], True),
    ):
        if not rows:
            continue
        p = np.array([row.processes for row in rows])
        over = p if what == "efficiency" else np.ones(len(rows))
        middle = np.array([row.speedup for row in rows]) / over
        below = middle - np.array([row.slowest for row in rows]) / over
        above = np.array([row.fastest for row in rows]) / over - middle
        label = (
            f"{'oversubscribed' if is_over else 'median, range'}{_of(series) if many > 1 else ''}"
        )
        panel.errorbar(
            p * aside,
            middle,
            yerr=np.maximum([below, above], 0),
            fmt=marker,
            color=colour,
            capsize=2.5,
            elinewidth=0.9,
            markerfacecolor="white" if is_over else colour,
            label=label,
            zorder=3,
        )


def _styled(part: ScalingTable) -> Iterable[tuple[Series, str, str]]:
    return zip(part.series, _cycle(COLOURS), _cycle(MARKERS), strict=False)


def _cycle(values: Sequence[str]) -> Iterable[str]:
    return (values[index % len(values)] for index in range(10_000))


def _of(series: Series) -> str:
    return f", {several(series.workers, 'worker')}"


def _across(rows: Sequence[ScalingRow]) -> str:
    return "ranks" if all(row.size.workers == 1 for row in rows) else "processes (ranks × workers)"


def _floor2(value: float) -> int:
    return int(np.floor(np.log2(value)))


def _log2_axis(axis: Any, values: Sequence[float]) -> None:
    """Make a logarithmic axis with ticks at some of the values, written out."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ticks = sorted(set(values))
    ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
    (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log", base=2)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
