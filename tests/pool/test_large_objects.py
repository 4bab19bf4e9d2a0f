"""Objects beyond 2 GiB, which is more than most MPI libraries send at once."""

import pytest
from conftest import mpirun

LARGE = """
import os
import time

import numpy as np
from mpipar import Pool

def ones(n):
    time.sleep(0.2)  # so that the next task is another worker's
    return os.getpid(), np.ones(n, np.int8)

def total(pair):
    return os.getpid(), int(pair[1].sum(dtype=np.int64)), pair[1].flags.writeable

n = 2**31 + 5
with Pool(2) as pool:
    small, large = pool.map(ones, [5, n], chunksize=1)
    print(small[0] != large[0], large[1].nbytes == n, large[1][-1])
    (one, _, _), (other, found, writeable) = pool.map(total, [small, large], chunksize=1)
    print(found == n, writeable)
"""


@pytest.mark.ci
def test_an_array_of_more_than_two_gib_goes_both_ways_over_mpi(tmp_path):
    (tmp_path / "large.py").write_text(LARGE)
    finished = mpirun(
        2, "large.py", cwd=tmp_path, timeout=300
    )  # it takes 10 GB, which may be slow to come
    assert finished.stdout == "True True 1\nTrue True\n", finished.stderr
