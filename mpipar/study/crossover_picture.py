"""The picture of when parallel wins, for papers. Matplotlib is loaded when it draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from mpipar.study.crossover import Comparison, Point
from mpipar.view import axes
from mpipar.view.style import COLOURS, MARKERS, STYLE, figure_of_pairs, save


def draw_crossover(comparisons: Sequence[Comparison], stem: Path) -> list[Path]:
    """Draw serial and parallel times over problem sizes, and their ratio; return the files."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure, ((times, ratios),) = figure_of_pairs()
        times.set_title("(a) time of the whole command")
        ratios.set_title("(b) serial / parallel")
        _draw_serial(times, ratios, comparisons[0].points)
        looks = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
        for comparison, (colour, marker) in zip(comparisons, looks, strict=False):
            _draw_parallel(times, ratios, comparison, colour, marker)
            if comparison.crossover:
                _mark_crossover(times, ratios, comparison.crossover, colour)
        _scale_axes(times, ratios, comparisons)
        for panel in (times, ratios):
            panel.legend(loc="upper left")
        axes.decades(times)
        return save(figure, stem)


def _draw_serial(times: Any, ratios: Any, points: Sequence[Point]) -> None:
    items = [point.items for point in points]
    times.plot(
        items,
        [point.serial for point in points],
        "k--",
        marker="x",
        label="serial",
    )
    ratios.axhline(1, color="k", linestyle="--", linewidth=0.9, zorder=1)


def _draw_parallel(
    times: Any,
    ratios: Any,
    comparison: Comparison,
    colour: str,
    marker: str,
) -> None:
    points = comparison.points
    items = [point.items for point in points]
    look = {"color": colour, "marker": marker, "label": comparison.words}
    times.plot(items, [point.parallel for point in points], **look)
    ratios.plot(items, [point.speedup for point in points], **look)


def _mark_crossover(times: Any, ratios: Any, items: float, colour: str) -> None:
    for panel in (times, ratios):
        panel.axvline(items, color=colour, linestyle=":", linewidth=1, zorder=1)
    mantissa, exponent = f"{items:.1e}".split("e")
    ratios.annotate(
        f"${mantissa} \\times 10^{{{int(exponent)}}}$",
        (items, 1),
        xytext=(3, -9),
        textcoords="offset points",
        color=colour,
        fontsize=7,
    )


def _scale_axes(
    times: Any,
    ratios: Any,
    comparisons: Sequence[Comparison],
) -> None:
    for panel in (times, ratios):
        panel.set_xscale("log")
        panel.set_xlabel("problem size (items)")
    times.set_yscale("log")
    times.set_ylabel("time (s)")
    ratios.set_ylabel("time serial / time parallel")
    low = high = 1.0
    for comparison in comparisons:
        for point in comparison.points:
            low = min(low, point.speedup)
            high = max(high, point.speedup)
    axes.double(ratios.yaxis, axes.powers_of_two(low, high))
    ratios.set_ylim(low / 1.2, high * 1.2)
