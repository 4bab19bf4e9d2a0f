"""√(x³) of many numbers into a file on 1 and 2 ranks, against h5py alone writing as many."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from common import PROGRAMS, PYTHON, Effort, Table, mpirun, over, pair, shown

AT_ONCE = 2**20
TEXT = """√(x³) of each number of a range, computed and written by mpipar; h5py writes blocks that are computed
beforehand, in one process, no √: the disk, or the page cache, is the limit of both. Both times are from before the file
is opened until it is complete, under its name, and flushed to the disk; the start of Python and MPI is in neither."""


def by_h5py(path: Path, points: int) -> float:
    """Return the seconds in which h5py writes numbers one block after the other."""
    block = np.sqrt(np.linspace(0, 1, AT_ONCE) ** 3)
    os.sync()
    began = time.perf_counter()
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("y", (points,), "f8")
        for start in range(0, points, AT_ONCE):
            dataset[start : start + AT_ONCE] = block[: points - start]
    with path.open("rb") as written:
        os.fsync(written.fileno())
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def measure(effort: Effort) -> Table:
    """Measure in turn."""
    points = effort.pick(10**8, 10**5)
    table = Table("roots", "A large dataset against h5py alone", TEXT)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder).absolute() / "roots.h5"
        program = (PYTHON, str(PROGRAMS / "roots.py"), str(points))

        def by_ranks(ranks: int) -> float:
            os.sync()
            seconds = float(mpirun(ranks, *program, str(path)))
            path.unlink()
            return seconds

        for ranks in (1, 2):
            command = shown(over(ranks, *program, "roots.h5"))
            what = f"{points:,} rows, np {ranks}"
            ours, theirs = (lambda: by_ranks(ranks)), (lambda: by_h5py(path, points))
            table.rows.append(pair(effort, what, "h5py alone", ours, theirs, command=command))
    return table
