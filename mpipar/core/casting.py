"""Whether rows keep their values as another type."""

from __future__ import annotations

import numpy as np

from mpipar.core.partials import Array, DType, same_integers

_INTEGERS = "iu"
_FLOATS = "fc"
_TEXT = "SU"
_DATES = "mM"


def change(rows: Array, dtype: DType) -> str | None:
    """Return what would be changed if rows were stored as ``dtype``, or None.

    Floating-point numbers may be rounded to fewer digits, but not to infinity. All else is kept as
    it is.
    """
    if dtype.names:
        return _change_of_table(rows, dtype)
    base = dtype.base
    if rows.dtype == base or not rows.size:
        return None
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            made = rows.astype(base)
    except (ValueError, OverflowError) as error:
        return f"something else ({error})"
    kept = _kept(rows, made)
    if kept.all():
        return None
    first = int(np.argmin(kept.ravel()))
    before = rows.ravel()[first]
    after = made.ravel()[first]
    return f"{before!s:.40} as {after!s:.40}"


def _change_of_table(rows: Array, dtype: DType) -> str | None:
    """Return the first change in a column, or None."""
    for name in dtype.names or ():
        changed = change(rows[name], dtype[name])
        if changed is not None:
            return changed
    return None


def _kept(rows: Array, made: Array) -> Array:
    """Return which rows have kept their value in another type."""
    before = rows.dtype.kind
    after = made.dtype.kind
    if after in _TEXT:
        return np.asarray(rows.astype(after) == made)
    if after in _DATES:
        is_same = made.astype(rows.dtype) == rows
        return np.asarray(is_same | np.isnat(rows))
    if before in _FLOATS and after in _FLOATS:
        return np.asarray(np.isfinite(made) | ~np.isfinite(rows))
    if before in _INTEGERS:
        return _kept_integers(rows, made)
    return np.ones(rows.shape, bool)


def _kept_integers(rows: Array, made: Array) -> Array:
    """Return which whole numbers have kept their value in another type."""
    after = made.dtype.kind
    if after in _INTEGERS:
        is_same = made.astype(rows.dtype) == rows
        has_same_sign = (made < 0) == (rows < 0)
        return np.asarray(is_same & has_same_sign)
    if after not in _FLOATS or same_integers(rows, made):
        return np.ones(rows.shape, bool)
    kept = []
    for whole, real in zip(rows.ravel(), made.ravel(), strict=True):
        is_kept = same_integers(np.atleast_1d(whole), np.atleast_1d(real))
        kept.append(is_kept)
    return np.reshape(kept, rows.shape)
