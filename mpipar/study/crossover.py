"""From which problem size on parallel is faster than serial.

Times are those of whole commands, start-up included: what a user waits for.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mpipar.base.text import markdown_row, several
from mpipar.study.design import SIZES, Measured, Run

_COLUMNS = (
    *("items", "ranks", "workers", "serial_s", "parallel_s", "speedup", "wins"),
    *("serial_driver_s", "parallel_driver_s"),
)
_HEADS = (
    *("items", "serial (s)", "parallel (s)", "serial / parallel", "faster"),
    *("serial, driver alone (s)", "parallel, driver alone (s)"),
)
_ALIGNMENT = ("---:", "---:", "---:", "---:", "---", "---:", "---:")
_EXPLANATION = (
    "Times are medians over the repeats, of whole commands: what a user waits for, with the start"
    " of Python, of the launcher and of MPI. The last two columns are without that. Serial is one"
    " process without a launcher."
)


@dataclass(frozen=True)
class Point:
    """One problem size, serial and parallel; times are medians over repeats, in seconds.

    Attributes
    ----------
    items : int
        The size of the problem.
    serial, parallel : float
        Of whole commands.
    serial_driver, parallel_driver : float
        By the driver's clock, without start-up.
    """

    items: int
    serial: float
    parallel: float
    serial_driver: float
    parallel_driver: float

    @property
    def speedup(self) -> float:
        """How many times faster the parallel command is; less than 1 if it is slower."""
        return self.serial / self.parallel

    @property
    def parallel_wins(self) -> bool:
        """Whether the parallel command is faster."""
        return self.speedup > 1


@dataclass(frozen=True)
class Comparison:
    """Serial against so many ranks and workers, over problem sizes: the smallest is first."""

    ranks: int
    workers: int
    points: list[Point]

    @property
    def words(self) -> str:
        """What is compared with serial."""
        words = several(self.ranks, "rank")
        if self.workers > 1:
            words += f" × {several(self.workers, 'worker')}"
        return words

    @property
    def crossover(self) -> float | None:
        """The problem size from which parallel wins: 0 if at all sizes, None if not at the largest.

        Between two sizes it is interpolated, on logarithmic scales.
        """
        if not self.points[-1].parallel_wins:
            return None
        above = self.points[-1]
        for below in reversed(self.points):
            if not below.parallel_wins:
                return crossing((below.items, below.speedup), (above.items, above.speedup))
            above = below
        return 0.0

    @property
    def verdict(self) -> str:
        """When parallel wins, in words."""
        at = self.crossover
        if at is None:
            return f"{self.words} do not win at the largest size that was run"
        if at == 0:
            return f"{self.words} win at all sizes that were run"
        return f"{self.words} win from about {at:.2g} items on (interpolated)"


def crossing(below: tuple[float, float], above: tuple[float, float]) -> float:
    """Return where a speedup is 1, between two points (size, speedup), on logarithmic scales."""
    log_x0 = math.log(max(below[0], 1))
    log_x1 = math.log(max(above[0], 1))
    y0 = below[1]
    y1 = above[1]
    share = 1.0
    if y1 != y0:
        log_y0 = math.log(y0)
        share = -log_y0 / (math.log(y1) - log_y0)
    return math.exp(log_x0 + share * (log_x1 - log_x0))


def compare(runs: Mapping[Run, Measured]) -> list[Comparison]:
    """Return serial against each parallel size of a study."""
    found: dict[tuple[int, int], dict[int, list[Measured]]] = {}
    for run, measured in runs.items():
        if run.size.mode == SIZES:
            by_items = found.setdefault((run.size.ranks, run.size.workers), {})
            by_items.setdefault(int(measured.report.get("n") or 0), []).append(measured)
    serial = found.pop((1, 1), {})
    comparisons = []
    for (ranks, workers), parallel in sorted(found.items()):
        points = []
        for items in sorted(serial.keys() & parallel.keys()):
            points.append(_point(items, serial[items], parallel[items]))
        comparisons.append(Comparison(ranks, workers, points))
    return comparisons


def _point(
    items: int,
    serial: Sequence[Measured],
    parallel: Sequence[Measured],
) -> Point:
    return Point(
        items,
        serial=_median_wall(serial),
        parallel=_median_wall(parallel),
        serial_driver=_median_elapsed(serial),
        parallel_driver=_median_elapsed(parallel),
    )


def _median_wall(runs: Sequence[Measured]) -> float:
    return float(np.median([run.wall for run in runs]))


def _median_elapsed(runs: Sequence[Measured]) -> float:
    return float(np.median([run.elapsed for run in runs]))


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """Return all comparisons as CSV; times are in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for comparison in comparisons:
        for point in comparison.points:
            writer.writerow(
                (
                    point.items,
                    comparison.ranks,
                    comparison.workers,
                    point.serial,
                    point.parallel,
                    point.speedup,
                    "parallel" if point.parallel_wins else "serial",
                    point.serial_driver,
                    point.parallel_driver,
                )
            )
    return text.getvalue()


def as_markdown(
    title: str,
    comparisons: Sequence[Comparison],
    machine: Mapping[str, str],
    about: Mapping[str, str],
) -> str:
    """Return the comparisons as tables for people."""
    lines = [f"# When parallel wins: {title}", ""]
    for name, text in {**about, **machine}.items():
        lines.append(f"* {name}: {text}")
    for comparison in comparisons:
        lines += ["", *_section(comparison)]
    lines += ["", _EXPLANATION, ""]
    return "\n".join(lines)


def _section(comparison: Comparison) -> list[str]:
    verdict = comparison.verdict[:1].upper() + comparison.verdict[1:]
    lines = [
        f"## Serial against {comparison.words}",
        "",
        f"**{verdict}.**",
        "",
        markdown_row(_HEADS),
        markdown_row(_ALIGNMENT),
    ]
    for point in comparison.points:
        cells = (
            f"{point.items:_}",
            f"{point.serial:.3g}",
            f"{point.parallel:.3g}",
            f"{point.speedup:.2f}",
            "**parallel**" if point.parallel_wins else "serial",
            f"{point.serial_driver:.3g}",
            f"{point.parallel_driver:.3g}",
        )
        lines.append(markdown_row(cells))
    return lines
