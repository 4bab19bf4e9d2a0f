"""Runs that are taken up again: after failures, near the end of a job; and what is not taken up,
nor written over.
"""

import math
import os
import shutil
import signal
import time

import h5py
import numpy as np
import pytest
import scenarios
from scenarios import ended, fresh, leave_nothing, logged  # noqa: F401
from suite.limits import Limit
from suite.rings import in_ci

NAMES = ["failing", "failing_rows"]
MODES = [(0, "2"), (2, "1")]
EACH = [  # program and mode: two that cover all in the first ring
    *(("failing", MODES[1]), ("failing_rows", MODES[0])),
    *(
        pytest.param(name, mode, marks=pytest.mark.ci)
        for name, mode in zip(NAMES, MODES, strict=True)
    ),
]


@pytest.fixture(scope="module")
def all_well(tmp_path_factory):
    """Give value and rows of each program when no block fails."""
    folder = tmp_path_factory.mktemp("all well")
    found = {}
    for name in NAMES:
        output = folder / f"{name}.h5"
        found[name] = ended(0, name, "--at", "--output", str(output)).json["value"], rows_of(output)
    return found


def rows_of(output):
    with h5py.File(output, "r") as file:
        assert file.attrs["finished"]
        return {name: file[name][()] for name in ("rows", "some") if name in file}


