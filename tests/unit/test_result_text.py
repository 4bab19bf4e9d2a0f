import json
import math
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_files import of_run

from mpipar import Estimate, Plan
from mpipar.core.statistics import Statistics
from mpipar.runtime.failure import Skipped
from mpipar.runtime.progress_state import Done, Record
from mpipar.runtime.result import Result
from mpipar.view.result_text import MOST_SKIPPED_SHOWN, as_json, as_text, plain, skipped_lines

MODERATE = settings(max_examples=80, deadline=None)


class Pair(NamedTuple):
    left: object
    right: object


def result(outcome, **changes) -> Result:
    fields = {
        "outcome": outcome,
        "name": "pi",
        "parameters": {
            "steps": 1000,
            "folder": Path("a/b"),
            "scales": [1.0, math.inf],
            "none": None,
        },
        "plan": Plan(1000, 300),
        "seed": 7,
        "schedule": "slice",
        "workers": 2,
        "elapsed": 0.5,
        "library": "",
        "hosts": ["a", "b", "a"],
        "records": [Record(0, "a", 11, 3, 0.1, 0.05), Record(2, "a", 12, 1, 0.2, 0.2)],
        "resumed_blocks": 0,
        "retried_blocks": 0,
        "lost_workers": 0,
        "lost_ranks": 0,
        "skipped": [],
        "datasets": {},
        "partials": {},
        "done": Done(0, [range(4)]),
    }
    return of_run(**{**fields, **changes})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.False_, False),
        (3, 3),
        (2**70, 2**70),
        (np.int64(-3), -3),
        (0.1, 0.1),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        ("text", "text"),
        (np.str_("text"), "text"),
        (math.nan, None),
        (-math.inf, None),
        (np.float64("inf"), None),
        (Path("a/b"), "a/b"),
        (1 + 2j, "(1+2j)"),
        (np.complex128(1 + 2j), "(1+2j)"),
        (np.array(2.5), 2.5),
        (np.array([]), []),
        (np.array([1, 2], np.uint8), [1, 2]),
        (np.array([[1.0, math.nan], [math.inf, 4.0]]), [[1.0, None], [None, 4.0]]),
        (np.array([2**70, None], object), [2**70, None]),
        (Pair(1, math.nan), {"left": 1, "right": None}),
        (
            Pair(np.arange(2), Pair(None, "x")),
            {"left": [0, 1], "right": {"left": None, "right": "x"}},
        ),
        ({"a": np.float64(1), 3: (1, np.nan)}, {"a": 1.0, "3": [1, None]}),
        (OrderedDict(b=[np.int8(1)]), {"b": [1]}),
        ({1: "one", "1": "text"}, {"1": "one", "'1'": "text"}),
        (np.datetime64("2000-01-01", "ns"), "2000-01-01T00:00:00.000000000"),
        (np.array([5, "NaT"], "m8[M]"), ["5 months", None]),
        (np.array([["2000-01-01"]], "M8[D]"), [["2000-01-01"]]),
        (np.ma.array([1, 2], "M8[ns]", mask=[1, 0]), [None, "1970-01-01T00:00:00.000000002"]),
        (np.ma.array([1, 2], mask=[1, 0]), [None, 2]),
    ],
)
def test_plain_gives_what_json_has(value, expected):
    made = plain(value)
    assert made == expected
    assert type(made) is type(expected)
    assert json.loads(json.dumps(made, allow_nan=False)) == expected


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@MODERATE
@given(value=values)
def test_any_value_can_be_written_as_json(value):
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == plain(value)


