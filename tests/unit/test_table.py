import csv
import gzip
import io
import itertools
import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import without_privileges
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpipar.base.errors import BadInput
from mpipar.inputs.csv_table import Reading
from mpipar.inputs.table import read_numbers, read_table

MODERATE = settings(max_examples=100, deadline=None)
serial = itertools.count()


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory):
    """A folder for all tests; files in it have names that are used once, as tables are cached by
    their path.
    """
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("tables"))
    yield
    os.chdir(before)


def written(content, suffix=".csv"):
    path = Path.cwd() / f"table{next(serial)}{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return str(path)


def refusal_of(function, *args):
    with pytest.raises(BadInput) as caught:
        function(*args)
    message = str(caught.value)
    assert "\n" not in message
    return message


def rows_of(table):
    return [table.row(index) for index in range(len(table))]


def test_columns_of_a_csv_file_have_types():
    table = read_table(written("n,x,name,on\n1,2.5,a b,true\n-2,1000,3,FALSE\n"))
    assert table.columns == ("n", "x", "name", "on")
    assert len(table) == 2
    assert table.row(0) == {"n": 1, "x": 2.5, "name": "a b", "on": True}
    assert table.row(1) == {"n": -2, "x": 1000.0, "name": "3", "on": False}
    assert [type(value) for value in table.row(1).values()] == [int, float, str, bool]
    assert table.column("n") == [1, -2]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2"], [1, 2]),
        (["+1", "-0"], ["+1", "-0"]),
        ([str(2**64 - 1), "0"], [2**64 - 1, 0]),
        ([str(2**64 - 1), str(-(2**63))], [str(2**64 - 1), str(-(2**63))]),
        (["1", "2.0"], [1.0, 2.0]),
        (["1", "1.0"], ["1", "1.0"]),
        (["1", "inf"], ["1", "inf"]),
        (["1.5", "inf"], [1.5, math.inf]),
        (["1_000", "2"], ["1_000", "2"]),
        (["٣", "2"], ["٣", "2"]),
        (["0x10", "2"], ["0x10", "2"]),
        (["true", "False"], [True, False]),
        (["true", "1"], ["true", "1"]),
        (["true", ""], ["true", ""]),
        (["a", ""], ["a", ""]),
        (["9" * 5000, "1"], ["9" * 5000, "1"]),
        (["9" * 400 + ".50", "1.25"], ["9" * 400 + ".50", "1.25"]),
        (["1.0e999", "2.0e-1"], ["1.0e999", "2.0e-1"]),
    ],
)
def test_type_of_a_column_is_that_of_all_its_cells(cells, values):
    table = read_table(written("x,other\n" + "".join(f"{cell},a\n" for cell in cells)))
    assert table.column("x") == values
    assert [type(value) for value in table.column("x")] == [type(value) for value in values]


def test_empty_cells_among_numbers_are_nan():
    table = read_table(written("x,y\n1.5,\n,\n"))
    assert table.row(0) == {"x": 1.5, "y": ""}
    assert math.isnan(table.row(1)["x"])


def test_whole_numbers_with_gaps_stay_text():
    assert read_table(written("id,x\n17,1\n,2\n")).column("id") == ["17", ""]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_recognised(delimiter, end):
    lines = [delimiter.join(row) for row in (("a", '"b,;\tc"'), ("1", "2"), ("3", "4"))]
    table = read_table(written(b"\xef\xbb\xbf" + end.join(lines).encode()))
    assert table.columns == ("a", "b,;\tc")
    assert table.row(1) == {"a": 3, "b,;\tc": 4}


def test_cells_may_be_long_and_columns_many():
    long = "a" * 10**6
    assert read_table(written(f"p\n{long}\n", ".csv")).column("p") == [long]
    names = [f"c{number}" for number in range(10**4)]
    row = ["1"] * len(names)
    table = read_table(written(f"{','.join(names)}\n{','.join(row)}\n", ".csv"))
    assert table.row(0) == dict.fromkeys(names, 1)


