"""Tables in files: CSV, HDF5, and grids in TOML. Imports mpipar.core alone, of mpipar.

=================  =====================================================================================================
``.csv``           a header line, then rows; separated by comma, semicolon or tab. A column is int, float (an empty cell
                   is nan), bool (true, false) or str as a whole
``.toml``          a grid of all combinations of the lists in it; see :mod:`mpipar.inputs.grid`
``.h5:/name``      a one-dimensional dataset of a compound type, or a group of equally long one-dimensional datasets;
                   without a name, the whole file is the group; netCDF is decoded, see :mod:`mpipar.inputs.netcdf`
=================  =====================================================================================================
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Protocol

from mpipar.core.errors import BadInput
from mpipar.inputs.common import check_file, is_hdf5
from mpipar.inputs.csv_table import CsvTable
from mpipar.inputs.grid import Grid
from mpipar.inputs.numbers import read_numbers

__all__ = ["Table", "read_numbers", "read_table", "rows_in_slice"]


class Table(Protocol):
    """Rows with named columns. Values are plain int, float, bool or str."""

    columns: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows, at least 1."""
        ...

    def row(self, index: int) -> dict[str, Any]:
        """Return {column: value} of a row. Raises IndexError if there is no such row."""
        ...

    def column(self, name: str) -> list[Any]:
        """Return all values of a column. Raises BadInput if there is no such column."""
        ...


def read_table(path: Path | str) -> Table:
    """Return the table in a file; the same object at every call in a process.

    Parameters
    ----------
    path : Path or str
        A ``.csv``, ``.toml`` or HDF5 file, the latter also as ``file.h5:/name``.

    Raises
    ------
    BadInput
        If it can't be read, or isn't a table.
    """
    return _read_table(str(path))


def rows_in_slice(path: str, text: str) -> range:
    """Return the numbers of the rows in one of N near-equal slices of a table, such as ``"3/10"``. Raises BadInput."""
    part, _, parts = text.partition("/")
    if not (text.isascii() and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise BadInput(f"slice: expected I/N with I from 1 to N, such as 3/10, got {text!r}")
    count = len(read_table(path))
    return range(count * (int(part) - 1) // int(parts), count * int(part) // int(parts))


@functools.cache
def _read_table(where: str) -> Table:
    if is_hdf5(where):
        from mpipar.inputs.hdf5_table import Hdf5Table  # HDF5 takes time to load

        return Hdf5Table(where)
    path = Path(where)
    check_file(path)
    match path.suffix.lower():
        case ".csv":
            return CsvTable(path)
        case ".toml":
            return Grid(path)
        case suffix:
            raise BadInput(f"{where!r}: expected a .csv, .toml or .h5 file, got {suffix or 'a name without an ending'}")
