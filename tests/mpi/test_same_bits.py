"""The same bits in every mode: a sample of the grid, of which `make same-bits` is the whole, and
all reductions.
"""

from itertools import product
from pathlib import Path

import pytest
from conftest import chosen_ranks, mpirun, over, python
from same_bits import PROBLEMS, value

PROGRAMS = str(Path(__file__).with_name("programs.py"))

EACH_MPI = ("mcpi 1e7", "roots 1e5, compiled", "queens 7, compiled")
"""What is run with each MPI: numbers, rows, and a user's compiled loop."""

MODES = [
    (None, 2, "stride"),
    (1, 3, "dynamic"),
    (2, 1, "slice"),
    (2, 2, "dynamic"),
    (3, 1, "stride"),
    (7, 1, "dynamic"),
]


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(name, marks=pytest.mark.each_mpi if name in EACH_MPI else pytest.mark.ci)
        for name in PROBLEMS
    ],
)
def test_value_is_the_same_in_every_mode(problem):
    expected = value(problem, None, 1, "slice")
    assert {mode: value(problem, *mode) for mode in MODES} == dict.fromkeys(MODES, expected)


@pytest.fixture(scope="module")
def all_reductions_serially():
    return python(PROGRAMS, "everything", "--json").json


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    ("ranks", "schedule"),
    [
        *((ranks, "dynamic") for ranks in chosen_ranks(3)),
        *(
            pytest.param(ranks, schedule, marks=pytest.mark.ci)
            for ranks, schedule in product(chosen_ranks(2, 3), ("stride", "slice", "dynamic"))
            if (ranks, schedule) != (3, "dynamic")
        ),
    ],
)
def test_every_reduction_is_the_same_over_ranks(ranks, schedule, all_reductions_serially):
    result = mpirun(ranks, PROGRAMS, "everything", "--schedule", schedule, "--json").json
    assert result["ranks"] == ranks
    assert result["value"] == all_reductions_serially["value"]


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_every_reduction_is_the_same_in_a_pool(ranks, all_reductions_serially):
    result = over(ranks)(PROGRAMS, "everything", "--workers", "2", "--json").json
    assert result["value"] == all_reductions_serially["value"]


def test_another_seed_or_block_size_is_another_result(all_reductions_serially):
    for option in (("--seed", "1"), ("--block", "96")):
        assert (
            python(PROGRAMS, "everything", *option, "--json").json["value"]
            != all_reductions_serially["value"]
        )


@pytest.mark.each_mpi
def test_a_run_with_fewer_blocks_than_ranks():
    results = [
        over(ranks)("-m", "mpipar.pi", "--steps", "10", "--json").json for ranks in (None, 3)
    ]
    assert results[0]["value"] == results[1]["value"]
    assert results[1]["evaluated_blocks"] == 1
