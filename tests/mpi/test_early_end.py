"""Runs that end as soon as it is enough: after the same blocks, with the same value, in every
mode.
"""

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import chosen_ranks, over, python

from mpipar import stream

PROGRAMS = str(Path(__file__).with_name("programs.py"))

MODES = [
    (None, 2, "dynamic"),
    (1, 1, "stride"),
    *[
        (ranks, 1, schedule)
        for ranks in chosen_ranks(2, 3)
        for schedule in ("stride", "slice", "dynamic")
    ],
    *[(ranks, 2, "dynamic") for ranks in chosen_ranks(2)],
]

# Ranks with workers have what the others have.
SOME = [*(pytest.param(mode, marks=pytest.mark.ci) for mode in MODES[:-1]), MODES[-1]]


def until(mode, *options):
    ranks, workers, schedule = mode
    return over(ranks)(
        PROGRAMS, "until", "--workers", str(workers), "--schedule", schedule, "--json", *options
    )


def expected_blocks(error, n_blocks=1000):
    """Return after how many blocks the error is small enough: 16, 32, 64, … or all."""
    blocks = 16
    while blocks < n_blocks:
        x = np.concatenate([stream(0, index).standard_normal(20) for index in range(blocks)])
        if x.std(ddof=1) / math.sqrt(len(x)) <= error:
            return blocks
        blocks *= 2
    return n_blocks


@pytest.mark.parametrize(
    ("error", "blocks"),
    [
        *(
            (1.0, 16),
            pytest.param(0.05, 32, marks=pytest.mark.ci),
            pytest.param(0.02, 128, marks=pytest.mark.ci),
        ),
        *((0.0085, 1000), pytest.param(1e-9, 1000, marks=pytest.mark.ci)),
    ],
)
def test_the_run_ends_after_the_first_doubling_that_is_enough(error, blocks):
    assert expected_blocks(error) == blocks
    result = until((None, 1, "dynamic"), "--error", str(error)).json
    assert (result["n_blocks"], result["n"], result["evaluated_blocks"]) == (
        blocks,
        20 * blocks,
        blocks,
    )
    assert (result["error"] <= error) == (error > 1e-3)
    whole = until((None, 1, "dynamic"), "--items", str(20 * blocks)).json
    assert (whole["value"], whole["error"], whole["n"]) == (
        result["value"],
        result["error"],
        result["n"],
    )


@pytest.mark.parametrize(
    "error",
    [
        pytest.param("1.0", marks=pytest.mark.ci),
        pytest.param("0.02", marks=pytest.mark.each_mpi),
        pytest.param("1e-9", marks=pytest.mark.ci),
    ],
)
@pytest.mark.parametrize("mode", SOME)
def test_it_ends_after_the_same_blocks_in_every_mode(mode, error):
    expected = until((None, 1, "slice"), "--error", error).json
    result = until(mode, "--error", error).json
    assert (result["ranks"], result["workers"]) == (mode[0] or 1, mode[1])
    for key in ("value", "error", "n", "n_blocks", "evaluated_blocks"):
        assert result[key] == expected[key], key


@pytest.mark.parametrize(
    "mode", [(None, 1, "dynamic"), *[(ranks, 1, "stride") for ranks in chosen_ranks(2)]]
)
def test_it_is_not_asked_without_a_goal(mode):
    result = until(mode, "--how", "enough raises").json
    assert (result["n"], result["evaluated_blocks"]) == (20_000, 1000)


@pytest.mark.parametrize("items", ["1", "320", "321", "640"])
@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
def test_plans_of_about_a_stage(items, ranks):
    result = until((ranks, 1, "dynamic"), "--items", items, "--error", "10").json
    assert result["n"] == min(int(items), 320)
    assert result["evaluated_blocks"] == result["n_blocks"] == min(-(-int(items) // 20), 16)


def test_a_plan_whose_last_block_is_short_is_evaluated_as_a_whole():
    result = until((None, 1, "dynamic"), "--items", "655", "--error", "1e-9").json
    assert (result["n"], result["n_blocks"], result["evaluated_blocks"]) == (655, 33, 33)


@pytest.mark.parametrize(
    "mode", [(None, 1, "dynamic"), (None, 2, "stride"), *[(r, 1, "slice") for r in chosen_ranks(2)]]
)
@pytest.mark.parametrize("more", [(), pytest.param(("--compress",), marks=pytest.mark.ci)])
def test_rows_are_those_of_the_blocks_that_were_evaluated(mode, more, tmp_path):
    path = tmp_path / "until.h5"
    result = until(mode, "--keep", "--error", "0.02", "--output", str(path), *more).json
    x = np.concatenate([stream(0, index).standard_normal(20) for index in range(128)])
    with h5py.File(path) as file:
        assert file["x"][()].tobytes() == x.tobytes()
        assert (file.attrs["n"], file.attrs["n_blocks"]) == (2560, 128)
        assert file["value"][()] == result["value"] == pytest.approx(x.mean())
    assert [path.name for path in tmp_path.iterdir()] == ["until.h5"]


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    "mode", [(None, 1, "dynamic"), *[(ranks, 1, "dynamic") for ranks in chosen_ranks(2)]]
)
def test_skipped_blocks_count_for_the_stage_that_they_are_in(mode):
    result = until(mode, "--error", "1.0", "--bad", "3", "15", "16", "--on-error", "skip").json
    assert (result["n_blocks"], result["evaluated_blocks"], result["skipped_blocks"]) == (16, 14, 2)
    assert [block["block"] for block in result["skipped"]] == [3, 15]


@pytest.mark.ci
@pytest.mark.parametrize(
    "mode", [(None, 1, "dynamic"), *[(ranks, 1, "dynamic") for ranks in chosen_ranks(2)]]
)
def test_a_block_beyond_the_end_does_no_harm(mode):
    assert until(mode, "--error", "1.0", "--bad", "16", "40").json["n_blocks"] == 16


@pytest.mark.parametrize(
    "mode",
    [(None, 1, "dynamic"), (None, 2, "dynamic"), *[(r, 1, "dynamic") for r in chosen_ranks(3)]],
)
@pytest.mark.parametrize(
    ("how", "reason"), [("enough raises", "no answer"), ("finish raises", "no result")]
)
def test_a_question_that_raises_ends_the_run_with_one_message(mode, how, reason):
    finished = until(mode, "--error", "0.1", "--how", how)
    assert (finished.code, finished.stdout) == (1, "")
    first, *_ = finished.own_errors
    assert "rank 0 on host" in first
    assert f"KeyError: '{reason}'" in first
    assert finished.stderr.count("on host") == 1
    assert "a bug" not in finished.stderr


def test_from_a_script_the_result_tells_how_far_it_went():
    code = f"""
import sys
sys.path.insert(0, {str(Path(PROGRAMS).parent)!r})
import mpipar, programs
result = mpipar.run(programs.until, error=0.05, keep=True)
print(result.plan.n, len(result.datasets["x"]), result.evaluated_blocks)
"""
    assert python("-c", code).stdout.split() == ["640", "640", "32"]
