"""Values as what can be compared to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def bits(value: Any) -> Any:
    """Return what equals that of another value only if both have the same types and bits.

    So -0.0 isn't 0.0, NaN is NaN, and 1 is neither 1.0 nor True.
    """
    return type(value), _content(value)


def _content(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, _items(value)
    if isinstance(value, np.generic):
        return value.tobytes()
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, complex):
        return value.real.hex(), value.imag.hex()
    if isinstance(value, Mapping):
        return dict(zip(value, map(bits, value.values()), strict=True))
    if isinstance(value, (tuple, list)):
        return list(map(bits, value))
    return value


def _items(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.hasobject:
        return list(map(bits, array.flat))
    return array.tobytes()


def check_same(got: Any, expected: Any, doing: str) -> None:
    """Raise AssertionError if two values differ in any bit.

    Parameters
    ----------
    got, expected : object
        The values.
    doing : str
        What brought the first one about, for the message.
    """
    if bits(got) != bits(expected):
        raise AssertionError(f"{doing}: got {got!r}, which isn't {expected!r} to the last bit")
