"""Ctrl-C in machine code, for which a lock of the C library's stands that is taken twice: to wait
for it leaves Python's lock to others, and no signal ends it.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment
from suite.limits import until

from mpipar.runtime.interrupt import CTRL_C
from mpipar.runtime.prompt_end import PromptEnd

LIMIT = 60.0

PROGRAM = """
import contextlib, ctypes, sys
from mpipar.runtime.interrupt import Interruption
from mpipar.runtime.prompt_end import PromptEnd

lock = ctypes.create_string_buffer(64)
take = ctypes.CDLL(None).pthread_mutex_lock
with contextlib.ExitStack() as stack:
    interruption = None
    if "stops" in sys.argv:
        interruption = stack.enter_context(Interruption())
    stack.enter_context(PromptEnd(interruption))
    take(lock)
    print("begun", flush=True)
    take(lock)
"""


ENDLESS = """
from mpipar import ExactSum, driver

@driver(n="terms", reduction=ExactSum)
def endless(block, *, terms: int = 100):
    total = 1.0
    while total > 0.0:
        total += 1.0
    return total

endless.on("compiled")(endless.function)
endless.main(["--device", "compiled"], "endless")
"""


@pytest.fixture
def started():
    """Return what starts the program, which is in machine code then."""
    processes = []

    def start(*arguments):
        command = [sys.executable, "-c", PROGRAM, *arguments]
        process = subprocess.Popen(
            command,
            env=environment(),
            text=True,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout.readline() == "begun\n"
        for _ in until("it waits for the lock", LIMIT):
            if state_of(process.pid) == "S":
                break
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_ctrl_c_ends_a_run(started):
    process = started()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=LIMIT) == ("", "interrupted\n")
    assert process.returncode == 130


def test_the_second_ctrl_c_ends_a_run_that_the_first_stops(started):
    process = started("stops")
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == f"{CTRL_C}\n"
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=LIMIT) == ("", "interrupted\n")
    assert process.returncode == 130


def test_other_signals_are_left_alone(started):
    process = started("stops")
    process.send_signal(signal.SIGTERM)  # noted: the run stops after the block
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == f"{CTRL_C}\n"


def test_what_python_answers_is_left_to_it():
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), PromptEnd(None):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.ci
def test_ctrl_c_ends_a_block_without_end(tmp_path):
    pytest.importorskip("numba")
    (tmp_path / "endless.py").write_text(ENDLESS)
    process = subprocess.Popen(
        [sys.executable, "endless.py"],
        cwd=tmp_path,
        env=environment({"MPIPAR_CACHE_DIR": str(tmp_path)}),
        text=True,
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr.readline().startswith("endless: compiled endless in ")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=LIMIT)[1].endswith("interrupted\n")
        assert process.returncode == 130
    finally:
        process.kill()