def test_empty_lines_are_skipped_and_text_may_span_lines():
    table = read_table(written('\na,b\n\n1,"two\nlines"\n\n'))
    assert rows_of(table) == [{"a": 1, "b": "two\nlines"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_in_quoted_cells_stay_as_they_are(end):
    rows = ["a,b", f'1,"two{end}lines"', "#,left out"]
    table = read_table(written(end.join(rows)), Reading(comment="#"))
    assert rows_of(table) == [{"a": 1, "b": f"two{end}lines"}]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@MODERATE
@given(
    rows=st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=5)
    )
)
@example(rows=[[""], [""]])
@example(rows=[['"']])
def test_text_is_read_as_csv_writes_it(rows):
    names = [f"c{place}" for place in range(len(rows[0]))]
    text = io.StringIO()
    csv.writer(text).writerows([names, *([f"t{cell}" for cell in row] for row in rows)])
    table = read_table(written(text.getvalue()))
    assert rows_of(table) == [
        {name: f"t{cell}" for name, cell in zip(names, row, strict=True)} for row in rows
    ]


@MODERATE
@given(values=st.lists(st.floats(allow_nan=False) | st.integers(), min_size=1, max_size=5))
def test_numbers_are_read_as_they_are_written(values):
    table = read_table(written("x\n" + "".join(f"{value!r}\n" for value in values)))
    texts = [repr(value) for value in values]
    if all(isinstance(value, int) for value in values):
        fits = min(values) >= -(2**63) and max(values) < (2**63 if min(values) < 0 else 2**64)
        assert table.column("x") == (values if fits else texts)
    elif table.column("x") != texts:  # as of 1 and 1.0, or of whole numbers that no float is
        assert table.column("x") == values
    else:
        large = any(isinstance(value, int) and abs(value) > 2**53 for value in values)
        alike = len(set(map(float, values))) < len(set(texts))
        no_point = not any(sign in text for text in texts for sign in ".e")
        assert large or alike or no_point


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("a,b\n", "no rows under the header line"),
        ("1,2\n3,4\n", "line 1: expected the names of the columns, got '1'"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 values, got 1"),
        ("a,b\n\n1,2,3\n", "line 3: expected 2 values, got 3"),
        ("a,a\n1,2\n", "line 1: two columns have the name 'a'"),
        ("a,\n1,2\n", "line 1: a column has no name"),
        ("a, \n1,2\n", "line 1: a column has no name"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        ("a,b\n1,2\0\n", "line 2: there is a NUL byte"),
        (b"a,b\n1,2\n\xff,3\n", "line 3: not UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16; save it as UTF-8"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "compressed (gzip); unpack it"),
        ("# of 2024\na,b\n1,2\n", "line 2: expected 1 value, got 2; --comment '#'"),
    ],
)
def test_csv_files_that_are_no_tables_are_refused(content, reason):
    assert reason in refusal_of(read_table, written(content))


def test_grid_has_all_combinations_and_the_last_key_is_fastest():
    table = read_table(written('t = [1, 2.5]\nfixed = "a"\nn = [3, 4, 5]\non = true\n', ".toml"))
    assert table.columns == ("t", "fixed", "n", "on")
    assert len(table) == 6
    expected = [
        {"t": t, "fixed": "a", "n": n, "on": True}
        for t, n in itertools.product([1.0, 2.5], [3, 4, 5])
    ]
    assert rows_of(table) == expected
    assert type(table.row(0)["t"]) is float
    assert table.column("n") == [3, 4, 5, 3, 4, 5]
    assert table.column("t") == [1.0, 1.0, 1.0, 2.5, 2.5, 2.5]


def test_large_grids_take_no_memory():
    axis = list(range(1000))
    table = read_table(written("".join(f"{name} = {axis}\n" for name in "abcdef"), ".toml"))
    assert len(table) == 10**18
    assert list(table.row(10**18 - 1 - 5).values()) == [999] * 5 + [994]
    assert list(table.row(123_456).values()) == [0, 0, 0, 0, 123, 456]


axes = st.lists(st.integers(-9, 9), min_size=1, max_size=4)


