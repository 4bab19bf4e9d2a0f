"""Run drivers in every mode, compiled ones too if Numba is there, and compare the values to the last
bit.   python tests/same_bits.py [--sample N] [--compiled] [--workers N …]

The grid: without a launcher and at 1, 2, 3, 4, 7 ranks; 1, 2, 3 workers in each; the three
schedules; with the MPI of the environment that runs it.
"""

import argparse
import hashlib
import importlib.util
import itertools
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
from conftest import over

PROBLEMS = {
    "pi 1e7": ("mpipar.pi", "--steps", "1e7"),
    "pi 12345677": ("mpipar.pi", "--steps", "12_345_677"),
    "mcpi 1e7": ("mpipar.mcpi", "--samples", "1e7", "--seed", "42"),
}
if importlib.util.find_spec("numba") is not None:
    COMPILED = ("--device", "compiled")
    PROGRAMS = Path(__file__).parents[1] / "benchmarks" / "programs"
    FORMULA = ("--f", "exp(-x**2) * cos(3*x)", "--over", "0", "1", "--samples", "1e5")
    PROBLEMS |= {
        "pi 12345677, compiled": (*PROBLEMS["pi 12345677"], *COMPILED),
        "mcpi 1e7, compiled": (*PROBLEMS["mcpi 1e7"], *COMPILED),
        "primes 1e7, compiled": ("mpipar.primes", "--below", "1e7", "--block", "1e6", *COMPILED),
        "integrate 1e5, compiled": ("mpipar.integrate", *FORMULA, "--block", "7001", *COMPILED),
        "roots 1e5, compiled": ("mpipar.roots", "--points", "1e5", "--block", "7001", *COMPILED),
        "queens 7, compiled": (str(PROGRAMS / "queens.py"), "--queens", "7", *COMPILED),
    }
GRID = list(itertools.product((None, 1, 2, 3, 4, 7), (1, 2, 3), ("stride", "slice", "dynamic")))


def value(problem: str, ranks: int | None, workers: int, schedule: str) -> str:
    """Return the value of one run, to the last digit."""
    module, *options = PROBLEMS[problem]
    program = (module,) if module.endswith(".py") else ("-m", module)
    how = ("--workers", str(workers), "--schedule", schedule, "--json")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.h5")
        writes = ("--output", str(output)) if module == "mpipar.roots" else ()
        result = over(ranks)(*program, *options, *how, *writes).json
        rows = digest_of_rows(output) if writes else ""
    asked = (ranks or 1, workers, schedule)
    assert (result["ranks"], result["workers"], result["schedule"]) == asked, (
        f"asked for {asked}, got {result}"
    )
    return rows or repr(result["value"])


def digest_of_rows(path: Path) -> str:
    """Return a digest of the dataset in a file."""
    with h5py.File(path) as file:
        return hashlib.sha256(file["y"][:].tobytes()).hexdigest()


def differing(problems: list[str], grid: list[tuple[int | None, int, str]]) -> Iterator[str]:
    """Run a part of the grid; yield what was run for each value that isn't that of the serial
    run.
    """
    for problem in problems:
        expected = value(problem, None, 1, "slice")
        print(f"{problem}: {expected} serially", flush=True)
        for number, (ranks, workers, schedule) in enumerate(grid, 1):
            mode = f"{problem}, ranks {ranks}, workers {workers}, {schedule}"
            got = value(problem, ranks, workers, schedule)
            told = "same bits" if got == expected else got
            print(f"  {number:3}/{len(grid)} {mode}: {told}", flush=True)
            if got != expected:
                yield mode


def main() -> int:
    """Run the grid, or a random sample of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sample", type=int, metavar="N", help="only N of the modes, drawn at random"
    )
    parser.add_argument("--compiled", action="store_true", help="only compiled code")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3], help="only these")
    options = parser.parse_args()
    problems = [name for name in PROBLEMS if "compiled" in name or not options.compiled]
    grid = [mode for mode in GRID if mode[1] in options.workers]
    if options.sample:
        grid = random.sample(grid, options.sample)
    wrong = list(differing(problems, grid))
    print(f"{len(grid) * len(problems)} runs, {len(wrong)} with other bits")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
