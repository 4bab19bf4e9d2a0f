"""The picture of a prediction: efficiency and time over ranks. It loads Matplotlib to draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mpipar.predict.report import Prediction
from mpipar.predict.rows import PredictedRow
from mpipar.study.table import LOW
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

_MOST_TICKS = 9
_MOST_WRITTEN_OUT = 1000  # ranks; more are powers of ten


class _Line(NamedTuple):
    """A schedule, and how it is drawn."""

    schedule: str
    colour: str
    marker: str
    ranks: list[int]
    rows: list[PredictedRow]


def draw(
    prediction: Prediction,
    stem: Path,
    kinds: Sequence[str],
) -> list[Path]:
    """Draw efficiency and time of each schedule over ranks; return the files: stem.png and so
    on.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, ((left, right),) = figure_of_pairs()
        left.set_title("(a) predicted efficiency")
        right.set_title("(b) predicted time")
        _draw_efficiencies(left, prediction)
        _draw_times(right, prediction)
        for panel in (left, right):
            _scale_ranks(panel, prediction.ranks)
        return save(figure, stem, kinds)


def _lines(prediction: Prediction) -> Iterator[_Line]:
    styles = zip(prediction.schedules, COLOURS, MARKERS, strict=False)
    for schedule, colour, marker in styles:
        rows = [row for row in prediction.rows if row.schedule == schedule]
        yield _Line(schedule, colour, marker, [row.ranks for row in rows], rows)


def _draw_line(
    panel: Any,
    line: _Line,
    middle: list[float],
    draws: list[Sequence[float]],
) -> None:
    """Draw one number of each row, and the range of its draws."""
    look = {"color": line.colour, "marker": line.marker, "label": line.schedule}
    panel.plot(line.ranks, middle, **look)
    low = list(map(min, draws))
    high = list(map(max, draws))
    panel.fill_between(
        line.ranks,
        low,
        high,
        color=line.colour,
        alpha=0.18,
        linewidth=0,
    )


def _draw_efficiencies(panel: Any, prediction: Prediction) -> None:
    mark_efficiencies(panel, LOW)
    for line in _lines(prediction):
        middle = [row.efficiency for row in line.rows]
        _draw_line(panel, line, middle, [row.efficiencies for row in line.rows])
    panel.set_ylim(0, 1.1)
    panel.set_ylabel("efficiency (speedup / processes)")
    has_room_below = prediction.rows[-1].efficiency > 0.5
    panel.legend(loc="lower left" if has_room_below else "best")


def _draw_times(panel: Any, prediction: Prediction) -> None:
    first = next(_lines(prediction))
    ideal = [row.serial / row.processes for row in first.rows]
    panel.plot(first.ranks, ideal, color=GREY, linestyle="--", label="ideal", zorder=1)
    for line in _lines(prediction):
        middle = [row.seconds for row in line.rows]
        _draw_line(panel, line, middle, [row.times for row in line.rows])
    if _is_among(prediction):
        run = prediction.model.run
        label = f"measured, {run.schedule}"
        panel.plot(
            run.ranks,
            run.summary.elapsed,
            "kx",
            markersize=6,
            label=label,
            zorder=4,
        )
        panel.legend(loc="best")
    panel.set_yscale("log")
    axes.decades(panel)
    panel.set_ylabel("time (s)")


def _is_among(prediction: Prediction) -> bool:
    """Whether the run that was measured is one of those that are predicted."""
    run = prediction.model.run
    is_plan = run.blocks == prediction.model.blocks(run.ranks)
    return prediction.own is not None and is_plan and run.ranks in prediction.ranks


def _scale_ranks(panel: Any, ranks: Sequence[int]) -> None:
    """Make a logarithmic axis of powers of ten, or of the numbers of ranks, if few and small."""
    from matplotlib.ticker import LogLocator, NullLocator

    panel.set_xlabel("ranks")
    if len(ranks) > 1:
        panel.set_xscale("log")
    if max(ranks) <= _MOST_WRITTEN_OUT and len(ranks) <= _MOST_TICKS:
        axes.write_at(panel.xaxis, ranks)
    elif len(ranks) > 1:
        panel.xaxis.set_major_locator(LogLocator(10, numticks=_MOST_TICKS))
    panel.xaxis.set_minor_locator(NullLocator())
