"""What mpipar.open_result gives of a file, against what the run gave, h5py and pandas."""

import sys

import h5py
import numpy as np
import pytest
from result_files import result, skipped, write

import mpipar
from mpipar import BadInput, Dataset, Each, Estimate, ExactSum, driver, open_result, run
from mpipar.load import load
from mpipar.runtime.communicator import Comm
from mpipar.runtime.progress_state import Done
from mpipar.store.output import OutputFile

SAME = (
    "name",
    "plan",
    "seed",
    "schedule",
    "ranks",
    "nodes",
    "workers",
    "device",
    "library",
    "elapsed",
    "imbalance",
    "lower_bound",
    "evaluated_blocks",
    "resumed_blocks",
    "retried_blocks",
    "lost_workers",
    "lost_ranks",
    "hosts",
)


@driver(
    n="n",
    reduction=Each(total=ExactSum, rows=Dataset("rows", float, row=(2,)), table=Dataset("table")),
)
def kernel(block, *, n: int = 10, scale: float = 2.0):
    """Rows of two numbers, and a table with text."""
    numbers = np.arange(block.start, block.stop, dtype=float)
    table = np.array([(f"ä{i}", i) for i in block], [("name", "U8"), ("x", "i8")])
    return {"total": numbers.sum(), "rows": np.stack([numbers, -numbers], axis=1), "table": table}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


@pytest.fixture
def unfinished(path):
    """Give what a run leaves that was stopped after three of four blocks."""
    with OutputFile(path, load.bind({"times": [0.0] * 4}), Comm()) as output:
        output.commit(Done(output.base.total, [range(3)]))
    return path


def test_it_has_what_the_run_has_given(path):
    made = run(kernel, output=path, block=3, progress=False)
    with open_result(path) as found:
        assert found.finished
        for name in SAME:
            assert getattr(found, name) == getattr(made, name), name
        assert found.parameters == {"n": 10, "scale": 2.0}
        assert found.value == {"total": 45.0, "rows": 10, "table": 10}
        assert found.error is None
        assert found.records == made.records
        assert set(found.datasets) == {"rows", "table"}
        for name, rows in found.datasets.items():
            assert rows.shape == made.datasets[name].shape
            assert rows[2:4].tolist() == made.datasets[name][2:4].tolist()
            assert np.asarray(rows).tolist() == made.datasets[name][:].tolist()


def test_it_has_what_h5py_reads(path):
    trouble = {"retried_blocks": 3, "lost_workers": 1, "resumed_blocks": 4, "lost_ranks": 2}
    write(path, result(ranks=3, workers=2, nodes=2, skipped=skipped(2), **trouble))
    with open_result(str(path)) as found, h5py.File(path) as file:
        for name in ("seed", "schedule", "ranks", "workers", "nodes", "elapsed", *trouble):
            assert getattr(found, name) == file.attrs[name], name
        assert found.name == file.attrs["driver"]
        assert found.created == file.attrs["created"]
        assert found.value == file["value"][()]
        assert found.file["value"][()] == 1.5
        for name in found.timeline.dtype.names:
            assert found.timeline[name].tolist() == file["timeline"][name].tolist()
        for record, row in zip(found.records, file["workers"], strict=True):
            assert (record.rank, record.blocks, record.seconds) == (
                row["rank"],
                row["blocks"],
                row["seconds"],
            )
        assert found.skipped == skipped(2)


@pytest.mark.parametrize(
    ("outcome", "value", "error"),
    [
        (Estimate(3.14, 0.01), 3.14, 0.01),
        ("text", "text", None),
        (7, 7, None),
    ],
)
def test_values_are_as_they_were(path, outcome, value, error):
    write(path, result(outcome=outcome))
    with open_result(path) as found:
        assert (found.value, found.error) == (value, error)


def test_a_value_larger_than_what_is_shown_is_whole(path):
    outcome = np.arange(1.5e6)  # 12 MB
    write(path, result(outcome=outcome))
    with open_result(path) as found:
        assert np.array_equal(found.value, outcome)
        assert "array of shape (1500000,)" in repr(found)


