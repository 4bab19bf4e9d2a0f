"""What the benchmarks share: commands in turn, medians, and the MPI of this environment."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
BUILD = Path(__file__).parent / "build"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def run(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True, timeout=600).stdout


def mpirun(ranks: int, *command: str) -> str:
    """Return what a command prints under this environment's mpirun."""
    return run("mpirun", "-np", str(ranks), *command)


def driver(ranks: int, module: str, *options: str) -> dict[str, Any]:
    """Return the JSON of a driver under mpirun."""
    result: dict[str, Any] = json.loads(mpirun(ranks, sys.executable, "-m", module, *options, "--json"))
    return result


def wall(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def in_turn(repeats: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Return the results of each measure, taken in turn so that drift meets all alike, after one run of each."""
    for measure in measures:
        measure()
    rounds = [[measure() for measure in measures] for _ in range(repeats)]
    return [list(column) for column in zip(*rounds, strict=True)]


def report(title: str, ours: list[float], theirs: list[float], unit: str = "s") -> None:
    """Print the medians and the median of the ratios of pairs."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"{title}: {statistics.median(ours):.4g} {unit} against {statistics.median(theirs):.4g} {unit}, "
        f"ratio {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} pairs)",
        flush=True,
    )
