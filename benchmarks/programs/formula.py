"""Evaluates a formula on the ranks, and prints how long that took.

formula.py integrate|roots FORMULA POINTS cpu|compiled|numexpr
"""

import json
import sys
import time

import numpy as np

BLOCK = 2**15


def by_mpipar(driver, f, points, device):
    """Return the seconds that a run reports, or None beside the root."""
    import mpipar
    from mpipar.integrate import integrate
    from mpipar.roots import roots

    if driver == "integrate":
        result = mpipar.run(integrate, f=f, over=[0.0, 1.0], samples=points, seed=1, device=device)
    else:
        result = mpipar.run(roots, f=f, points=points, device=device)
    return result.elapsed


def by_numexpr(driver, f, points):
    """Return the seconds that the slowest rank takes."""
    import numexpr
    from mpi4py import MPI

    numexpr.set_num_threads(1)
    comm = MPI.COMM_WORLD
    own = range(points * comm.rank // comm.size, points * (comm.rank + 1) // comm.size)
    generator = np.random.Generator(np.random.SFC64([1, comm.rank]))
    comm.barrier()
    began = time.perf_counter()
    values = np.empty(len(own)) if driver == "roots" else None
    sums = np.zeros(2)
    for first in range(own.start, own.stop, BLOCK):
        stop = min(first + BLOCK, own.stop)
        if values is None:
            x = generator.random(stop - first)
            y = numexpr.evaluate(f, {"x": x})
            sums += y.sum(), (y * y).sum()
        else:
            x = np.arange(first, stop) * (1.0 / points)
            numexpr.evaluate(f, {"x": x}, out=values[first - own.start : stop - own.start])
    comm.allreduce(sums)
    return comm.allreduce(time.perf_counter() - began, MPI.MAX)


def main():
    """Print {"elapsed": seconds} on the root."""
    driver, f, points, by = sys.argv[1:]
    if by == "numexpr":
        seconds = by_numexpr(driver, f, int(points))
    else:
        seconds = by_mpipar(driver, f, int(points), by)
    from mpipar.runtime.comm import world

    if world().is_root:
        print(json.dumps({"elapsed": seconds}))


if __name__ == "__main__":
    main()