def test_tables_of_many_columns_are_tables(path):
    columns = [(f"column_{number}", "U3" if number % 10 == 9 else "f8") for number in range(1200)]

    @driver(n="n", reduction=Dataset("wide"))
    def wide(block, *, n: int = 5):
        table = np.zeros(block.size, columns)
        for number, (name, kind) in enumerate(columns):
            table[name] = "abc" if kind == "U3" else np.arange(block.start, block.stop) + number
        return table

    live = run(wide, output=path, progress=False).datasets["wide"]
    with open_result(path) as found:
        rows = found.datasets["wide"]
        assert rows.shape == live.shape == (5,)
        assert rows[:].dtype.names == tuple(name for name, _ in columns)
        assert rows[3]["column_1"] == live[3]["column_1"] == 4.0
        assert rows["column_2"].tolist() == [2.0, 3.0, 4.0, 5.0, 6.0]
        assert rows[1:3]["column_9"].tolist() == ["abc", "abc"]
        assert len(found.to_dataframe().columns) == 1200


def test_data_frames(path):
    pandas = pytest.importorskip("pandas")
    run(kernel, output=path, block=3, progress=False)
    with open_result(path) as found:
        table = found.to_dataframe("table")
        assert table["name"].tolist() == [f"ä{i}" for i in range(10)]
        assert table["x"].tolist() == list(range(10))
        assert found.to_dataframe("rows").to_numpy().tolist() == found.datasets["rows"][:].tolist()
        assert found.to_dataframe("workers")["blocks"].sum() == 4
        assert found.to_dataframe("ranks")["host"].tolist() == found.hosts
        spans = found.to_dataframe("timeline")
        assert spans["blocks"].sum() == 4
        assert len(found.to_dataframe("skipped")) == 0
        with h5py.File(path) as file:
            by_hand = pandas.DataFrame(file["timeline"][:])
        assert spans.to_dict("list") == by_hand.to_dict("list")
        with pytest.raises(
            BadInput, match=r"expected one of rows, table, ranks, workers, .*, got None"
        ):
            found.to_dataframe()
        with pytest.raises(BadInput, match="got 'nonsense'"):
            found.to_dataframe("nonsense")


def test_the_only_dataset_is_the_data_frame(path):
    pytest.importorskip("pandas")

    @driver(n="n", reduction=Dataset("roots", float))
    def roots(block, *, n: int = 4):
        return np.sqrt(np.arange(block.start, block.stop))

    run(roots, output=path, progress=False)
    with open_result(path) as found:
        frame = found.to_dataframe()
        assert list(frame.columns) == ["roots"]
        assert frame["roots"].tolist() == found.datasets["roots"][:].tolist()


def test_rows_of_more_dimensions_are_no_data_frame(path):
    pytest.importorskip("pandas")

    @driver(n="n", reduction=Dataset("cubes", float, row=(2, 2)))
    def cubes(block, *, n: int = 4):
        return np.zeros((block.size, 2, 2))

    run(cubes, output=path, progress=False)
    with open_result(path) as found, pytest.raises(BadInput, match=r"shape \(2, 2\) are no table"):
        found.to_dataframe()


def test_without_pandas_it_says_so(path, monkeypatch):
    write(path)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with open_result(path) as found, pytest.raises(ImportError, match="takes pandas: pip install"):
        found.to_dataframe("workers")


def test_it_is_a_line_or_a_table(path):
    write(path, result(name="<b>", skipped=skipped(1)))
    with open_result(path) as found:
        told = repr(found)
        assert told.startswith(f"<Result of <b> in {str(path)!r}: value 1.5, skipped 1 block, of")
        assert "\n" not in told
        shown = found._repr_html_()
    assert shown.startswith("<table><tr><th>kernel</th><td>&lt;b&gt; in ")
    assert "<td>1.5</td>" in shown


