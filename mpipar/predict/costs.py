"""What a run pays beside its blocks: measured here, given, or nothing.

A run of P ranks ends with operations over a tree of log₂ P stages: all agree, reduce, and are told.
``dynamic`` also has to make and free its counter, which is asked for each chunk, and its totals
name many ranges of blocks, as each rank has taken some of everywhere.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mpipar.base.errors import RunFailed
from mpipar.base.text import several
from mpipar.core.reduction import ExactSum
from mpipar.predict.simulation import Fetch
from mpipar.runtime.mpirun import find_mpirun, settings_for, with_its_folder
from mpipar.runtime.node import usable_cores
from mpipar.runtime.progress_state import Done
from mpipar.study.local_runner import timed

_PROBE = "mpipar.predict.probe"
_SECONDS, _SECONDS_A_RANK = 60.0, 2.0  # that a measurement may take
_RANGES, _REPEATS = 20_000, 9  # of blocks, and how often to merge them
_LARGEST = 8  # ranks that are measured by default, if there are cores for them


MOST_NUMBERS = 2**18
"""A reduction of a result that has more is measured with so many."""


class Ends(NamedTuple):
    """What a run pays before its first block and after its last, in seconds.

    Attributes
    ----------
    reduction : float
        To agree, reduce and tell.
    counter : float
        To make and free the shared counter.
    """

    reduction: float
    counter: float


@dataclass(frozen=True)
class Costs:
    """What a run pays beside its blocks, in seconds.

    Attributes
    ----------
    stage : float
        For each stage of the tree that ends a run.
    counter_stage : float
        The same, of making and freeing the shared counter.
    a_range : float
        For each range of blocks that a rank tells of.
    fetch : Fetch
        To ask the shared counter.
    ends : mapping
        {(schedule, ranks): Ends}, where that has been measured.
    source : str
        Where these numbers are from.
    """

    stage: float = 0.0
    counter_stage: float = 0.0
    a_range: float = 0.0
    fetch: Fetch = field(default_factory=Fetch)
    ends: Mapping[tuple[str, int], Ends] = field(default_factory=dict)
    source: str = ""

    def fetch_of(self, schedule: str, ranks: int) -> Fetch:
        """Return what it costs to ask the counter; one of a rank alone costs nothing."""
        return self.fetch if schedule == "dynamic" and ranks > 1 else Fetch()

    def of(self, schedule: str, ranks: int, chunks: int) -> Ends:
        """Return what a run pays that has handed out so many chunks."""
        if ranks == 1:
            return Ends(0.0, 0.0)
        if (schedule, ranks) in self.ends:
            return self.ends[schedule, ranks]
        stages = math.log2(ranks)
        if schedule != "dynamic":
            return Ends(stages * self.stage, 0.0)
        # Half of the ranks, taken together, have 1/2 · 1/2 of the chunks as ranges that don't meet;
        # a quarter of them 1/4 · 3/4; and so on: 2/3 of the chunks on the way from a leaf of the
        # tree to the root.
        return Ends(
            stages * self.stage + 2 / 3 * chunks * self.a_range, stages * self.counter_stage
        )


def a_range() -> float:
    """Return what it takes to send each range of blocks that a rank has done, and to merge it with
    as many others.

    Measured in this process: to pack and unpack them, as mpi4py does with the receiver's own too,
    and to merge them.
    """

    def merging(count: int) -> float:
        both = [
            Done(None, [range(4 * i + first, 4 * i + first + 1) for i in range(count)])
            for first in (0, 2)
        ]
        began = time.perf_counter()
        one, other = (pickle.loads(pickle.dumps(done)) for done in both)
        one.merge(other, ExactSum())
        return time.perf_counter() - began

    return (
        max(0.0, statistics.median(merging(_RANGES) - merging(1) for _ in range(_REPEATS)))
        / _RANGES
    )


def sizes_to_measure(cores: int) -> list[int]:
    """Return the numbers of ranks that have a core each: 2, 4, …; and 2 in any case."""
    return [size for size in (2, 4, _LARGEST) if size <= max(2, cores)]


def measured(sizes: Sequence[int], numbers: int, say: Callable[[str], None]) -> Costs | None:
    """Measure costs here with some numbers of ranks, and return them; None if there is no mpirun.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of ranks. From the smallest follows what is not among them.
    numbers : int
        How many numbers the result of the run has.
    say : callable
        Called with what is being done.

    Raises
    ------
    RunFailed
        If that fails, or takes too long.
    """
    mpirun = find_mpirun()
    if mpirun is None:
        return None
    found = []
    for size in sorted({size for size in sizes if size > 1}):
        say(f"measuring what MPI costs here, with {several(size, 'rank')}")
        found.append(_probe(mpirun, size, min(numbers, MOST_NUMBERS)))
    return _costs(found) if found else Costs(source="one rank pays none")


def _probe(mpirun: str, size: int, numbers: int) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "MPIPAR_WORKERS"}
    environment = {
        **settings_for(size, with_workers=False),
        **environment,
        "PATH": with_its_folder(mpirun),
    }
    command = [mpirun, "-n", str(size), sys.executable, "-m", _PROBE, str(numbers)]
    limit = _SECONDS + _SECONDS_A_RANK * size
    told = f"measuring costs with {several(size, 'rank')}"
    hint = "--reduce-seconds and --counter-seconds give costs without measuring"
    try:
        code, _, stdout, stderr = timed(command, environment, limit)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{told}: took more than {limit:g} s; {hint}") from None
    except OSError as error:
        raise RunFailed(f"{told}: {mpirun}: {error.strerror}; {hint}") from None
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    if code != 0 or len(lines) != 1:
        said = [line.strip() for line in stderr.splitlines() if line.strip()] or ["it says nothing"]
        own = [line for line in said if "mpipar" in line]
        raise RunFailed(f"{told}: exit code {code}: {(own or said)[-1][:300]}; {hint}")
    report: dict[str, Any] = json.loads(lines[0])
    if report["ranks"] != size:
        raise RunFailed(f"{told}: there were {report['ranks']}; {hint}")
    return report


def _costs(reports: Sequence[Mapping[str, Any]]) -> Costs:
    """Return costs from what was measured with each number of ranks, the smallest first."""
    ends = {}
    for report in reports:
        own, size = report["ends"], report["ranks"]
        for schedule in ("stride", "slice"):
            ends[schedule, size] = Ends(own[schedule], 0.0)
        static = min(own["dynamic"], (own["stride"] + own["slice"]) / 2)
        ends["dynamic", size] = Ends(static, own["dynamic"] - static)
    cores = usable_cores()
    fitting = [report for report in reports if report["ranks"] <= cores] or reports[
        :1
    ]  # each rank has a core
    sizes = [report["ranks"] for report in fitting]
    smallest = reports[0]
    return Costs(
        stage=_a_stage(
            sizes,
            [ends[schedule, size].reduction for schedule in ("stride", "slice") for size in sizes],
        ),
        counter_stage=_a_stage(sizes, [ends["dynamic", size].counter for size in sizes]),
        a_range=a_range(),
        fetch=Fetch(
            smallest["latency"],
            min(smallest["latency"], max(report["service"] for report in fitting)),
        ),
        ends=ends,
        source=(
            f"measured here with {', '.join(str(report['ranks']) for report in reports)} ranks"
            f" ({smallest['mpi']})"
        ),
    )


def _a_stage(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the seconds a stage of some trees, by least squares; of several measurements one after
    the other.
    """
    stages = [math.log2(size) for size in sizes] * (len(seconds) // len(sizes))
    return sum(a * b for a, b in zip(stages, seconds, strict=True)) / sum(a * a for a in stages)
