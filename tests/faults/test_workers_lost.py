"""Blocks that kill their workers, or never end: they are named, and fail as others do."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import over, python
from scenarios import ended, leave_nothing  # noqa: F401
from suite.limits import until
from suite.rings import in_ci

TOTAL = float(sum(range(40)))


@pytest.mark.parametrize("ranks", [*in_ci(0), pytest.param(2, marks=pytest.mark.each_mpi)])
@pytest.mark.parametrize("action", ["stop", "skip"])
def test_a_block_that_kills_its_workers_is_named(ranks, action, tmp_path):
    output = tmp_path / "run.h5"
    end = ended(ranks, "deadly", "--workers", "2", "--on-error", action, "--output", str(output))
    lost = [line for line in end.errors if "; it is replaced" in line]
    assert all("killed by SIGKILL" in line for line in lost)
    # Once in a chunk of several blocks, perhaps, then three times by itself.
    assert 3 <= len(lost) <= 4
    assert sum("block 17: " in line for line in lost) >= 3
    assert "Traceback" not in end.stderr
    if action == "stop":
        assert (end.returncode, end.stdout) == (1, "")
        [line] = [line for line in end.errors if "block 17 (items 17 to 17)" in line]
        assert line.endswith("killed by SIGKILL, 3 times")
    else:
        assert end.json["value"] == TOTAL - 17
        assert end.json["lost_workers"] == len(lost)
        [skipped] = end.json["skipped"]
        assert (skipped["block"], skipped["start"], skipped["stop"]) == (17, 17, 18)
        assert "SIGKILL" in skipped["reason"]
        assert sum("skipped block 17 (items 17 to 17): " in line for line in end.errors) == 1


@pytest.mark.parametrize(
    ("ranks", "workers", "action"),
    [
        pytest.param(0, "1", "skip", marks=pytest.mark.ci),
        (0, "2", "stop"),
        pytest.param(2, "1", "retry:1", marks=pytest.mark.each_mpi),
        pytest.param(2, "2", "skip", marks=pytest.mark.ci),
    ],
)
def test_a_block_that_hangs_has_failed(ranks, workers, action, tmp_path):
    options = (
        "--how",
        "hang",
        "--block-timeout",
        "0.5",
        "--workers",
        workers,
        "--on-error",
        action,
    )
    end = ended(ranks, "deadly", *options)
    lost = [line for line in end.errors if "took more than 0.5 s; it is replaced" in line]
    assert 1 <= len(lost) <= 3
    assert "Traceback" not in end.stderr
    if action == "skip":
        assert end.json["value"] == TOTAL - 17
        [skipped] = end.json["skipped"]
        assert (skipped["block"], skipped["reason"]) == (17, "took more than 0.5 s")
    else:
        assert (end.returncode, end.stdout) == (1, "")
        [line] = [line for line in end.errors if "block 17 (items 17 to 17)" in line]
        assert line.endswith("took more than 0.5 s" + ", 2 times" * (action != "stop"))


@pytest.mark.parametrize(
    ("ranks", "workers"), [pytest.param(0, "2", marks=pytest.mark.ci), (2, "1")]
)
def test_a_block_that_hangs_once_is_evaluated_again(ranks, workers, tmp_path):
    mark = tmp_path / "mark"
    options = (
        "--how",
        "hang",
        "--block-timeout",
        "0.5",
        "--workers",
        workers,
        "--on-error",
        "retry:1",
    )
    result = ended(ranks, "deadly", *options, "--once", str(mark)).json
    assert mark.exists()
    assert (result["value"], result["evaluated_blocks"], result["lost_workers"]) == (TOTAL, 40, 1)
    assert result["skipped"] == []


AT_IMPORT = """
import os, sys
from pathlib import Path
from mpipar import Block, ExactSum, driver

mark = Path(sys.argv[0]).with_name("mark")
if __name__ != "__main__":
    {what}

@driver(n="blocks", reduction=ExactSum, block=1)
def indices(block: Block, *, blocks: int = 40) -> float:
    return float(block.index)

if __name__ == "__main__":
    indices.main(sys.argv[1:])
"""
KILL_ONE = """
    try:
        mark.touch(exist_ok=False)
        os.kill(os.getpid(), 9)
    except FileExistsError:
        pass
"""


def at_import(what, folder, launch=python):
    script = folder / "script.py"
    script.write_text(AT_IMPORT.format(what=what))
    return launch(str(script), "--workers", "2", "--json", cold=True)


@pytest.mark.parametrize("ranks", [None, *in_ci(2)])
def test_a_worker_that_dies_before_its_first_block_is_replaced(ranks, tmp_path):
    end = at_import(KILL_ONE, tmp_path, over(ranks))
    assert end.json["value"] == sum(range(40))
    [line] = end.own_errors
    assert line.endswith(
        ", before its first block: the worker was killed by SIGKILL; it is replaced"
    )


def test_a_worker_that_can_never_start_ends_the_run(tmp_path):
    end = at_import("os.kill(os.getpid(), 9)", tmp_path)
    assert (end.code, end.stdout) == (1, "")
    *replaced, line = end.own_errors
    assert len(replaced) == 2
    assert line.endswith(", before its first block: the worker was killed by SIGKILL, 3 times")


@pytest.mark.parametrize(
    "what", ["raise ArithmeticError('not here')", pytest.param("sys.exit(3)", marks=pytest.mark.ci)]
)
def test_a_script_that_workers_cant_import_is_told_with_its_traceback(what, tmp_path):
    end = at_import(what, tmp_path)
    assert (end.code, end.stdout) == (1, "")
    assert end.stderr.count("Traceback") == 1
    assert "before its first block: " in end.own_errors[0]
    assert what in end.stderr


NAP = """
import time
from mpipar import ExactSum, driver

@driver(n="items", reduction=ExactSum, block=1)
def nap(block, *, items: int = 1) -> float:
    open("begun", "x").close()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        time.sleep(0.05)
    return 1.0
"""


@pytest.mark.ci
def test_a_block_is_not_late_because_its_job_was_suspended(tmp_path):
    """As Slurm suspends jobs: all their processes are stopped, for longer than a block may take."""
    (tmp_path / "nap.py").write_text(NAP)
    words = ["-m", "mpipar", "run", "nap.py:nap", "--block-timeout", "1.5", "--workers", "1"]
    run = subprocess.Popen(
        [sys.executable, *words], cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE
    )
    for _ in until("the block has begun", 30):
        if (tmp_path / "begun").exists():
            break
    os.killpg(run.pid, signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(2.0)
    os.killpg(run.pid, signal.SIGCONT)
    _, told = run.communicate(timeout=30)
    assert run.returncode == 0, told
    assert b"took more than" not in told
