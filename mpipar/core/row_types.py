"""Types of rows: one that can hold all, and rows as another type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from mpipar.core.mixed import types_in, values_in
from mpipar.core.partials import Array, DType, has_large, same_integers

Columns: TypeAlias = dict[str, list[DType | None]]
"""The types that each column has in rows of some types; None where some lack it."""

_FLOATS = "fc"
_INTEGERS = "iu"


def common_dtype(dtypes: Iterable[DType]) -> DType:
    """Return a type that can hold rows of all these types.

    Tables get the columns of all, in order of appearance; among tables, rows without columns have
    one named "value". Columns with numbers and text become text, and so do whole numbers of both
    signs that no type of 64 bits has all of, as they would be rounded. Other whole numbers that
    some rows lack become floats, as NaN can stand for them there;
    :func:`exact_dtype` tells where these would round them.
    """
    kinds = list(dict.fromkeys(dtypes))
    if not kinds:
        return np.dtype(float)
    if not any(kind.names for kind in kinds):
        return _promoted(kinds)
    columns = _columns_of(kinds)
    fields = [(name, _type_of_column(types)) for name, types in columns.items()]
    return np.dtype(fields)


def exact_dtype(
    dtype: DType,
    dtypes: Iterable[DType],
    pieces: Callable[[], Iterable[Array]],
) -> DType:
    """Return ``dtype``, which :func:`common_dtype` gave, with text for columns that would round
    whole numbers.

    Parameters
    ----------
    dtype : dtype
    dtypes : iterable of dtype
        Types of all rows.
    pieces : callable
        Returns the rows; asked only where their types don't tell.
    """
    kinds = list(dict.fromkeys(dtypes))
    if dtype.names is not None:
        return _exact_table(dtype, dtype.names, _columns_of(kinds), pieces)
    if not _may_round(dtype, kinds):
        return dtype
    if any(_is_rounded(rows, dtype) for rows in pieces()):
        return _as_text(dtype)
    return dtype


def _exact_table(
    dtype: DType,
    names: tuple[str, ...],
    columns: Columns,
    pieces: Callable[[], Iterable[Array]],
) -> DType:
    """Return the same for a table."""
    doubted = set()
    for name, types in columns.items():
        if _may_round(dtype[name], types):
            doubted.add(name)
    fields = {name: dtype[name] for name in names}
    for rows in pieces() if doubted else ():
        for name, _, values in _values(rows):
            if name in doubted and _is_rounded(values, dtype[name]):
                fields[name] = _as_text(dtype[name])
                doubted.discard(name)
    return np.dtype([*fields.items()])


def converted(rows: Array, dtype: DType) -> Array:
    """Return rows as ``dtype``, which :func:`common_dtype` gave; columns that they lack are NaN, 0
    or empty text.
    """
    if dtype.names is None or rows.dtype == dtype:
        return rows.astype(dtype, copy=False)
    table = blank_rows(rows.shape, dtype)
    for name, where, values in _values(rows):
        table[name][where] = values
    return table


def joined(pieces: Sequence[Array], dtype: DType) -> Array:
    """Return rows, all of a type that :func:`common_dtype` gave, one after the other."""
    count = sum(map(len, pieces))
    shape_of_row = pieces[0].shape[1:]
    rows = np.empty((count, *shape_of_row), dtype)  # concatenate takes long for tables
    position = 0
    for piece in pieces:
        rows[position : position + len(piece)] = piece
        position += len(piece)
    return rows


def blank_rows(shape: tuple[int, ...], dtype: DType) -> Array:
    """Return rows of NaN, or of 0 or empty text where there is no NaN."""
    rows = np.zeros(shape, dtype)
    for name in dtype.names or ():
        column = dtype[name]
        rows[name] = blank_rows(shape + column.shape, column.base)
    if dtype.kind in _FLOATS:
        rows[...] = np.nan
    return rows


def storable(text: str) -> str:
    """Return a text as HDF5 can hold it: what isn't Unicode, or is a NUL, is spelled out."""
    unicode = text.encode("utf-8", "backslashreplace").decode()
    return unicode.replace("\0", "\\x00")


def can_be_stored(rows: DType, dtype: DType) -> bool:
    """Return whether rows of a type can be stored as another."""
    if rows.names is None or dtype.names is None:
        return rows.names == dtype.names and np.can_cast(rows, dtype, "same_kind")
    if set(rows.names) != set(dtype.names):
        return False
    return all(can_be_stored(rows[name], dtype[name]) for name in dtype.names)


def is_of_numbers(dtype: DType) -> bool:
    """Return whether HDF5 stores the same bytes as NumPy has: not so for text."""
    if dtype.names is None:
        return dtype.base.kind in "biufc"
    return all(is_of_numbers(dtype[name]) for name in dtype.names)


def _may_round(dtype: DType, types: Iterable[DType | None]) -> bool:
    """Return whether whole numbers may be rounded as ``dtype``, of what their types tell."""
    if dtype.kind not in _FLOATS:
        return False
    return any(kind is not None and _has_64_bits(kind) for kind in types)


def _has_64_bits(kind: DType) -> bool:
    return kind.base.kind in _INTEGERS and kind.base.itemsize == 8


def _is_rounded(rows: Array, dtype: DType) -> bool:
    """Return whether there are whole numbers in rows that a type of floats doesn't hold."""
    made = rows.astype(dtype.base)
    return has_large(rows) and not same_integers(rows, made)


def _as_text(dtype: DType) -> DType:
    return np.result_type(dtype, "U20")


def _type_of_column(types: list[DType | None]) -> DType:
    """Return a type for a column that has these, None where some rows lack it."""
    there = [kind for kind in types if kind is not None]
    promoted = _promoted(there)
    some_lack_it = len(there) < len(types)
    if some_lack_it and promoted.kind in "biu":
        return np.promote_types(promoted, float)
    return promoted


def _promoted(types: list[DType]) -> DType:
    """Return a type for all; text of the digits for integers that no integer type has all of."""
    promoted = np.result_type(*types)
    of_integers = all(kind.kind in _INTEGERS for kind in types)
    if of_integers and promoted.kind == "f":
        return np.dtype("U20")
    return promoted


def _columns_of(kinds: list[DType]) -> Columns:
    tables: list[Columns] = []
    for kind in kinds:
        if kind.names:
            tables.append(types_in(kind))
        else:
            tables.append({"value": [kind]})
    columns: Columns = {}
    for table in tables:
        for name, types in table.items():
            columns.setdefault(name, []).extend(types)
    for name, types in columns.items():
        if not all(name in table for table in tables):
            types.append(None)
    return columns


def _values(rows: Array) -> Iterable[tuple[str, Any, Array]]:
    if rows.dtype.names:
        return values_in(rows)
    return [("value", slice(None), rows)]
