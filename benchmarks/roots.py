"""√(x³) of many numbers into a file on 2 ranks, against h5py alone writing as many.   python benchmarks/roots.py

h5py writes blocks that are computed beforehand, one process, no √: the disk, or the page cache, is the limit of both.
Both end with the data flushed to the disk, as a result that is to survive has to be. Peak memory is that of a rank.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from common import in_turn, mpirun, report

POINTS = int(float(sys.argv[1])) if len(sys.argv) > 1 else 400_000_000
AT_ONCE = 2**20


def written_by_h5py(path: Path) -> float:
    """Return the speed in bytes/s at which h5py writes as many numbers one block after the other."""
    block = np.sqrt(np.linspace(0, 1, AT_ONCE) ** 3)
    os.sync()
    began = time.perf_counter()
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("y", (POINTS,), "f8")
        for start in range(0, POINTS, AT_ONCE):
            dataset[start : start + AT_ONCE] = block[: POINTS - start]
    with path.open("rb") as written:
        os.fsync(written.fileno())
    seconds = time.perf_counter() - began
    path.unlink()
    return 8 * POINTS / seconds


def written_by_ranks(path: Path, ranks: int) -> float:
    """Return the same of mpipar, from the start of the first block to the end of the last flush."""
    import json

    os.sync()
    options = ("--points", str(POINTS), "--output", str(path), "--json")
    result = json.loads(mpirun(ranks, sys.executable, "-m", "mpipar.roots", *options))
    path.unlink()
    return float(8 * POINTS / result["elapsed"])


def main() -> None:
    """Measure in turn, print the ratio and the memory."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder).absolute() / "roots.h5"
        for ranks in (1, 2):
            ours, theirs = in_turn(5, lambda: written_by_ranks(path, ranks), lambda: written_by_h5py(path))  # noqa: B023
            report(f"√(x³) of {POINTS:_} numbers into a file, np {ranks}, against h5py", ours, theirs, "B/s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"peak memory of a rank: {peak / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
