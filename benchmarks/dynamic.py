"""Uneven blocks on 8 ranks: each schedule against the lower bound of the makespan.   python benchmarks/dynamic.py

The kernel sleeps for lognormal times (sigma 1.2), so that 8 ranks need no 8 cores. No schedule can be faster than the
larger of the sum over 8 and the longest block. Greedy list scheduling, each block in order to whoever is free first and
at no cost, is what a schedule that doesn't know the times beforehand can hope for.
"""

from __future__ import annotations

import heapq
import math
import statistics

import numpy as np
import numpy.typing as npt
from common import driver

from mpipar import stream
from mpipar.load import draw

RANKS = 8
SEEDS = 5


def greedy(seconds: npt.NDArray[np.float64]) -> float:
    """Return the makespan of greedy list scheduling."""
    free_at = [0.0] * RANKS
    for duration in seconds:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def measure(schedule: str, blocks: int, mean: float, seed: int) -> tuple[float, float, float]:
    """Return the time of one run over the lower bound, that of greedy list scheduling over it, and the imbalance."""
    options = ("--schedule", schedule, "--tasks", str(blocks), "--mean", str(mean), "--seed", str(seed))
    result = driver(RANKS, "mpipar.load", *options)
    slept = np.array([draw(stream(seed, index), "lognormal", mean, 1.2) for index in range(blocks)])
    assert result["value"] == math.fsum(slept)
    bound = max(slept.sum() / RANKS, slept.max() + 0.005)
    return float(result["elapsed"] / bound), greedy(slept) / bound, float(result["imbalance"])


def main() -> None:
    """Run each schedule for some seeds, print the ratios."""
    for blocks, mean in ((400, 0.01), (2000, 0.005)):
        for schedule in ("stride", "slice", "dynamic"):
            measured = [measure(schedule, blocks, mean, seed) for seed in range(SEEDS)]
            ratios, ideal, imbalances = zip(*measured, strict=True)
            print(
                f"{blocks} lognormal sleeps on {RANKS} ranks, {schedule}: {statistics.median(ratios):.3f} of the lower "
                f"bound (seeds: {', '.join(f'{ratio:.3f}' for ratio in ratios)}; "
                f"greedy: {', '.join(f'{ratio:.3f}' for ratio in ideal)}); "
                f"imbalance {statistics.median(imbalances):.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
