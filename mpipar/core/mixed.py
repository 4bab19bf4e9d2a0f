"""Tables whose rows have values of several types in a column, or none: each value keeps its type.

Rows that are joined in a block must be what they are in blocks of their own. Hence a column of
several types is a field of text, named ``name NUL types``: each cell has the number of its type,
and the value as text. Names of columns have no NUL (:func:`mpipar.core.row_types.storable`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mpipar.core.partials import Array, DType

_MARK = "\0"
_LACKING = "-"
_FIRST_NUMBER = ord("A")
_MOST_TYPES = 60


def table_of(rows: Sequence[Mapping[str, Array]]) -> Array:
    """Return the table of rows, which are {column: array of no dimension}; columns in order of
    appearance.
    """
    if len(rows) == 1:
        return _table_of_one(rows[0])
    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(row)
    columns = {}
    for name in names:
        cells = [row.get(name) for row in rows]
        field, values = _field(name, cells)
        columns[field] = values
    types = [(field, values.dtype) for field, values in columns.items()]
    table = np.zeros(len(rows), types)
    for field, values in columns.items():
        table[field] = values
    return table


def _table_of_one(row: Mapping[str, Array]) -> Array:
    """Return the same of a single row, in less time."""
    types = tuple((name, cell.dtype) for name, cell in row.items())
    values = [cell[()] for cell in row.values()]
    table = np.zeros(1, _dtype(types))
    table[0] = tuple(values)
    return table


@functools.lru_cache(maxsize=100)
def _dtype(columns: tuple[tuple[str, DType], ...]) -> DType:
    return np.dtype([*columns])


def types_in(dtype: DType) -> dict[str, list[DType | None]]:
    """Return the types in each column of a table, None where some rows lack it."""
    assert dtype.names is not None
    found: dict[str, list[DType | None]] = {}
    for field in dtype.names:
        name, mark, types = field.partition(_MARK)
        if mark:
            found[name] = _types(types)
        else:
            found[name] = [dtype[field]]
    return found


def values_in(table: Array) -> Iterator[tuple[str, Any, Array]]:
    """Yield (column, rows, values) for the values of each type in each column of a table."""
    for field in table.dtype.names or ():
        name, mark, types = field.partition(_MARK)
        if not mark:
            yield name, slice(None), table[field]
            continue
        cells = table[field].tolist()
        for where, values in _values_by_type(cells, _types(types)):
            yield name, where, values


def _values_by_type(
    cells: list[str],
    types: list[DType | None],
) -> Iterator[tuple[list[int], Array]]:
    """Yield (rows, values) for each type in a column of several."""
    for number, dtype in enumerate(types):
        if dtype is None:
            continue
        where = [row for row, cell in enumerate(cells) if _number_in(cell) == number]
        if where:
            values = [_parsed(cells[row][1:], dtype) for row in where]
            yield where, np.array(values, dtype)


def _field(name: str, cells: list[Array | None]) -> tuple[str, Array]:
    """Return a column as a field: its name and its values."""
    there = [cell for cell in cells if cell is not None]
    some_lack_it = len(there) < len(cells)
    kinds = _widest_types(there)
    if len(kinds) == 1 and not some_lack_it:
        [dtype] = kinds.values()
        values = [cell[()] for cell in there]
        return name, np.array(values, dtype)
    assert len(kinds) < _MOST_TYPES
    order = [*kinds, _LACKING]
    types = [dtype.str for dtype in kinds.values()]
    if some_lack_it:
        types.append(_LACKING)
    texts = [_text(order, cell) for cell in cells]
    field = f"{name}{_MARK}{','.join(types)}"
    return field, np.array(texts)


def _widest_types(cells: list[Array]) -> dict[str, DType]:
    """Return the types of cells, in order of appearance; of all lengths of text the longest."""
    kinds: dict[str, DType] = {}
    for cell in cells:
        key = _key(cell)
        if key not in kinds or cell.dtype.itemsize > kinds[key].itemsize:
            kinds[key] = cell.dtype
    return kinds


def _key(cell: Array) -> str:
    return "U" if cell.dtype.kind == "U" else cell.dtype.str


def _text(order: list[str], cell: Array | None) -> str:
    """Return a cell as the number of its type, and its value."""
    if cell is None:
        return chr(_FIRST_NUMBER + order.index(_LACKING))
    number = chr(_FIRST_NUMBER + order.index(_key(cell)))
    if cell.dtype.kind == "c":
        return f"{number}{cell.real[()]!s} {cell.imag[()]!s}"
    return f"{number}{cell[()]!s}"


def _number_in(cell: str) -> int:
    return ord(cell[0]) - _FIRST_NUMBER


def _types(text: str) -> list[DType | None]:
    types: list[DType | None] = []
    for one in text.split(","):
        if one == _LACKING:
            types.append(None)
        else:
            types.append(np.dtype(one))
    return types


def _parsed(text: str, dtype: DType) -> Any:
    """Return the value that a text stands for."""
    match dtype.kind:
        case "b":
            return text == "True"
        case "i" | "u":
            return int(text)
        case "f":
            return dtype.type(text)
        case "c":
            return _parsed_complex(text, dtype)
    return text


def _parsed_complex(text: str, dtype: DType) -> Any:
    number = np.zeros((), dtype)
    type_of_parts = number.real.dtype
    real, imaginary = np.array(text.split(" "), type_of_parts)
    number.real = real
    number.imag = imaginary
    return number
