"""Uneven blocks on 8 ranks: each schedule against the lower bound of the makespan.   python benchmarks/dynamic.py

The kernel sleeps for lognormal times (sigma 1.2), so that 8 ranks need no 8 cores. No schedule can be faster than the
larger of the sum over 8 and the longest block. Greedy list scheduling, each block in order to whoever is free first and
at no cost, is what a schedule that doesn't know the times beforehand can hope for.
"""

from __future__ import annotations

import heapq
import json
import math
import statistics
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import mpirun

from mpipar import stream

PROGRAM = Path(__file__).parent.parent / "tests" / "mpi" / "programs.py"
sys.path.insert(0, str(PROGRAM.parent))
from programs import sleep_seconds  # noqa: E402

RANKS = 8
SEEDS = 5


def greedy(seconds: npt.NDArray[np.float64]) -> float:
    """Return the makespan of greedy list scheduling."""
    free_at = [0.0] * RANKS
    for duration in seconds:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def measure(schedule: str, blocks: int, mean: float, seed: int) -> tuple[float, float]:
    """Return the time of one run over the lower bound, and that of greedy list scheduling over it."""
    options = ("--schedule", schedule, "--blocks", str(blocks), "--mean", str(mean), "--seed", str(seed), "--json")
    result = json.loads(mpirun(RANKS, sys.executable, str(PROGRAM), "sleeping", *options))
    slept = np.array([sleep_seconds(stream(seed, index), mean, 1.2) for index in range(blocks)])
    assert result["value"] == math.fsum(slept)
    bound = max(slept.sum() / RANKS, slept.max() + 0.005)
    return float(result["elapsed"] / bound), greedy(slept) / bound


def main() -> None:
    """Run each schedule for some seeds, print the ratios."""
    for blocks, mean in ((400, 0.01), (2000, 0.005)):
        for schedule in ("stride", "slice", "dynamic"):
            ratios, ideal = zip(*(measure(schedule, blocks, mean, seed) for seed in range(SEEDS)), strict=True)
            print(
                f"{blocks} lognormal sleeps on {RANKS} ranks, {schedule}: {statistics.median(ratios):.3f} of the lower "
                f"bound (seeds: {', '.join(f'{ratio:.3f}' for ratio in ratios)}; "
                f"greedy: {', '.join(f'{ratio:.3f}' for ratio in ideal)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