def test_what_is_read_after_closing_is_refused(path):
    run(kernel, output=path, progress=False)
    with open_result(path) as found:
        rows = found.datasets["rows"]
    for look in (lambda: found.value, lambda: found.error, lambda: rows[0], lambda: rows.shape):
        with pytest.raises(ValueError, match="was closed"):
            look()
    assert found.elapsed > 0
    assert "Result of kernel" in repr(found)


def test_what_is_open_stays_the_same_while_the_file_is_replaced(path):
    run(kernel, output=path, n=10, progress=False)
    with open_result(path) as found:
        run(kernel, output=path, n=20, progress=False)
        assert found.plan.n == len(found.datasets["rows"]) == found.value["rows"] == 10
    with open_result(path) as found:
        assert found.plan.n == len(found.datasets["rows"]) == 20


def test_others_may_have_the_file_open(path):
    write(path)
    with h5py.File(path) as file, open_result(path) as found, open_result(path) as again:
        assert found.value == again.value == file["value"][()] == 1.5
    assert not found.file


def test_an_unfinished_run_tells_how_far_it_is(unfinished):
    with open_result(unfinished) as found:
        assert not found.finished
        assert found.name == "load"
        assert found.parameters["times"] == [0.0] * 4
        assert found.plan == mpipar.Plan(4, 1)
        assert (found.progress.done, found.progress.n_blocks) == (3, 4)
        assert repr(found).startswith("<Unfinished run of load in ")
        assert "done 3 of 4 blocks, of 4 items in 4 blocks of 1>" in repr(found)
        assert "<td>3 of 4 blocks</td>" in found._repr_html_()
        for name in ("value", "error", "datasets", "elapsed", "run", "to_dataframe", "timeline"):
            with pytest.raises(BadInput, match="a run that isn't finished: --resume goes on"):
                getattr(found, name)
        with pytest.raises(AttributeError):
            found.nonsense  # noqa: B018


def refusal(path) -> str:
    with pytest.raises(BadInput) as caught:
        open_result(path)
    return str(caught.value)


def test_other_files_are_refused_with_the_words_of_show(path, tmp_path, unfinished):
    assert "there is no file" in refusal(tmp_path / "none.h5")
    assert "is a folder" in refusal(tmp_path)
    with h5py.File(unfinished, "r+") as file:
        file["checkpoint"][-5:] = 0
    assert "whose checkpoint is damaged" in refusal(unfinished)
    path.write_text("no")
    assert "is not an HDF5 file" in refusal(path)
    with h5py.File(path, "w") as file:
        file["x"] = [1, 2]
    assert "not a result of mpipar" in refusal(path)
    write(path)
    with h5py.File(path, "r+") as file:
        file.attrs["mpipar_format"] = 99
    assert "is of format 99, expected 2" in refusal(path)


def test_a_broken_seal_is_refused(path):
    run(kernel, output=path, progress=False)
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def test_a_study_is_refused(path):
    with h5py.File(path, "w") as file:
        columns = [("mode", "S6"), ("repeat", "i8"), ("elapsed", "f8"), ("startup", "f8")]
        file["runs"] = np.zeros(1, columns)
    assert "has the times of a scaling study, expected a result file" in refusal(path)


def test_values_in_other_files_are_not_followed(path, tmp_path):
    write(tmp_path / "other.h5")
    write(path)
    with h5py.File(path, "r+") as file:
        del file["value"]
        file["value"] = h5py.ExternalLink("other.h5", "/value")
    with open_result(path) as found, pytest.raises(BadInput, match="isn't in this file itself"):
        found.value  # noqa: B018


def test_a_value_that_would_fill_the_memory_is_refused(path):
    write(path)
    with h5py.File(path, "r+") as file:
        del file["value"]
        file.create_dataset("value", (2**40,), "f8", chunks=(1024,))
    with open_result(path) as found, pytest.raises(BadInput, match="which aren't stored"):
        found.value  # noqa: B018
