"""The picture of speedups and efficiencies, for papers. Matplotlib is loaded when it draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mpipar.base.text import several
from mpipar.study.design import STRONG
from mpipar.study.laws import Fit
from mpipar.study.least_squares import Doubles
from mpipar.study.table import LOW, ScalingRow, ScalingTable, Series
from mpipar.view import axes
from mpipar.view.style import (
    COLOURS,
    GREY,
    MARKERS,
    STYLE,
    figure_of_pairs,
    mark_efficiencies,
    save,
)

_DASHES = {"Amdahl": "-", "Gustafson": "-", "USL": ":"}
_APART = 0.06  # octaves between the points of two series, that their bars can be told apart


class _Look(NamedTuple):
    """How a series is drawn."""

    colour: str
    marker: str
    shift: float  # what its numbers of processes are multiplied by
    name: str  # what labels end with, where there are several series


def draw_scaling(tables: Sequence[ScalingTable], stem: Path) -> list[Path]:
    """Draw speedup and efficiency, a row of panels for each table.

    Return the files: stem.png, .svg and .pdf.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, rows = figure_of_pairs(len(tables))
        letters = iter("abcd")
        for table, (left, right) in zip(tables, rows, strict=True):
            left.set_title(f"({next(letters)}) {table.mode} scaling: speedup")
            right.set_title(f"({next(letters)}) {table.mode} scaling: efficiency")
            _draw_speedups(left, table)
            _draw_efficiencies(right, table)
        return save(figure, stem)


def _draw_speedups(panel: Any, table: ScalingTable) -> None:
    processes = _column(table.rows, "processes")
    fewest = processes.min()
    most = processes.max()
    axes.double(panel.xaxis, processes.tolist())
    grid = np.geomspace(fewest, most, 200)
    panel.plot(grid, grid, color=GREY, linestyle="--", label="ideal", zorder=1)
    for series, look in _looks(table):
        for fit in series.fits:
            panel.plot(
                grid,
                fit(grid),
                _DASHES[fit.law],
                color=look.colour,
                linewidth=1,
                zorder=2,
                label=f"{fit.law}: {_values(fit)}{look.name}",
            )
        _draw_points(panel, series, look, is_efficiency=False)
    lowest = min(_column(table.rows, "slowest").min(), fewest)
    highest = max(_column(table.rows, "fastest").max(), most)
    axes.double(panel.yaxis, axes.powers_of_two(lowest, highest))
    panel.set_ylim(lowest / 1.15, highest * 1.25)
    base = several(table.baseline.processes, "process", "processes")
    kind = "speedup" if table.mode == STRONG else "scaled speedup"
    panel.set_ylabel(f"{kind} (relative to {base})")
    panel.set_xlabel(_across(table))
    panel.legend(loc="best")


def _draw_efficiencies(panel: Any, table: ScalingTable) -> None:
    processes = _column(table.rows, "processes")
    axes.double(panel.xaxis, processes.tolist())
    mark_efficiencies(panel, LOW)
    grid = np.geomspace(processes.min(), processes.max(), 200)
    for series, look in _looks(table):
        for fit in series.fits:
            dash = _DASHES[fit.law]
            panel.plot(
                grid,
                fit(grid) / grid,
                dash,
                color=look.colour,
                linewidth=1,
                zorder=2,
            )
        _draw_points(panel, series, look, is_efficiency=True)
    highest = float(np.max(_column(table.rows, "fastest") / processes))
    panel.set_ylim(0, max(1.1, highest * 1.05))
    panel.set_ylabel("efficiency (speedup / processes)")
    panel.set_xlabel(_across(table))
    panel.legend(loc="best")


def _draw_points(
    panel: Any,
    series: Series,
    look: _Look,
    *,
    is_efficiency: bool,
) -> None:
    """Draw each size's median with a bar from its slowest to its fastest run.

    Oversubscribed sizes are hollow.
    """
    measured = [row for row in series.rows if not row.oversubscribed]
    oversubscribed = [row for row in series.rows if row.oversubscribed]
    for rows, label, filling in (
        (measured, "median, range", look.colour),
        (oversubscribed, "oversubscribed", "white"),
    ):
        if not rows:
            continue
        processes = _column(rows, "processes")
        scale = processes if is_efficiency else 1.0
        middle = _column(rows, "speedup") / scale
        below = middle - _column(rows, "slowest") / scale
        above = _column(rows, "fastest") / scale - middle
        panel.errorbar(
            processes * look.shift,
            middle,
            yerr=np.maximum([below, above], 0),
            fmt=look.marker,
            color=look.colour,
            capsize=2.5,
            elinewidth=0.9,
            markerfacecolor=filling,
            label=f"{label}{look.name}",
            zorder=3,
        )


def _looks(table: ScalingTable) -> Iterator[tuple[Series, _Look]]:
    """Yield each series with its look."""
    many = len(table.series)
    styles = zip(table.series, cycle(COLOURS), cycle(MARKERS), strict=False)
    for index, (series, colour, marker) in enumerate(styles):
        shift = 2 ** (_APART * (index - (many - 1) / 2))
        name = f", {several(series.workers, 'worker')}" if many > 1 else ""
        yield series, _Look(colour, marker, shift, name)


def _values(fit: Fit) -> str:
    return ", ".join(f"{one.name} = {one.value:.2g}" for one in fit.parameters)


def _column(rows: Sequence[ScalingRow], name: str) -> Doubles:
    """Return one number of each row."""
    return np.array([getattr(row, name) for row in rows], float)


def _across(table: ScalingTable) -> str:
    """Return what the horizontal axis is."""
    if all(series.workers == 1 for series in table.series):
        return "ranks"
    return "processes (ranks × workers)"
