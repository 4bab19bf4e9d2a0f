"""Run drivers in every mode, compiled ones too if Numba is there, and compare the values to the last
bit.   python tests/same_bits.py [--sample N]

The grid: without a launcher and at 1, 2, 3, 4, 7 ranks; 1, 2, 3 workers in each; the three
schedules.
"""

import argparse
import importlib.util
import itertools
import random
import sys
from collections.abc import Iterator

from conftest import over

PROBLEMS = {
    "pi 1e7": ("mpipar.pi", "--steps", "1e7"),
    "pi 12345677": ("mpipar.pi", "--steps", "12_345_677"),
    "mcpi 1e7": ("mpipar.mcpi", "--samples", "1e7", "--seed", "42"),
}
if importlib.util.find_spec("numba") is not None:
    COMPILED = ("--device", "compiled")
    PROBLEMS |= {
        "pi 12345677, compiled": (*PROBLEMS["pi 12345677"], *COMPILED),
        "mcpi 1e7, compiled": (*PROBLEMS["mcpi 1e7"], *COMPILED),
        "primes 1e7, compiled": ("mpipar.primes", "--below", "1e7", "--block", "1e6", *COMPILED),
    }
GRID = list(itertools.product((None, 1, 2, 3, 4, 7), (1, 2, 3), ("stride", "slice", "dynamic")))


def value(problem: str, ranks: int | None, workers: int, schedule: str) -> str:
    """Return the value of one run, to the last digit."""
    module, *options = PROBLEMS[problem]
    finished = over(ranks)(
        "-m", module, *options, "--workers", str(workers), "--schedule", schedule, "--json"
    )
    result = finished.json
    asked = (ranks or 1, workers, schedule)
    assert (result["ranks"], result["workers"], result["schedule"]) == asked, (
        f"asked for {asked}, got {result}"
    )
    return repr(result["value"])


def differing(grid: list[tuple[int | None, int, str]]) -> Iterator[tuple[str, str]]:
    """Run a part of the grid; yield (what was run, its value) for each value that isn't that of the
    serial run.
    """
    for problem in PROBLEMS:
        expected = value(problem, None, 1, "slice")
        print(f"{problem}: {expected} serially", flush=True)
        for number, (ranks, workers, schedule) in enumerate(grid, 1):
            mode = f"{problem}, ranks {ranks}, workers {workers}, {schedule}"
            got = value(problem, ranks, workers, schedule)
            print(
                f"  {number:3}/{len(grid)} {mode}: {'same bits' if got == expected else got}",
                flush=True,
            )
            if got != expected:
                yield mode, got


def main() -> int:
    """Run the grid, or a random sample of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sample", type=int, metavar="N", help="only N of the modes, drawn at random"
    )
    sample = parser.parse_args().sample
    grid = random.sample(GRID, sample) if sample else GRID
    wrong = list(differing(grid))
    print(f"{len(grid) * len(PROBLEMS)} runs, {len(wrong)} with other bits")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
