"""Columns with values of several types, or none in some rows: nothing is rounded, whatever the size
of blocks.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import run
from mpipar.core.mixed import table_of, types_in
from mpipar.core.row_types import common_dtype, converted, exact_dtype, joined
from mpipar.sweep import cell, sweep

values = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([0, 1, -5, 2**53, 2**53 + 1, 2**64 - 1, -(2**63), 2**63]),
    st.floats(),
    st.booleans(),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
    st.complex_numbers(allow_nan=False),
    st.sampled_from(
        [np.float32(0.1), np.float16(3.5), np.int8(-3), np.uint32(7), np.longdouble("0.1")]
    ),
)
rows_of_tables = st.lists(
    st.dictionaries(st.sampled_from("abc"), values, min_size=1), min_size=1, max_size=8
)


def in_blocks(rows, size):
    """Return the rows as a run makes them of blocks of a size."""
    cells = [{name: cell(name, value) for name, value in row.items()} for row in rows]
    pieces = [table_of(cells[start : start + size]) for start in range(0, len(cells), size)]
    types = [piece.dtype for piece in pieces]
    dtype = exact_dtype(common_dtype(types), types, lambda: pieces)
    return joined([converted(piece, dtype) for piece in pieces], dtype)


@settings(max_examples=150, deadline=None)
@given(rows=rows_of_tables)
def test_blocks_of_any_size_make_the_same_table(rows):
    alone, *others = (in_blocks(rows, size) for size in (1, 2, 3, 8))
    for other in others:
        assert other.dtype == alone.dtype
        assert repr(other.tolist()) == repr(alone.tolist())


def whole(stored):
    """Return a stored whole number as an int: NumPy would round an int to compare it with a long
    double.
    """
    if isinstance(stored, str):
        return int(stored)
    return int(stored.real) if stored.imag == 0 else stored


@settings(max_examples=150, deadline=None)
@given(rows=rows_of_tables, size=st.integers(1, 8))
def test_no_whole_number_is_rounded(rows, size):
    table = in_blocks(rows, size)
    for row, made in zip(rows, table, strict=True):
        for name, value in row.items():
            if type(value) is int:
                assert whole(made[name].item()) == value
            elif type(value) is float and math.isfinite(value):
                stored = made[name].item()
                assert (
                    float(stored) if isinstance(stored, str) else stored
                ) == value or isinstance(stored, complex)


def test_columns_of_one_type_are_as_they_were():
    table = table_of(
        [{"a": np.asarray(1), "b": np.asarray("x")}, {"a": np.asarray(2), "b": np.asarray("long")}]
    )
    assert table.dtype == np.dtype([("a", "i8"), ("b", "U4")])
    assert table.tolist() == [(1, "x"), (2, "long")]


def test_a_table_tells_the_types_of_its_columns():
    table = table_of([{"a": np.asarray(1)}, {"a": np.asarray(0.5), "b": np.asarray(True)}])
    assert types_in(table.dtype) == {
        "a": [np.dtype("i8"), np.dtype("f8")],
        "b": [np.dtype("?"), None],
    }


BIG = 2**53 + 1
TABLES = {
    "some rows lack": (
        [BIG, None, 3],
        lambda n: {} if n is None else {"y": n},
        [str(BIG), "", "3"],
    ),
    "small ones": ([7, None, 3], lambda n: {} if n is None else {"y": n}, [7.0, math.nan, 3.0]),
    "beside floats": ([BIG, 0.5, 3], lambda n: {"y": n}, [str(BIG), "0.5", "3"]),
    "beside bools": ([BIG, True], lambda n: {"y": n}, [BIG, 1]),
    "beside complex": ([BIG, 1j], lambda n: {"y": n}, [str(BIG), "1j"]),
    "none missing": ([BIG, -BIG], lambda n: {"y": n}, [BIG, -BIG]),
    "None is nan": ([BIG, None], lambda n: {"y": n}, [str(BIG), "nan"]),
    "unsigned": ([2**64 - 1, 0.25], lambda n: {"y": n}, [str(2**64 - 1), "0.25"]),
}


@pytest.mark.parametrize("case", TABLES)
@pytest.mark.parametrize("block", [1, 2, 8])
def test_a_sweep_keeps_whole_numbers(case, block, tmp_path, monkeypatch):
    given_values, function, expected = TABLES[case]
    (tmp_path / "t.csv").write_text("i\n" + "\n".join(map(str, range(len(given_values)))))
    call = lambda i: function(given_values[i])  # noqa: E731
    monkeypatch.setattr("mpipar.sweep.load_callable", lambda name: call)
    monkeypatch.chdir(tmp_path)
    rows = run(sweep, function=f"{case}:f", table=str(tmp_path / "t.csv"), block=block).datasets[
        "results"
    ]
    assert repr(rows["y"].tolist()) == repr(expected)
