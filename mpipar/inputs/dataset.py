"""Datasets in HDF5 files: ``file.h5:/group/name``."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import h5py

from mpipar.base.errors import BadInput
from mpipar.inputs.common import check_file, listed, reason_of, split_where
from mpipar.inputs.netcdf import check_signature, decoded
from mpipar.inputs.netcdf_attributes import is_bare_dimension
from mpipar.inputs.packed import Variable


@functools.cache
def open_dataset(where: str, numeric: bool = True) -> h5py.Dataset | Variable:
    """Return a dataset, open for reading, decoded if netCDF packed it.

    It is the same object at every call in a process.

    Parameters
    ----------
    where : str
        ``file.h5:/group/name``, or ``file.h5`` if there is one dataset in the file.
    numeric : bool
        Whether it must hold numbers (or true and false).

    Raises
    ------
    BadInput
        If it can't be opened, or if it has no rows or no numbers. Whether all of it can be read is
        not looked at; see :func:`check_readable`.
    """
    path, name = split_where(where)
    dataset = open_object(path, name or _sole_dataset(path))
    if not isinstance(dataset, h5py.Dataset):
        raise BadInput(f"{where!r}: a group, not a dataset; {_what_there_is(path)}")
    if dataset.shape is None or dataset.size == 0:
        raise BadInput(f"{where!r}: the dataset is empty")
    if dataset.shape == ():
        raise BadInput(f"{where!r}: the dataset is a single value, without rows")
    if numeric and dataset.dtype.kind not in "biufc":
        raise BadInput(f"{where!r}: expected numbers, got a dataset of {dataset.dtype}")
    with reading(dataset):
        return decoded(dataset)


def open_object(path: Path, name: str) -> h5py.Dataset | h5py.Group:
    """Return a dataset or a group of a file. Raises BadInput if it isn't there."""
    file = _open_file(str(path))
    try:
        found = file[name]
    except (KeyError, ValueError, OSError, RuntimeError) as error:
        raise BadInput(
            f"{str(path)!r} has no {name!r} ({reason_of(error)}); {_what_there_is(path)}"
        ) from None
    if not isinstance(found, h5py.Dataset | h5py.Group):
        raise BadInput(f"{str(path)!r}: {name!r} is a type, not a dataset; {_what_there_is(path)}")
    return found


def check_readable(dataset: h5py.Dataset | Variable) -> None:
    """Raise BadInput if the first or the last row can't be read, or if files that hold the data are
    missing.

    What netCDF packed is read as a whole: any value may be one that is refused.
    """
    with reading(dataset):
        if isinstance(dataset, Variable):
            dataset.check()
            dataset = dataset.raw
        dataset[0]
        dataset[-1]
        if not dataset.is_virtual:
            return
        _check_sources(dataset)


@contextlib.contextmanager
def reading(dataset: h5py.Dataset | h5py.Group | Variable) -> Iterator[None]:
    """Turn what HDF5 raises if it can't read into BadInput."""
    try:
        yield
    except (OSError, RuntimeError, KeyError) as error:
        raise BadInput(f"{_name_of(dataset)!r}: can't be read ({reason_of(error)})") from None


def _check_sources(dataset: h5py.Dataset) -> None:
    """Check that the sources of a virtual dataset are there: for others, HDF5 gives fill values."""
    sources = {(source.file_name, source.dset_name) for source in dataset.virtual_sources()}
    for file, name in sources:
        is_pattern = "%" in file + name  # it stands for as many files as there are
        if not is_pattern:
            _check_source(dataset, file, name)


def _check_source(dataset: h5py.Dataset, file: str, name: str) -> None:
    if file == ".":
        is_there = name in dataset.file
    else:
        with h5py.File(_source_file(dataset, file), "r") as source:
            is_there = name in source
    if not is_there:
        where = f"{file}:{name}"
        raise BadInput(f"{_name_of(dataset)!r}: its data is in {where!r}, which isn't there")


def _source_file(dataset: h5py.Dataset, file: str) -> Path:
    folder = Path(dataset.file.filename).parent
    for path in (folder / file, Path(file)):
        if path.is_file():
            return path
    raise BadInput(f"{_name_of(dataset)!r}: its data is in {file!r}, which isn't there")


def _name_of(dataset: h5py.Dataset | h5py.Group | Variable) -> str:
    return f"{dataset.file.filename}:{dataset.name}"


@functools.cache
def _open_file(path: str) -> h5py.File:
    check_file(Path(path))
    if not h5py.is_hdf5(path):
        check_signature(path)
        raise BadInput(f"{path!r}: not an HDF5 file")
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"{path!r}: can't be opened as HDF5 ({reason_of(error)})") from None


def _sole_dataset(path: Path) -> str:
    """Return the name of the dataset of a file that has one."""
    names = _datasets(path, most=2)
    if len(names) != 1:
        where = f"{path}:NAME"
        raise BadInput(f"{str(path)!r}: which dataset? Write {where!r}; {_what_there_is(path)}")
    return names[0]


def _what_there_is(path: Path) -> str:
    """Return the datasets of a file, in words."""
    names = _datasets(path)
    if not names:
        return "there are no datasets in it"
    return f"datasets in it are {listed(names)}"


def _datasets(path: Path, most: int = 11) -> list[str]:
    """Return the names of the first datasets in a file."""
    names: list[str] = []

    def note(name: str, found: h5py.HLObject) -> bool | None:
        if isinstance(found, h5py.Dataset) and not is_bare_dimension(found):
            names.append(f"/{name}")
        return True if len(names) >= most else None  # True ends the visit

    # Of a damaged file, those that were found.
    with contextlib.suppress(OSError, RuntimeError, KeyError):
        _open_file(str(path)).visititems(note)
    return names