@MODERATE
@given(grid=st.dictionaries(st.text("abcd", min_size=1, max_size=2), axes, min_size=1, max_size=4))
def test_rows_of_a_grid_are_the_cartesian_product(grid):
    table = read_table(
        written("".join(f"{key} = {values}\n" for key, values in grid.items()), ".toml")
    )
    product = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    assert rows_of(table) == product
    assert all(table.column(key) == [row[key] for row in product] for key in grid)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "there are no keys in it"),
        ("a = []", "'a' is an empty list"),
        ("a = [1, 'x']", "'a' mixes int and str"),
        ("a = [1, true]", "'a' mixes bool and int"),
        ("a = [[1], [2]]", "'a': expected a number, text, true or false, or a list, got a list"),
        (
            "[grid]\na = [1]",
            "'grid': expected a number, text, true or false, or a list, got a dict",
        ),
        ("a = 1979-05-27", "got a date"),
        ("a = \n", "not TOML: Invalid value (at line 1"),
        ("a = 1\na = 2\n", "not TOML: Cannot overwrite a value"),
        ("a = " + "[" * 3000, "not TOML"),
        ("a = " + "9" * 5000, "not TOML"),
        (b"a = '\xff'", "line 1: not UTF-8 text"),
        (
            "".join(f"{name} = {[0] * 1000}\n" for name in "abcdefg"),
            "more than 9223372036854775807 rows",
        ),
    ],
)
def test_toml_files_that_are_no_grids_are_refused(content, reason):
    assert reason in refusal_of(read_table, written(content, ".toml"))


def hdf5(**content):
    path = Path.cwd() / f"table{next(serial)}.h5"
    with h5py.File(path, "w") as file:
        for name, data in content.items():
            file[name.replace("__", "/")] = data
    return str(path)


TEXT = h5py.string_dtype()
RECORDS = np.zeros(
    10_000,
    [
        ("n", "i8"),
        ("x", "f4"),
        ("on", "?"),
        ("name", "S5"),
        ("long", TEXT),
        ("u", "u8"),
        ("half", "f2"),
        ("g", "g"),
    ],
)
RECORDS["n"] = np.arange(10_000)
RECORDS["x"] = 0.5
RECORDS["on"] = RECORDS["n"] % 2
RECORDS["name"] = "é".encode()
RECORDS["long"] = "ü"
RECORDS["u"] = 2**64 - 1


@pytest.mark.parametrize("where", ["{}", "{}:/records", "{}:records"])
def test_records_are_rows(where):
    table = read_table(where.format(hdf5(records=RECORDS)))
    assert table.columns == ("n", "x", "on", "name", "long", "u", "half", "g")
    assert len(table) == 10_000
    for n in (0, 4095, 4096, 9_999, 5, -1):
        row = table.row(n)
        n %= 10_000
        assert row == {
            "n": n,
            "x": 0.5,
            "on": bool(n % 2),
            "name": "é",
            "long": "ü",
            "u": 2**64 - 1,
            "half": 0.0,
            "g": 0.0,
        }
        assert [type(value) for value in row.values()] == [
            int,
            float,
            bool,
            str,
            str,
            int,
            float,
            float,
        ]
    assert table.column("n") == list(range(10_000))


def test_datasets_of_a_group_are_columns():
    where = hdf5(
        group__x=np.arange(3) / 2, group__name=["a", "b", "ü"], group__inner__y=np.zeros(2), other=1
    )
    table = read_table(f"{where}:/group")
    assert set(table.columns) == {"x", "name"}
    assert table.row(2) == {"x": 1.0, "name": "ü"}
    assert table.column("name") == ["a", "b", "ü"]
    assert read_table(hdf5(x=[1], y=[2])).row(0) == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (
            {"x": [1, 2]},
            "x",
            "expected records (a compound type) or a group, got a dataset of int64",
        ),
        ({"x": [1, 2], "y": [1]}, "", "columns must be equally long; 'y' has 1 rows, 'x' 2"),
        ({"x": np.zeros((2, 2))}, "", "expected a list of rows, got '/x' of shape (2, 2)"),
        ({"x": 1.0}, "", "expected a list of rows, got '/x' of shape ()"),
        ({"x": h5py.Empty("f8")}, "", "of shape None"),
        ({"x": np.zeros(0)}, "", "there are no rows in '/x'"),
        ({"x": RECORDS[:0]}, "x", "there are no rows"),
        ({"x": [1j]}, "", "column 'x': expected numbers, text, true or false, got complex128"),
        ({"x": np.zeros(2, [("a", "f8", (3,))])}, "", "column 'a': expected numbers"),
        ({"x": RECORDS, "y": np.zeros(10_000)}, "", "column 'x': expected numbers"),
        ({"x": np.array([b"\xff"])}, "", None),
        ({}, "", "there are no datasets in the group"),
        ({"g__h__x": [1]}, "g", "there are no datasets in the group"),
        ({"x": [1]}, "y", "has no 'y'"),
        ({"x": h5py.SoftLink("/nowhere")}, "", "'x' is a link to what isn't there"),
    ],
)
def test_hdf5_files_that_are_no_tables_are_refused(content, name, reason):
    where = hdf5(**content)
    where = f"{where}:{name}" if name else where
    if reason is None:
        assert "not UTF-8 text" in refusal_of(read_table(where).row, 0)
    else:
        assert reason in refusal_of(read_table, where)


