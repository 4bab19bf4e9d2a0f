"""Tries whether a user's function has a value for each item alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.inputs.common import Function, one_line, shortened

_RELATIVE = 1e-6  # functions may round otherwise for other numbers of items, as sums of vectors do


def check_each_alone(
    name: str,
    function: Function,
    columns: list[Any],
    *,
    real: bool = False,
) -> None:
    """Refuse a function whose value at an item depends on what else is in the block.

    Blocks have any size, and the result must be the same for all of them.

    Parameters
    ----------
    name : str
        What the user calls the function.
    function : callable
        Takes an array for each variable, and returns a value for each item, or one for all.
    columns : list of array
        Some items, in no order: an array for each variable.
    real : bool
        Refuse complex values too.

    Raises
    ------
    BadInput
        If the function doesn't take arrays, hasn't one number for each item, or has other values
        for items alone.
    """
    count = len(columns[0])
    try:
        together = _values(name, function, columns, count)
        apart = [_value_alone(name, function, columns, item) for item in range(count)]
    except (BadInput, TypeError, ValueError) as error:
        raise _refusal(name, count, error) from error
    except Exception:  # for these values perhaps: the run will tell of it, or go on without them
        return
    if real and together.dtype.kind == "c":
        what = f"the values of {shortened(name)} are complex"
        raise BadInput(f"f: {what}; take real(f) and imag(f) apart")
    for item, alone in enumerate(apart):
        if not _is_same(alone, together[item]):
            raise BadInput(
                f"f: the value of {shortened(name)} at a point"
                " depends on the other points of its block:"
                f" {alone} alone, {together[item]} among {count};"
                " let it take each point by itself (np.maximum, not np.max)"
            )


def _value_alone(
    name: str,
    function: Function,
    columns: list[Any],
    item: int,
) -> Any:
    alone = [column[item : item + 1] for column in columns]
    return _values(name, function, alone, 1)[0]


def _values(
    name: str,
    function: Function,
    columns: list[Any],
    count: int,
) -> Any:
    with np.errstate(all="ignore"):
        values = np.asarray(function(*columns))
    if values.dtype.kind not in "biufc":
        raise BadInput(f"f: expected numbers of {shortened(name)}, got {values.dtype}")
    if values.shape[:1] not in ((), (count,)):
        expected = f"a value of {shortened(name)} for each of {count} points"
        raise BadInput(f"f: expected {expected}, got shape {values.shape}")
    return np.broadcast_to(values, (count, *values.shape[1:]))


def _refusal(name: str, count: int, error: Exception) -> BadInput:
    if not isinstance(error, BadInput):
        return BadInput(
            f"f: {shortened(name)} fails for arrays of {count} points: {one_line(error)};"
            " if it takes one number, wrap it: numpy.vectorize(f)"
        )
    if "bitwise_xor" in str(error):
        return BadInput(f"{shortened(name)}: ^ is not a power; write **")
    return error


def _is_same(one: Any, other: Any) -> bool:
    return bool(np.allclose(one, other, rtol=_RELATIVE, atol=0.0, equal_nan=True))
