import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from result_files import of_run

import mpipar
import mpipar.pi
from mpipar import BadInput, Estimate, Plan
from mpipar.core.statistics import Statistics
from mpipar.runtime.communicator import Comm
from mpipar.runtime.failure import Skipped
from mpipar.runtime.progress_state import Done, Record
from mpipar.runtime.result import Result
from mpipar.runtime.timeline import Span
from mpipar.store.attributes import FORMAT
from mpipar.store.output import OutputFile
from mpipar.store.output_place import check

PARAMETERS = {
    "steps": 1000,
    "x": 0.5,
    "kind": "fast",
    "on": True,
    "xs": [1, 2],
    "none": None,
    "path": Path("a/b"),
}


def result(outcome=1.5, **changes) -> Result:
    fields = {
        "outcome": outcome,
        "name": "pi",
        "parameters": PARAMETERS,
        "plan": Plan(1000, 300),
        "seed": 7,
        "schedule": "slice",
        "workers": 2,
        "elapsed": 0.5,
        "library": "MPICH 5",
        "hosts": ["node-a", "knoten-ä"],
        "records": [
            Record(0, "node-a", 11, 2, 0.25, 0.125),
            Record(0, "node-a", 12, 1, 0.5, 0.5),
            Record(1, "knoten-ä", 13, 1, 2.0, 2.0),
        ],
        "resumed_blocks": 0,
        "retried_blocks": 0,
        "lost_workers": 0,
        "lost_ranks": 0,
        "skipped": [],
        "datasets": {},
        "partials": {2: 2.5, 0: 0.5, 1: 1.5, 3: 3.5},
        "done": Done(0, [range(4)]),
    }
    return of_run(**{**fields, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "result.h5"


def attempt(path, result) -> str | None:
    """Write a result as a run does; return why that can't be done."""
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()) as output:
        return output.write(result)


def write(path, result) -> None:
    problem = attempt(path, result)
    assert problem is None, problem


def stored(path, outcome):
    """Return what reads back as the value of an outcome."""
    write(path, result(outcome))
    with h5py.File(path) as file:
        return file["value"][()]


def test_attributes_tell_about_the_run(path):
    write(path, result())
    with h5py.File(path) as file:
        told = dict(file.attrs)
    versions = {
        "mpipar_format": FORMAT,
        "mpipar": mpipar.__version__,
        "numpy": np.__version__,
        "mpi": "MPICH 5",
    }
    what = {"driver": "pi", "n": 1000, "block": 300, "n_blocks": 4, "seed": 7}
    how = {
        "schedule": "slice",
        "ranks": 2,
        "workers": 2,
        "nodes": 2,
        "elapsed": 0.5,
        "elapsed_units": "s",
    }
    assert {name: told.get(name) for name in (versions | what | how)} == versions | what | how


def test_parameters_are_attributes_of_a_group(path):
    write(path, result())
    with h5py.File(path) as file:
        attributes = file["parameters"].attrs
        assert [attributes[name] for name in ("steps", "x", "kind", "path")] == [
            1000,
            0.5,
            "fast",
            "a/b",
        ]
        assert attributes["on"].dtype == bool
        assert attributes["xs"].tolist() == [1, 2]
        assert isinstance(attributes["none"], h5py.Empty)


def test_numbers_and_arrays_come_back_bit_by_bit(path):
    for value in (0.1, -0.0, math.nan, 3, 2**64 - 1, True):
        np.testing.assert_equal(stored(path, value), value)
    for array in (
        np.arange(6.0).reshape(2, 3) / 7,
        np.zeros((0, 2)),
        np.array([1, 2], np.uint8),
        np.array([1 + 2j]),
    ):
        back = stored(path, array)
        assert (back.dtype, back.shape, back.tobytes()) == (
            array.dtype,
            array.shape,
            array.tobytes(),
        )


def test_value_and_error_of_an_estimate_are_two_datasets(path):
    write(path, result(Estimate(3.0, 0.25)))
    with h5py.File(path) as file:
        assert (file["value"][()], file["error"][()]) == (3.0, 0.25)
        assert file["error"].attrs["description"]
    write(path, result(3.0))
    with h5py.File(path) as file:
        assert "error" not in file


def test_result_of_several_fields_is_a_group(path):
    write(path, result({"moments": Statistics(1.0, 0.5, 2.0, 8), "rows": np.arange(3)}))
    with h5py.File(path) as file:
        assert file["value/moments/variance"][()] == 2.0
        assert file["value/moments/n"][()] == 8
        assert file["value/rows"][()].tolist() == [0, 1, 2]


def test_text_comes_back_as_it_was(path):
    assert stored(path, "some text, ä").decode() == "some text, ä"


@pytest.mark.parametrize(
    "value", [None, 2**70, [[1], [1, 2]], np.array([2**70, 1], object), {1, 2}]
)
def test_what_hdf5_cannot_hold_is_stored_as_text(path, value):
    assert stored(path, value).decode() == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        np.array([f"s{i}" for i in range(2000)]),
        np.array([2**70 + i for i in range(2000)], object),
        np.arange(2000).astype("M8[s]"),
        np.array([(i, i / 7) for i in range(2000)], [("a", "i8"), ("b", "f8")]),
        [np.arange(2000) / 7, np.arange(3)],
    ],
)
def test_text_of_large_arrays_has_all_of_their_elements_and_digits(path, value):
    names = {"array": np.array, "datetime64": np.datetime64}
    again = eval(stored(path, value).decode(), names)
    np.testing.assert_equal(again, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]), [1, math.nan, 3]),
        (np.ma.array([1, 2], mask=[1, 0]), [math.nan, 2]),
        (np.ma.array([True, False], mask=[1, 0]), [math.nan, 0]),
        (np.ma.array([1 + 2j, 3], mask=[1, 0]), [math.nan, 3]),
        (np.ma.masked, math.nan),
        ([np.ma.masked, 2.5], [math.nan, 2.5]),
        (np.ma.array([2.5, 3.5]), [2.5, 3.5]),
    ],
)
def test_what_is_masked_is_nan(path, value, expected):
    np.testing.assert_equal(stored(path, value), np.array(expected))


