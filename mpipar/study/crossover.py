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

from mpipar.base.text import several
from mpipar.study.design import SIZES, Measured, Run


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


@dataclass(frozen=True)
class Comparison:
    """Serial against so many ranks and workers, over problem sizes."""

    ranks: int
    workers: int
    lines: list[Point]

    @property
    def words(self) -> str:
        """What is compared with serial."""
        workers = f" × {several(self.workers, 'worker')}" if self.workers > 1 else ""
        return several(self.ranks, "rank") + workers

    @property
    def crossover(self) -> float | None:
        """The problem size from which parallel wins: 0 if at all sizes, None if not at the largest.

        Between two sizes it is interpolated, on logarithmic scales.
        """
        wins = [line.speedup > 1 for line in self.lines]
        if not wins[-1]:
            return None
        first = len(wins) - wins[::-1].index(False) if False in wins else 0
        if first == 0:
            return 0.0
        below, above = self.lines[first - 1], self.lines[first]
        return crossing((below.items, below.speedup), (above.items, above.speedup))

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
    (x0, y0), (x1, y1) = below, above
    share = -math.log(y0) / (math.log(y1) - math.log(y0)) if y1 != y0 else 1.0
    return math.exp(math.log(max(x0, 1)) + share * (math.log(max(x1, 1)) - math.log(max(x0, 1))))


def compare(runs: Mapping[Run, Measured]) -> list[Comparison]:
    """Return serial against each parallel size of a study."""
    found: dict[tuple[int, int], dict[int, list[Measured]]] = {}
    for run, measured in runs.items():
        if run.size.mode == SIZES:
            of_size = found.setdefault((run.size.ranks, run.size.workers), {})
            of_size.setdefault(int(measured.report.get("n") or 0), []).append(measured)
    serial = found.pop((1, 1), {})
    comparisons = []
    for (ranks, workers), of_size in sorted(found.items()):
        lines = [
            _line(items, serial[items], of_size[items])
            for items in sorted(serial.keys() & of_size.keys())
        ]
        comparisons.append(Comparison(ranks, workers, lines))
    return comparisons


def _line(items: int, serial: Sequence[Measured], parallel: Sequence[Measured]) -> Point:
    def middle(values: list[float]) -> float:
        return float(np.median(values))

    return Point(
        items,
        middle([one.wall for one in serial]),
        middle([one.wall for one in parallel]),
        middle([one.elapsed for one in serial]),
        middle([one.elapsed for one in parallel]),
    )


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """Return all comparisons as CSV; times are in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        (
            "items",
            "ranks",
            "workers",
            "serial_s",
            "parallel_s",
            "speedup",
            "wins",
            "serial_driver_s",
            "parallel_driver_s",
        )
    )
    for one in comparisons:
        for line in one.lines:
            wins = "parallel" if line.speedup > 1 else "serial"
            writer.writerow(
                (
                    line.items,
                    one.ranks,
                    one.workers,
                    line.serial,
                    line.parallel,
                    line.speedup,
                    wins,
                    line.serial_driver,
                    line.parallel_driver,
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
    lines += [f"* {name}: {text}" for name, text in {**about, **machine}.items()]
    for one in comparisons:
        lines += [
            "",
            f"## Serial against {one.words}",
            "",
            f"**{one.verdict[:1].upper()}{one.verdict[1:]}.**",
            "",
        ]
        lines += [
            (
                "| items | serial (s) | parallel (s) | serial / parallel | faster | serial, driver"
                " alone (s) | parallel, driver alone (s) |"
            ),
            "| ---: | ---: | ---: | ---: | --- | ---: | ---: |",
        ]
        for line in one.lines:
            wins = "**parallel**" if line.speedup > 1 else "serial"
            lines.append(
                f"| {line.items:_} | {line.serial:.3g} | {line.parallel:.3g} | {line.speedup:.2f} |"
                f" {wins} | {line.serial_driver:.3g} | {line.parallel_driver:.3g} |"
            )
    lines += [
        "",
        (
            "Times are medians over the repeats, of whole commands: what a user waits for, with the"
            " start of Python, of the launcher and of MPI. The last two columns are without that."
            " Serial is one process without a launcher."
        ),
        "",
    ]
    return "\n".join(lines)
