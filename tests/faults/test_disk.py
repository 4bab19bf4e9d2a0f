"""Disks and files that fail while a run goes on, and two runs on one file."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

import h5py
import pytest
import scenarios
from scenarios import ended, fresh, leave_nothing, logged, start, undisturbed, wait_for_blocks  # noqa: F401
from suite.limits import Limit
from suite.rings import in_ci


@contextlib.contextmanager
def read_only(place):
    """Let a folder be read-only: it is mounted over itself, as a file system with open files can't
    be made so.
    """
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("name", ["steady", *in_ci("rows")])
def test_a_disk_that_becomes_read_only(name, tmp_path):
    assert scenarios.may_mount(), "this test needs the right to mount a file system"
    expected = undisturbed(name)
    with scenarios.small_disk(tmp_path, 8192) as disk:
        output, log = disk / "run.h5", tmp_path / "log"
        options = ("--output", str(output), "--log", str(log), "--sleep", "0.003")
        job = start(0, name, *options, "--checkpoint", "0.5")
        wait_for_blocks(job, log, 1)
        with read_only(disk):
            first = output.read_bytes()
            end = job.end()
            assert output.read_bytes() == first
            refused = ended(0, name, *options, "--resume").is_refused()
            assert str(output) in refused or str(disk) in refused
        assert end.returncode == 1, end.stderr
        assert json.loads(end.stdout)["value"] == expected
        assert "Traceback" not in end.stderr
        cant, could_not = end.errors
        assert "can't commit (OSError: [Errno 30] Read-only file system" in cant
        assert f"the result could not be written to {output}: Read-only file system" in could_not
        assert len(logged(log)) == 300
        result = ended(0, name, *options, "--resume").json
        assert (result["value"], result["resumed_blocks"]) == (expected, 0)
        with h5py.File(output, "r") as file:
            assert file.attrs["finished"]
        assert os.listdir(disk) == ["run.h5"]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("steady", "run.h5"),
        pytest.param("steady", "*.parts/*.log", marks=pytest.mark.ci),
        pytest.param("steady", "*.parts/lock", marks=pytest.mark.ci),
        pytest.param("steady", "*.parts", marks=pytest.mark.ci),
        pytest.param("rows", "run.h5", marks=pytest.mark.ci),
        pytest.param("rows", "*.parts/rows.h5", marks=pytest.mark.ci),
        pytest.param("rows", "*.parts/*.part", marks=pytest.mark.ci),
        ("rows", "*.parts"),
    ],
)
def test_files_that_vanish(name, what, tmp_path):
    output, log = fresh(tmp_path)
    expected = undisturbed(name)
    options = ("--output", str(output), "--log", str(log), "--sleep", "0.003")
    job = start(2, name, *options, "--checkpoint", "0.05")
    wait_for_blocks(job, log, 60)
    gone = list(tmp_path.glob(what))
    assert gone or what.endswith(".log")
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)  # a rank may be writing there
        else:
            path.unlink()
    end = job.end()
    assert end.returncode in (0, 1), f"exit {end.returncode}\n{end.stderr}"
    assert "Traceback" not in end.stderr, end.stderr
    if end.returncode == 0:
        scenarios.check_result(output, json.loads(end.stdout), name)
    else:
        assert end.stderr
        assert not (end.stdout and json.loads(end.stdout)["value"] != expected)
    # Whatever there is now is gone on with, or refused, but never a wrong value.
    again = ended(0, name, *options, "--resume")
    assert again.returncode in (0, 1, 2), again.stderr
    assert "Traceback" not in again.stderr, again.stderr
    if again.returncode == 0:
        scenarios.check_result(output, again.json, name)
    elif again.returncode == 2:
        again.is_refused()
    assert end.returncode != 0 or again.json["evaluated_blocks"] == 0
    assert name == "rows" or again.returncode == 0


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    output, log = fresh(tmp_path)
    options = ("--output", str(output), "--log", str(log))
    slow = (*options, "--sleep", "0.016", "--checkpoint", "0.1")
    job = start(0, "steady", *slow)
    wait_for_blocks(job, log, 1)
    job.process.send_signal(signal.SIGSTOP)  # however long the others take, it will not have ended
    try:
        second = start(2, "steady", *slow, "--resume")
        for line in ended(0, "steady", *slow).is_refused(), second.end().is_refused():
            assert (
                f"another run is writing to it (process {job.process.pid} on {os.uname().nodename})"
                in line
            )
    finally:
        job.process.send_signal(signal.SIGCONT)
    result = job.end().json
    assert sorted(logged(log)) == list(range(300))
    scenarios.check_result(output, result, "steady")


@pytest.mark.parametrize("ranks", [*in_ci(0), 2])
def test_the_lock_of_a_run_that_was_killed_is_gone_at_once(ranks, tmp_path):
    output, log = fresh(tmp_path)
    options = ("--output", str(output), "--log", str(log))
    job = start(ranks, "steady", *options, "--checkpoint", "0.1")
    wait_for_blocks(job, log, 100)
    job.kill()
    limit = Limit(3 + 300 * 0.005)
    result = ended(0, "steady", *options, "--resume").json
    assert not limit.is_over, limit
    assert result["resumed_blocks"] > 0
    scenarios.check_result(output, result, "steady")
    job.end()
