"""Values of any kind as bytes and back, exactly and without pickle: reading them can't run code.

The bytes are JSON and, after a NUL, the numbers of its arrays as they are. What JSON hasn't is a
list that begins with a letter::

    ["l", …]  list   ["t", …]  tuple   ["d", [key, value], …]  dict
    ["s", …]  set   ["F", …]  frozenset   ["i", "0x…"]  integers beyond 53 bits
    ["f", "0x1.8p+1"]  float   ["c", real, imaginary]   ["b", "base 64"]
    ["u", "base 64"]  text with surrogates   ["S", start, stop, step]  slice   ["q", "…", "…"]  fraction
    ["a", descr, shape, position, bytes]  array   ["g", array]  NumPy's scalars
    ["m", data, mask, fill value]   ["y", bytes or text]  NumPy's, with zeros at their end
    ["n", name of one of TEXTS, text]  dates, decimals, paths, …
    ["z", name of one of TEXTS, text, fold, zone]  times in a zone that has a name

A value comes back as the type that it had, or is refused: subclasses, which may mean more, are.
"""  # noqa: E501

from __future__ import annotations

import base64
import enum
import fractions
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.base.json_text import compact_json, json_text, json_value
from mpipar.store.array_digests import is_masked
from mpipar.store.value_texts import (
    TEXTS,
    TIMES,
    is_plain_time,
    made_of_text,
    text_of,
    time_of,
    zone_as_texts,
)

_EXACT_IN_JSON = 2**53
_NAN = struct.pack(">d", float("nan"))
_ODD_NAN = "nan:"  # begins what stands for a NaN with other bits
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
        return Loader(numbers).value(json_value(text))
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
            text = compact_json(plain).encode()
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
        if value is None or kind is bool:
            return value
        maker = _MAKERS.get(kind)
        if maker is not None:
            return maker(self, value)
        if _is_scalar_of_numpy(value):
            return self._scalar(value)
        if kind in TIMES and not is_plain_time(value):
            return self._time(value)
        if is_masked(kind):
            return _masked(self, value)
        if kind in TEXTS:
            return ["n", kind.__name__, text_of(value)]
        return self.other(value)

    def _scalar(self, value: Any) -> Any:
        array = np.asarray(value)
        kind = value.dtype.kind
        is_text = kind in "SU"
        if is_text and len(array[()]) != len(value):  # arrays drop zeros at the end
            text = bytes(value) if kind == "S" else str(value)
            return ["y", self.plain(text)]
        return ["g", self.array(array)]

    def _time(self, value: Any) -> Any:
        zone = zone_as_texts(value.tzinfo)
        if zone is None:
            return self.other(value)
        text = value.replace(tzinfo=None, fold=0).isoformat()
        return ["z", type(value).__name__, text, value.fold, zone]

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
        return sorted((self.plain(value) for value in values), key=json_text)


def _is_scalar_of_numpy(value: Any) -> bool:
    if not isinstance(value, np.generic):
        return False
    return type(value).__module__ == "numpy" and value.dtype.kind in _ARRAY_KINDS


def _is_text(value: str) -> bool:
    """Return whether a string has no surrogates, two of which JSON would make one letter of."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_surrogates(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _float_as_text(value: float) -> str:
    if value != value:
        bits = struct.pack(">d", value)
        if bits != _NAN:
            return _ODD_NAN + bits.hex()
    return value.hex()


def _float_of(text: str) -> float:
    if not text.startswith(_ODD_NAN):
        return float.fromhex(text)
    (value,) = struct.unpack(">d", bytes.fromhex(text.removeprefix(_ODD_NAN)))
    return float(value)


class Loader:
    """Makes values of what stands for them; a subclass may know more kinds.

    Parameters
    ----------
    numbers : bytes
        The numbers of all arrays.
    """

    def __init__(self, numbers: bytes) -> None:
        self._numbers = numbers

    def value(self, plain: Any) -> Any:
        """Return the value that something stands for. Raises what NumPy and Python do for
        nonsense.
        """
        if not isinstance(plain, list):
            return plain
        return _READERS[plain[0]](self, *plain[1:])

    def values(self, *plain: Any) -> list[Any]:
        """Return several values."""
        return [self.value(item) for item in plain]

    def scalar(self, array: list[Any]) -> Any:
        """Return one of NumPy's scalars."""
        return self.array(*array[1:])[()]

    def array(
        self,
        descr: Any,
        shape: list[int],
        position: int,
        length: int,
        order: str = "C",
    ) -> Any:
        """Return an array."""
        dtype = np.lib.format.descr_to_dtype(_as_tuples(descr))
        data = bytearray(self._numbers[position : position + length])
        if not dtype.itemsize:
            return np.zeros(shape, dtype)
        return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")

    def masked(self, data: Any, mask: Any, fill: Any) -> Any:
        """Return an array with a mask."""
        parts = [self.array(*part[1:]) for part in (data, mask, fill)]
        return np.ma.MaskedArray(parts[0], mask=parts[1], fill_value=parts[2])


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


