"""Pools against pools: start-up, short tasks, uneven tasks, large objects, and what an idle pool
costs.

Each takes part as a process of its own, round by round, all in turn.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common import Effort, Row, Table, finished, say, shown
from entrants import LOCAL, OTHERS, OVER_RANKS, Entrant, reference

WORKERS, WORKERS_ASLEEP = 2, 4
LIMIT = 60.0  # seconds for one process; who takes longer hangs
STARTS = {WORKERS: ("few", "nothing", "10 µs", "large", "idle"), WORKERS_ASLEEP: ("skewed",)}

MANAGED = WORKERS + 1
TEXT = f"""All with {WORKERS} processes that work. A manager is a rank more (np {MANAGED}) or one of them
(np {WORKERS}, one works): both are shown, and compared with mpipar on {WORKERS} ranks, where all work. With
np {MANAGED}, ranks that spin while they wait take cores from those that work, where there are only {WORKERS}.
mpi4py.futures sleeps up to a millisecond between two looks for messages, and with backoff=0 doesn't."""


class Contest(NamedTuple):
    """A table of the page: of a workload, in several ways (None is the best of all of them)."""

    name: str
    title: str
    workload: str
    ways: dict[str, str | None]
    text: str
    unit: str = "s"


BOTH: dict[str, str | None] = {"as it comes": "as it comes", "at its best": None}
CONTESTS = (
    Contest(
        "pools-start",
        "Start-up of a pool",
        "first",
        {"": "first"},
        f"""{TEXT}

From the start of the command to the first results: interpreter, imports, launcher, workers. multiprocessing forks
the script, which costs next to nothing; mpipar's workers are forked by a clean server process, so that none inherits
MPI, threads or locks.""",
    ),
    Contest(
        "pools-few",
        "Maps of few tasks",
        "few",
        {name: name for name in ("map of 2", "map of 32", "map of 1,000")},
        """The time of one `map` of so many tasks that do nothing, the median of up to 300 in turn: what a sampler waits
for in each of its steps, beside the work.""",
    ),
    Contest(
        "pools-nothing",
        "Tasks that do nothing",
        "nothing",
        BOTH,
        """The time of one task of up to 200,000 in
one `map`: what it costs to hand them out and to fetch the results. Who is slow gets fewer tasks, 200 at least. “As
it comes” is without any chunksize; “at its best” is with an eighth of each worker's share at once (for dask, ray and
MPIPool, which have no chunksize: tasks of so many items, as their documentation advises), or as it comes if that was
faster.""",
    ),
    Contest(
        "pools-short",
        "Short tasks",
        "10 µs",
        BOTH,
        f"""As before, but each task computes for 10 µs: {WORKERS}
workers can't do better than 10/{WORKERS} µs a task.""",
    ),
    Contest(
        "pools-skewed",
        "Uneven tasks, the longest last",
        "skewed",
        BOTH,
        f"""200 sleeps of lognormal times (σ =
1.2, mean 10 ms) on {WORKERS_ASLEEP} workers; sleepers need no core. “At its best” is chunksize=1. MPIPool begins at
the end of the list, and so with the longest, which here is a gift.""",
    ),
    Contest(
        "pools-large",
        "Large arrays",
        "large",
        {"10 MiB": "10 MiB", "100 MiB": "100 MiB"},
        """The time of a task
that gets an array and returns another one as large. joblib and ray hand arguments over in shared memory; for dask
they are scattered first. Who took more than 0.3 s for 10 MiB was not given 100 MiB.""",
    ),
    Contest(
        "pools-idle",
        "An idle pool",
        "idle",
        {"": "CPU"},
        """The CPU time of all processes, the launcher's too,
in a second in which there is nothing to do. Ranks that wait in MPI's own receive keep a core busy each. One
hundredth is the resolution, and is what counts for less.""",
        "CPU s/s",
    ),
)
RESOLUTION = 0.01  # seconds of CPU time, a tick of the kernel's


