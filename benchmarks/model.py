"""The predictions of ``mpipar model`` against real runs, as a Markdown table.   python
benchmarks/model.py [RANKS …]

One run with 2 ranks is measured, and from that alone all others are predicted: 2 to 64 ranks, each
schedule. The kernel sleeps for lognormal times (sigma 1.2), so that 64 ranks need no 64 cores; what
MPI costs so many ranks here is measured by the command (``--here``). Where runs are short, the
measured time is the median of several.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from common import driver, run

BLOCKS, MEAN = 3000, 0.05
SCHEDULES = ("stride", "slice", "dynamic")
OPTIONS = ("--tasks", str(BLOCKS), "--mean", str(MEAN), "--seed", "1")
WITHIN = 0.15


def measure(ranks: int, schedule: str) -> float:
    """Return the seconds of a run, by its own clock."""
    repeats = 3 if ranks >= 16 else 1
    options = (*OPTIONS, "--schedule", schedule)
    return statistics.median(
        float(driver(ranks, "mpipar.load", *options)["elapsed"]) for _ in range(repeats)
    )


def main() -> None:
    """Measure one run, predict all, measure all; fail if a prediction is off by more than it may
    be.
    """
    ranks = [int(word) for word in sys.argv[1:]] or [2, 4, 8, 16, 32, 64]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.h5")
        driver(2, "mpipar.load", *OPTIONS, "--schedule", "dynamic", "--output", str(path))
        words = ("--ranks", ",".join(map(str, ranks)), "--here", "--json")
        predicted = json.loads(run(sys.executable, "-m", "mpipar", "model", str(path), *words))
    print(
        f"{BLOCKS} blocks of {MEAN} s on average, the longest of {predicted['longest']:.2f} s; ",
        end="",
    )
    print(f"all predicted from one run of 2 ranks. Costs: {predicted['costs']['source']}.\n")
    print(
        "| ranks | schedule | predicted (s) | measured (s) | ratio | efficiency, predicted |"
        " measured |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    worst = 0.0
    for row in predicted["rows"]:
        seconds, size = measure(row["ranks"], row["schedule"]), row["ranks"]
        ratio = row["seconds"] / seconds
        worst = max(worst, abs(ratio - 1))
        efficiency = row["efficiency"] * row["seconds"] / seconds
        print(
            f"| {size} | {row['schedule']} | {row['seconds']:.3f} | {seconds:.3f} | {ratio:.3f} | "
            f"{row['efficiency']:.3f} | {efficiency:.3f} |",
            flush=True,
        )
    print(f"\nThe worst is off by {100 * worst:.1f} %.")
    sys.exit(worst > WITHIN)


if __name__ == "__main__":
    main()