def files_of(folder):
    """Return the names of all files beside the log of blocks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".blocks", ".mark"))


def check_complete(output, result, well):
    value, rows = well
    assert result["value"] == value
    assert result["skipped_blocks"] == 0
    found = rows_of(output)
    assert found.keys() == rows.keys()
    assert all(np.array_equal(found[name], rows[name]) for name in rows)
    with h5py.File(output, "r") as file:
        assert "skipped" not in file
    assert files_of(output.parent) == [output.name]


@pytest.mark.parametrize(("name", "mode"), EACH)
def test_what_was_done_before_a_failure_is_kept(name, mode, all_well, tmp_path):
    ranks, workers = mode
    output, log = fresh(tmp_path)
    mark = tmp_path / "all.mark"
    options = (
        "--output",
        str(output),
        "--log",
        str(log),
        "--unless",
        str(mark),
        "--workers",
        workers,
    )
    first = ended(ranks, name, *options)
    assert (first.returncode, first.stdout) == (1, "")
    assert sum("ArithmeticError: block 17 has no result" in line for line in first.errors) == 2, (
        first.stderr
    )
    assert first.stderr.count("Traceback") == 1
    before = len(logged(log))
    assert (
        f"{before if workers == '1' else ''} of 40 blocks are done and committed: --resume"
        in first.stderr
    )
    mark.touch()
    result = ended(ranks, name, *options, "--resume").json
    assert result["resumed_blocks"] + result["evaluated_blocks"] == 40
    assert len(logged(log)) == before + result["evaluated_blocks"]
    assert set(logged(log)) == set(range(40))
    if workers == "1":  # blocks in flight in other workers of a pool that fails are not waited for
        assert result["resumed_blocks"] == before > 0
    check_complete(output, result, all_well[name])


@pytest.mark.parametrize(("name", "mode"), EACH)
def test_a_later_resume_tries_just_the_skipped_blocks(name, mode, all_well, tmp_path):
    ranks, workers = mode
    output, log = fresh(tmp_path)
    mark, bad = tmp_path / "all.mark", [3, 17, 38]
    options = (
        "--output",
        str(output),
        "--log",
        str(log),
        "--unless",
        str(mark),
        "--at",
        *map(str, bad),
    )
    options += ("--workers", workers)
    for again in (), ("--resume",):
        first = ended(ranks, name, *options, "--on-error", "skip", *again)
        assert [block["block"] for block in first.json["skipped"]] == bad
        assert first.json["evaluated_blocks"] == (0 if again else 37)
        assert sum("skipped block" in line for line in first.errors) == 3
        with h5py.File(output, "r") as file:
            assert file["skipped"]["block"].tolist() == bad
            if name == "failing_rows":
                assert np.flatnonzero(np.isnan(file["rows"][:])).tolist() == [
                    50 * b + i for b in bad for i in range(50)
                ]
    # Rows that come later need those that are there.
    assert files_of(tmp_path) == ["run.h5", "run.h5.parts"][: 1 + (name == "failing_rows")]
    stopped = ended(0, name, *options, "--resume")
    assert stopped.returncode == 1
    assert "has no result\n37 of 40 blocks are done and committed" in stopped.stderr
    mark.touch()
    result = ended(ranks, name, *options, "--resume").json
    assert (result["resumed_blocks"], result["evaluated_blocks"]) == (37, 3)
    assert sorted(logged(log)) == list(range(40))
    check_complete(output, result, all_well[name])


@pytest.mark.parametrize("workers", ["2", *in_ci("1")])
def test_the_end_of_the_job_stops_all_ranks(workers, tmp_path):
    output, log = fresh(tmp_path)
    options = (
        "--output",
        str(output),
        "--log",
        str(log),
        "--blocks",
        "400",
        "--sleep",
        "0.02",
        "--workers",
        workers,
    )
    limit = Limit(6)
    now = time.time()
    end = math.ceil(now) + 2
    stopped = ended(
        2,
        "steady",
        *options,
        "--stop-before",
        f"{end - now - 1.2:.3f}",
        env={"SLURM_JOB_END_TIME": str(end)},
    )
    took = time.time() - now
    assert (stopped.returncode, stopped.stdout) == (75, ""), stopped.stderr
    assert took > 1.2
    assert not limit.is_over, limit
    line = stopped.errors[-1]  # before that, perhaps, that the ranks are pinned to few cores
    assert "stopped early (the end of the job is near); " in line
    before = logged(log)
    assert f"{len(before)} of 400 blocks are done and committed" in line
    assert len(before) == len(set(before)) < 400
    # No more than that: the value of a run that is resumed is seen to be right in many other tests.
    again = ended(
        0,
        "steady",
        *options,
        "--resume",
        "--stop-before",
        "10",
        env={"SLURM_JOB_END_TIME": str(end)},
    )
    assert again.returncode == 75
    assert logged(log) == before
    assert f"{len(before)} of 400 blocks are done and committed" in again.errors[-1]


@pytest.mark.parametrize(
    ("ranks", "end"),
    [
        pytest.param(0, None, marks=pytest.mark.ci),
        pytest.param(0, "", marks=pytest.mark.ci),
        (0, "soon"),
        (2, None),
    ],
)
def test_an_end_of_the_job_that_is_not_known_is_bad_input(ranks, end, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    env = {} if end is None else {"SLURM_JOB_END_TIME": end}
    refused = ended(
        ranks, "steady", "--output", str(tmp_path / "run.h5"), "--stop-before", "60", env=env
    )
    assert "SLURM_JOB_END_TIME" in refused.is_refused()
    assert files_of(tmp_path) == []


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """Give the folder of a run that failed half-way."""
    folder = tmp_path_factory.mktemp("unfinished")
    assert ended(0, "failing", "--output", str(folder / "run.h5"), "--seed", "7").returncode == 1
    assert files_of(folder) == ["run.h5"]
    return folder


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """Give the folder of a run that is finished."""
    folder = tmp_path_factory.mktemp("complete")
    assert (
        ended(0, "failing", "--at", "--output", str(folder / "run.h5"), "--seed", "7").returncode
        == 0
    )
    return folder


def untouched(folder):
    """Return what would tell that a folder was touched."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("ranks", "name", "options", "there", "here"),
    [
        pytest.param(
            0,
            "failing",
            ("--seed", "7", "--at", "18"),
            "parameter at: [17]",
            "[18]",
            marks=pytest.mark.ci,
        ),
        (2, "failing", ("--seed", "7", "--at", "18"), "parameter at: [17]", "[18]"),
        (0, "failing", ("--seed", "7", "--blocks", "41"), "parameter blocks: 40", "41"),
        (0, "failing", ("--seed", "8"), "seed: 7", "8"),
        (0, "failing", ("--seed", "7", "--block", "2"), "block: 1", "2"),
        (0, "failing", ("--seed", "7", "--unless", "x"), "parameter unless: None", "'x'"),
        (0, "failing_rows", ("--seed", "7"), "driver: 'failing'", "'failing_rows'"),
        pytest.param(
            0, "steady", ("--seed", "7"), "driver: 'failing'", "'steady'", marks=pytest.mark.ci
        ),
    ],
)
def test_another_run_is_not_resumed(ranks, name, options, there, here, unfinished, tmp_path):
    shutil.copy2(unfinished / "run.h5", tmp_path)
    before = untouched(tmp_path)
    line = ended(
        ranks, name, *options, "--output", str(tmp_path / "run.h5"), "--resume"
    ).is_refused()
    assert "is of another run" in line
    assert f"{there} there, {here} here" in line
    assert untouched(tmp_path) == before


