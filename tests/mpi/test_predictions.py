"""Predictions against real runs, and costs that are really measured. Blocks sleep, so that ranks
need no cores.
"""

import json
from pathlib import Path

import pytest
from conftest import FOR_OPEN_MPI, Finished, mpirun, python

# The longest blocks are last, so that schedules differ by far more than a busy machine disturbs
# them: stride gives rank r of P its r-th, slice gives the last rank all that is long.
TIMES = [0.04] * 80 + [0.3] * 12


def model(path: Path, *words: str, **options) -> Finished:
    return python("-m", "mpipar", "model", str(path), *words, env=FOR_OPEN_MPI, **options)


def load(ranks: int, *words: str):
    return mpirun(ranks, "-m", "mpipar.load", "--times", *map(str, TIMES), *words, "--json").json


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """The result file of a run with 2 ranks."""
    path = tmp_path_factory.mktemp("model") / "run.h5"
    load(2, "--schedule", "stride", "--output", str(path))
    return path


@pytest.mark.alone
@pytest.mark.parametrize(
    "most",
    [pytest.param(4, marks=pytest.mark.ci), pytest.param(8, marks=pytest.mark.campaign)],
)
def test_runs_take_what_is_predicted_from_one_of_them(measured, most):
    numbers = [ranks for ranks in (2, 4, 8) if ranks <= most]
    ended = model(measured, "--ranks", ",".join(map(str, numbers)), "--here", "--json")
    found = ended.json
    assert found["predicted"] == pytest.approx(found["elapsed"], rel=0.15)
    assert f"measured here with {str(numbers)[1:-1]} ranks" in found["costs"]["source"]
    by_case = {(row["ranks"], row["schedule"]): row["seconds"] for row in found["rows"]}
    real = {case: load(case[0], "--schedule", case[1])["elapsed"] for case in by_case}
    ratios = {case: by_case[case] / real[case] for case in real}
    assert all(0.7 < ratio < 1.3 for ratio in ratios.values()), ratios
    # The schedules differ by more than that: what is predicted to be much slower is slower.
    for ranks in numbers[1:]:
        assert by_case[ranks, "slice"] > 1.6 * by_case[ranks, "dynamic"]
        assert real[ranks, "slice"] > 1.2 * real[ranks, "dynamic"]
    assert found["best"] in ("dynamic", "stride")


@pytest.mark.each_mpi
def test_costs_are_measured(measured):
    costs = model(measured, "--ranks", "1,1000", "--json").json["costs"]
    assert 0 < costs["reduce_stage_s"] < 1
    assert costs["counter_stage_s"] >= 0
    assert 0 < costs["counter_service_s"] <= costs["counter_latency_s"] < 0.05
    assert 0 < costs["range_s"] < 1e-3
    assert {(one["schedule"], one["ranks"]) for one in costs["ends"]} >= {
        ("stride", 2),
        ("slice", 2),
        ("dynamic", 2),
    }


@pytest.mark.ci
def test_only_what_is_not_given_is_measured(measured):
    both = model(
        measured,
        "--ranks",
        "1000",
        "--reduce-seconds",
        "1e-3",
        "--counter-seconds",
        "1e-6",
        "--json",
    )
    assert both.json["costs"]["source"] == "as given"
    assert "measuring" not in both.stderr
    one = model(measured, "--ranks", "1000", "--reduce-seconds", "0.5", "--json")
    assert "measuring what MPI costs here, with 2 ranks" in one.stderr
    assert one.json["costs"]["reduce_stage_s"] == 0.5
    assert one.json["costs"]["counter_latency_s"] > 0
    row = next(row for row in one.json["rows"] if row["schedule"] == "stride")
    assert row["seconds"] == pytest.approx(max(TIMES) + 5, rel=0.05)  # log₂ 1000 is nearly 10


def test_a_launcher_is_refused(measured):
    ended = mpirun(2, "-m", "mpipar", "model", str(measured))
    assert ended.code == 2
    assert ended.stdout == ""
    assert ended.own_errors == [
        "mpipar model: error: it starts mpirun itself, and can't be started by a launcher"
    ]


def test_json_is_one_line_and_nothing_else(measured):
    ended = model(
        measured, "--ranks", "2", "--reduce-seconds", "0", "--counter-seconds", "0", "--json"
    )
    assert json.loads(ended.stdout)["rows"]
    assert ended.stdout.count("\n") == 1
    assert ended.stderr == ""
