"""Values of any kind as bytes and back, exactly and without pickle: reading them can't run code.

The bytes are JSON and, after a NUL, the numbers of its arrays as they are. What JSON hasn't is a
list that begins with a letter::

    ["l", …]  list   ["t", …]  tuple   ["d", [key, value], …]  dict
    ["s", …]  set   ["F", …]  frozenset   ["i", "0x…"]  integers beyond 53 bits
    ["f", "0x1.8p+1"]  float   ["c", real, imaginary]   ["b", "base 64"]
    ["a", descr, shape, position, bytes]  array   ["g", array]  NumPy's scalars
    ["m", data, mask, fill value]
    ["n", name of one of _TEXTS, text]  dates, decimals, fractions, paths, …

A value comes back as the type that it had, or is refused: subclasses, which may mean more, are.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

_EXACT_IN_JSON = 2**53
_ARRAY_KINDS = "biufcSUVmM"


class Unstorable(TypeError):
    """A value can't be stored; the message names its type."""


def dump(value: Any) -> bytes:
    """Return a value as bytes. Raises Unstorable, naming the type that can't be."""
    return Dumper().dump(value)


def load(data: bytes) -> Any:
    """Return the value that :func:`dump` got. Raises ValueError for anything else."""
    text, _, numbers = data.partition(b"\0")
    try:
        return _Loader(numbers).value(json.loads(text))
    except Exception as error:  # NumPy's reader alone raises half a dozen kinds
        raise ValueError(f"not a stored value: {error!r}") from None


class Dumper:
    """Makes bytes of values; a subclass may know more kinds."""

    def __init__(self) -> None:
        self._arrays: list[bytes] = []
        self._length = 0

    def dump(self, value: Any) -> bytes:
        """Return a value as bytes. Raises Unstorable."""
        try:
            plain = self.plain(value)
            text = json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()
        except RecursionError:
            raise Unstorable(
                f"{_a(value)} that has itself in it, or is nested too deeply, can't be stored"
            ) from None
        if not self._arrays:
            return text
        return b"\0".join([text, b"".join(self._arrays)])

    def plain(self, value: Any) -> Any:
        """Return a value as what JSON has."""
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if abs(value) < _EXACT_IN_JSON else ["i", hex(value)]
        if kind is float:
            return ["f", value.hex()]
        maker = _MAKERS.get(kind)
        if maker is not None:
            return maker(self, value)
        if _is_scalar_of_numpy(value):
            return ["g", self.array(np.asarray(value))]
        text = _text_of(value) if kind in _TEXTS else None
        if text is not None:
            return ["n", kind.__name__, text]
        return self.other(value)

    def other(self, value: Any) -> Any:
        """Return what stands for a value of another kind."""
        raise Unstorable(f"{_a(value)} can't be stored without pickle{_hint(value)}")

    def array(self, array: Any) -> Any:
        """Return what stands for an array, whose numbers are kept beside."""
        dtype = array.dtype
        if dtype.kind not in _ARRAY_KINDS or dtype.hasobject:
            return self.other(array)
        written = dtype.newbyteorder("=") if dtype.isnative else dtype
        descr = np.lib.format.dtype_to_descr(written)
        if np.lib.format.descr_to_dtype(descr) != dtype:
            return self.other(array)
        data = array.tobytes()
        self._arrays.append(data)
        self._length += len(data)
        return ["a", descr, list(array.shape), self._length - len(data), len(data)]

    def sorted(self, values: Any) -> list[Any]:
        """Return what stands for values without an order, in one that depends on nothing else."""
        return sorted((self.plain(value) for value in values), key=json.dumps)


def _is_scalar_of_numpy(value: Any) -> bool:
    if not isinstance(value, np.generic):
        return False
    return type(value).__module__ == "numpy" and value.dtype.kind in _ARRAY_KINDS


class _Loader:
    def __init__(self, numbers: bytes) -> None:
        self._numbers = numbers

    def value(self, plain: Any) -> Any:
        if not isinstance(plain, list):
            return plain
        return _READERS[plain[0]](self, *plain[1:])

    def values(self, *plain: Any) -> list[Any]:
        return [self.value(item) for item in plain]

    def array(
        self,
        descr: Any,
        shape: list[int],
        position: int,
        length: int,
    ) -> Any:
        dtype = np.lib.format.descr_to_dtype(_as_tuples(descr))
        data = bytearray(self._numbers[position : position + length])
        if not dtype.itemsize:
            return np.zeros(shape, dtype)
        return np.frombuffer(data, dtype).reshape(shape)

    def masked(self, data: Any, mask: Any, fill: Any) -> Any:
        return np.ma.MaskedArray(
            self.value(data), mask=self.value(mask), fill_value=self.value(fill)
        )


def _as_tuples(descr: Any, *, inside: bool = False) -> Any:
    """Return the description of a type with tuples, which JSON has made lists of."""
    if not isinstance(descr, list):
        return descr
    if not inside:
        return [_as_tuples(field, inside=True) for field in descr]
    name, kind, *shape = descr
    if isinstance(name, list):  # with a title
        name = tuple(name)
    return (name, _as_tuples(kind), *map(tuple, shape))


