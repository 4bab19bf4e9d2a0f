"""What a run pays beside its blocks: measured here, given, or nothing.

A run of P ranks ends with operations over a tree of log₂ P stages: all agree, reduce, and are told.
``dynamic`` also has to make and free its counter, which is asked for each chunk, and its totals
name many ranges of blocks, as each rank has taken some of everywhere.
"""

from __future__ import annotations

import json
import math
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
from mpipar.predict.takers import Fetch
from mpipar.runtime.mpirun import find_mpirun
from mpipar.runtime.node import usable_cores
from mpipar.runtime.progress_state import Done
from mpipar.study.timed_command import environment_for, timed

_PROBE = "mpipar.predict.probe"
_SECONDS = 60.0
"""That a measurement may take, and"""
_SECONDS_A_RANK = 2.0
"""so much more for each rank."""
_RANGES = 20_000
"""Of blocks that are merged, to measure what that takes."""
_REPEATS = 9
_SIZES = (2, 4, 8)
"""Ranks that are measured by default, if there are cores for them."""
_LONGEST_COMPLAINT = 300  # characters of a message
_HINT = "--reduce-seconds and --counter-seconds give costs without measuring"

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
        if schedule == "dynamic" and ranks > 1:
            return self.fetch
        return Fetch()

    def of(self, schedule: str, ranks: int, chunks: int) -> Ends:
        """Return what a run pays that has handed out so many chunks."""
        if ranks == 1:
            return Ends(0.0, 0.0)
        if (schedule, ranks) in self.ends:
            return self.ends[schedule, ranks]
        stages = math.log2(ranks)
        reduction = stages * self.stage
        if schedule != "dynamic":
            return Ends(reduction, 0.0)
        # Half of the ranks, taken together, have 1/2 · 1/2 of the chunks as ranges that don't meet;
        # a quarter of them 1/4 · 3/4; and so on: 2/3 of the chunks on the way from a leaf of the
        # tree to the root.
        merging = 2 / 3 * chunks * self.a_range
        return Ends(reduction + merging, stages * self.counter_stage)


def a_range() -> float:
    """Return what a range of blocks costs that a rank has done: to send it, and to merge it.

    Measured in this process: to pack and unpack ranges, as mpi4py does with the receiver's own too,
    and to merge them with as many others.
    """
    seconds = []
    for _ in range(_REPEATS):
        seconds.append(_merging(_RANGES) - _merging(1))
    return max(0.0, statistics.median(seconds)) / _RANGES


def _merging(count: int) -> float:
    """Return the seconds that it takes to send and merge so many ranges of each of two ranks."""
    own = _every_fourth(0, count)
    sent = _every_fourth(2, count)
    began = time.perf_counter()
    merged = pickle.loads(pickle.dumps(own))
    merged.merge(pickle.loads(pickle.dumps(sent)), ExactSum())
    return time.perf_counter() - began


def _every_fourth(first: int, count: int) -> Done:
    """Return so many ranges of one block, which don't meet."""
    places = range(first, 4 * count + first, 4)
    return Done(None, [range(place, place + 1) for place in places])


def sizes_to_measure(cores: int) -> list[int]:
    """Return the numbers of ranks that have a core each: 2, 4, …; and 2 in any case."""
    return [size for size in _SIZES if size <= max(2, cores)]


def measured(
    sizes: Sequence[int],
    numbers: int,
    say: Callable[[str], None],
) -> Costs | None:
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
    """Return what so many ranks measure of themselves."""
    program = [sys.executable, "-m", _PROBE, str(numbers)]
    command = [mpirun, "-n", str(size), *program]
    environment = environment_for(mpirun, size, with_workers=False)
    limit = _SECONDS + _SECONDS_A_RANK * size
    what = f"measuring costs with {several(size, 'rank')}"
    try:
        ended = timed(command, environment, limit)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{what}: took more than {limit:g} s; {_HINT}") from None
    except OSError as error:
        raise RunFailed(f"{what}: {mpirun}: {error.strerror}; {_HINT}") from None
    printed = ended.stdout.splitlines()
    lines = [line for line in printed if line.startswith("{")]
    if ended.code != 0 or len(lines) != 1:
        complaint = ended.complaint[:_LONGEST_COMPLAINT]
        raise RunFailed(f"{what}: exit code {ended.code}: {complaint}; {_HINT}")
    report: dict[str, Any] = json.loads(lines[0])
    if report["ranks"] != size:
        raise RunFailed(f"{what}: there were {report['ranks']}; {_HINT}")
    return report


def _costs(reports: Sequence[Mapping[str, Any]]) -> Costs:
    """Return costs from what was measured with each number of ranks, the smallest first."""
    ends: dict[tuple[str, int], Ends] = {}
    for report in reports:
        for schedule, paid in _ends_of(report["ends"]).items():
            ends[schedule, report["ranks"]] = paid
    smallest = reports[0]
    # Costs of a stage are from where each rank has a core.
    cores = usable_cores()
    fitting = [report for report in reports if report["ranks"] <= cores] or [smallest]
    sizes = [report["ranks"] for report in fitting]
    reductions = []
    for schedule in ("stride", "slice"):
        reductions += [ends[schedule, size].reduction for size in sizes]
    counters = [ends["dynamic", size].counter for size in sizes]
    service = max(report["service"] for report in fitting)
    all_sizes = ", ".join(str(report["ranks"]) for report in reports)
    return Costs(
        stage=_a_stage(sizes, reductions),
        counter_stage=_a_stage(sizes, counters),
        a_range=a_range(),
        fetch=Fetch(smallest["latency"], min(smallest["latency"], service)),
        ends=ends,
        source=f"measured here with {all_sizes} ranks ({smallest['mpi']})",
    )


def _ends_of(seconds: Mapping[str, float]) -> dict[str, Ends]:
    """Return what each schedule pays, from the seconds of runs that do next to nothing."""
    stride = seconds["stride"]
    sliced = seconds["slice"]
    dynamic = seconds["dynamic"]
    reduction = min(dynamic, (stride + sliced) / 2)
    return {
        "stride": Ends(stride, 0.0),
        "slice": Ends(sliced, 0.0),
        "dynamic": Ends(reduction, dynamic - reduction),
    }


def _a_stage(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Return the seconds that a stage of some trees takes, by least squares.

    ``seconds`` are those of all sizes, once or several times.
    """
    repeats = len(seconds) // len(sizes)
    stages = [math.log2(size) for size in sizes] * repeats
    pairs = zip(stages, seconds, strict=True)
    products = sum(stage * time for stage, time in pairs)
    return products / sum(a * a for a in stages)
