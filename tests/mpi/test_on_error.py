"""Blocks that fail: the run stops, goes on without them, or tries again; the same in every mode."""

import re
from pathlib import Path

import h5py
import pytest
from conftest import UNBOUND, chosen_ranks, over, python

import mpipar

PROGRAMS = str(Path(__file__).with_name("programs.py"))
BAD = ("3", "17", "38")

MODES = [(ranks, workers) for ranks in (None, *chosen_ranks(2)) for workers in ("1", "2")]
# The last, ranks with workers, has what the others have.
SOME = [*(pytest.param(mode, marks=pytest.mark.ci) for mode in MODES[:-1]), MODES[-1]]


def unlucky(mode, *options, bad=BAD, **settings):
    ranks, workers = mode
    return over(ranks)(
        PROGRAMS, "unlucky", "--bad", *bad, "--workers", workers, *options, env=UNBOUND, **settings
    )


@pytest.fixture(scope="module")
def all_well():
    return python(PROGRAMS, "unlucky", "--json").json


@pytest.fixture(scope="module")
def without_bad():
    return python(PROGRAMS, "unlucky", "--bad", *BAD, "--on-error", "skip", "--json").json


def test_a_run_where_all_is_well_skips_and_retries_nothing(all_well):
    for action in ("stop", "skip", "retry:2"):
        result = python(PROGRAMS, "unlucky", "--on-error", action, "--json").json
        assert result["value"] == all_well["value"]
        assert (result["skipped_blocks"], result["skipped"], result["retried_blocks"]) == (0, [], 0)


@pytest.mark.each_mpi
@pytest.mark.parametrize("mode", SOME)
@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("--on-error", "stop"), marks=pytest.mark.ci), ("--on-error", "retry:2")],
)
def test_stop_and_retry_in_vain_end_the_run(mode, options, tmp_path, without_bad):
    finished = unlucky(mode, *options, "--output", "x.h5", "--json", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (1, "")
    first, *_ = finished.own_errors
    assert re.search(r"rank \d+ on host \S+, (worker \d+, )?block (3|17|38) \(items", first)
    assert "ValueError: unlucky number" in first
    assert sum("on host" in line for line in finished.own_errors) == 1, finished.stderr
    assert finished.stderr.count("Traceback") == 1
    assert re.search(
        r"^\d+ of 40 blocks are done and committed: --resume goes on", finished.stderr, re.MULTILINE
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.h5"]
    skipping = unlucky(
        mode, "--on-error", "skip", "--resume", "--output", "x.h5", "--json", cwd=tmp_path
    ).json
    assert skipping["value"] == without_bad["value"]
    assert skipping["resumed_blocks"] + skipping["evaluated_blocks"] == 37
    assert skipping["resumed_blocks"] >= 1


@pytest.mark.parametrize("mode", SOME)
@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param("stride", marks=pytest.mark.ci),
        pytest.param("slice", marks=pytest.mark.ci),
        "dynamic",
    ],
)
def test_skip_goes_on_without_the_blocks(mode, schedule, without_bad, all_well):
    finished = unlucky(mode, "--on-error", "skip", "--schedule", schedule, "--json")
    result = finished.json
    assert result["value"] == without_bad["value"] != all_well["value"]
    assert result["skipped"] == [
        {
            "block": k,
            "start": 10 * k,
            "stop": 10 * k + 10,
            "reason": f"ValueError: unlucky number {k}",
        }
        for k in (3, 17, 38)
    ]
    assert (result["skipped_blocks"], result["retried_blocks"], result["evaluated_blocks"]) == (
        3,
        0,
        37,
    )
    assert (result["n"], result["n_blocks"]) == (400, 40)
    told = [line for line in finished.own_errors if "skipped block" in line]
    assert [re.search(r"skipped (block \d+ .*)$", line)[1] for line in told] == [
        f"block {k} (items {10 * k} to {10 * k + 9}): ValueError: unlucky number {k}"
        for k in (3, 17, 38)
    ]
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("mode", SOME)
def test_skipped_blocks_are_in_the_file_with_tracebacks(mode, tmp_path):
    path = tmp_path / "x.h5"
    result = unlucky(mode, "--on-error", "skip", "--output", str(path), "--json").json
    with h5py.File(path) as file:
        assert (file.attrs["skipped_blocks"], file.attrs["retried_blocks"]) == (3, 0)
        table = file["skipped"][()]
        assert table.dtype.names == ("block", "start", "stop", "reason", "traceback")
        for row, expected in zip(table, result["skipped"], strict=True):
            assert (row["block"], row["start"], row["stop"]) == (
                expected["block"],
                expected["start"],
                expected["stop"],
            )
            assert row["reason"].decode() == expected["reason"]
            text = row["traceback"].decode()
            assert text.startswith("Traceback")
            assert "in unlucky\n" in text
            assert text.rstrip().endswith(expected["reason"])
        assert "partials" not in file, "that of a block is missing"
        assert file["workers"]["blocks"].sum() == file["ranks"]["blocks"].sum() == 37
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


