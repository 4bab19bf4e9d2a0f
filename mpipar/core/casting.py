"""Whether rows keep their values as another type."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpipar.core.partials import Array, same_integers


def change(rows: Array, dtype: np.dtype[Any]) -> str | None:
    """Return what would be changed if rows were stored as ``dtype``, or None.

    Floating-point numbers may be rounded to fewer digits, but not to infinity. All else is kept as
    it is.
    """
    if dtype.names:
        changes = (change(rows[name], dtype[name]) for name in dtype.names)
        return next((what for what in changes if what is not None), None)
    base = dtype.base
    if rows.dtype == base or not rows.size:
        return None
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            made = rows.astype(base)
    except (UnicodeError, ValueError, OverflowError) as error:
        return f"something else ({error})"
    kept = _kept(rows, made)
    if kept.all():
        return None
    first = int(np.argmin(kept.ravel()))
    return f"{rows.ravel()[first]!s:.40} as {made.ravel()[first]!s:.40}"


def _kept(rows: Array, made: Array) -> Array:
    """Return which rows have kept their value in another type."""
    kinds = rows.dtype.kind, made.dtype.kind
    if made.dtype.kind in "SU":
        return np.asarray(rows.astype(f"{made.dtype.kind}") == made)
    if made.dtype.kind in "mM":
        return np.asarray((made.astype(rows.dtype) == rows) | np.isnat(rows))
    if kinds[0] in "fc" and kinds[1] in "fc":
        return np.asarray(np.isfinite(made) | ~np.isfinite(rows))
    if kinds[0] in "iu" and kinds[1] in "iu":
        return np.asarray((made.astype(rows.dtype) == rows) & ((made < 0) == (rows < 0)))
    if kinds[0] in "iu" and kinds[1] in "fc":
        if same_integers(rows, made):
            return np.ones(rows.shape, bool)
        pairs = zip(rows.ravel(), made.ravel(), strict=True)
        return np.reshape(
            [same_integers(np.atleast_1d(i), np.atleast_1d(f)) for i, f in pairs], rows.shape
        )
    return np.ones(rows.shape, bool)
