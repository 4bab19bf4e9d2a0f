"""Tables of more columns than HDF5 can describe as one type: groups with a dataset for each.

HDF5 describes the names and types of a table's columns in 64 KiB, which are of some 800 columns.
"""

from __future__ import annotations

import functools
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

_MOST_SURE_COLUMNS = 100  # which fit into 64 KiB whatever is in them, unless their names are odd
FORM = "mpipar_table"
"""The attribute that such a group has."""


class ColumnGroup:
    """A table as a group of equally long datasets, in the order of columns.

    Parameters
    ----------
    file : h5py.File
    name : str
        Name of the table.
    n : int
        Number of rows.
    dtype : dtype
        Its columns, as HDF5 stores them.
    settings : dict
        Keywords for each dataset.

    Attributes
    ----------
    attrs : h5py.AttributeManager
    dtype : dtype
    """

    def __init__(
        self,
        file: h5py.File,
        name: str,
        n: int,
        dtype: np.dtype[Any],
        settings: dict[str, Any],
    ) -> None:
        self.dtype = dtype
        self._group = file.create_group(name, track_order=True)
        self._group.attrs[FORM] = "columns"
        self.attrs = self._group.attrs
        self._columns = {
            column: self._group.create_dataset(column, (n,), dtype[column], **settings)
            for column in dtype.names or ()
        }

    def __setitem__(self, rows: slice, table: npt.NDArray[Any]) -> None:
        for name, column in self._columns.items():
            column[rows] = table[name]


class StoredColumns:
    """A table that is stored as such a group, read as one array with columns.

    Parameters
    ----------
    group : h5py.Group

    Attributes
    ----------
    dtype : dtype
        Its columns, as HDF5 stores them.
    shape : tuple of int
    """

    def __init__(self, group: h5py.Group) -> None:
        self._columns = {name: group[name] for name in group}
        types = [(name, column.dtype) for name, column in self._columns.items()]
        self.dtype = np.dtype(types)
        first = next(iter(self._columns.values()))
        self.shape: tuple[int, ...] = first.shape

    def __getitem__(self, selection: Any) -> npt.NDArray[Any]:
        if isinstance(selection, str):
            column: npt.NDArray[Any] = self._columns[selection][:]
            return column
        read = {}
        for name, column in self._columns.items():
            read[name] = np.asarray(column[selection])
        first = next(iter(read.values()))
        table = np.empty(first.shape, self.dtype)
        for name, column in read.items():
            table[name] = column
        return table


@functools.lru_cache(maxsize=16)
def fits_one_type(dtype: np.dtype[Any]) -> bool:
    """Return whether HDF5 can describe a type."""
    if len(dtype.names or ()) <= _MOST_SURE_COLUMNS:
        return True
    try:
        # In memory, and with the longest form of types.
        with h5py.File("columns.h5", "w", driver="core", backing_store=False) as file:
            file.create_dataset("rows", (0,), dtype)
    except (ValueError, RuntimeError, OSError):
        return False
    return True


def check_names(dtype: np.dtype[Any]) -> None:
    """Raise TypeError for columns that can't be the names of datasets in a group, or have columns
    themselves.
    """
    for name in dtype.names or ():
        if "/" in name or name == ".":
            raise TypeError(
                f"HDF5 can't hold a table of {len(dtype.names or ())} columns if one has a slash in"
                f" its name, as {name!r} has; rename it, or return fewer columns"
            )
        if dtype[name].names:
            raise TypeError(
                f"HDF5 can't hold a table of {len(dtype.names or ())} columns that has tables in"
                " columns"
            )
