"""The driver that calls a function for each row of a table: its results, and its failing rows."""

import csv
import itertools
import math
import re

import h5py
import numpy as np
import pytest
from conftest import chosen_ranks, over, python

from mpipar import BadInput, RunFailed, run
from mpipar.sweep import sweep

FAILING = [13, 200, 201, 500, 713, 998, 999]

MODEL = f"""
FAILING = {FAILING}

def model(n, x, label):
    if n in FAILING:
        raise ArithmeticError(f"n = {{n}} has no result")
    return {{"product": n * x, "text": label.upper(), "even": n % 2 == 0}}
"""


serial = itertools.count()  # functions are imported, hence need names of their own


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make the same table of 1000 rows in CSV and HDF5, and a function that fails for some."""
    folder = tmp_path_factory.mktemp("a sweep")
    n, x, label = (
        np.arange(1000),
        np.random.default_rng(3).random(1000),
        [f"row {i}" for i in range(1000)],
    )
    lines = [
        f"{row[0]},{row[1]!r},{row[2]}" for row in zip(n.tolist(), x.tolist(), label, strict=True)
    ]
    (folder / "my table.csv").write_text("n,x,label\n" + "\n".join(lines) + "\n")
    with h5py.File(folder / "tables.h5", "w") as file:
        file["as columns/n"], file["as columns/x"], file["as columns/label"] = n, x, label
        kind = np.dtype([("n", int), ("x", float), ("label", h5py.string_dtype())])
        file["records"] = np.array([*zip(n.tolist(), x.tolist(), label, strict=True)], kind)
    (folder / "model.py").write_text(MODEL)
    return folder


def table_in(path, name="results"):
    """Return the rows of a table as dicts, with text as str."""
    with h5py.File(path) as file:
        table = file[name][()]
    return [dict(zip(table.dtype.names, map(plain, row), strict=True)) for row in table]


def plain(value):
    return value.decode() if isinstance(value, bytes) else value.item()


@pytest.mark.parametrize(
    ("ranks", "table"),
    [(None, "my table.csv"), (2, "tables.h5:/as columns"), (3, "tables.h5:records")],
)
def test_1000_rows_of_which_7_fail(ranks, table, folder, tmp_path):
    path = tmp_path / "out.h5"
    options = (
        "--function",
        "model.py:model",
        "--table",
        table,
        "--output",
        str(path),
        "--on-error",
        "skip",
    )
    finished = over(ranks)("-m", "mpipar.sweep", *options, "--json", cwd=folder)
    assert finished.json["value"] == 993
    assert finished.json["skipped_blocks"] == 7
    assert [line.split(": ", 2)[1:] for line in finished.own_errors] == [
        [f"skipped block {n} (items {n} to {n})", f"ArithmeticError: n = {n} has no result"]
        for n in FAILING
    ]
    results, skipped = table_in(path), table_in(path, "skipped")
    with h5py.File(folder / "tables.h5") as file:
        x = file["as columns/x"][()].tolist()
    assert results == [
        {
            "row": n,
            "n": n,
            "x": x[n],
            "label": f"row {n}",
            "product": n * x[n],
            "text": f"ROW {n}",
            "even": n % 2 == 0,
        }
        for n in range(1000)
        if n not in FAILING
    ]
    assert [row["block"] for row in skipped] == FAILING
    for row in skipped:
        assert row["traceback"].startswith("Traceback (most recent call last):\n")
        assert (
            row["traceback"].rstrip().endswith(f"ArithmeticError: n = {row['block']} has no result")
        )
        assert "model.py" in row["traceback"]


@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_a_failing_row_stops_the_run_with_one_traceback(ranks, folder, tmp_path):
    options = (
        "--function",
        "model.py:model",
        "--table",
        "my table.csv",
        "--output",
        str(tmp_path / "out.h5"),
    )
    finished = over(ranks)("-m", "mpipar.sweep", *options, cwd=folder)
    assert (finished.code, finished.stdout) == (1, "")
    assert finished.stderr.count("Traceback (most recent call last)") == 1
    reasons = re.findall(r"ArithmeticError: n = \d+ has no result", finished.stderr)
    assert len(reasons) == 2, "in the first line, and at the end of the traceback"
    assert "rank" in finished.own_errors[0]
    if (tmp_path / "out.h5").exists():  # to be resumed
        with h5py.File(tmp_path / "out.h5") as file:
            assert not {"results", "value"} & {*file}


def results_of(source, folder, table="a\n1\n2\n3\n", **options):
    """Return the table that a function makes of the rows a = 1, 2, 3."""
    number = next(serial)
    (folder / f"function{number}.py").write_text(f"import numpy as np\n\n{source}\n")
    (folder / f"table{number}.csv").write_text(table)
    options |= {
        "function": f"{folder}/function{number}.py:f",
        "table": f"{folder}/table{number}.csv",
    }
    in_memory = run(sweep, **options).datasets["results"]
    on_disk = run(sweep, output=folder / "out.h5", **options)
    columns = table_in(folder / "out.h5")
    assert len(columns) == on_disk.value == len(in_memory)
    assert [*columns[0]] == [*in_memory.dtype.names]
    for row, kept in zip(columns, in_memory, strict=True):
        assert all(same(row[name], kept[name].item()) for name in row)
    return columns


def same(left, right):
    return left == right or (left != left and right != right)


def test_a_number_is_a_column_named_value(tmp_path):
    assert results_of("def f(a): return a / 2", tmp_path) == [
        {"row": 0, "a": 1, "value": 0.5},
        {"row": 1, "a": 2, "value": 1.0},
        {"row": 2, "a": 3, "value": 1.5},
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        *(("'é' * a", ["é", "éé", "ééé"]), ("''", ["", "", ""]), ("a > 1", [False, True, True])),
        *(("1j * a", [1j, 2j, 3j]), ("-a", [-1, -2, -3]), ("np.inf", [np.inf] * 3)),
        *(
            ("np.float32(a) / 2", [0.5, 1.0, 1.5]),
            ("np.array(a)", [1, 2, 3]),
            ("np.str_('x')", ["x", "x", "x"]),
        ),
        *(
            ("a if a < 3 else 0.5", [1.0, 2.0, 0.5]),
            ("a if a < 3 else 'x'", ["1", "2", "x"]),
            ("2**63", [2**63] * 3),
        ),
    ],
)
def test_one_value_of_any_kind(expression, expected, tmp_path):
    assert [
        row["value"] for row in results_of(f"def f(a): return {expression}", tmp_path)
    ] == expected


def test_nothing_returned_leaves_the_columns_of_the_table(tmp_path):
    assert results_of("def f(a): pass", tmp_path) == [{"row": i, "a": i + 1} for i in range(3)]


def test_rows_may_have_different_columns(tmp_path):
    source = (
        "def f(a): return [{'n': a, 'x': 0.5}, {'text': 'b', 'x': None}, {'n': -1, 'none': None}][a"
        " - 1]"
    )
    first, second, third = results_of(source, tmp_path)
    assert [*first] == ["row", "a", "n", "x", "text", "none"]
    assert (first["n"], first["x"], first["text"]) == (1.0, 0.5, "")
    assert (second["text"], third["n"], third["text"]) == ("b", -1.0, "")
    for missing in (
        first["none"],
        second["n"],
        second["x"],
        second["none"],
        third["x"],
        third["none"],
    ):
        assert math.isnan(missing)


def test_a_column_of_the_table_may_be_returned_as_it_is(tmp_path):
    assert results_of("def f(a): return {'a': a, 'row': a - 1}", tmp_path) == [
        {"row": i, "a": i + 1} for i in range(3)
    ]


@pytest.mark.parametrize("returned", ["{'a': -a}", "{'row': 7}", "{'a': str(a)}", "{1: a, '1': 0}"])
def test_another_value_for_a_column_that_is_there_is_a_failing_row(returned, tmp_path):
    with pytest.raises(RunFailed, match="there is such a column, of another value; rename it"):
        results_of(f"def f(a): return {returned}", tmp_path)


def test_a_table_with_a_column_of_the_name_of_the_numbers_of_rows_is_refused(tmp_path):
    with pytest.raises(BadInput, match="a column 'row', the row's number; rename"):
        results_of("def f(row): return 1", tmp_path, "row\n5\n")


def test_columns_of_the_table_have_types_and_defaults_count(tmp_path):
    table = "i,x,on,name\n1,,true,a b\n-2,1000.0,false,c\n"
    found = results_of(
        "def f(i, x, on, name, other=3): return f'{i!r} {x!r} {on!r} {name!r} {other}'",
        tmp_path,
        table,
    )
    assert [row["value"] for row in found] == ["1 nan True 'a b' 3", "-2 1000.0 False 'c' 3"]


def test_a_grid(tmp_path):
    (tmp_path / "grid.toml").write_text('t = [280.0, 300]\np = [1, 2, 5]\nname = "ideal"\n')
    (tmp_path / "gas.py").write_text(
        "def pv(t, p, name): return {'v': t / p, 'loud': name + '!'}\n"
    )
    result = run(sweep, function=f"{tmp_path}/gas.py:pv", table=str(tmp_path / "grid.toml"))
    rows = result.datasets["results"]
    assert rows[["row", "t", "p", "v"]].tolist() == [
        (i, t, p, t / p)
        for i, (t, p) in enumerate((t, p) for t in (280.0, 300.0) for p in (1, 2, 5))
    ]
    assert set(rows["loud"]) == {"ideal!"}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        *(
            ("[1, 2]", r"'value' .*list \[1, 2\]"),
            ("{'x': [1]}", r"'x' .*list \[1\]"),
            ("f", "'value' .*function"),
        ),
        *(
            ("np.zeros(2)", "'value' .*ndarray"),
            ("{'x': {}}", "'x' .*dict"),
            ("b'abc'", "'value' .*bytes"),
        ),
        *(
            ("2**70", "'value' .*int"),
            ("object()", "'value' .*object"),
            ("{1, 2}", "'value' .*set"),
        ),
    ],
)
def test_what_is_no_number_or_text_is_a_failing_row_with_the_reason(expression, reason, tmp_path):
    source = f"def f(a): return {expression} if a == 2 else a"
    with pytest.raises(RunFailed, match=f"block 1 .*items 1 to 1.*TypeError: column {reason}"):
        results_of(source, tmp_path)
    found = results_of(source, tmp_path, on_error="skip")
    assert [row["row"] for row in found] == [0, 2]


def test_columns_have_names_in_any_script(tmp_path):
    found = results_of("def f(λ): return {'größe': λ / 2, '温度': 300}", tmp_path, "λ\n1\n2\n")
    assert found == [{"row": i, "λ": i + 1, "größe": (i + 1) / 2, "温度": 300} for i in range(2)]


@pytest.mark.parametrize(("text", "stored"), [("a\0b", r"a\x00b"), ("\ud800", r"\ud800")])
def test_text_that_hdf5_can_not_hold_is_spelled_out(text, stored, tmp_path):
    source = f"def f(a): return {text!r} if a == 2 else 'a'"
    assert stored in [row["value"] for row in results_of(source, tmp_path)]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(b): return 1", "no parameter for the column 'a' of .*; it has b"),
        ("def f(): return 1", "no parameter for the column 'a'"),
        ("def f(a, b): return 1", "needs 'b', and .* has no such column; its columns are a"),
        ("def f(a, /): return 1", "takes 'a' by its place alone"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_run(source, reason, tmp_path):
    with pytest.raises(BadInput, match=reason):
        results_of(source, tmp_path)
    assert not (tmp_path / "out.h5").exists()


def test_a_function_may_take_all_columns(tmp_path):
    assert [row["value"] for row in results_of("def f(**all): return all['a'] * 2", tmp_path)] == [
        2,
        4,
        6,
    ]


def test_annotations_and_options_say_what_columns_are(tmp_path):
    table = "id;x;n;when;note\n007;0,50;1e3;31.12.2025;ü\n# all of it\n008;;7;01.01.2026;1e5\n"
    source = (
        "def f(id, x: float, n: int, when, note: str): return f'{id} {x!r} {n!r} {when.isoformat()}"
        " {note}'"
    )
    options = {"types": "id=str,when=date:%d.%m.%Y", "decimal": ",", "comment": "#"}
    found = [row["value"] for row in results_of(source, tmp_path, table, **options)]
    assert found == ["007 0.5 1000 2025-12-31 ü", "008 nan 7 2026-01-01 1e5"]


@pytest.mark.parametrize(
    ("annotation", "cell", "reason"),
    [
        ("int", "2.5", "line 3: column 'a': expected a whole number, got '2.5'"),
        ("float", "x", "expected a number"),
    ],
)
def test_cells_that_are_not_what_the_function_says_are_refused_with_their_line(
    annotation, cell, reason, tmp_path
):
    with pytest.raises(BadInput, match=reason):
        results_of(f"def f(a: {annotation}): return a", tmp_path, f"a\n1\n{cell}\n")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"types": "a=number"}, "types: expected COLUMN=TYPE"),
        ({"types": "a=int,a=str"}, "is there twice"),
        ({"types": "b=int"}, "has no column 'b'"),
        ({"decimal": "x"}, "decimal: expected a point or a comma"),
        ({"delimiter": "ab"}, "delimiter: expected one character"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, reason, tmp_path):
    with pytest.raises(BadInput, match=reason):
        results_of("def f(a): return a", tmp_path, **options)


def test_a_column_that_stays_text_is_told(tmp_path, caplog):
    assert [row["value"] for row in results_of("def f(a): return a", tmp_path, "a\n007\n8\n")] == [
        "007",
        "8",
    ]
    said = caplog.messages
    assert "column 'a' is text, as '007' in line 2 would not print back as it was" in said[0]
    assert said[0].endswith("for numbers, --types a=float")


def test_a_function_that_exits_is_a_failing_row(tmp_path):
    with pytest.raises(RunFailed, match=r"SystemExit: 3"):
        results_of("def f(a): raise SystemExit(3)", tmp_path)


def test_all_rows_may_fail(tmp_path):
    (tmp_path / "bad.py").write_text("def f(a): return 1 / 0\n")
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    options = {
        "function": f"{tmp_path}/bad.py:f",
        "table": str(tmp_path / "t.csv"),
        "on_error": "skip",
    }
    result = run(sweep, output=tmp_path / "out.h5", **options)
    assert (result.value, len(result.skipped)) == (0, 2)
    with h5py.File(tmp_path / "out.h5") as file:
        assert len(file["results"]) == 0
        assert len(file["skipped"]) == 2


def test_a_table_without_a_function_is_refused(folder):
    with pytest.raises(BadInput, match="needs a value for 'function'"):
        run(sweep, table=str(folder / "my table.csv"))


@pytest.mark.parametrize("slices", [1, 3, 7, 12])
def test_slices_together_are_the_whole_table(slices, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = f"squares_{next(serial)}"
    (tmp_path / f"{module}.py").write_text("def square(x):\n    return x * x\n")
    (tmp_path / f"{module}.csv").write_text("x\n" + "".join(f"{i}\n" for i in range(10)))
    settings = {
        "function": f"{module}.py:square",
        "table": f"{module}.csv",
    }  # tables are read once, by their names
    whole = run(sweep, **settings).datasets["results"]
    parts = [run(sweep, **settings, slice=f"{i + 1}/{slices}") for i in range(slices)]
    sizes = [part.value for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert [row for part in parts for row in part.datasets["results"].tolist()] == whole.tolist()


@pytest.mark.parametrize(
    "slice", ["0/3", "4/3", "3", "/3", "-1/3", "1/0", "a/b", "1/3/3", "\u0661/\u0663"]
)
def test_a_slice_that_is_not_there_is_refused(slice, tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n2\n3\n")
    with pytest.raises(BadInput, match="slice"):
        run(sweep, function="math:sqrt", table=str(tmp_path / "t.csv"), slice=slice)


CSV_MODEL = """
def model(name, x):
    if x == 3:
        raise ValueError("three")
    return {"y": x / 3, "note": f'{name}, "{x}"\\nä', "big": 2**62 + x, "ok": x > 1}