def test_another_run_that_is_finished_is_not_resumed_either(complete):
    before = untouched(complete)
    line = ended(
        0, "failing", "--at", "--seed", "8", "--output", str(complete / "run.h5"), "--resume"
    ).is_refused()
    assert "seed: 7 there, 8 here" in line
    assert untouched(complete) == before


@pytest.mark.parametrize("name", ["failing_rows", *in_ci("failing")])
def test_a_finished_run_is_not_run_again(name, all_well, tmp_path):
    output, log = fresh(tmp_path)
    options = ("--at", "--output", str(output), "--log", str(log))
    assert ended(2, name, *options).returncode == 0
    blocks, before = logged(log), untouched(tmp_path)
    for ranks, workers in MODES:
        again = ended(
            ranks, name, *options, "--resume", "--workers", workers, "--schedule", "stride"
        )
        result = again.json
        assert (result["evaluated_blocks"], result["resumed_blocks"]) == (0, 40)
        assert result["value"] == all_well[name][0]
        assert sum("is finished; nothing is left to evaluate" in line for line in again.errors) == 1
        assert untouched(tmp_path) == before
    assert logged(log) == blocks


def test_resume_without_a_file_is_a_fresh_start(all_well, tmp_path):
    for ranks, name in ((0, "failing"), (2, "failing_rows")):
        output, _ = fresh(tmp_path)
        result = ended(ranks, name, "--at", "--output", str(output), "--resume").json
        assert (result["evaluated_blocks"], result["resumed_blocks"]) == (40, 0)
        check_complete(output, result, all_well[name])


@pytest.mark.parametrize("ranks", [*in_ci(0), 2])
def test_an_unfinished_run_is_not_overwritten(ranks, unfinished, tmp_path):
    shutil.copy2(unfinished / "run.h5", tmp_path)
    before = untouched(tmp_path)
    for name, options in (("failing", ("--seed", "7")), ("steady", ())):
        line = ended(ranks, name, *options, "--output", str(tmp_path / "run.h5")).is_refused()
        assert "holds an unfinished run: --resume goes on with it; or remove it" in line
        assert untouched(tmp_path) == before


@pytest.mark.parametrize("how", [*in_ci("goes on"), "killed", *in_ci("told to stop")])
def test_a_finished_result_is_kept_until_there_is_a_new_one(how, complete, tmp_path):
    output, log = fresh(tmp_path)
    previous = tmp_path / "run.h5.previous"
    shutil.copy2(complete / "run.h5", output)
    old = output.read_bytes()
    options = ("--output", str(output), "--log", str(log))
    job = scenarios.start(2, "steady", *options, "--checkpoint", "0.1")
    scenarios.wait_for_blocks(job, log, 50)
    assert previous.read_bytes() == old
    if how == "killed":
        job.kill()
        job.end()
        assert previous.read_bytes() == old
    elif how == "told to stop":
        job.process.send_signal(signal.SIGUSR1)
        assert job.end().returncode == 75
        assert previous.read_bytes() == old
        assert files_of(tmp_path) == ["run.h5", "run.h5.previous"]
    result = (
        ended(0, "steady", *options, "--resume").json
        if job.process.poll() is not None
        else job.end().json
    )
    scenarios.check_result(output, result, "steady")
    assert files_of(tmp_path) == ["run.h5"]


@pytest.mark.parametrize(("name", "mode"), EACH)
def test_a_finished_result_comes_back_if_nothing_was_done(name, mode, complete, tmp_path):
    ranks, workers = mode
    shutil.copy2(complete / "run.h5", tmp_path)
    before = (tmp_path / "run.h5").read_bytes()
    every = [str(number) for number in range(40)]
    failed = ended(
        ranks, name, "--at", *every, "--output", str(tmp_path / "run.h5"), "--workers", workers
    )
    assert failed.returncode == 1
    assert (tmp_path / "run.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["run.h5"]
