"""Tables in HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.core.reduction import Array
from mpipar.inputs.common import split_where
from mpipar.inputs.csv_table import check_column
from mpipar.inputs.dataset import check_readable, open_object, reading
from mpipar.inputs.netcdf import check_same_dimension, decoded
from mpipar.inputs.netcdf_attributes import is_bare_dimension, variable_name
from mpipar.inputs.packed import Variable

PAGE = 4096
"""How many rows are read at once."""

_Column: TypeAlias = h5py.Dataset | Variable


class Hdf5Table:
    """A dataset of records, or a group of equally long ones, as a Table.

    Rows are read when they are asked for, a page at a time; the last page is kept.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        path, name = split_where(where)
        found = open_object(path, name or "/")
        if isinstance(found, h5py.Dataset):
            self._datasets = _of_records(where, found)
        else:
            self._datasets = _of_group(where, found)
        self.columns = tuple(self._datasets)
        first = self._datasets[self.columns[0]]
        self._rows: int = first.shape[0]
        self._number = -1
        self._page: dict[str, list[Any]] = {}
        for dataset in set(self._datasets.values()):
            check_readable(dataset)

    def __len__(self) -> int:
        return self._rows

    def row(self, index: int) -> dict[str, Any]:
        """Return the values of a row."""
        if not -self._rows <= index < self._rows:
            raise IndexError(f"row {index} of {self._rows}")
        number, place = divmod(index % self._rows, PAGE)
        if number != self._number:
            start = number * PAGE
            rows = slice(start, start + PAGE)
            self._page = self._read_page(rows)
            self._number = number
        return {name: values[place] for name, values in self._page.items()}

    def column(self, name: str) -> list[Any]:
        """Return the values of a column."""
        check_column(Path(self._where), name, self.columns)
        return self._read(name, slice(None))

    def _read_page(self, rows: slice) -> dict[str, list[Any]]:
        """Return the values of some rows.

        Those of records are read at once: to read each column alone takes long for many.
        """
        dataset = self._datasets[self.columns[0]]
        if not _has_records(dataset):
            return {name: self._read(name, rows) for name in self.columns}
        with reading(dataset):
            records = dataset[rows]
        return {name: self._plain(name, records[name]) for name in self.columns}

    def _read(self, name: str, rows: slice) -> list[Any]:
        dataset = self._datasets[name]
        with reading(dataset):
            if _has_records(dataset):
                values = dataset.fields(name)[rows]
            else:
                values = dataset[rows]
        return self._plain(name, values)

    def _plain(self, name: str, values: Array) -> list[Any]:
        return _plain(values, f"{self._where}, {name}")


def _has_records(dataset: _Column) -> TypeGuard[h5py.Dataset]:
    return not isinstance(dataset, Variable) and bool(dataset.dtype.names)


def _of_records(where: str, dataset: h5py.Dataset) -> dict[str, _Column]:
    """Return the dataset for each of its fields."""
    if not dataset.dtype.names:
        expected = "records (a compound type) or a group"
        raise BadInput(f"{where!r}: expected {expected}, got a dataset of {dataset.dtype}")
    _check_shape(where, dataset)
    for name in dataset.dtype.names:
        _check_type(where, name, dataset.dtype[name])
    if isinstance(decoded(dataset), Variable):
        raise BadInput(
            f"{where!r}: records with attributes of netCDF for packed or missing values"
            " aren't decoded"
        )
    return dict.fromkeys(dataset.dtype.names, dataset)


def _of_group(where: str, group: h5py.Group) -> dict[str, _Column]:
    """Return the columns of a group: its datasets, or the fields of the only one."""
    datasets = _datasets_in(where, group)
    first, *others = datasets.values()
    if not others and first.dtype.names:
        return _of_records(where, first)
    for name, dataset in datasets.items():
        _check_shape(where, dataset)
        _check_type(where, name, dataset.dtype)
    _check_same_length(where, datasets)
    check_same_dimension(where, datasets)
    with reading(group):
        return {name: decoded(dataset) for name, dataset in datasets.items()}


def _datasets_in(where: str, group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Return the datasets in a group, but for dimensions of netCDF without values."""
    with reading(group):
        items = dict(group.items())
    for name, item in items.items():
        if item is None:
            raise BadInput(f"{where!r}: {name!r} is a link to what isn't there")
    datasets = {}
    for name, item in items.items():
        if isinstance(item, h5py.Dataset) and not is_bare_dimension(item):
            datasets[variable_name(name)] = item
    if not datasets:
        raise BadInput(f"{where!r}: there are no datasets in the group")
    return datasets


def _check_same_length(where: str, datasets: dict[str, h5py.Dataset]) -> None:
    lengths = {name: len(dataset) for name, dataset in datasets.items()}
    shortest = min(lengths, key=lengths.__getitem__)
    longest = max(lengths, key=lengths.__getitem__)
    if lengths[shortest] != lengths[longest]:
        raise BadInput(
            f"{where!r}: columns must be equally long;"
            f" {shortest!r} has {lengths[shortest]} rows, {longest!r} {lengths[longest]}"
        )


def _check_shape(where: str, dataset: h5py.Dataset) -> None:
    if dataset.shape is None or len(dataset.shape) != 1:
        raise BadInput(
            f"{where!r}: expected a list of rows, got {dataset.name!r} of shape {dataset.shape}"
        )
    if dataset.size == 0:
        raise BadInput(f"{where!r}: there are no rows in {dataset.name!r}")


def _check_type(where: str, name: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biufS" and h5py.check_string_dtype(dtype) is None:
        raise BadInput(
            f"{where!r}: column {name!r}: expected numbers, text, true or false, got {dtype}"
        )


def _plain(values: Array, where: str) -> list[Any]:
    """Return values as those of Python."""
    if values.dtype.kind == "f":
        values = _as_doubles(values, where)
    try:
        return list(map(_decoded_text, values.tolist()))
    except UnicodeDecodeError:
        raise BadInput(f"{where!r}: not UTF-8 text") from None


def _as_doubles(values: Array, where: str) -> Array:
    """Return floats as those of Python. Raises BadInput for long doubles that would be rounded."""
    doubles = values.astype(np.float64)
    is_same = (doubles == values) | np.isnan(values)
    if not is_same.all():
        raise BadInput(f"{where!r}: numbers of more than 64 bits; store them as float64")
    return doubles


def _decoded_text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
