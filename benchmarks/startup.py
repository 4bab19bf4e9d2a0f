"""Whole-process time of a small run on 2 ranks, against importing MPI and NumPy.   python benchmarks/startup.py"""

from __future__ import annotations

import sys

from common import in_turn, mpirun, report, wall


def main() -> None:
    """Run both in turn, print the ratio."""
    pairs = in_turn(
        15,
        lambda: wall(lambda: mpirun(2, sys.executable, "-m", "mpipar.pi", "--steps", "1e4")),
        lambda: wall(lambda: mpirun(2, sys.executable, "-c", "from mpi4py import MPI; import numpy")),
    )
    report("start-up against importing MPI and NumPy, 2 ranks", *pairs)


if __name__ == "__main__":
    main()