@dataclass
class Standing:
    """What an entrant took: a dict of workload and way for each round; or why it took no part."""

    rounds: list[dict[tuple[str, str], float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def attempt(entrant: Entrant, workers: int, standing: Standing, quick: bool) -> None:
    """Let an entrant do the workloads for so many workers, and add what it took to the last
    round.
    """
    ended = finished(entrant.command(workers, *STARTS[workers], quick=quick), LIMIT)
    said: dict[str, Any] = {}
    for line in ended.stdout.splitlines():
        if line.startswith('{"'):
            said |= json.loads(line)
    took = standing.rounds[-1]
    if "first" in said and workers == WORKERS:
        took["first", "first"] = said["first"] - ended.began
    for workload in STARTS[workers]:
        for way, seconds in said.get(workload, {}).items():
            took[workload, way] = max(seconds, RESOLUTION) if workload == "idle" else seconds
    missing = [workload for workload in STARTS[workers] if workload not in said]
    if missing:
        standing.failures.append(f"{missing[0]}: {ended.reason()}")
        say(f"  {entrant.title(workers)}: {standing.failures[-1]}")


def contest(effort: Effort) -> dict[Entrant, Standing]:
    """Let all take part in turn, in as many rounds as there is time for."""
    everyone = (LOCAL, OVER_RANKS, *OTHERS)
    standings = {entrant: Standing() for entrant in everyone}
    for entrant, standing in standings.items():
        if entrant.reason_to_leave_out:
            standing.failures = [entrant.reason_to_leave_out] * 2
    began = time.perf_counter()
    done = 0
    while effort.goes_on(done, 9, time.perf_counter() - began):
        done += 1
        for entrant, standing in standings.items():
            standing.rounds.append({})
            for workers in STARTS:
                if len(standing.failures) < 2:  # a second try, but no third
                    attempt(entrant, workers, standing, effort.quick)
        say(f"  round {done}: {time.perf_counter() - began:.0f} s so far")
    return standings


def value(took: dict[tuple[str, str], float], workload: str, way: str | None) -> float | None:
    """Return what was taken one way, or the best of all ways for None."""
    ways = [
        seconds for (name, one), seconds in took.items() if name == workload and way in (None, one)
    ]
    return min(ways, default=None)


def compared(
    standings: dict[Entrant, Standing], entrant: Entrant, workload: str, way: str | None
) -> Row:
    """Return the row of an entrant: the pairs of the rounds in which it and mpipar have a
    result.
    """
    workers = WORKERS_ASLEEP if workload == "skewed" else WORKERS
    mine, others = standings[reference(entrant)], standings[entrant]
    row = Row("", entrant.title(workers))
    for ours, theirs in zip(mine.rounds, others.rounds, strict=True):
        one, two = value(ours, workload, way), value(theirs, workload, way)
        if one is not None and two is not None:
            row.ours.append(one)
            row.theirs.append(two)
    if not row.ours:
        row.failed = (
            others.failures or mine.failures or ["not measured: it took too long for 10 MiB"]
        )[-1]
    return row


def measure(effort: Effort) -> list[Table]:
    """Let all take part, and make a table of each workload."""
    standings = contest(effort)
    tables = []
    for one in CONTESTS:
        table = Table(one.name, one.title, one.text)
        for label, way in one.ways.items():
            for entrant in OTHERS:
                row = compared(standings, entrant, one.workload, way)
                row.what, row.unit = (label or one.title.lower()), one.unit
                row.aside = label == "as it comes" or entrant.managers > entrant.more_ranks
                table.rows.append(row)
        workers = WORKERS_ASLEEP if one.workload == "skewed" else WORKERS
        wanted = () if one.workload == "first" else (one.workload,)
        found_by = (
            "MPIPAR_BENCH_RUN=$$ " if one.workload == "idle" else ""
        )  # the shell's number, as a word of its own
        everyone = (LOCAL, OVER_RANKS, *OTHERS)
        table.commands = [
            found_by + shown(entrant.command(workers, *wanted)) for entrant in everyone
        ]
        tables.append(table)
    return tables
