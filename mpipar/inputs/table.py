"""Tables in files: CSV, HDF5, and grids in TOML.

=============  ==================================================================================
``.csv``       a header line, then rows; separated by comma, semicolon or tab. A column is int,
               float (an empty cell is nan), bool (true, false) or str as a whole: numbers where
               one format prints all of them back as they were, or where the type is named
``.toml``      a grid of all combinations of the lists in it; see :mod:`mpipar.inputs.grid`
``.h5:/name``  a one-dimensional dataset of a compound type, or a group of equally long
               one-dimensional datasets; without a name, the whole file is the group; netCDF is
               decoded, see :mod:`mpipar.inputs.netcdf`
=============  ==================================================================================
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, Protocol

from mpipar.base.errors import BadInput
from mpipar.inputs.common import check_file, is_hdf5
from mpipar.inputs.csv_table import CsvTable, Reading
from mpipar.inputs.grid import Grid
from mpipar.inputs.numbers import read_numbers

__all__ = ["Reading", "Table", "read_numbers", "read_table", "rows_in_slice"]


class Table(Protocol):
    """Rows with named columns.

    Values are plain int, float, bool, str, or date or datetime if asked for.
    """

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


def read_table(path: Path | str, reading: Reading | None = None) -> Table:
    """Return the table in a file; the same object at every call in a process.

    Parameters
    ----------
    path : Path or str
        A ``.csv``, ``.toml`` or HDF5 file, the latter also as ``file.h5:/name``.
    reading : Reading, optional
        How a CSV file is read. In others, columns have types of their own.

    Raises
    ------
    BadInput
        If it can't be read, or isn't a table.
    """
    is_csv = Path(path).suffix.lower() == ".csv"
    return _read_table(str(path), reading if is_csv else None)


@functools.lru_cache(maxsize=10)
def rows_in_slice(count: int, text: str) -> range:
    """Return the numbers of the rows in one of N near-equal slices of so many, such as ``"3/10"``.

    Raises BadInput.
    """
    part = parts = 0
    if re.fullmatch("[0-9]+/[0-9]+", text):
        part, parts = map(int, text.split("/"))
    if not 1 <= part <= parts:
        raise BadInput(f"slice: expected I/N with I from 1 to N, such as 3/10, got {text!r}")
    first = count * (part - 1) // parts
    end = count * part // parts
    return range(first, end)


@functools.cache
def _read_table(where: str, reading: Reading | None) -> Table:
    if is_hdf5(where):
        from mpipar.inputs.hdf5_table import Hdf5Table  # HDF5 takes time to load

        return Hdf5Table(where)
    path = Path(where)
    check_file(path)
    match path.suffix.lower():
        case ".csv":
            return CsvTable(path, reading)
        case ".toml":
            return Grid(path)
        case suffix:
            got = suffix or "a name without an ending"
            raise BadInput(f"{where!r}: expected a .csv, .toml or .h5 file, got {got}")