def _masked(dumper: Dumper, value: Any) -> Any:
    fill = np.asarray(value.fill_value)
    return [
        "m",
        dumper.array(np.asarray(value.data)),
        dumper.array(np.ma.getmaskarray(value)),
        dumper.array(fill),
    ]


_MAKERS: dict[type, Callable[[Dumper, Any], Any]] = {
    list: lambda dumper, value: ["l", *map(dumper.plain, value)],
    tuple: lambda dumper, value: ["t", *map(dumper.plain, value)],
    dict: lambda dumper, value: [
        "d",
        *([dumper.plain(key), dumper.plain(item)] for key, item in value.items()),
    ],
    set: lambda dumper, value: ["s", *dumper.sorted(value)],
    frozenset: lambda dumper, value: ["F", *dumper.sorted(value)],
    complex: lambda dumper, value: ["c", value.real.hex(), value.imag.hex()],
    bytes: lambda dumper, value: ["b", base64.b64encode(value).decode()],
    bytearray: lambda dumper, value: ["B", base64.b64encode(value).decode()],
    range: lambda dumper, value: ["r", *map(dumper.plain, (value.start, value.stop, value.step))],
    np.ndarray: lambda dumper, value: dumper.array(value),
    np.ma.MaskedArray: _masked,
}

_READERS: dict[str, Callable[..., Any]] = {
    "l": lambda loader, *items: loader.values(*items),
    "t": lambda loader, *items: tuple(loader.values(*items)),
    "d": lambda loader, *pairs: {loader.value(key): loader.value(item) for key, item in pairs},
    "s": lambda loader, *items: set(loader.values(*items)),
    "F": lambda loader, *items: frozenset(loader.values(*items)),
    "i": lambda loader, text: int(text, 16),
    "f": lambda loader, text: float.fromhex(text),
    "c": lambda loader, *parts: complex(*map(float.fromhex, parts)),
    "b": lambda loader, text: base64.b64decode(text, validate=True),
    "B": lambda loader, text: bytearray(base64.b64decode(text, validate=True)),
    "r": lambda loader, *ends: range(*loader.values(*ends)),
    "a": _Loader.array,
    "g": lambda loader, array: loader.value(array)[()],
    "m": _Loader.masked,
    "n": lambda loader, name, text: _made_of_text(name, text),
}

_TEXTS: dict[type, Callable[[str], Any]] = {
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    datetime.timedelta: lambda text: datetime.timedelta(*map(int, text.split())),
    decimal.Decimal: decimal.Decimal,
    fractions.Fraction: fractions.Fraction,
    pathlib.PosixPath: pathlib.PosixPath,
    pathlib.PurePosixPath: pathlib.PurePosixPath,
    uuid.UUID: uuid.UUID,
}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    kind.__name__: reader for kind, reader in _TEXTS.items()
}


def _made_of_text(name: str, text: str) -> Any:
    return _FROM_TEXT[name](text)


def _text_of(value: Any) -> str | None:
    """Return a text that a value can be made from again, or None."""
    if isinstance(value, datetime.timedelta):
        return f"{value.days} {value.seconds} {value.microseconds}"
    if isinstance(value, (datetime.date, datetime.time)):
        is_folded = getattr(value, "fold", 0)
        if is_folded or not _is_difference_to_utc(getattr(value, "tzinfo", None)):
            return None
        return value.isoformat()
    return str(value)


def _is_difference_to_utc(zone: Any) -> bool:
    """Return whether a zone, or none, is no more than that: one by name has rules."""
    if zone is None:
        return True
    return type(zone) is datetime.timezone and "'" not in repr(zone)


def _a(value: Any) -> str:
    kind = type(value)
    name = full_name(kind)
    if kind.__module__ in ("builtins", "__main__", "__mp_main__"):
        name = kind.__qualname__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    if isinstance(value, np.ndarray):
        return f"{article} {name} of {value.dtype}"
    return f"{article} {name}"


def full_name(kind: Any) -> str:
    """Return the name of a class with its module's."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _hint(value: Any) -> str:
    """Return what to write instead, where that is known."""
    if hasattr(value, "_asdict"):
        return ": return ._asdict() of it"
    if hasattr(type(value), "__dataclass_fields__"):
        return ": return dataclasses.asdict() of it"
    if isinstance(value, enum.Enum):
        return ": return .value of it"
    if isinstance(value, dict):
        return ": return dict() of it"
    if isinstance(value, np.ndarray):
        return ": return an array of numbers or text, or .tolist() of it"
    if hasattr(value, "to_numpy"):
        return ": return .to_numpy() of it, or a dict of its columns"
    if hasattr(value, "__next__"):
        return ": return list() of it"
    return ": return numbers, text, arrays, dates, or lists, tuples, sets and dicts of these"
