"""What is shown of real runs, and the guide to results: every code block in it, run as a reader
would.
"""

import importlib.util
import json
import math
import re
import shlex
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pages
import pytest
from conftest import UNBOUND, mpirun, python
from suite.limits import Limit

PAGE = "docs/results.md"
GUIDE = pages.text_of(PAGE)
LOAD = ("--tasks", "160", "--mean", "0.004", "--seed", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def show(*arguments, cwd):
    return python("-m", "mpipar", "show", *map(str, arguments), cwd=cwd)


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param("stride", marks=pytest.mark.ci),
        pytest.param("slice", marks=pytest.mark.ci),
        "dynamic",
    ],
)
def test_eight_ranks(folder, schedule):
    printed = mpirun(
        8,
        "-m",
        "mpipar.load",
        *LOAD,
        "--schedule",
        schedule,
        "--output",
        f"{schedule}.h5",
        "--json",
        cwd=folder,
    ).json
    told = show(f"{schedule}.h5", "--json", cwd=folder).json
    same = printed.keys() - {"parameters", "mpi", "mpipar", "skipped"}
    assert {name: told[name] for name in same} == {name: printed[name] for name in same}
    assert len(told["per_worker"]) == 8
    assert (
        told["mean_finish"] <= told["last_finish"] <= told["elapsed"] + 0.1
    )  # each rank has its own beginning
    assert told["last_finish"] >= max(one["seconds"] for one in told["per_worker"])
    drawn = show(f"{schedule}.h5", "--timeline", "t.svg", "--html", f"{schedule}.html", cwd=folder)
    if importlib.util.find_spec("matplotlib") is None:
        assert drawn.code == 2
        return
    assert (drawn.code, drawn.stderr) == (0, "")
    assert f"{schedule} schedule" in drawn.stdout
    assert f"imbalance   {printed['imbalance']:.3f}" in drawn.stdout
    assert (folder / "t.svg").read_bytes().startswith(b"<?xml")
    assert f"{printed['imbalance']:.3f}" in (folder / f"{schedule}.html").read_text()


def test_ranks_with_workers(folder):
    ran = mpirun(
        2,
        "-m",
        "mpipar.load",
        *LOAD,
        "--workers",
        "2",
        "--output",
        "hybrid.h5",
        cwd=folder,
        env=UNBOUND,
    )
    assert ran.code == 0, ran.stderr
    told = show("hybrid.h5", "--json", cwd=folder).json
    assert [one["rank"] for one in told["per_worker"]] == [0, 0, 1, 1]
    assert sum(one["blocks"] for one in told["per_worker"]) == 160
    assert "2 ranks × 2 workers" in show("hybrid.h5", "--workers", cwd=folder).stdout


def test_a_run_that_was_killed_goes_on_by_the_command_that_is_shown(folder):
    options = ("--times", *["0.03"] * 200, "--checkpoint", "0.2", "--output", "killed run.h5")
    process = subprocess.Popen([sys.executable, "-m", "mpipar.load", *options], cwd=folder)
    try:
        limit = Limit(60)
        while (told := show("killed run.h5", "--json", cwd=folder)).code or not told.json["done"]:
            assert not limit.is_over
            time.sleep(0.1)
        assert "it goes on at the moment" in show("killed run.h5", cwd=folder).stdout
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    told = show("killed run.h5", "--json", cwd=folder).json
    assert (told["kind"], told["n_blocks"]) == ("unfinished", 200)
    assert 0 < told["done"] < 200
    text = show("killed run.h5", cwd=folder).stdout
    assert f"{told['done']} of 200 blocks" in text
    assert "goes on at the moment" not in text
    assert told["resume"] in text
    command, *rest = shlex.split(told["resume"])
    assert command == "python"
    assert python(*rest, cwd=folder).code == 0
    told = show("killed run.h5", "--json", cwd=folder).json
    assert (told["kind"], told["value"]) == ("result", math.fsum([0.03] * 200))
    assert 0 < told["resumed_blocks"] < 200
    assert told["resumed_blocks"] + told["evaluated_blocks"] == 200


def test_a_launcher_is_refused(folder, tmp_path):
    finished = python(
        "-m", "mpipar.load", "--tasks", "2", "--mean", "0.001", "--output", "one.h5", cwd=tmp_path
    )
    assert finished.code == 0
    finished = mpirun(3, "-m", "mpipar", "show", "one.h5", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (2, "")
    assert finished.own_errors == [
        "mpipar show: error: it needs no launcher, which started it 3 times"
    ]


# The guide.


@pytest.mark.ci
def test_the_guide_as_written_in_order(tmp_path):
    for _, line, finished in pages.read(PAGE, tmp_path):
        assert finished.own_errors == [], line
        assert finished.stdout, line


def test_the_fields_that_the_guide_names_are_there(folder, tmp_path):
    finished = mpirun(2, "-m", "mpipar.load", *LOAD, "--output", "fields.h5", cwd=tmp_path)
    assert finished.code == 0
    with h5py.File(tmp_path / "fields.h5") as file:
        for name in re.findall(r"^\| `/(\w+)`", GUIDE, re.MULTILINE):
            assert name in file or name in ("error", "skipped")
        spans = file["timeline"][:]
        assert np.all(spans["end"] >= spans["begin"])
        for table in ("workers", "ranks", "timeline"):
            [fields] = re.findall(rf"^\| `/{table}` \| [^|]*: ([a-z, ]+) \|", GUIDE, re.MULTILINE)
            assert fields.split(", ") == list(file[table].dtype.names)
    json.loads(show("fields.h5", "--json", cwd=tmp_path).stdout)
