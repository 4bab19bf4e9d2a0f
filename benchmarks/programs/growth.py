"""Costs of runs whose kernel does nothing, as one JSON object.   mpirun -np 2 python growth.py
ranks|blocks NUMBER
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from pathlib import Path

import mpipar


@mpipar.driver(n="blocks", reduction=mpipar.ExactSum, block=1)
def nothing(block, *, blocks: mpipar.PositiveInt = 1):
    """Return 1.

    Parameters
    ----------
    blocks : int
        How many.
    """
    return 1.0


def ranks(repeats):
    """Return what a run of one block a rank takes, and what a barrier and an allreduce take."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    runs, reductions = [], []
    for _ in range(repeats + 1):
        runs.append(mpipar.run(nothing, blocks=comm.size).elapsed)
        began = time.perf_counter()
        comm.Barrier()
        assert comm.allreduce(1.0) == comm.size
        reductions.append(time.perf_counter() - began)
    told = {"run": statistics.median(runs[1:]), "allreduce": statistics.median(reductions[1:])}
    return told if comm.rank == 0 else None


def blocks(number):
    """Return the time of a run, the median of five where they are short, and the peak of the root's
    memory.
    """
    from mpi4py import MPI

    mpipar.run(nothing, blocks=1000)
    results = [mpipar.run(nothing, blocks=number) for _ in range(5 if number <= 10**5 else 1)]
    assert all(result.value == number for result in results)
    elapsed = statistics.median(result.elapsed for result in results)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]
    return {"elapsed": elapsed, "mib": int(peak) / 1024} if MPI.COMM_WORLD.rank == 0 else None


def main():
    what, number = sys.argv[1:]
    told = {"ranks": ranks, "blocks": blocks}[what](int(number))
    if told is not None:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