@pytest.mark.parametrize("mode", SOME)
@pytest.mark.parametrize("action", ["retry:1", pytest.param("retry:5", marks=pytest.mark.ci)])
def test_a_retry_that_helps_gives_the_same_value(mode, action, all_well, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    finished = unlucky(
        mode,
        "--marks",
        str(marks),
        "--on-error",
        action,
        "--output",
        str(tmp_path / "x.h5"),
        "--json",
    )
    result = finished.json
    assert result["value"] == all_well["value"]
    assert (result["retried_blocks"], result["skipped_blocks"], result["evaluated_blocks"]) == (
        3,
        0,
        40,
    )
    assert {mark.name for mark in marks.iterdir()} == set(BAD)
    assert finished.own_errors == []
    with h5py.File(tmp_path / "x.h5") as file:
        assert (file.attrs["skipped_blocks"], file.attrs["retried_blocks"]) == (0, 3)
        assert "skipped" not in file
        assert len(file["partials"]) == 40


@pytest.mark.each_mpi
@pytest.mark.parametrize("mode", SOME)
def test_all_blocks_may_be_skipped(mode):
    result = unlucky(
        mode, "--items", "50", "--on-error", "skip", "--json", bad=("0", "1", "2", "3", "4")
    ).json
    assert (result["value"], result["evaluated_blocks"], result["skipped_blocks"]) == (0.0, 0, 5)


def test_of_many_skipped_blocks_some_are_told():
    bad = [str(k) for k in range(40)]
    finished = unlucky((None, "1"), "--on-error", "skip", "--json", bad=bad)
    assert finished.json["skipped_blocks"] == len(finished.json["skipped"]) == 40
    assert len(finished.own_errors) == 21
    assert finished.own_errors[-1].endswith("skipped 20 more blocks: items 200 to 399")


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
@pytest.mark.parametrize("action", [pytest.param("stop", marks=pytest.mark.ci), "retry:3"])
def test_a_block_that_kills_its_workers_ends_the_run_in_the_end(ranks, action):
    finished = over(ranks)(
        PROGRAMS, "failing", "--workers", "2", "--how", "killed", "--on-error", action
    )
    assert finished.code == 1
    assert finished.stderr.count("killed by SIGKILL; it is replaced") >= 3
    assert re.search(
        r"worker \d+, block 57 \(items 570 to 579\): the worker was killed by SIGKILL, 3 times",
        finished.stderr,
    )


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
def test_a_block_that_kills_its_workers_is_skipped(ranks):
    command = (
        PROGRAMS,
        "failing",
        "--workers",
        "2",
        "--how",
        "killed",
        "--on-error",
        "skip",
        "--json",
    )
    finished = over(ranks)(*command)
    result = finished.json
    assert result["value"] == 99.0
    assert result["skipped"] == [
        {"block": 57, "start": 570, "stop": 580, "reason": "the worker was killed by SIGKILL"}
    ]
    assert result["lost_workers"] >= 3
    assert result["evaluated_blocks"] == 99


@pytest.mark.parametrize(
    "ranks", [None, *(pytest.param(ranks, marks=pytest.mark.ci) for ranks in chosen_ranks(2))]
)
@pytest.mark.parametrize("action", ["perhaps", "retry", "retry:0", "retry:many"])
def test_an_action_that_there_is_not_is_bad_input(ranks, action):
    finished = over(ranks)(PROGRAMS, "unlucky", "--on-error", action)
    assert (finished.code, finished.stdout) == (2, "")
    [line] = finished.own_errors
    assert "--on-error" in line
    assert repr(action) in line


@pytest.mark.parametrize("text", ["a\\0b", "\\ud800"])
def test_a_message_of_any_characters_does_not_cost_the_result(text, tmp_path):
    (tmp_path / "odd.py").write_text(
        "from mpipar import Count, driver\n\n"
        '@driver(n="items", reduction=Count, block=1)\n'
        "def odd(block, *, items: int = 4):\n"
        "    if block.index == 1:\n"
        f'        raise ValueError("{text}")\n'
        "    return 1\n\n"
        'if __name__ == "__main__":\n'
        "    odd.main()\n"
    )
    finished = python("odd.py", "--on-error", "skip", "--output", "odd.h5", "--json", cwd=tmp_path)
    assert finished.json["value"] == 3
    with h5py.File(tmp_path / "odd.h5") as file:
        assert file["skipped"]["block"].tolist() == [1]


HALF = """
import os, sys
import numpy as np
from mpipar import Concatenate, Count, Each, ExactSum, InOrder, driver

BAD = os.path.exists("bad")

@driver(n="items", reduction=Each(first=ExactSum(), second=Count()), block=1)
def refused(block, *, items: int = 20_000):
    return {"first": 1.0, "second": "no number" if BAD and block.index == 15_000 else 1}

def joined(left, right):
    if BAD and 150 in (*left, *right):
        raise ValueError
    return [*left, *right]

@driver(n="items", reduction=Each(first=ExactSum(), second=InOrder(joined)), block=1)
def merged(block, *, items: int = 200):
    return {"first": np.ones(3), "second": [block.index]}

@driver(n="items", reduction=Each(first=ExactSum(), second=Concatenate()), block=1)
def dying(block, *, items: int = 200):
    if BAD and block.index == 150:
        raise ValueError
    return {"first": np.ones(3), "second": [block.index]}

if __name__ == "__main__":
    globals()[sys.argv.pop(1)].main()
"""


@pytest.mark.parametrize("mode", SOME)
@pytest.mark.parametrize("kernel", ["refused", "merged", "dying"])
def test_a_block_that_failed_half_way_counts_once_after_the_kernel_is_repaired(
    kernel, mode, tmp_path
):
    ranks, workers = mode
    (tmp_path / "half.py").write_text(HALF)
    (tmp_path / "bad").touch()
    command = (
        "half.py",
        kernel,
        "--workers",
        workers,
        "--output",
        "x.h5",
        "--checkpoint",
        "0",
        "--json",
    )
    finished = over(ranks)(*command, cwd=tmp_path, env=UNBOUND)
    assert finished.code == 1, finished.stderr
    (tmp_path / "bad").unlink()
    resumed = over(ranks)(
        *command, "--resume", "--anyway", cwd=tmp_path, env=UNBOUND
    ).json  # BAD is another now
    whole = over(ranks)("half.py", kernel, "--json", cwd=tmp_path).json
    assert resumed["value"] == whole["value"]
    assert resumed["resumed_blocks"] > 0


def test_from_python_the_lost_items_are_named_too(caplog):
    @mpipar.driver(n="n", reduction=mpipar.Count, block=2)
    def kernel(block, *, n: int = 9):
        return 1 // (block.index % 2)

    assert mpipar.run(kernel, on_error="skip").value == 2
    assert caplog.messages == [
        f"skipped block {k} (items {items}): ZeroDivisionError: integer division or modulo by zero"
        for k, items in ((0, "0 to 1"), (2, "4 to 5"), (4, "8 to 8"))
    ]


def test_no_items_are_told(caplog):
    @mpipar.driver(n="n", reduction=mpipar.Count)
    def kernel(block, *, n: int = 0):
        return 1

    assert mpipar.run(kernel).value == 0
    assert caplog.messages == ["there are no items: nothing is to be evaluated"]
