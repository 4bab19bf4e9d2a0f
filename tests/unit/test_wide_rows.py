"""Tables of more columns than HDF5 can describe as one type, and parameters larger than its
attributes.
"""

import csv
import json

import h5py
import numpy as np
import pytest
from conftest import python

from mpipar import Block, Dataset, ExactSum, driver, run
from mpipar.command.show import main as show
from mpipar.inputs.table import read_table
from mpipar.store import csv_file
from mpipar.store.hdf5_types import check_type
from mpipar.store.look import look
from mpipar.store.stored_rows import StoredRows


def columns(count):
    return np.dtype(
        [(f"column_{number}", "U3" if number % 10 == 9 else "f8") for number in range(count)]
    )


@driver(n="rows", reduction=Dataset("results", one_each=False))
def wide(block: Block, *, rows: int = 5, count: int = 10):
    table = np.zeros(block.size, columns(count))
    for number, name in enumerate(table.dtype.names):
        table[name] = "abc" if number % 10 == 9 else np.arange(block.start, block.stop) + number / 4
    return table


@driver(n="rows", reduction=ExactSum())
def told(
    block: Block,
    *,
    rows: int = 3,
    text: str = "",
    numbers: list[float] = [],  # noqa: B006
    names: list[str] = [],  # noqa: B006
):
    return float(block.size)


@pytest.mark.parametrize(
    ("count", "rows", "compress"),
    [(1, 101, False), (700, 5, True), (1200, 31, False), (2500, 15, False)],
)
def test_wide_tables_are_stored(count, rows, compress, tmp_path):
    out = tmp_path / "w.h5"
    given = {
        "rows": rows,
        "count": count,
        "block": 10,
        "output": out,
        "compress": compress,
        "progress": False,
    }
    run(wide, **given)
    with h5py.File(out) as file:
        results = file["results"]
        assert isinstance(results, h5py.Group) == (count > 1000)
        names = list(results) if count > 1000 else list(results.dtype.names)
        assert names == list(columns(count).names)
        for number in {0, 3, max(0, count - 2)} if count > 3 else {0}:
            assert np.array_equal(results[f"column_{number}"], np.arange(rows) + number / 4)
    [found] = look(out).rows
    assert (found.name, found.shape) == ("results", (rows,))
    table = read_table(f"{out}:/results")
    assert len(table) == rows
    assert table.row(3)["column_0"] == 3.0
    assert count == 1 or table.row(3)["column_9"] == "abc"
    assert run(wide, **given, resume=True).resumed_blocks


def test_columns_that_no_group_can_have_are_refused_with_the_first_rows():
    names = [f"a/column_{number}" for number in range(5000)]
    with pytest.raises(
        TypeError, match=r"a table of 5000 columns if one has a slash in its name, as 'a/column_0'"
    ):
        check_type(np.dtype([(name, "f8") for name in names]))
    check_type(np.dtype([(name, "f8") for name in names[:90]]))


@pytest.mark.ci
def test_a_sweep_has_ten_thousand_columns(tmp_path):
    (tmp_path / "f.py").write_text(
        "def f(i):\n    return {f'column_{k}': i + k for k in range(10_000)}\n"
    )
    (tmp_path / "t.csv").write_text("i\n1\n2\n3\n")
    command = ("-m", "mpipar.sweep", "--function", "f.py:f", "--table", "t.csv", "--output", "w.h5")
    for more in ((), ("--resume",)):
        assert python(*command, *more, cwd=tmp_path).code == 0
    with h5py.File(tmp_path / "w.h5") as file:
        assert len(file["results"]) == 10_002
        assert file["results/column_9999"][...].tolist() == [10_000, 10_001, 10_002]
    shown = python("-m", "mpipar", "show", "w.h5", "--json", cwd=tmp_path).json
    assert shown["datasets"][0]["shape"] == [3]
    assert "10002 columns" in shown["datasets"][0]["dtype"]


def test_each_of_many_columns_is_opened_once_for_csv(tmp_path, monkeypatch):
    out = tmp_path / "w.h5"
    run(wide, rows=25, count=1200, output=out, progress=False)
    opened = []
    open_one = h5py.Group.__getitem__

    def counted(group, name):
        opened.append(name)
        return open_one(group, name)

    monkeypatch.setattr(h5py.Group, "__getitem__", counted)
    monkeypatch.setattr(csv_file, "_CELLS_AT_ONCE", 12_000)  # three pieces
    with StoredRows(out, "results").kept_open() as rows:
        csv_file.write(tmp_path / "w.csv", rows)
    assert len(opened) <= 1200 + 3
    with (tmp_path / "w.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == list(columns(1200).names)
    assert [line[1198:] for line in lines[1:]] == [[str(k + 1198 / 4), "abc"] for k in range(25)]


@pytest.mark.parametrize("size", [1000, 2**14, 2**20])
def test_parameters_are_stored_whatever_their_size(size, tmp_path, capsys):
    out = tmp_path / "p.h5"
    parameters = {
        "text": "é" * size,
        "numbers": [k / 3 for k in range(size // 100)],
        "names": ["name"] * (size // 100),
    }
    run(told, output=out, progress=False, **parameters)
    found = look(out).parameters
    assert {
        name: list(value) if name != "text" else value
        for name, value in found.items()
        if name != "rows"
    } == parameters
    assert run(told, output=out, resume=True, progress=False, **parameters).resumed_blocks == 3
    show([str(out), "--json"])
    assert json.loads(capsys.readouterr().out)["parameters"]["text"] == parameters["text"]
