"""What hangs is told with the line that each of its processes is at, and ended."""

import subprocess

import pytest
from conftest import FOR_OPEN_MPI, MPIRUN, ON_THIS_HOST, environment, interpreter
from suite.limits import until
from suite.stacks import end_hung, processes_of

from mpipar.runtime.mpirun import INTEL_MPI, vendor_of

SCRIPT = """
import os, pathlib, threading
from mpi4py import MPI

def stand():
    pathlib.Path(f"stands-{MPI.COMM_WORLD.rank}").touch()
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()  # for ever

stand()
"""
TASKS = """
import pathlib, time
from multiprocessing import Pool

def stand(number):
    pathlib.Path(f"stands-{number}").touch()
    time.sleep(10_000)

if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(stand, range(2), chunksize=1)
"""


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    ("ranks", "text", "command", "cold", "line"),
    [
        (2, SCRIPT, ("hangs.py",), False, 9),
        (2, SCRIPT, ("hangs.py",), True, 9),
        (1, TASKS, ("-m", "mpipar", "run", "--workers=2", "hangs.py"), False, 7),
    ],
    ids=["warm ranks", "ranks", "workers"],
)
def test_each_process_that_hangs_names_its_line(tmp_path, ranks, text, command, cold, line):
    if vendor_of(str(MPIRUN)) == INTEL_MPI:
        pytest.skip("Intel's mpirun loses at times what ranks say as they end")
    (tmp_path / "hangs.py").write_text(text)
    env = {**FOR_OPEN_MPI, **ON_THIS_HOST}
    process = subprocess.Popen(
        [str(MPIRUN), "-np", str(ranks), *interpreter(command, env, cold=cold)],
        env=environment(env),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in until("both stand", 30):
            if len(list(tmp_path.glob("stands-*"))) == 2:
                break
    finally:
        _, stderr, where = end_hung(process)
    assert stderr.count(f'hangs.py", line {line} in stand') == 2, stderr
    assert f" -np {ranks} " in where  # the launcher
    assert processes_of(process.pid) == []
