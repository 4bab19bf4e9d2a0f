"""Pools against multiprocessing, concurrent.futures and mpi4py, on two workers each.   python benchmarks/pool.py

Tasks that do nothing tell what it costs to hand them out. Then the makespan of uneven sleeps on 8 ranks against greedy
list scheduling, the CPU time of an idle pool, and how the root's memory grows with a million tasks.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import mpirun, run
from dynamic import greedy

TASKS = 10**5
FEW_TASKS = 5000  # for mpi4py, one message a task
ROUNDS = 5
SEEDS = 5
SCRIPT = str(Path(__file__).with_name("pool_tasks.py"))
OVER_RANKS = (sys.executable, "-m", "mpipar", "run", SCRIPT)


def measured(text: str) -> dict[str, Any]:
    """Return what a script printed."""
    result: dict[str, Any] = json.loads(text)
    return result


def throughput() -> None:
    """Print tasks a second, ours and theirs, in turn."""
    rounds = [
        (
            measured(mpirun(2, *OVER_RANKS, "rates", str(TASKS))),
            measured(run(sys.executable, SCRIPT, "rates", str(TASKS))),
            measured(mpirun(3, sys.executable, "-m", "mpi4py.futures", SCRIPT, "mpi4py", str(FEW_TASKS))),
            measured(mpirun(2, *OVER_RANKS, "executor", str(TASKS))),
            measured(run(sys.executable, SCRIPT, "executor", str(FEW_TASKS))),
        )
        for _ in range(ROUNDS)
    ]
    for name in rounds[0][0]:
        compare(f"Pool.{name}", "multiprocessing.Pool(2)", [(ours[name], theirs[name]) for ours, theirs, *_ in rounds])
        compare(f"Pool.{name}", "mpi4py.util.pool, np 3", [(r[0][name], r[2][name]) for r in rounds])
    compare("Executor.map", "ProcessPoolExecutor(2)", [(r[3]["map"], r[4]["map"]) for r in rounds])


def compare(ours: str, theirs: str, pairs: list[tuple[float, float]]) -> None:
    """Print the medians of some rates, and of their ratios."""
    ratios = [a / b for a, b in pairs]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"{ours}, np 2: {a:,.0f} tasks/s against {b:,.0f} of {theirs}, ratio {statistics.median(ratios):.2f} "
        f"(from {min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def balance() -> None:
    """Print the makespan of sleeps on 8 ranks over that of greedy list scheduling."""
    ratios = []
    for seed in range(SEEDS):
        result = measured(mpirun(8, *OVER_RANKS, "sleeps", str(seed)))
        assert result["workers"] == 8
        ratios.append(result["elapsed"] / greedy(np.array(result["seconds"])))
    listed = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"400 lognormal sleeps, chunksize=1, np 8: {statistics.median(ratios):.3f} of greedy (seeds: {listed})")


def main() -> None:
    """Measure all."""
    throughput()
    balance()
    idle = measured(mpirun(4, *OVER_RANKS, "idle"))["cpu_seconds"]
    print(f"an idle pool of 4 ranks: {idle:.2f} s of CPU time in 5 s, all processes together")
    grown = measured(mpirun(2, *OVER_RANKS, "memory", str(10**6)))["grown_mib"]
    print(f"10⁶ tasks through imap over an endless iterator: the root grows by {grown:.1f} MiB")


if __name__ == "__main__":
    main()
