"""Prints the seconds that `roots` takes from opening its file until it is complete.   python
roots.py POINTS FILE.h5

As those of h5py alone are measured: libraries and MPI are there before, the file is opened, filled,
closed and flushed.
"""

import sys
import time

import h5py  # noqa: F401  (before the clock starts)
from mpi4py import MPI

import mpipar
from mpipar.roots import roots

points, path = int(sys.argv[1]), sys.argv[2]
comm = MPI.COMM_WORLD
comm.Barrier()
began = time.perf_counter()
mpipar.run(roots, points=points, output=path, progress=False, everywhere=False)
comm.Barrier()
if comm.rank == 0:
    print(time.perf_counter() - began)
