"""Whole-process time of a small run, against starting Python with MPI and NumPy alone."""

from __future__ import annotations

from common import PYTHON, Effort, Table, mpirun, over, pair, run, shown, wall

TEXT = """From the start of the command to its end. The other does nothing but import. What pools take until their
first result is further down."""
IMPORTS = "from mpi4py import MPI; import numpy"


def measure(effort: Effort) -> Table:
    """Run both in turn."""
    small = (PYTHON, "-m", "mpipar.pi", "--steps", "1e4")
    rows = [
        pair(
            effort,
            "π, 1e4 steps, no launcher",
            "import numpy",
            lambda: wall(lambda: run(*small)),
            lambda: wall(lambda: run(PYTHON, "-c", "import numpy")),
            command=shown(small),
            bound=True,
        ),
        pair(
            effort,
            "π, 1e4 steps, np 2",
            "import mpi4py.MPI, numpy",
            lambda: wall(lambda: mpirun(2, *small)),
            lambda: wall(lambda: mpirun(2, PYTHON, "-c", IMPORTS)),
            command=shown(over(2, *small)),
            bound=True,
        ),
    ]
    return Table("startup", "Start-up of a run", TEXT, rows)