@pytest.mark.parametrize(
    "make",
    [
        lambda: written("x,y\n1,2\n"),
        lambda: written("x = 1\ny = 2", ".toml"),
        lambda: hdf5(x=[1], y=[2]),
    ],
)
def test_all_tables_are_alike(make):
    path = make()
    table = read_table(path)
    assert read_table(Path(path)) is table
    assert (table.columns, len(table), table.row(0), table.column("y")) == (
        ("x", "y"),
        1,
        {"x": 1, "y": 2},
        [2],
    )
    with pytest.raises(IndexError):
        table.row(1)
    table.row(0)["x"] = 5
    table.column("y").append(5)
    assert (table.row(0)["x"], table.column("y")) == (1, [2])
    assert "has no column 'z'; its columns are x, y" in refusal_of(table.column, "z")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.csv", "no such file or directory"),
        ("nowhere.toml", "no such file or directory"),
        ("nowhere.h5", "no such file or directory"),
        ("nowhere.xls", "no such file or directory"),
        ("folder.csv", "is a directory"),
        ("pipe.csv", "not a regular file"),
        ("other.xls", "expected a .csv, .toml or .h5 file, got .xls"),
        ("other", "got a name without an ending"),
        ("a\0b.csv", "not a path"),
        ("\ud800.csv", "not a path"),
    ],
)
def test_what_is_no_file_of_a_table_is_refused(name, reason):
    for other in ("other.xls", "other"):
        Path(other).touch()
    Path("folder.csv").mkdir(exist_ok=True)
    if not Path("pipe.csv").exists():
        os.mkfifo("pipe.csv")
    assert reason in refusal_of(read_table, name)


def test_unreadable_file_is_refused():
    path = written("a\n1\n")
    Path(path).chmod(0)
    with without_privileges():
        assert "permission denied" in refusal_of(read_table, path)


@MODERATE
@given(
    content=st.binary(max_size=60) | st.text("a1,;\"\n\r\t .=[]{}'#\\", max_size=40).map(str.encode)
)
def test_any_bytes_are_a_table_or_refused(content):
    for suffix in (".csv", ".toml", ".h5", ".txt"):
        path = written(content, suffix)
        try:
            if suffix != ".txt":
                table = read_table(path)
                assert set(table.row(len(table) - 1)) == set(table.columns)
            read_numbers(path, float)
        except BadInput as error:
            refused = str(error)
        else:
            refused = ""
        assert "\n" not in refused


@pytest.mark.parametrize(
    "make",
    [
        lambda numbers: written(
            "# numbers\n" + "  # and more\n".join(f" {n}" for n in numbers) + "\n", ".txt"
        ),
        lambda numbers: written(" ".join(map(str, numbers)), ".dat"),
        lambda numbers: written("n\n" + "\n".join(map(str, numbers))),
    ],
)
@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([1, -2, 3], np.int64),
        ([-(2**63), 2**63 - 1], np.int64),
        ([0, 2**64 - 1, 2**63 + 1], np.uint64),
    ],
)
def test_whole_numbers_keep_all_bits(make, numbers, kind):
    read = read_numbers(make(numbers), int)
    assert read.dtype == kind
    assert read.tolist() == numbers


