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
from mpipar.runtime.node import usable_cores
from mpipar.runtime.run import Conduct, run
from mpipar.runtime.run_options import RunOptions
from mpipar.runtime.schedule import SCHEDULES

REPEATS = 9

_SHORT, _LONG = (
    0.1,
    0.15,
)  # seconds of a block: ranks come to the end asleep, as they do in a run, and one of them late
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
    return {
        schedule: statistics.quantiles(found, n=4)[quartile]
        for schedule, found in seconds.items()
        if found
    }


def counter(comm: Comm) -> tuple[float, float]:
    """Return the seconds of a fetch-and-add alone, and between two where all ask. Collective over
    comm.
    """
    shared = comm.shared_counter()
    alone, together = [], []
    for _ in range(REPEATS):
        comm.barrier()
        if comm.rank == comm.size - 1:  # not the root, whose memory it is in
            alone.append(_adding(shared))
        comm.barrier()
        together.append(_adding(shared) / comm.size)
    shared.free()
    found = comm.gather(
        (min(alone or [0.0]), min(together))
    )  # what else runs here can only add to it
    return (found[-1][0], max(one for _, one in found)) if comm.is_root else (0.0, 0.0)


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
        print(json.dumps(found))


if __name__ == "__main__":
    main()
