"""Uneven blocks on 8 ranks: each schedule against greedy list scheduling, computed from the same
times.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
import numpy.typing as npt
from common import Effort, Failed, Row, Table, driver, over, say, shown

from mpipar import stream
from mpipar.load import draw

RANKS = 8
TEXT = """The kernel sleeps for lognormal times (σ = 1.2, mean 10 ms), so that 8 ranks need no 8 cores. Greedy list
scheduling (each block in order to whoever is free first, at no cost) is what a schedule that doesn't know the times
beforehand can hope for; it is computed, not run. One pair for each seed."""


def greedy(seconds: npt.NDArray[np.float64]) -> float:
    """Return the makespan of greedy list scheduling."""
    free_at = [0.0] * RANKS
    for duration in seconds:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def measure(effort: Effort) -> Table:
    """Run each schedule for some seeds."""
    table = Table("schedules", "Schedules of uneven blocks", TEXT)
    blocks, mean = effort.pick(400, 40), 0.01
    for schedule in ("stride", "slice", "dynamic"):
        options = ("--schedule", schedule, "--tasks", str(blocks), "--mean", str(mean), "--seed")
        command = shown(over(RANKS, "python", "-m", "mpipar.load", *options, "0", "--json"))
        row = Row(
            f"{blocks} sleeps, np {RANKS}, `{schedule}`",
            "greedy, computed",
            command=command,
            bound=True,
        )
        try:
            for seed in range(effort.pick(5, 1)):
                result = driver(RANKS, "mpipar.load", *options, str(seed))
                slept = np.array(
                    [draw(stream(seed, index), "lognormal", mean, 1.2) for index in range(blocks)]
                )
                assert result["value"] == math.fsum(slept)
                row.ours.append(float(result["elapsed"]))
                row.theirs.append(greedy(slept))
        except Failed as failure:
            row = Row(row.what, row.other, failed=str(failure), command=command, bound=True)
        table.rows.append(row)
        say(f"  {row.what}: {row.failed or 'done'}")
    return table