def _text(_: Dumper, value: str) -> Any:
    if _is_text(value):
        return value
    return ["u", _base64(_with_surrogates(value))]


def _int(_: Dumper, value: int) -> Any:
    if abs(value) < _EXACT_IN_JSON:
        return value
    return ["i", hex(value)]


def _dict(dumper: Dumper, value: dict[Any, Any]) -> Any:
    pairs = []
    for key, item in value.items():
        pairs.append([dumper.plain(key), dumper.plain(item)])
    return ["d", *pairs]


def _ends(dumper: Dumper, value: Any) -> list[Any]:
    ends = (value.start, value.stop, value.step)
    return list(map(dumper.plain, ends))


_MAKERS: dict[type, Callable[[Any, Any], Any]] = {
    str: _text,
    int: _int,
    float: lambda _, value: ["f", _float_as_text(value)],
    list: lambda dumper, value: ["l", *map(dumper.plain, value)],
    tuple: lambda dumper, value: ["t", *map(dumper.plain, value)],
    dict: _dict,
    set: lambda dumper, value: ["s", *dumper.sorted(value)],
    frozenset: lambda dumper, value: ["F", *dumper.sorted(value)],
    complex: lambda _, value: ["c", *map(_float_as_text, (value.real, value.imag))],
    bytes: lambda _, value: ["b", _base64(value)],
    bytearray: lambda _, value: ["B", _base64(value)],
    range: lambda dumper, value: ["r", *_ends(dumper, value)],
    slice: lambda dumper, value: ["S", *_ends(dumper, value)],
    fractions.Fraction: lambda _, value: ["q", hex(value.numerator), hex(value.denominator)],
    np.ndarray: lambda dumper, value: dumper.array(value),
}

_READERS: dict[str, Callable[..., Any]] = {
    "u": lambda loader, text: _bytes_of(text).decode("utf-8", "surrogatepass"),
    "S": lambda loader, *ends: slice(*loader.values(*ends)),
    "q": lambda loader, *parts: fractions.Fraction(*(int(part, 16) for part in parts)),
    "y": lambda loader, text: _with_zeros(loader.value(text)),
    "z": lambda loader, *parts: time_of(*parts),
    "l": lambda loader, *items: loader.values(*items),
    "t": lambda loader, *items: tuple(loader.values(*items)),
    "d": lambda loader, *pairs: {loader.value(key): loader.value(item) for key, item in pairs},
    "s": lambda loader, *items: set(loader.values(*items)),
    "F": lambda loader, *items: frozenset(loader.values(*items)),
    "i": lambda loader, text: int(text, 16),
    "f": lambda loader, text: _float_of(text),
    "c": lambda loader, *parts: complex(*map(_float_of, parts)),
    "b": lambda loader, text: _bytes_of(text),
    "B": lambda loader, text: bytearray(_bytes_of(text)),
    "r": lambda loader, *ends: range(*loader.values(*ends)),
    "a": lambda loader, *parts: loader.array(*parts),
    "g": lambda loader, array: loader.scalar(array),
    "m": lambda loader, *parts: loader.masked(*parts),
    "n": lambda loader, name, text: made_of_text(name, text),
}


def _bytes_of(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _with_zeros(value: Any) -> Any:
    if isinstance(value, bytes):
        return np.bytes_(value)
    if isinstance(value, str):
        return np.str_(value)
    raise TypeError("neither bytes nor text")


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
    if _has(value, "_asdict"):
        return ": return ._asdict() of it"
    if hasattr(type(value), "__dataclass_fields__"):
        return ": return dataclasses.asdict() of it"
    if isinstance(value, enum.Enum):
        return ": return .value of it"
    if isinstance(value, dict):
        return ": return dict() of it"
    if isinstance(value, np.ndarray):
        return ": return an array of numbers or text, or .tolist() of it"
    if _has(value, "to_numpy"):
        return ": return .to_numpy() of it, or a dict of its columns"
    if _has(value, "__next__"):
        return ": return list() of it"
    return ": return numbers, text, arrays, dates, or lists, tuples, sets and dicts of these"


def _has(value: Any, name: str) -> bool:
    """Return whether a value has an attribute; what its own code raises says that it hasn't."""
    try:
        return hasattr(value, name)
    except Exception:  # as of a dict with __getattr__ = dict.__getitem__
        return False
