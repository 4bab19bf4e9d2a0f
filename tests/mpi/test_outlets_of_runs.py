"""A result is in its file before a word is said, whatever becomes of stdout and stderr."""

import contextlib
import json
import os
import shlex
import subprocess
import sys

import h5py
import pytest
from suite.limits import until
from suite.rings import in_ci

DRIVERS = {
    "pi": "--steps 1000",
    "mcpi": "--samples 1000",
    "primes": "--below 1000",
    "load": "--tasks 20 --mean 0",
    "integrate": "--f x --over 0 1 --samples 1000",
    "roots": "--f x-0.5 --over 0 1 --points 100",
    "sweep": "--function model.py:model --table table.csv",
    "images": "--input pictures --into made --resize 50%",
}
ENDS = {
    ">/dev/full": 1,
    ">&-": 1,
    "2>&-": 0,
    "2>/dev/full": 0,
    "<&-": 0,
    "0<&- >&- 2>&-": 1,
}
SPEAKS = """
import os, sys
import mpipar
print("loaded")

@mpipar.driver(n="items", reduction=mpipar.ExactSum)
def speaks(block, *, items: int = 4):
    print("evaluated", flush=True)
    print("evaluated", file=sys.stderr, flush=True)
    os.system("echo of a child")
    return float(sum(block))
"""
JOB = """
[run]
driver = "pi"
options = { steps = 100 }

[resources]
ranks = 1
time = "00:01:00"
"""
COMMANDS = {
    "--help": 0,
    "--version": 0,
    "pi --help": 0,
    "run --help": 0,
    "show --help": 0,
    "pi --dry-run --json": 0,
    "show run.h5": 0,
    "show run.h5 --json": 0,
    "status": 0,
    "submit job.toml --dry-run --json": 0,
    "show missing.h5": 2,
    "pi --steps x": 2,
    "nothing": 2,
}
ALL_DRIVERS = [(None, ">/dev/full"), (2, ">/dev/full"), (None, "2>&-"), (2, "2>/dev/full")]


def shell(folder, driver, where, *more, ranks=None):
    """Run a driver in a shell that redirects its streams; return what ended."""
    options = [*shlex.split(DRIVERS[driver]), "--output", "run.h5", *more]
    return command(folder, [f"mpipar.{driver}", *options], where, ranks)


def command(folder, words, where="", ranks=None):
    """Run a module in a shell that redirects its streams; return what ended."""
    launcher = [] if ranks is None else ["mpirun", "-np", str(ranks)]
    words = [*launcher, sys.executable, "-m", *words]
    command = ["bash", "-c", f"{shlex.join(words)} {where}"]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, env=env, check=False
    )


@pytest.fixture
def folder(tmp_path):
    """Give a folder with what drivers read."""
    (tmp_path / "model.py").write_text("def model(x: float):\n    return {'y': 2 * x}\n")
    (tmp_path / "table.csv").write_text("x\n1.5\n2.5\n")
    return tmp_path


def check(folder, driver):
    with h5py.File(folder / "run.h5") as file:
        assert file.attrs["finished"]
        assert "value" in file
        if driver == "sweep":
            assert file["results"]["y"].tolist() == [3.0, 5.0]
        elif driver == "primes":
            assert file["value"][()] == 168
        elif driver == "pi":
            assert abs(file["value"][()] - 3.14159265) < 1e-6
        elif driver == "speaks":
            assert file["value"][()] == 6.0
    assert not list(folder.glob("run.h5.*"))


@pytest.mark.parametrize(
    "where", [">/dev/full", ">&-", "0<&- >&- 2>&-", *in_ci("2>&-", "2>/dev/full", "<&-")]
)
def test_a_result_is_stored_before_it_is_told(where, folder):
    ended = shell(folder, "pi", where)
    assert ended.returncode == ENDS[where]
    assert len(ended.stderr.splitlines()) == ("2>" not in where and ENDS[where]), ended.stderr
    check(folder, "pi")


@pytest.mark.ci
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("ranks", "where"), ALL_DRIVERS)
def test_every_driver_stores_its_result_first(driver, ranks, where, folder):
    if driver == "images":
        image = pytest.importorskip("PIL.Image")
        (folder / "pictures").mkdir()
        image.new("RGB", (8, 8), "red").save(folder / "pictures" / "a.png")
    ended = shell(folder, driver, where, "--json", ranks=ranks)
    assert bool(ended.returncode) == ENDS[where], (
        ended.stderr
    )  # MPICH's mpirun has codes of its own
    check(folder, driver)


@pytest.mark.parametrize("size", [(None, 2), *in_ci((None, 1), (2, 1))])
def test_what_a_kernel_prints_is_kept_apart_from_json(size, folder):
    ranks, workers = size
    (folder / "speaks.py").write_text(SPEAKS)
    words = ["mpipar", "run", "speaks.py:speaks", "--json", "--workers", str(workers)]
    ended = command(folder, words, ranks=ranks)
    assert json.loads(ended.stdout)["value"] == 6.0
    assert {"loaded", "evaluated", "of a child"} <= set(ended.stderr.splitlines())


def test_what_a_function_prints_when_it_is_tried_is_kept_apart_from_json(folder):
    (folder / "speaks.py").write_text("def f(x):\n    print('tried')\n    return x\n")
    options = shlex.split("--f speaks.py:f --over 0 1 --samples 81 --method midpoint --json")
    ended = command(folder, ["mpipar.integrate", *options])
    assert json.loads(ended.stdout)["value"] == pytest.approx(0.5)
    assert "tried" in ended.stderr


@pytest.mark.parametrize("workers", [2, *in_ci(1)])
@pytest.mark.parametrize("where", [">/dev/full", *in_ci("2>/dev/full", ">&-", "2>&-")])
def test_what_a_kernel_prints_in_vain_costs_no_result(where, workers, folder):
    (folder / "speaks.py").write_text(SPEAKS)
    options = ["--workers", str(workers), "--output", "run.h5"]
    ended = command(folder, ["mpipar", "run", "speaks.py:speaks", *options], where)
    assert ended.returncode == ENDS[where]
    check(folder, "speaks")


@pytest.mark.ci
@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_fails_where_its_answer_can_not_be_printed(words, folder):
    (folder / "job.toml").write_text(JOB)
    shell(folder, "pi", ">/dev/null")
    usual = COMMANDS[words]
    for where in ("", ">/dev/full", ">&-", "2>&-"):
        ended = command(folder, ["mpipar", *shlex.split(words)], where)
        assert ended.returncode == (usual or ENDS.get(where, 0))
        assert "Traceback" not in ended.stderr


def test_a_pipe_that_nobody_empties_holds_no_result_up(folder):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    command = [sys.executable, "-m", "mpipar.pi", *shlex.split(DRIVERS["pi"]), "--output", "run.h5"]
    with subprocess.Popen(command, cwd=folder, stdout=writing, stderr=writing) as process:
        os.close(writing)
        for _ in until("the result is stored", 30):
            if (folder / "run.h5").exists() and not (folder / "run.h5.parts").exists():
                break
        check(folder, "pi")
        assert process.poll() is None
        os.close(reading)
        assert process.wait(60) == 0
