"""What a run from Python gives back: short to look at, and with rows that stay in the file until
they are wanted.
"""

import h5py
import numpy as np
import pytest

import mpipar
from mpipar import Dataset, Each, Estimate, ExactSum, driver, run
from mpipar.store.stored_rows import as_text


@driver(
    n="n",
    reduction=Each(total=ExactSum, rows=Dataset("rows", float, row=(2,)), table=Dataset("table")),
)
def kernel(block, *, n: int = 10):
    """Rows of two numbers, and a table with text."""
    numbers = np.arange(block.start, block.stop, dtype=float)
    table = np.array([(f"ä{i}", i) for i in block], [("name", "U8"), ("x", "i8")])
    return {"total": numbers.sum(), "rows": np.stack([numbers, -numbers], axis=1), "table": table}


def test_datasets_are_the_same_in_memory_and_in_a_file(tmp_path):
    in_memory, in_file = run(kernel), run(kernel, output=tmp_path / "run.h5")
    assert set(in_memory.datasets) == set(in_file.datasets) == {"rows", "table"}
    for name, rows in in_memory.datasets.items():
        stored = in_file.datasets[name]
        assert np.asarray(stored).tolist() == stored[:].tolist() == rows.tolist()
        assert stored[3:5].tolist() == rows[3:5].tolist()
        assert stored.shape == rows.shape
        assert len(stored) == 10
    assert in_file.datasets["table"][0]["name"] == "ä0"
    again = run(kernel, output=tmp_path / "run.h5", resume=True)
    assert again.datasets["rows"][:].tolist() == in_memory.datasets["rows"].tolist()


def test_nothing_is_read_and_no_file_is_open_before_rows_are_looked_at(tmp_path):
    result = run(kernel, output=tmp_path / "run.h5")
    rows = result.datasets["rows"]
    with h5py.File(tmp_path / "run.h5", "r+") as file:  # nobody else has it open
        file["rows"][0] = 7.0
    assert rows[0].tolist() == [7.0, 7.0]
    assert "rows of /rows in" in repr(rows)
    with pytest.raises(KeyError):
        result.datasets["value"]


def test_a_result_is_a_line(tmp_path):
    result = run(kernel)
    assert isinstance(result, mpipar.Result)
    told = repr(result)
    assert told.startswith(
        "<Result of kernel: value total 45.0, rows 10, table 10, datasets rows 10 × 2, table 10, of"
        " 10 items"
    )
    assert "1 rank × 1 worker, " in told
    assert len(told) < 200
    assert "\n" not in told


def test_a_long_value_is_cut():
    @driver(n="n", reduction=ExactSum)
    def long(block, *, n: int = 1):
        return np.ones(100)

    assert "value array of float64, shape (100,)" in repr(run(long))
    long.finish(lambda total: "x" * 1000)
    assert f"value {'x' * 59}…" in repr(run(long))
    long.finish(lambda total: Estimate(1.5, 0.25))
    assert "value 1.5, error 0.25" in repr(run(long))


def test_notebooks_show_a_table_with_nothing_of_html_in_it():
    @driver(n="n", reduction=ExactSum)
    def odd(block, *, n: int = 1):
        return 1.0

    odd.finish(lambda total: "<script>")
    shown = run(odd)._repr_html_()
    assert shown.startswith("<table><tr><th>kernel</th><td>odd</td></tr>")
    assert "<td>&lt;script&gt;</td>" in shown


def test_text_of_hdf5_is_text():
    rows = np.array([b"\xc3\xa4", b"b"], dtype=h5py.string_dtype())
    assert as_text(rows).tolist() == ["ä", "b"]
    assert as_text(np.zeros((2, 2))).dtype == float
    assert as_text(np.zeros(0, h5py.string_dtype())).tolist() == []
