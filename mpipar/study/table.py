"""From times to the table of a study, and to the laws fitted to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.study import laws
from mpipar.study.design import STRONG, WEAK, Measured, Run, Size
from mpipar.study.run_study import startup

LOW = 0.75
"""Efficiencies under this are flagged: less is mostly not worth the nodes, and centres ask why."""

LOW_EFFICIENCY = f"efficiency under {LOW}"
OVERSUBSCRIBED = "oversubscribed: more processes than cores; not a measurement of scaling"
FEWEST_FOR_USL = 5


@dataclass(frozen=True)
class ScalingRow:
    """What the runs of one size gave.

    Attributes
    ----------
    size : Size
    nodes, items : int
        As the driver has told.
    times, startups : tuple of float
        Seconds of each repeat: by the driver's clock, and what the command took besides.
    speedup, slowest, fastest : float
        Speedup of the median time, and of the slowest and fastest run; for WEAK the scaled one.
    efficiency : float
    serial : float
        Serial fraction by Karp and Flatt; nan at the baseline, and for WEAK.
    oversubscribed : bool
    """

    size: Size
    nodes: int
    items: int
    times: tuple[float, ...]
    startups: tuple[float, ...]
    speedup: float
    slowest: float
    fastest: float
    efficiency: float
    serial: float
    oversubscribed: bool

    @property
    def processes(self) -> int:
        """Ranks times workers: the speedup that is ideal."""
        return self.size.processes

    @property
    def median(self) -> float:
        """The median time in seconds."""
        return float(np.median(self.times))

    @property
    def startup(self) -> float:
        """The median of what the command took besides, in seconds."""
        return float(np.median(self.startups))

    @property
    def is_low(self) -> bool:
        """Whether the efficiency is one to be explained."""
        return self.efficiency < LOW

    @property
    def notes(self) -> list[str]:
        """What is to be said about it."""
        return [LOW_EFFICIENCY] * self.is_low + [OVERSUBSCRIBED] * self.oversubscribed


@dataclass(frozen=True)
class Series:
    """The rows of a mode that have the same workers in each rank, with what was fitted to them."""

    mode: str
    workers: int
    rows: list[ScalingRow]
    fits: list[laws.Fit] = field(default_factory=list)


@dataclass(frozen=True)
class ScalingTable:
    """The part of a study that is strong, or weak.

    Attributes
    ----------
    mode : str
    baseline : ScalingRow
        What speedups are relative to.
    series : list of Series
        One for each number of workers.
    """

    mode: str
    baseline: ScalingRow
    series: list[Series]

    @property
    def rows(self) -> list[ScalingRow]:
        """All rows, by processes."""
        rows = [row for series in self.series for row in series.rows]
        return sorted(rows, key=lambda row: (row.processes, row.size.workers))


def scaling_table(
    mode: str, runs: Mapping[Run, Measured], baseline: int | None, cores: int | None
) -> ScalingTable:
    """Return the part of a study.

    Parameters
    ----------
    mode : str
        STRONG or WEAK.
    runs : mapping
        What was measured.
    baseline : int or None
        Ranks of the size that speedups are relative to; by default the smallest size.
    cores : int or None
        Cores of this machine, if runs are here: more processes than that are no measurement.
    """
    times: dict[Size, list[Measured]] = {}
    for run, measured in runs.items():
        if run.size.mode == mode:
            times.setdefault(run.size, []).append(measured)
    base = _baseline(list(times), baseline)
    base_time = float(np.median([one.elapsed for one in times[base]]))
    rows = [_row(size, measured, base, base_time, cores) for size, measured in times.items()]
    rows.sort(key=lambda row: row.processes)
    series = []
    for workers in sorted({row.size.workers for row in rows}):
        own = [row for row in rows if row.size.workers == workers]
        series.append(Series(mode, workers, own, _fits(mode, own, base.processes)))
    return ScalingTable(mode, next(row for row in rows if row.size == base), series)


def _baseline(sizes: Sequence[Size], ranks: int | None) -> Size:
    fitting = [size for size in sizes if ranks is None or size.ranks == ranks]
    if not fitting:
        there = ", ".join(map(str, sorted({size.ranks for size in sizes})))
        raise BadInput(
            f"--baseline: there is no size with {several(ranks or 0, 'rank')}; there are {there}"
        )
    return min(fitting, key=lambda size: (size.processes, size.workers))


def _row(
    size: Size, measured: list[Measured], base: Size, base_time: float, cores: int | None
) -> ScalingRow:
    times = np.array([one.elapsed for one in measured])
    p = size.processes
    considered = np.array([np.median(times), times.max(), times.min()])
    if size.mode == WEAK:
        speedups = laws.scaled_speedup(considered, p, base_time)
    else:
        speedups = laws.speedup(considered, base_time, base.processes)
    nodes = max(int(one.report.get("nodes") or 1) for one in measured)
    strong = size.mode == STRONG
    return ScalingRow(
        size=size,
        nodes=nodes,
        items=int(measured[0].report.get("n") or 0),
        times=tuple(times.tolist()),
        startups=tuple(startup(one) for one in measured),
        speedup=float(speedups[0]),
        slowest=float(speedups[1]),
        fastest=float(speedups[2]),
        efficiency=float(laws.efficiency(speedups[0], p)),
        serial=float(laws.karp_flatt(speedups[0], p, base.processes)) if strong else math.nan,
        oversubscribed=cores is not None and nodes == 1 and p > cores,
    )


def _fits(mode: str, rows: list[ScalingRow], baseline: int) -> list[laws.Fit]:
    """Return the laws that there are points enough for, but those of oversubscribed sizes."""
    usable = [row for row in rows if not row.oversubscribed]
    informative = [row for row in usable if row.processes != baseline]
    wanted = ["Gustafson"] if mode == WEAK else ["Amdahl"]
    if mode == STRONG and len(usable) >= FEWEST_FOR_USL:
        wanted.append("USL")
    if len(informative) < 2:
        return []
    p, speedups = [row.processes for row in usable], [row.speedup for row in usable]
    return [laws.fit(law, p, speedups, standard_errors(usable), baseline) for law in wanted]


def standard_errors(rows: Sequence[ScalingRow]) -> list[float]:
    """Return the standard error of each row's speedup, from the scatter of its repeats.

    The variance of a few repeats is itself uncertain: each is averaged with that of all rows,
    relative to the time, so that no row weighs much more than the others by chance.
    """
    own = []
    for row in rows:
        relative = np.array(row.times) / row.median
        own.append(float(np.var(relative, ddof=1)) if len(relative) > 1 else 0.0)
    pooled = float(np.mean(own)) or 1e-4
    return [
        row.speedup * math.sqrt((one + pooled) / 2 / len(row.times))
        for row, one in zip(rows, own, strict=True)
    ]
