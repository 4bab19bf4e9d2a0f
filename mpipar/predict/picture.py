"""The picture of a prediction: efficiency and time over ranks. Matplotlib is loaded when it
draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpipar.predict.report import Prediction
from mpipar.study.table import LOW
from mpipar.view import axes
from mpipar.view.style import COLOURS, GREY, HEIGHT, MARKERS, STYLE, WIDTH, save


def draw(prediction: Prediction, stem: Path, kinds: Sequence[str]) -> list[Path]:
    """Draw efficiency and time of each schedule over ranks; return the files: stem.png and so
    on.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure: Any = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.08)
        left, right = figure.subplots(1, 2)
        left.set_title("(a) predicted efficiency")
        right.set_title("(b) predicted time")
        _efficiency(left, prediction)
        _time(right, prediction)
        for panel in (left, right):
            _ranks_axis(panel, prediction.ranks)
        return save(figure, stem, kinds)


def _efficiency(panel: Any, prediction: Prediction) -> None:
    panel.axhline(1, color=GREY, linestyle="--", zorder=1, label="ideal")
    panel.axhline(
        LOW, color="k", linestyle="-.", linewidth=0.8, zorder=1, label=f"efficiency {LOW}"
    )
    for schedule, colour, marker in _styled(prediction):
        rows = [row for row in prediction.rows if row.schedule == schedule]
        ranks = [row.ranks for row in rows]
        panel.plot(
            ranks, [row.efficiency for row in rows], color=colour, marker=marker, label=schedule
        )
        low, high = [min(row.efficiencies) for row in rows], [max(row.efficiencies) for row in rows]
        panel.fill_between(ranks, low, high, color=colour, alpha=0.18, linewidth=0)
    panel.set_ylim(0, 1.1)
    panel.set_ylabel("efficiency (speedup / processes)")
    panel.legend(loc="lower left" if prediction.rows[-1].efficiency > 0.5 else "best")


def _time(panel: Any, prediction: Prediction) -> None:
    first = [row for row in prediction.rows if row.schedule == prediction.schedules[0]]
    ideal = [row.serial / row.processes for row in first]
    panel.plot(
        [row.ranks for row in first], ideal, color=GREY, linestyle="--", label="ideal", zorder=1
    )
    for schedule, colour, marker in _styled(prediction):
        rows = [row for row in prediction.rows if row.schedule == schedule]
        ranks = [row.ranks for row in rows]
        panel.plot(
            ranks, [row.seconds for row in rows], color=colour, marker=marker, label=schedule
        )
        panel.fill_between(
            ranks,
            [min(row.times) for row in rows],
            [max(row.times) for row in rows],
            color=colour,
            alpha=0.18,
            linewidth=0,
        )
    run = prediction.model.run
    if (
        prediction.own is not None
        and run.blocks == prediction.model.blocks(run.ranks)
        and run.ranks in prediction.ranks
    ):
        panel.plot(
            run.ranks,
            run.summary.elapsed,
            "kx",
            markersize=6,
            label=f"measured, {run.schedule}",
            zorder=4,
        )
        panel.legend(loc="best")
    panel.set_yscale("log")
    axes.decades(panel)
    panel.set_ylabel("time (s)")


def _ranks_axis(panel: Any, ranks: Sequence[int]) -> None:
    """Make a logarithmic axis of powers of ten, or of the numbers themselves where they are few and
    small.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    panel.set_xlabel("ranks")
    if len(ranks) > 1:
        panel.set_xscale("log")
    if max(ranks) <= 1000 and len(ranks) <= 9:
        panel.xaxis.set_major_locator(FixedLocator(list(ranks)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif len(ranks) > 1:
        panel.xaxis.set_major_locator(LogLocator(10, numticks=9))
    panel.xaxis.set_minor_locator(NullLocator())


def _styled(prediction: Prediction) -> list[tuple[str, str, str]]:
    return list(zip(prediction.schedules, COLOURS, MARKERS, strict=False))
