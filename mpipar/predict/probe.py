"""What MPI and the runtime cost here, measured over the ranks of a launcher.

``mpirun -np N python -m mpipar.predict.probe NUMBERS`` prints a JSON object. Runs that do next to
nothing are run as any other is, by :func:`mpipar.runtime.run.run`; what they take beyond their one
block is what every run of so many ranks pays: for the counter of ``dynamic``, to agree that all is
well, for the reduction, and to tell all ranks.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np

from mpipar.core.kernel import Kernel
from mpipar.core.plan import Block
from mpipar.core.reduction import ExactSum
from mpipar.runtime.comm import world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.conduct import Conduct
from mpipar.runtime.node import usable_cores
from mpipar.runtime.outlets import put
from mpipar.runtime.run import run
from mpipar.runtime.run_options import RunOptions
from mpipar.runtime.schedule import SCHEDULES

REPEATS = 9

_SHORT = 0.1
"""Seconds of a block: ranks come to the end asleep, as they do in a run,"""
_LONG = 0.15
"""and one of them late."""
_ADDS = 500


def nap(block: Block, *, ranks: int, numbers: int) -> Any:
    """Sleep; the last block takes longer."""
    time.sleep(_LONG if block.index == ranks - 1 else _SHORT)
    return 1.0 if numbers == 1 else np.ones(numbers)


def ends_of_runs(comm: Comm, numbers: int) -> dict[str, float]:
    """Return {schedule: what a run takes beyond its blocks}, on the root. Collective over comm."""
    bound = Kernel(nap, n="ranks", reduction=ExactSum, block=1).bind(
        {"ranks": comm.size, "numbers": numbers}
    )
    seconds: dict[str, list[float]] = {schedule: [] for schedule in SCHEDULES}
    for repeat in range(REPEATS + 1):
        for schedule, found in seconds.items():
            result = run(bound, comm, Conduct(options=RunOptions(schedule=schedule)))
            if result is not None and repeat:  # the first time, MPI makes connections
                found.append(max(0.0, result.elapsed - _LONG))
    # Where each rank has a core, what is more than in the quieter runs is not theirs, but of what
    # else runs here.
    quartile = 0 if comm.size <= usable_cores() else 1
    quiet = {}
    for schedule, found in seconds.items():
        if found:
            quiet[schedule] = statistics.quantiles(found, n=4)[quartile]
    return quiet


def counter(comm: Comm) -> tuple[float, float]:
    """Return the seconds of a fetch-and-add alone, and between two where all ask. Collective over
    comm.
    """
    shared = comm.shared_counter()
    alone = []
    together = []
    for _ in range(REPEATS):
        comm.barrier()
        is_last = comm.rank == comm.size - 1  # not the root, in whose memory the counter is
        if is_last:
            alone.append(_adding(shared))
        comm.barrier()
        together.append(_adding(shared) / comm.size)
    shared.free()
    # What else runs here can only add to a time: the shortest is the truest.
    all_alone = comm.gather(min(alone, default=0.0))
    all_together = comm.gather(min(together))
    if not comm.is_root:
        return 0.0, 0.0
    return all_alone[-1], max(all_together)


def _adding(shared: Any) -> float:
    began = time.perf_counter()
    for _ in range(_ADDS):
        shared.add(1)
    return (time.perf_counter() - began) / _ADDS


def main() -> None:
    """Measure, and print what the root found."""
    numbers = int(sys.argv[1])
    comm = world()
    ends = ends_of_runs(comm, numbers)
    latency, service = counter(comm)
    if comm.is_root:
        found = {
            "ranks": comm.size,
            "mpi": comm.library,
            "ends": ends,
            "latency": latency,
            "service": service,
        }
        put(json.dumps(found), sys.stdout)


if __name__ == "__main__":
    main()
