"""Types of rows: one that can hold all, and rows as another type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mpipar.core.mixed import types_in, values_in
from mpipar.core.partials import Array, has_large, same_integers


def common_dtype(dtypes: Iterable[np.dtype[Any]]) -> np.dtype[Any]:
    """Return a type that can hold rows of all these types.

    Tables get the columns of all, in order of appearance; among tables, rows without columns have
    one named "value". Columns with numbers and text become text, and so do whole numbers of both
    signs that no type of 64 bits has all of, as they would be rounded. Other whole numbers that
    some rows lack become floats, as NaN can stand for them there;
    :func:`exact_dtype` tells where these would round them.
    """
    kinds = list(dict.fromkeys(dtypes))
    if not any(kind.names for kind in kinds):
        return _promoted(*kinds) if kinds else np.dtype(float)
    columns = _types_of_columns(kinds)
    fields = []
    for name, types in columns.items():
        promoted = _promoted(*(kind for kind in types if kind is not None))
        if None in types and promoted.kind in "biu":
            promoted = np.promote_types(promoted, float)
        fields.append((name, promoted))
    return np.dtype(fields)


def exact_dtype(
    dtype: np.dtype[Any], dtypes: Iterable[np.dtype[Any]], pieces: Callable[[], Iterable[Array]]
) -> Any:
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
    if dtype.names is None:
        doubted = dtype.kind in "fc" and any(map(_has_64_bits, kinds))
        rounded = doubted and any(_is_rounded(rows, dtype) for rows in pieces())
        return _as_text(dtype) if rounded else dtype
    columns = _types_of_columns(kinds)
    candidates = {
        name
        for name, types in columns.items()
        if dtype[name].kind in "fc" and any(map(_has_64_bits, filter(None, types)))
    }
    found: set[str] = set()
    for rows in pieces() if candidates else ():
        for name, _, values in _values(rows):
            if name in candidates - found and _is_rounded(values, dtype[name]):
                found.add(name)
    return np.dtype(
        [(name, _as_text(dtype[name]) if name in found else dtype[name]) for name in dtype.names]
    )


def converted(rows: Array, dtype: np.dtype[Any]) -> Array:
    """Return rows as ``dtype``, which :func:`common_dtype` gave; columns that they lack are NaN, 0
    or empty text.
    """
    if dtype.names is None or rows.dtype == dtype:
        return rows.astype(dtype, copy=False)
    table = blank_rows(rows.shape, dtype)
    for name, where, values in _values(rows):
        table[name][where] = values
    return table


def joined(pieces: Sequence[Array], dtype: np.dtype[Any]) -> Array:
    """Return rows, all of a type that :func:`common_dtype` gave, one after the other."""
    rows = np.empty(
        (sum(map(len, pieces)), *pieces[0].shape[1:]), dtype
    )  # concatenate takes long for tables
    position = 0
    for piece in pieces:
        rows[position : position + len(piece)] = piece
        position += len(piece)
    return rows


def _has_64_bits(kind: np.dtype[Any]) -> bool:
    return kind.base.kind in "iu" and kind.base.itemsize == 8


def _is_rounded(rows: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether there are whole numbers in rows that a type of floats doesn't hold."""
    return has_large(rows) and not same_integers(rows, rows.astype(dtype.base))


def _as_text(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.result_type(dtype, "U20")


def _promoted(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type for all; text of the digits for integers that no integer type has all of."""
    promoted = np.result_type(*dtypes)
    of_integers = all(dtype.kind in "iu" for dtype in dtypes)
    return np.dtype("U20") if of_integers and promoted.kind == "f" else promoted


def _types_of_columns(kinds: list[np.dtype[Any]]) -> dict[str, list[np.dtype[Any] | None]]:
    """Return the types that each column has in rows of these types; None where some lack it."""
    tables = [types_in(kind) if kind.names else {"value": [kind]} for kind in kinds]
    columns: dict[str, list[np.dtype[Any] | None]] = {}
    for table in tables:
        for name, types in table.items():
            columns.setdefault(name, []).extend(types)
    for name, types in columns.items():
        if not all(name in table for table in tables):
            types.append(None)
    return columns


def _values(rows: Array) -> Iterable[tuple[str, Any, Array]]:
    return values_in(rows) if rows.dtype.names else [("value", slice(None), rows)]


def blank_rows(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return rows of NaN, or of 0 or empty text where there is no NaN."""
    rows = np.zeros(shape, dtype)
    for name in dtype.names or ():
        rows[name] = blank_rows(shape + dtype[name].shape, dtype[name].base)
    if dtype.kind in "fc":
        rows[...] = np.nan
    return rows


def storable(text: str) -> str:
    """Return a text as HDF5 can hold it: what isn't Unicode, or is a NUL, is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