"""


@pytest.mark.parametrize(
    "options", [(), ("--output", "run.h5"), ("--workers", "2", "--on-error", "skip")]
)
def test_a_table_as_csv_says_what_that_of_hdf5_does(options, tmp_path):
    (tmp_path / "model.py").write_text(CSV_MODEL)
    numbers = (1, 2, 3) if "skip" in options else (1, 2)
    (tmp_path / "t.csv").write_text("name,x\n" + "".join(f"00{x},{x}\n" for x in numbers))
    command = (
        "-m",
        "mpipar.sweep",
        "--function",
        "model.py:model",
        "--table",
        "t.csv",
        "--csv",
        "out.csv",
        *options,
    )
    for _ in range(2):  # a table of results is replaced
        ended = python(*command, cwd=tmp_path)
        assert ended.code == 0, ended.stderr
        with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
            assert list(csv.DictReader(file)) == [
                {
                    "row": str(x - 1),
                    "name": f"00{x}",
                    "x": str(x),
                    "y": repr(x / 3),
                    "note": f'00{x}, "{x}"\nä',
                    "big": str(2**62 + x),
                    "ok": str(x > 1),
                }
                for x in (1, 2)
            ]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] == ".") == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("out.txt", "expected a name that ends in .csv"),
        ("nowhere/out.csv", "there is no folder"),
        ("t.csv", "exists and is not a table of results"),
        ("folder.csv", "is not a regular file"),
    ],
)
def test_where_a_table_cant_go_as_csv_is_told_before_the_run(path, told, tmp_path):
    (tmp_path / "model.py").write_text(CSV_MODEL)
    (tmp_path / "t.csv").write_text("name,x\na,1\n")
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    command = ("--function", "model.py:model", "--table", "t.csv", "--csv", path)
    ended = python("-m", "mpipar.sweep", *command, cwd=tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert [
        path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in str(path)
    ] == before
    assert (tmp_path / "t.csv").read_text() == "name,x\na,1\n"
