"""Tables whose rows have values of several types in a column, or none: each value keeps its own
type.

Rows that are joined in a block must be what they are in blocks of their own. Hence a column of
several types is a field of text, named ``name NUL types``: each cell has the number of its type,
and the value as text. Names of columns have no NUL (:func:`mpipar.core.row_types.storable`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mpipar.core.partials import Array

_MARK = "\0"
_LACKING = "-"
_MOST_TYPES = 60


def table_of(rows: Sequence[Mapping[str, Array]]) -> Array:
    """Return the table of rows, which are {column: array of no dimension}; columns in order of
    appearance.
    """
    if len(rows) == 1:
        return _table_of_one(rows[0])
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [_field(name, [row.get(name) for row in rows]) for name in names]
    table = np.zeros(len(rows), [(name, values.dtype) for name, values in columns])
    for name, values in columns:
        table[name] = values
    return table


def _table_of_one(row: Mapping[str, Array]) -> Array:
    """Return the same of a single row, in less time."""
    table = np.zeros(1, _dtype(tuple((name, cell.dtype) for name, cell in row.items())))
    table[0] = tuple([cell[()] for cell in row.values()])
    return table


@functools.lru_cache(maxsize=100)
def _dtype(columns: tuple[tuple[str, np.dtype[Any]], ...]) -> np.dtype[Any]:
    return np.dtype([*columns])


def types_in(dtype: np.dtype[Any]) -> dict[str, list[np.dtype[Any] | None]]:
    """Return the types in each column of a table, None where some rows lack it."""
    assert dtype.names is not None
    found: dict[str, list[np.dtype[Any] | None]] = {}
    for field in dtype.names:
        name, mark, types = field.partition(_MARK)
        found[name] = _types(types) if mark else [dtype[field]]
    return found


def values_in(table: Array) -> Iterator[tuple[str, Any, Array]]:
    """Yield (column, rows, values) for the values of each type in each column of a table."""
    for field in table.dtype.names or ():
        name, mark, types = field.partition(_MARK)
        if not mark:
            yield name, slice(None), table[field]
            continue
        cells = table[field].tolist()
        for number, dtype in enumerate(_types(types)):
            where = [row for row, cell in enumerate(cells) if ord(cell[0]) - ord("A") == number]
            if dtype is not None and where:
                yield (
                    name,
                    where,
                    np.array([_parsed(cells[row][1:], dtype) for row in where], dtype),
                )


def _field(name: str, cells: list[Array | None]) -> tuple[str, Array]:
    """Return a column as a field: its name and its values."""
    kinds: dict[str, np.dtype[Any]] = {}
    for cell in cells:
        if cell is not None:
            key = "U" if cell.dtype.kind == "U" else cell.dtype.str
            kinds[key] = max(
                kinds.get(key, cell.dtype), cell.dtype, key=lambda dtype: dtype.itemsize
            )
    if len(kinds) == 1 and not any(cell is None for cell in cells):
        [dtype] = kinds.values()
        return name, np.array([cell[()] for cell in cells if cell is not None], dtype)
    assert len(kinds) < _MOST_TYPES
    order = [*kinds, _LACKING]
    texts = [_text(order, cell) for cell in cells]
    types = [kinds[key].str for key in kinds] + [_LACKING] * any(cell is None for cell in cells)
    return f"{name}{_MARK}{','.join(types)}", np.array(texts)


def _text(order: list[str], cell: Array | None) -> str:
    if cell is None:
        return chr(ord("A") + len(order) - 1)
    key = "U" if cell.dtype.kind == "U" else cell.dtype.str
    parts = (cell.real, cell.imag) if cell.dtype.kind == "c" else (cell,)
    return chr(ord("A") + order.index(key)) + " ".join(str(part[()]) for part in parts)


def _types(text: str) -> list[np.dtype[Any] | None]:
    return [None if one == _LACKING else np.dtype(one) for one in text.split(",")]


def _parsed(text: str, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return text == "True"
    if dtype.kind in "iu":
        return int(text)
    if dtype.kind == "c":
        real, imaginary = np.array(text.split(" "), _real(dtype))
        number = np.zeros((), dtype)
        number.real, number.imag = real, imaginary
        return number
    return dtype.type(text) if dtype.kind == "f" else text


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of the parts of complex numbers."""
    return np.zeros((), dtype).real.dtype