@pytest.mark.parametrize(
    "value",
    [[2**60 + 1, 0.5], (2**63 + 5, -1), np.ma.array([2**60 + 1, 2], mask=[0, 1])],
)
def test_no_whole_number_is_rounded(path, value):
    assert stored(path, value).decode() == repr(value)


def test_partials_keep_masks_and_whole_numbers(path):
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    write(path, result(partials=dict.fromkeys(range(4), masked)))
    with h5py.File(path) as file:
        np.testing.assert_equal(file["partials"][0], [1, math.nan])
    write(path, result(partials={0: 2**60 + 1, 1: 0.5, 2: 0.5, 3: 0.5}))
    with h5py.File(path) as file:
        assert "partials" not in file


def test_any_keys_are_names_and_none_takes_the_place_of_another(path):
    keys = [1, "1", "a", "a/b", "", ".", "..", "x\0", "\ud800", None, (1, 2)]
    write(path, result(dict(zip(keys, range(len(keys)), strict=True))))
    with h5py.File(path) as file:
        found = {name: int(item[()]) for name, item in file["value"].items()}
    assert sorted(found.values()) == [*range(len(keys))]
    assert (found["1"], found["'1'"], found["a\\x2fb"]) == (0, 1, 3)


def test_numbers_beyond_64_bits_are_attributes_as_text(path):
    write(path, result(plan=Plan(2**70, 2**40), seed=2**64 - 1, partials={}))
    with h5py.File(path) as file:
        assert file.attrs["n"] == str(2**70)
        assert file.attrs["block"] == 2**40
        assert file.attrs["seed"] == 2**64 - 1


def test_the_timeline_tells_when(path):
    timelines = [[Span(0, 1, 0.0, 0.125), Span(2, 1, 0.25, 0.375)], [], [Span(1, 2, 0.125, 2.125)]]
    write(path, result(timelines=timelines))
    with h5py.File(path) as file:
        table = file["timeline"]
        assert table.dtype.names == ("worker", "block", "blocks", "begin", "end")
        assert table[:].tolist() == [
            (0, 0, 1, 0.0, 0.125),
            (0, 2, 1, 0.25, 0.375),
            (2, 1, 2, 0.125, 2.125),
        ]
        assert table.attrs["units"] == "blocks: 1, begin: s, end: s"
    write(path, result())
    with h5py.File(path) as file:
        assert "timeline" not in file


def test_tables_tell_who_evaluated_what(path):
    write(path, result())
    with h5py.File(path) as file:
        workers, ranks = file["workers"], file["ranks"]
        assert workers.dtype.names == ("rank", "host", "pid", "blocks", "seconds", "longest")
        assert workers["longest"].tolist() == [0.125, 0.5, 2.0]
        assert workers["pid"].tolist() == [11, 12, 13]
        assert workers["blocks"].tolist() == [2, 1, 1]
        assert ranks.dtype.names == ("rank", "host", "blocks", "seconds")
        assert ranks["rank"].tolist() == [0, 1]
        assert [host.decode() for host in ranks["host"]] == ["node-a", "knoten-ä"]
        assert ranks["blocks"].tolist() == [3, 1]
        assert ranks["seconds"].tolist() == [0.75, 2.0]


