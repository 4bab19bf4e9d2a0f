"""Totals as bytes and back, without pickle: reading them can't run code.

The bytes are JSON. What JSON hasn't is an object with one key that names it::

    {"i": "123"}  integers beyond 53 bits    {"f": "0x1.8p+1"}  floats    {"t": […]}  tuples
    {"d": [[key, value], …]}  dicts          {"a": "…"}  arrays, as .npy in base 64
    {"o": [shape, […]]}  arrays of integers  {"x": […]}  ExactArray       {"b": "…"}  bytes
    {"c": ["…", "…"]}  complex numbers
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.base.json_text import compact_json, json_value
from mpipar.core.exact import ExactArray

_EXACT_IN_JSON = 2**53


def encode(value: Any) -> bytes:
    """Return a value as bytes. Raises TypeError for what isn't plain Python or NumPy."""
    return compact_json(_plain(value)).encode()


def decode(data: bytes) -> Any:
    """Return the value that :func:`encode` got. Raises ValueError for anything else."""
    try:
        return _value(json_value(data))
    except Exception as error:  # NumPy's reader alone raises half a dozen kinds
        raise ValueError(f"not a stored total: {error!r}") from None


def _plain(value: Any) -> Any:
    """Return a value as what JSON has."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic) and not value.dtype.hasobject:
        return {"a": _npy(np.asarray(value)), "s": 1}
    if isinstance(value, (int, float, complex)):
        return _plain_number(value)
    if isinstance(value, bytes):
        return {"b": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, ExactArray):
        return {"x": _state_of(value)}
    return _plain_container(value)


def _state_of(sums: ExactArray) -> list[Any]:
    """Return what :func:`_exact` makes an ExactArray of."""
    state = (
        sums.shape,
        sums.low,
        sums.words,
        sums.special,
        sums.additions,
        sums.whole,
    )
    return [_plain(item) for item in state]


def _plain_number(value: complex) -> Any:
    if isinstance(value, int):
        if abs(value) < _EXACT_IN_JSON:
            return value
        return {"i": hex(value)}
    if isinstance(value, float):
        return {"f": value.hex()}
    parts = (value.real, value.imag)
    return {"c": [part.hex() for part in parts]}


def _plain_container(value: Any) -> Any:
    """Return a list, tuple or dict, but not of a class made from these. Raises TypeError for all
    else.
    """
    kind = type(value)
    if kind is list:
        return [_plain(item) for item in value]
    if kind is tuple:
        return {"t": [_plain(item) for item in value]}
    if kind is dict:
        pairs = []
        for key, item in value.items():
            pairs.append([_plain(key), _plain(item)])
        return {"d": pairs}
    raise TypeError(f"a {kind.__name__} can't be stored")


def _plain_array(array: np.ndarray[Any, Any]) -> Any:
    is_of_objects = array.dtype == object
    if is_of_objects and all(isinstance(item, int) for item in array.flat):
        items = [_plain(int(item)) for item in array.flat]
        return {"o": [list(array.shape), items]}
    if array.dtype.hasobject:
        raise TypeError(f"an array of {array.dtype} can't be stored")
    return {"a": _npy(array)}


_NPY_VERSION = (3, 0)  # names of fields in UTF-8


def _npy(array: np.ndarray[Any, Any]) -> str:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, _NPY_VERSION, allow_pickle=False)
    return base64.b64encode(file.getbuffer()).decode()


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    kind = next(iter(plain))
    return _READERS[kind](plain)


def _array(plain: dict[str, Any]) -> Any:
    file = io.BytesIO(_bytes(plain["a"]))
    array = np.lib.format.read_array(file, allow_pickle=False)
    if "s" in plain:
        return array[()]
    return array


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _complex(plain: dict[str, Any]) -> complex:
    real, imaginary = map(float.fromhex, plain["c"])
    return complex(real, imaginary)


def _dict(plain: dict[str, Any]) -> dict[Any, Any]:
    found = {}
    for key, item in plain["d"]:
        found[_value(key)] = _value(item)
    return found


def _integers(plain: dict[str, Any]) -> Any:
    shape, items = plain["o"]
    array = np.empty(len(items), object)
    array[:] = [_value(item) for item in items]
    return array.reshape(shape)


def _exact(plain: dict[str, Any]) -> ExactArray:
    shape, low, words, special, additions, whole = map(_value, plain["x"])
    exact = ExactArray(shape)
    exact.low = low
    exact.words = words
    exact.special = special
    exact.additions = additions
    exact.whole = whole
    return exact


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a": _array,
    "b": lambda plain: _bytes(plain["b"]),
    "c": _complex,
    "d": _dict,
    "f": lambda plain: float.fromhex(plain["f"]),
    "i": lambda plain: int(plain["i"], 16),
    "o": _integers,
    "t": lambda plain: tuple(_value(item) for item in plain["t"]),
    "x": _exact,
}
