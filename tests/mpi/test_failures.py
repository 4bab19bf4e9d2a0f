"""A failure on any rank or worker: exit 1, one message with rank, host, block and traceback, and no
hang.
"""

import os
import re
import time
from pathlib import Path

import pytest
from conftest import mpirun, over
from suite.limits import Limit

PROGRAMS = str(Path(__file__).with_name("programs.py"))


def assert_one_message(finished, *, reason):
    assert finished.code == 1
    assert finished.stdout == ""
    first, *_ = finished.own_errors
    assert re.search(r"rank \d+ on host \S+, ", first)
    assert reason in first
    assert sum("on host" in line for line in finished.own_errors) == 1, finished.stderr


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), 4])
@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.ci)])
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "ValueError: this block is bad"),
        ("unpicklable", "Unpicklable: with a lock"),
        ("exit", "SystemExit: 3"),
    ],
)
def test_exception_in_a_kernel(ranks, workers, how, reason):
    options = ("--workers", workers, "--how", how)
    flags = {"env": {"PRTE_MCA_hwloc_default_binding_policy": "none", "I_MPI_PIN": "off"}}
    limit = Limit(10 + 5)  # of which up to 5 are the start of Python and MPI
    finished = over(ranks)(PROGRAMS, "failing", *options, **flags)
    assert not limit.is_over
    assert_one_message(finished, reason=reason)
    assert "block 57 (items 570 to 579)" in finished.stderr
    assert finished.stderr.count("in failing\n") == 1, "the kernel's own traceback, once"
    assert "in evaluate\n" not in finished.stderr, "none of mpipar's frames"


@pytest.mark.each_mpi
def test_failure_in_finish():
    finished = mpirun(4, PROGRAMS, "bad_finish", "--schedule", "stride")
    assert_one_message(finished, reason="KeyError")


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, 3])
def test_partial_that_is_no_number(ranks):
    finished = over(ranks)(PROGRAMS, "failing", "--how", "text")
    assert_one_message(finished, reason="TypeError: ExactSum needs real numbers")


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, 2])
def test_killed_worker(ranks):
    finished = over(ranks)(PROGRAMS, "failing", "--workers", "2", "--how", "killed")
    assert finished.code == 1
    assert "killed by SIGKILL" in finished.stderr
    assert re.search(r"worker \d+, blocks? .*57|blocks \d+ to \d+", finished.stderr)


@pytest.mark.each_mpi
def test_failure_while_others_are_busy_for_long_aborts_them():
    limit = Limit(15)
    finished = mpirun(4, PROGRAMS, "failing", "--others-sleep", "1000", "--at", "1")
    assert not limit.is_over
    assert finished.code != 0
    assert finished.stderr.count("rank ") >= 1
    assert "ValueError: this block is bad" in finished.stderr


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.ci)])
def test_failure_in_the_reduction(ranks):
    finished = mpirun(ranks, PROGRAMS, "bad_merge")
    assert_one_message(finished, reason="ZeroDivisionError")


@pytest.mark.each_mpi
def test_failure_between_ranks_alone():
    # One block a rank: nothing is merged inside a rank, all of it in comm.reduce.
    finished = mpirun(2, PROGRAMS, "bad_merge", "--items", "20", "--schedule", "stride")
    assert_one_message(finished, reason="ZeroDivisionError")
    assert "combining the totals of ranks" in finished.stderr


INNER = """
from mpipar import Count, driver
def make():
    @driver(n="items", reduction=Count)
    def inner(block, *, items: int = 1000):
        return block.size
    return inner
if __name__ == "__main__":
    make().main(["--workers", "2", "--json"])
"""


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, 2])
def test_kernel_that_cannot_be_sent_to_workers(ranks, tmp_path):
    held = INNER.replace("def make():\n", "import threading\ndef make(lock=threading.Lock()):\n")
    (tmp_path / "script.py").write_text(held.replace("block.size", "block.size if lock else 0"))
    finished = over(ranks)("script.py", cwd=tmp_path)
    assert finished.code == 2
    assert len(finished.own_errors) == 1, finished.stderr
    assert "the kernel can't be sent to workers" in finished.stderr


@pytest.mark.parametrize("ranks", [None, 2])
def test_kernel_in_a_function_goes_to_workers_by_value(ranks, tmp_path):
    (tmp_path / "script.py").write_text(INNER)
    assert over(ranks)("script.py", cwd=tmp_path).json["value"] == 1000


@pytest.mark.parametrize("ranks", [None, 2])
def test_kernel_that_has_no_file_goes_to_workers_by_value(ranks):
    assert over(ranks)("-c", INNER).json["value"] == 1000


def leftovers(marker):
    """Return the processes that have a variable in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.each_mpi
@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.ci), "2"])
def test_killed_rank_ends_the_job_and_leaves_no_process_behind(workers):
    code = f"""
import os, signal, sys, threading
sys.path.insert(0, {str(Path(PROGRAMS).parent)!r})
import programs
rank = int(os.environ.get("PMI_RANK") or os.environ["OMPI_COMM_WORLD_RANK"])
if rank == 1:
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGKILL)).start()
programs.failing.main(["--at", "-1", "--others-sleep", "1", "--workers", "{workers}"])
"""
    marker = f"MPIPAR_TEST_MARKER={os.getpid()}-{workers}"
    limit = Limit(25)
    finished = mpirun(
        3, "-c", code, env=dict([marker.split("=")]), cold=True
    )  # a signal, and who is whose child
    assert not limit.is_over, "100 blocks of a second would take 33 s"
    assert finished.code != 0
    assert "failing =" not in finished.stdout
    limit = Limit(10)
    while leftovers(marker) and not limit.is_over:
        time.sleep(0.1)
    assert leftovers(marker) == []


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, 2])
def test_interrupt_ends_the_job_without_traceback(ranks, tmp_path):
    code = f"""
import os, pathlib, signal, sys, threading
sys.path.insert(0, {str(Path(PROGRAMS).parent)!r})
import programs
programs.meet(pathlib.Path({str(tmp_path)!r}), "here", {ranks or 1})  # Ctrl-C comes to all at once
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
programs.failing.main(["--at", "-1", "--others-sleep", "1", "--workers", "2"])
"""
    finished = over(ranks)("-c", code, cold=True)  # a signal
    assert finished.code != 0
    assert "interrupted" in finished.stderr
    assert "Traceback" not in finished.stderr