def test_rank_without_records_has_evaluated_nothing(path):
    write(path, result(records=[Record(0, "node-a", 11, 4, 1.0)]))
    with h5py.File(path) as file:
        assert file["ranks"]["blocks"].tolist() == [4, 0]


def test_skipped_blocks_are_a_table_with_tracebacks(path):
    lost = [
        Skipped(1, 300, 600, "ValueError: ä", "Traceback …\n  in pi\n"),
        Skipped(3, 900, 1000, "KeyError", ""),
    ]
    write(path, result(skipped=lost, retried_blocks=4))
    with h5py.File(path) as file:
        table = file["skipped"][:]
        assert table.dtype.names == ("block", "start", "stop", "reason", "traceback")
        assert [[int(row[k]) for k in range(3)] for row in table] == [[1, 300, 600], [3, 900, 1000]]
        assert [row["reason"].decode() for row in table] == ["ValueError: ä", "KeyError"]
        assert [row["traceback"].decode() for row in table] == ["Traceback …\n  in pi\n", ""]
        assert (file.attrs["skipped_blocks"], file.attrs["retried_blocks"]) == (2, 4)
    write(path, result())
    with h5py.File(path) as file:
        assert "skipped" not in file
        assert (file.attrs["skipped_blocks"], file.attrs["retried_blocks"]) == (0, 0)


ODD_TEXTS = pytest.mark.parametrize(
    "text", ["a\0b", "from a file name: \udcff", "\ud800", "x" * 100_000, ""]
)


@ODD_TEXTS
def test_a_skipped_blocks_message_may_be_any_text(path, text):
    write(path, result(skipped=[Skipped(1, 300, 600, f"ValueError: {text}", text)]))
    with h5py.File(path) as file:
        assert file["skipped"]["block"].tolist() == [1]
        assert file["skipped"]["reason"][0].startswith(b"ValueError: ")


@ODD_TEXTS
def test_parameters_and_values_may_be_any_text(path, text):
    write(
        path,
        result(
            {"text": text}, parameters={"text": text, "path": Path(text), "several": ["a", text]}
        ),
    )
    with h5py.File(path) as file:
        assert set(file["parameters"].attrs) == {"text", "path", "several"}
        assert "text" in file["value"]


@pytest.mark.parametrize(
    ("partials", "expected"),
    [
        ({2: 2.5, 0: 0.5, 1: 1.5, 3: 3.5}, [0.5, 1.5, 2.5, 3.5]),
        ({k: np.array([k, 1]) for k in range(4)}, [[0, 1], [1, 1], [2, 1], [3, 1]]),
        ({}, None),  # not kept
        ({0: 1.0, 1: 2.0, 3: 3.0}, None),  # one missing
        ({k: np.ones(k) for k in range(4)}, None),  # of several shapes
        ({k: {"a": 1} for k in range(4)}, None),
    ],
)
def test_partials_are_stored_in_block_order_if_they_fit_an_array(path, partials, expected):
    write(path, result(partials=partials))
    with h5py.File(path) as file:
        assert (file["partials"][()].tolist() if "partials" in file else None) == expected


def test_older_result_is_replaced_and_nothing_else_is_left(path):
    write(path, result(1.0))
    inode = path.stat().st_ino
    with path.open("rb") as older:
        before = older.read()
        write(path, result(2.0))
        older.seek(0)
        assert older.read() == before  # a reader of the older one is not disturbed
    assert path.stat().st_ino != inode
    with h5py.File(path) as file:
        assert file["value"][()] == 2.0
    assert list(path.parent.iterdir()) == [path]


def refuse(*_):
    raise OSError("no space left")


FAILING = pytest.mark.parametrize("failing", ["replace", "fsync", "pwrite"])


def contents(path):
    """Return all files in the folder of a result, and in those inside it."""
    return {
        str(file.relative_to(path.parent)): file.is_file() and file.read_bytes()
        for file in path.parent.rglob("*")
    }


@FAILING
@pytest.mark.parametrize("older", [True, False])
def test_failing_start_leaves_what_was_there_and_nothing_else(path, monkeypatch, failing, older):
    if older:
        write(path, result(1.0))
    before = contents(path)
    monkeypatch.setattr(os, failing, refuse)
    with pytest.raises(BadInput, match=r"^output: .*no space left.*result\.h5"):
        attempt(path, result(2.0))
    assert contents(path) == before


@FAILING
@pytest.mark.parametrize("older", [True, False])
def test_failing_write_leaves_what_was_there_and_nothing_else(path, monkeypatch, failing, older):
    if older:
        write(path, result(1.0))
    before = contents(path)
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()) as output:
        monkeypatch.setattr(os, failing, refuse)
        problem = output.write(result(2.0))
        monkeypatch.undo()
        assert problem.startswith(f"the result could not be written to {path}: ")
        assert "no space left" in problem
    assert contents(path) == before


