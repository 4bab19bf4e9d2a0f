import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import without_privileges

from mpipar.base.errors import BadInput
from mpipar.inputs.common import is_hdf5, split_where
from mpipar.inputs.dataset import check_readable, open_dataset


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def made(tmp_path):
    """Return a function that makes ``made.h5`` of names and data."""

    def make(name="made.h5", **datasets):
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            for key, data in datasets.items():
                file[key.replace("__", "/")] = data
        return str(path)

    return make


def refusal_of(where, **options):
    with pytest.raises(BadInput) as caught:
        open_dataset(where, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("where", "path", "name"),
    [
        ("a.h5:/x/y", "a.h5", "/x/y"),
        ("a.h5", "a.h5", ""),
        ("a.h5:", "a.h5", ""),
        ("A.HDF5:x", "A.HDF5", "x"),
        ("dir:1/a.nc:x", "dir:1/a.nc", "x"),
        ("a.h5:b.h5:/x", "a.h5:b.h5", "/x"),
        ("a.h5:/x.h5", "a.h5", "/x.h5"),
        ("a.h5:/x:y", "a.h5", "/x:y"),
        ("dir/a", "dir/a", ""),
    ],
)
def test_file_and_name_are_told_apart(where, path, name):
    assert split_where(where) == (Path(path), name)
    assert is_hdf5(where) == (where != "dir/a")


@pytest.mark.parametrize(
    "kind", [np.int8, np.uint64, np.float16, np.float64, np.complex128, np.bool_]
)
def test_dataset_is_opened_by_name(made, kind):
    data = np.arange(6).reshape(3, 2).astype(kind)
    where = f"{made(group__inner=data)}:/group/inner"
    dataset = open_dataset(where)
    np.testing.assert_array_equal(dataset[:], data)
    assert dataset.dtype == kind
    assert dataset.file.mode == "r"
    assert open_dataset(where) is dataset
    check_readable(dataset)


def test_sole_dataset_needs_no_name(made):
    assert open_dataset(made(group__inner=[1, 2])).name == "/group/inner"
    assert open_dataset(made("x.h5", a=[1]) + ":").name == "/a"


def test_one_of_several_must_be_named(made):
    message = refusal_of(made(a=[1], b__c=[2]))
    assert "which dataset?" in message
    assert "/a, /b/c" in message
    assert "there are no datasets" in refusal_of(made("x.h5"))


def test_at_most_ten_names_are_listed(made):
    message = refusal_of(made(**{f"d{i:02}": [i] for i in range(12)}) + ":/x")
    assert "object 'x' doesn't exist" in message
    assert message.endswith("/d08, /d09, …")


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("nowhere.h5:/x", "no such file or directory"),
        ("folder.h5:/x", "is a directory"),
        ("pipe.h5:/x", "not a regular file"),
        ("text.h5:/x", "not an HDF5 file"),
        ("empty.h5:/x", "not an HDF5 file"),
        ("cut.h5:/x", "can't be opened as HDF5 (Unable to"),
        ("a\0b.h5:/x", "not a path"),
        ("\ud800.h5:/x", "not a path"),
        ("", "is a directory"),
    ],
)
def test_file_that_cannot_be_opened_is_refused(made, where, reason):
    Path("folder.h5").mkdir()
    os.mkfifo("pipe.h5")
    Path("text.h5").write_text("not HDF5 at all")
    Path("empty.h5").touch()
    Path("cut.h5").write_bytes(Path(made(x=np.zeros(10_000))).read_bytes()[:4000])
    assert reason in refusal_of(where)


def test_unreadable_file_is_refused(made):
    Path(made(x=[1])).chmod(0)
    with without_privileges():
        assert "permission denied" in refusal_of("made.h5:/x")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/group", "a group, not a dataset; datasets in it are"),
        ("/", "a group, not a dataset"),
        ("/nothing", "has no '/nothing'"),
        ("/good/under", "has no '/good/under'"),
        ("a\0b", "has no"),
        ("\ud800", "has no"),
        ("/null", "the dataset is empty"),
        ("/no_rows", "the dataset is empty"),
        ("/no_columns", "the dataset is empty"),
        ("/scalar", "a single value, without rows"),
        ("/text", "expected numbers, got a dataset of object"),
        ("/records", "expected numbers, got a dataset of"),
        ("/type", "is a type, not a dataset"),
        ("/soft", "has no '/soft'"),
        ("/external", "has no '/external' (Unable to"),
    ],
)
def test_what_is_no_dataset_of_numbers_is_refused(made, name, reason):
    where = made(
        group__inner=[1],
        good=[1],
        scalar=3.0,
        text=["a"],
        no_rows=np.zeros((0, 2)),
        no_columns=np.zeros((2, 0)),
    )
    with h5py.File(where, "a") as file:
        file["null"] = h5py.Empty("f8")
        file["records"] = np.zeros(2, [("a", int), ("b", float)])
        file["type"] = np.dtype("f8")
        file["soft"] = h5py.SoftLink("/not/there")
        file["external"] = h5py.ExternalLink("not_there.h5", "/x")
    assert reason in refusal_of(f"{where}:{name}")


def test_other_types_are_opened_where_they_are_wanted(made):
    where = f"{made(text=['a', 'b'])}:/text"
    check_readable(open_dataset(where, numeric=False))


def test_external_link_is_followed(made):
    made("other.h5", x=[1.0, 2.0])
    with h5py.File("links.h5", "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "/x")
    check_readable(open_dataset("links.h5:/x"))


def unreadable(where):
    dataset = open_dataset(where)
    with pytest.raises(BadInput) as caught:
        check_readable(dataset)
    message = str(caught.value)
    assert "\n" not in message
    assert where in message
    return message


def test_damaged_chunk_is_refused(tmp_path):
    path = tmp_path / "damaged.h5"
    data = np.arange(1000.0)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", data=data, chunks=(100,), fletcher32=True)
        offset = dataset.id.get_chunk_info(9).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"damaged!")
    assert "can't be read" in unreadable(f"{path}:/x")


def test_missing_raw_data_is_refused(tmp_path):
    path = tmp_path / "raw.h5"
    raw = tmp_path / "raw.bin"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "x", (10,), "f8", external=[(str(raw), 0, h5py.h5f.UNLIMITED)]
        )
        dataset[:] = 1
    raw.unlink()
    assert "can't be read" in unreadable(f"{path}:/x")


def test_missing_source_of_a_virtual_dataset_is_refused(made):
    made("one.h5", x=np.ones(5))
    made("two.h5", x=np.ones(5))
    made("virtual.h5", own=np.ones(5))
    layout = h5py.VirtualLayout((3, 5), "f8")
    layout[0] = h5py.VirtualSource("one.h5", "x", (5,))
    layout[1] = h5py.VirtualSource("two.h5", "x", (5,))
    with h5py.File("virtual.h5", "a") as file:
        layout[2] = h5py.VirtualSource(file["own"])
        file.create_virtual_dataset("x", layout)
    where = f"{Path.cwd()}/virtual.h5:/x"
    check_readable(open_dataset(where))
    made("two.h5", other=np.ones(5))
    assert "'two.h5:x', which isn't there" in unreadable(where)
    Path("two.h5").unlink()
    assert "'two.h5', which isn't there" in unreadable(where)
