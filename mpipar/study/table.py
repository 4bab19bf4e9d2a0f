"""From times to the table of a study, and to the laws fitted to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.study import laws
from mpipar.study.design import WEAK, Measured, Run, Size
from mpipar.study.run_study import startup

LOW = 0.75
"""Efficiencies under this are flagged: less is mostly not worth the nodes, and centres ask why."""

LOW_EFFICIENCY = f"efficiency under {LOW}"
OVERSUBSCRIBED = "oversubscribed: more processes than cores; not a measurement of scaling"
FEWEST_TO_FIT = 2
"""Sizes besides the baseline."""
FEWEST_FOR_USL = 5
"""Sizes with the baseline."""


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
        notes = []
        if self.is_low:
            notes.append(LOW_EFFICIENCY)
        if self.oversubscribed:
            notes.append(OVERSUBSCRIBED)
        return notes


@dataclass(frozen=True)
class Series:
    """The rows of a mode that have the same workers in each rank, with what was fitted to them."""

    mode: str
    workers: int
    rows: list[ScalingRow]
    fits: list[laws.Fit] = field(default_factory=list)


@dataclass(frozen=True)
class ScalingTable:
    """What was measured of strong scaling, or of weak.

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
        rows = []
        for series in self.series:
            rows += series.rows
        return sorted(rows, key=lambda row: (row.processes, row.size.workers))

    @property
    def is_oversubscribed(self) -> bool:
        """Whether any size has more processes than there are cores."""
        return any(row.oversubscribed for row in self.rows)


def scaling_table(
    mode: str,
    runs: Mapping[Run, Measured],
    baseline: int | None,
    cores: int | None,
) -> ScalingTable:
    """Return the table of a mode.

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
    by_size: dict[Size, list[Measured]] = {}
    for run, measured in runs.items():
        if run.size.mode == mode:
            by_size.setdefault(run.size, []).append(measured)
    base = _baseline(list(by_size), baseline)
    base_time = float(np.median(_times(by_size[base])))
    rows = []
    for size, measurements in by_size.items():
        rows.append(_row(size, measurements, base, base_time, cores))
    rows.sort(key=lambda row: row.processes)
    base_row = next(row for row in rows if row.size == base)
    return ScalingTable(mode, base_row, _all_series(mode, rows, base.processes))


def _baseline(sizes: Sequence[Size], ranks: int | None) -> Size:
    fitting = [size for size in sizes if ranks is None or size.ranks == ranks]
    if not fitting:
        there = ", ".join(map(str, sorted({size.ranks for size in sizes})))
        wanted = several(ranks or 0, "rank")
        raise BadInput(f"--baseline: there is no size with {wanted}; there are {there}")
    return min(fitting, key=lambda size: (size.processes, size.workers))


def _times(measurements: Sequence[Measured]) -> list[float]:
    return [one.elapsed for one in measurements]


def _row(
    size: Size,
    measurements: list[Measured],
    base: Size,
    base_time: float,
    cores: int | None,
) -> ScalingRow:
    times = np.array(_times(measurements))
    p = size.processes
    considered = np.array([np.median(times), times.max(), times.min()])
    if size.mode == WEAK:
        speedups = laws.scaled_speedup(considered, p, base_time)
        serial = math.nan
    else:
        speedups = laws.speedup(considered, base_time, base.processes)
        serial = float(laws.karp_flatt(speedups[0], p, base.processes))
    nodes = max(int(one.report.get("nodes") or 1) for one in measurements)
    return ScalingRow(
        size=size,
        nodes=nodes,
        items=int(measurements[0].report.get("n") or 0),
        times=tuple(times.tolist()),
        startups=tuple(startup(one) for one in measurements),
        speedup=float(speedups[0]),
        slowest=float(speedups[1]),
        fastest=float(speedups[2]),
        efficiency=float(laws.efficiency(speedups[0], p)),
        serial=serial,
        oversubscribed=cores is not None and nodes == 1 and p > cores,
    )


def _all_series(
    mode: str,
    rows: Sequence[ScalingRow],
    baseline: int,
) -> list[Series]:
    by_workers: dict[int, list[ScalingRow]] = {}
    for row in rows:
        by_workers.setdefault(row.size.workers, []).append(row)
    found = []
    for workers, own in sorted(by_workers.items()):
        found.append(Series(mode, workers, own, _fits(mode, own, baseline)))
    return found


def _fits(
    mode: str,
    rows: Sequence[ScalingRow],
    baseline: int,
) -> list[laws.Fit]:
    """Return the laws that there are points enough for, but those of oversubscribed sizes."""
    usable = [row for row in rows if not row.oversubscribed]
    processes = [row.processes for row in usable]
    informative = len(processes) - processes.count(baseline)
    if informative < FEWEST_TO_FIT:
        return []
    speedups = [row.speedup for row in usable]
    errors = standard_errors(usable)
    found = []
    for law in _laws_of(mode, len(usable)):
        found.append(laws.fit(law, processes, speedups, errors, baseline))
    return found


def _laws_of(mode: str, sizes: int) -> list[str]:
    """Return the laws that say something about a mode, where so many sizes were measured."""
    if mode == WEAK:
        return ["Gustafson"]
    if sizes < FEWEST_FOR_USL:
        return ["Amdahl"]
    return ["Amdahl", "USL"]


def standard_errors(rows: Sequence[ScalingRow]) -> list[float]:
    """Return the standard error of each row's speedup, from the scatter of its repeats.

    The variance of a few repeats is itself uncertain: each is averaged with that of all rows,
    relative to the time, so that no row weighs much more than the others by chance.
    """
    variances = [_relative_variance(row) for row in rows]
    pooled = float(np.mean(variances)) or 1e-4
    errors = []
    for row, variance in zip(rows, variances, strict=True):
        of_mean = (variance + pooled) / 2 / len(row.times)
        errors.append(row.speedup * math.sqrt(of_mean))
    return errors


def _relative_variance(row: ScalingRow) -> float:
    if len(row.times) == 1:
        return 0.0
    relative = np.array(row.times) / row.median
    return float(np.var(relative, ddof=1))