def test_whole_numbers_may_be_written_as_in_options():
    assert read_numbers(written("1e3 10_000\n2.0", ".txt"), int).tolist() == [1000, 10_000, 2]


def test_floats_are_read():
    assert read_numbers(written("1 2.5\n-1e-3 inf\n", ".txt"), float).tolist() == [
        1,
        2.5,
        -1e-3,
        math.inf,
    ]
    assert read_numbers(written("a;b\n1;2\n3;4\n"), float, "b").tolist() == [2.0, 4.0]
    assert read_numbers(written("a,b\n1,2\n"), int, "a").tolist() == [1]


@pytest.mark.parametrize(
    "data", [[1, 2], np.array([[1], [2**64 - 1]], np.uint64), np.array([-(2**63), 2**63 - 1])]
)
def test_numbers_are_read_from_hdf5(data):
    where = hdf5(group__x=data, y=[1.0, 2.5]) + ":/group/x"
    assert read_numbers(where, int).tolist() == np.ravel(data).tolist()
    assert read_numbers(where, float).tolist() == np.ravel(data).astype(float).tolist()


@pytest.mark.parametrize(
    ("content", "kind", "column", "reason"),
    [
        ("1\n\n2 2.5\n", int, None, "line 3: expected a whole number, got '2.5'"),
        ("1\nx # 3\n", float, None, "line 2: expected a number, got 'x'"),
        ("1\n-1e400\n", float, None, "line 2: expected a number that 64 bits hold, got '-1e400'"),
        ("1\n1e30\n", int, None, "line 2: expected a whole number of at most 64 bits, got '1e30'"),
        ("18446744073709551616", int, None, "no type of 64 bits holds both"),
        (
            "-1 18446744073709551615",
            int,
            None,
            "no type of 64 bits holds both -1 and 18446744073709551615",
        ),
        ("# only this", int, None, "there are no numbers in it"),
        ("", int, None, "the file is empty"),
        ("1\0", int, None, "line 1: there is a NUL byte"),
        ("1 2", int, "n", "only CSV files have columns"),
    ],
)
def test_text_without_such_numbers_is_refused(content, kind, column, reason):
    assert reason in refusal_of(read_numbers, written(content, ".txt"), kind, column)


@pytest.mark.parametrize(
    ("content", "kind", "column", "reason"),
    [
        ("a,b\n1,2\n", int, None, "which column? It has a, b"),
        ("a,b\n1,2\n", int, "c", "has no column 'c'; its columns are a, b"),
        ("alpha,beta\n1,2\n", int, "alpa", "did you mean alpha?"),
        ("a\n1\n2.5\n", int, None, "line 3: expected a whole number, got '2.5'"),
        ("a,b\n1,2\n,3\n", float, "a", "line 3: expected a number, got ''"),
    ],
)
def test_csv_without_such_numbers_is_refused(content, kind, column, reason):
    assert reason in refusal_of(read_numbers, written(content), kind, column)


@pytest.mark.parametrize(
    ("data", "kind", "column", "reason"),
    [
        ([1.0], int, None, "expected whole numbers, got float64"),
        ([1j], float, None, "expected numbers, got complex128"),
        (["a"], float, None, "expected numbers, got a dataset of object"),
        ([True], int, None, "expected whole numbers, got bool"),
        ([1], int, "x", "write the dataset's name after a colon"),
    ],
)
def test_hdf5_without_such_numbers_is_refused(data, kind, column, reason):
    assert reason in refusal_of(read_numbers, hdf5(x=data), kind, column)


def test_long_doubles_are_taken_where_nothing_is_lost():
    halves = np.arange(3, dtype=np.longdouble) / 2
    assert read_table(hdf5(x=halves)).column("x") == [0.0, 0.5, 1.0]
    if np.finfo(np.longdouble).nmant > 52:
        table = read_table(hdf5(x=np.longdouble(1) / np.arange(1, 4, dtype=np.longdouble)))
        assert "numbers of more than 64 bits" in refusal_of(table.row, 2)
