"""Tables in HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mpipar.base.errors import BadInput
from mpipar.inputs.common import split_where
from mpipar.inputs.csv_table import check_column
from mpipar.inputs.dataset import check_readable, open_object, reading
from mpipar.inputs.netcdf import (
    Variable,
    check_same_dimension,
    decoded,
    is_bare_dimension,
    variable_name,
)

PAGE = 4096
"""How many rows are read at once."""


class Hdf5Table:
    """A dataset of records, or a group of equally long datasets, as a
    :class:`~mpipar.inputs.table.Table`.

    Rows are read when they are asked for, a page at a time; the last page is kept.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        path, name = split_where(where)
        found = open_object(path, name or "/")
        self._datasets = (
            _of_records(where, found)
            if isinstance(found, h5py.Dataset)
            else _of_group(where, found)
        )
        self.columns = tuple(self._datasets)
        self._rows: int = self._datasets[self.columns[0]].shape[0]
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
            rows = slice(number * PAGE, (number + 1) * PAGE)
            self._page = self._read_page(rows)
            self._number = number
        return {name: values[place] for name, values in self._page.items()}

    def column(self, name: str) -> list[Any]:
        """Return the values of a column."""
        check_column(Path(self._where), name, self.columns)
        return self._read(name, slice(None))

    def _read_page(self, rows: slice) -> dict[str, list[Any]]:
        """Return the values of some rows, of records all at once: to read each column alone takes
        long for many.
        """
        records = self._datasets[self.columns[0]]
        if isinstance(records, Variable) or not records.dtype.names:
            return {name: self._read(name, rows) for name in self.columns}
        with reading(records):
            values = records[rows]
        return {name: _plain(values[name], f"{self._where}, {name}") for name in self.columns}

    def _read(self, name: str, rows: slice) -> list[Any]:
        dataset = self._datasets[name]
        with reading(dataset):
            if not isinstance(dataset, Variable) and dataset.dtype.names:
                values = dataset.fields(name)[rows]
            else:
                values = dataset[rows]
        return _plain(values, f"{self._where}, {name}")


def _of_records(where: str, dataset: h5py.Dataset) -> dict[str, h5py.Dataset | Variable]:
    """Return the dataset for each of its fields."""
    if not dataset.dtype.names:
        raise BadInput(
            f"{where!r}: expected records (a compound type) or a group, got a dataset of"
            f" {dataset.dtype}"
        )
    _check_shape(where, dataset)
    for name in dataset.dtype.names:
        _check_type(where, name, dataset.dtype[name])
    if isinstance(decoded(dataset), Variable):
        raise BadInput(
            f"{where!r}: records with attributes of netCDF for packed or missing values aren't"
            " decoded"
        )
    return dict.fromkeys(dataset.dtype.names, dataset)


def _of_group(where: str, group: h5py.Group) -> dict[str, h5py.Dataset | Variable]:
    """Return the datasets in a group; groups in it are left out, and dimensions of netCDF without
    values.
    """
    with reading(group):
        items = dict(group.items())
    for name, item in items.items():
        if item is None:
            raise BadInput(f"{where!r}: {name!r} is a link to what isn't there")
    datasets = {
        variable_name(name): item
        for name, item in items.items()
        if isinstance(item, h5py.Dataset) and not is_bare_dimension(item)
    }
    if not datasets:
        raise BadInput(f"{where!r}: there are no datasets in the group")
    sole = next(iter(datasets.values()))
    if len(datasets) == 1 and sole.dtype.names:
        return _of_records(where, sole)
    for name, dataset in datasets.items():
        _check_shape(where, dataset)
        _check_type(where, name, dataset.dtype)
    lengths = {name: len(dataset) for name, dataset in datasets.items()}
    shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
    if lengths[shortest] != lengths[longest]:
        raise BadInput(
            f"{where!r}: columns must be equally long; {shortest!r} has {lengths[shortest]} rows, "
            f"{longest!r} {lengths[longest]}"
        )
    check_same_dimension(where, datasets)
    with reading(group):
        return {name: decoded(dataset) for name, dataset in datasets.items()}


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


def _plain(values: npt.NDArray[Any], where: str) -> list[Any]:
    """Return values as those of Python."""
    if values.dtype.kind == "f":
        values = values.astype(np.float64)  # a long double would stay one
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in values.tolist()]
    except UnicodeDecodeError:
        raise BadInput(f"{where!r}: not UTF-8 text") from None
