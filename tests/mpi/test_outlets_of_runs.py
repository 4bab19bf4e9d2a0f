"""A result is in its file before a word is said, whatever becomes of stdout and stderr."""

import contextlib
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
ALL_DRIVERS = [(None, ">/dev/full"), (2, ">/dev/full"), (None, "2>&-"), (2, "2>/dev/full")]


def shell(folder, driver, where, *more, ranks=None):
    """Run a driver in a shell that redirects its streams; return what ended."""
    launcher = [] if ranks is None else ["mpirun", "-np", str(ranks)]
    options = [*shlex.split(DRIVERS[driver]), "--output", "run.h5", *more]
    words = [*launcher, sys.executable, "-m", f"mpipar.{driver}", *options]
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