@FAILING
@pytest.mark.parametrize("older", [True, False])
def test_failing_write_leaves_what_is_committed_and_the_older_result(
    path, monkeypatch, failing, older
):
    if older:
        write(path, result(1.0))
    before = contents(path)
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()) as output:
        begun = path.read_bytes()
        output.append(Done(5, [range(3)]))
        monkeypatch.setattr(os, failing, refuse)
        assert "no space left" in output.write(result(2.0))
    monkeypatch.undo()
    assert path.read_bytes() == begun
    assert contents(path).get("result.h5.previous") == before.get("result.h5")
    with pytest.raises(BadInput, match="holds an unfinished run: --resume goes on with it"):
        attempt(path, result(2.0))
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm(), resume=True) as output:
        assert (output.base.count, output.base.total, output.finished) == (3, 5, False)
        assert output.write(result(2.0)) is None
    with h5py.File(path) as file:
        assert file["value"][()] == 2.0
    assert list(path.parent.iterdir()) == [path]


def test_a_finished_result_is_kept_where_there_are_no_links(path, monkeypatch):
    write(path, result(1.0))
    before = path.read_bytes()
    monkeypatch.setattr(os, "link", refuse)
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()) as output:
        output.append(Done(5, [range(3)]))
    assert Path(f"{path}.previous").read_bytes() == before
    path.unlink()
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()):
        pass
    assert not path.exists(), "this run, which has done nothing, found none"
    Path(f"{path}.previous").rename(path)
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()):
        pass
    assert contents(path) == {"result.h5": before}, "nothing was done"
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(BadInput, match="no space left"):
            attempt(path, result(2.0))
    assert contents(path) == {"result.h5": before}


def test_a_result_that_takes_too_much_room_leaves_what_is_done(path, monkeypatch):
    outcome = result(np.ones(10**6), done=Done(5, [range(4)]))
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()) as output:
        pwrite = os.pwrite
        monkeypatch.setattr(
            os,
            "pwrite",
            lambda file, data, at: refuse() if len(data) > 10**6 else pwrite(file, data, at),
        )
        assert "no space left" in output.write(outcome)
    monkeypatch.undo()
    assert list(path.parent.iterdir()) == [path]
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm(), resume=True) as output:
        assert (output.base.count, output.base.total, output.finished) == (4, 5, False)


def test_failing_fill_leaves_what_was_there_and_nothing_else(path):
    write(path, result(1.0))
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        write(path, result(2.0, records=None, plan=None))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_own_file_is_recognised(path):
    write(path, result())
    check(path)


def make_foreign(path):
    with h5py.File(path, "w") as file:
        file["value"] = 1.0


def make_truncated(path):
    write(path, result(np.arange(10_000.0)))
    path.write_bytes(path.read_bytes()[:20_000])


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("notes"),
        lambda path: path.write_bytes(b""),
        make_foreign,
        make_truncated,
    ],
    ids=["text", "empty", "foreign HDF5", "truncated"],
)
def test_files_that_are_not_ours_are_refused_and_left_as_they_are(path, make):
    make(path)
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"result\.h5.*not a result of mpipar"):
        check(path)
    assert path.read_bytes() == before


def test_output_must_be_a_file_in_a_folder_that_exists(tmp_path):
    check(tmp_path / "new.h5")
    with pytest.raises(BadInput, match=r"^output: there is no folder"):
        check(tmp_path / "missing" / "new.h5")
    with pytest.raises(BadInput, match=r"^output: .* is a folder"):
        check(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match=r"^output: there is no folder"):
        check(tmp_path / "file" / "new.h5")
    with pytest.raises(BadInput, match=r"^output: the name is 54 bytes too long"):
        check(tmp_path / ("x" * 300))


def test_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(BadInput, match=r"^output: the folder .* can't be written to"):
        check(tmp_path / "new.h5")


def test_bad_output_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(BadInput, match=r"^output: there is no folder"):
        OutputFile(tmp_path / "missing" / "new.h5", mpipar.pi.pi.bind({}), Comm())
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_not_written_leaves_nothing(path):
    with OutputFile(path, mpipar.pi.pi.bind({}), Comm()) as output:
        assert output.rows is None
    assert list(path.parent.iterdir()) == []


def test_a_relative_path_stays_where_it_was_when_the_folder_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with OutputFile(Path("x.h5"), mpipar.pi.pi.bind({}), Comm()) as output:
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert output.write(result()) is None
    assert (tmp_path / "x.h5").exists()