@MODERATE
@given(x=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_from_json_bit_by_bit(x):
    assert json.loads(as_json(result(x)))["value"].hex() == x.hex()
    assert json.loads(as_json(result(np.array([x, 1.0]))))["value"][0].hex() == x.hex()


def test_json_is_one_line_that_tells_all_of_the_run():
    text = as_json(result(Estimate(3.25, 0.5), library="MPICH 5"))
    assert "\n" not in text
    told = json.loads(text)
    assert (
        told.items()
        >= {
            "driver": "pi",
            "value": 3.25,
            "error": 0.5,
            "n": 1000,
            "block": 300,
            "n_blocks": 4,
            "seed": 7,
            "ranks": 3,
            "workers": 2,
            "nodes": 2,
            "schedule": "slice",
            "elapsed": 0.5,
            "evaluated_blocks": 4,
            "resumed_blocks": 0,
            "retried_blocks": 0,
            "skipped_blocks": 0,
            "lost_ranks": 0,
            "parameters": {"steps": 1000, "folder": "a/b", "scales": [1.0, None], "none": None},
            "mpi": "MPICH 5",
        }.items()
    )


def skipped(*numbers: int) -> list[Skipped]:
    return [
        Skipped(k, 300 * k, 300 * k + 300, f"ValueError: {k}", "Traceback …\n") for k in numbers
    ]


def test_json_tells_of_skipped_and_retried_blocks():
    told = json.loads(as_json(result(1.0, skipped=skipped(1, 3), retried_blocks=5)))
    assert (told["skipped_blocks"], told["retried_blocks"]) == (2, 5)
    assert told["skipped"] == [
        {"block": 1, "start": 300, "stop": 600, "reason": "ValueError: 1"},
        {"block": 3, "start": 900, "stop": 1200, "reason": "ValueError: 3"},
    ]


def test_skipped_blocks_are_told_line_by_line_the_first_of_them():
    assert skipped_lines(result(1.0)) == []
    assert skipped_lines(result(1.0, skipped=skipped(2))) == [
        "skipped block 2 (items 600 to 899): ValueError: 2"
    ]
    lines = skipped_lines(result(1.0, skipped=skipped(*range(MOST_SKIPPED_SHOWN + 7))))
    assert len(lines) == MOST_SKIPPED_SHOWN + 1
    first, last = 300 * MOST_SKIPPED_SHOWN, 300 * (MOST_SKIPPED_SHOWN + 7) - 1
    assert lines[-1] == f"skipped 7 more blocks: items {first} to {last}"
    apart = skipped_lines(
        result(1.0, skipped=[Skipped(2 * k, 2 * k, 2 * k + 1, "", "") for k in range(50)])
    )
    assert apart[-1].startswith("skipped 30 more blocks: items 40, 42, 44, ")
    assert apart[-1].endswith(", 78 and 10 more ranges")


def test_imbalance_and_lower_bound_are_those_of_the_times_in_kernels():
    def told(*records):
        made = json.loads(as_json(result(1.0, records=list(records))))
        return made["imbalance"], made["lower_bound"]

    quick = Record(0, "a", 1, 3, 0.25, 0.125)
    assert told(quick, Record(1, "a", 2, 1, 0.75, 0.5)) == (1.5, 0.5), (
        "the mean is more than any block"
    )
    assert told(quick, Record(1, "a", 2, 1, 0.75, 0.75)) == (1.5, 0.75), (
        "a block is more than the mean"
    )
    assert told(Record(0, "a", 1)) == (1.0, 0.0)


def test_json_of_a_run_without_mpi_or_an_error_says_null():
    told = json.loads(as_json(result(math.nan)))
    assert told["value"] is told["error"] is told["mpi"] is None


def test_text_shows_value_error_and_where_it_ran():
    first, second, third, fourth = as_text(result(Estimate(3.25, 0.0625))).splitlines()
    assert first == "pi = 3.25 ± 0.062"
    assert second == "1_000 items in 4 blocks of 300, slice schedule"
    assert third == "3 ranks × 2 workers on 2 nodes: 0.500 s, 2e+03 items/s"
    assert (
        fourth == "imbalance 1.333 (longest time in kernels over the mean), 2.500 × the lower bound"
    )


def test_text_of_one_of_each_has_no_plural_and_names_the_library():
    alone = result(
        1.0, hosts=["a"], workers=1, library="MPICH 5", records=[Record(0, "a", 11, 4, 0.1, 0.1)]
    )
    *_, last = as_text(alone).splitlines()
    assert last.startswith("1 rank × 1 worker on 1 node (MPICH 5): ")


def test_text_of_a_run_that_took_no_time_has_no_rate():
    assert as_text(result(1.0, elapsed=0.0)).splitlines()[2].endswith(": 0.000 s")


def test_text_shows_every_digit_of_a_float():
    assert as_text(result(0.1 + 0.2)).startswith("pi = 0.30000000000000004\n")


def test_text_shows_fields_and_a_large_array_in_short():
    text = as_text(result({"x": Statistics(1.5, 0.25, 4.0, 64), "y": None}))
    assert text.startswith("pi:\n  x = value 1.5, error 0.25, variance 4.0, n 64\n  y = None\n")
    text = as_text(result({"a": 1, "rows": np.arange(10**6)}))
    assert text.startswith("pi:\n  a = 1\n  rows = array of shape (1000000,)")
    assert len(text) < 400
