"""Many outcomes as bytes at once, and back: numbers and texts of one type are one array.

::

    N   None, a byte each          D Q B   float, int, bool         G   one of NumPy's, with its type
    S   text, with lengths         T   tuples of one length, as a block for each place
    V   anything: lengths (0: not there), and what mpipar.store.outcome_codec has made of each
"""  # noqa: E501

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpipar.base.json_text import json_text, json_value
from mpipar.store.outcome_codec import (
    Classes,
    absent_where_not,
    dumped_or_type,
    loaded_class,
)

_MOST_PLACES = 64  # of tuples that become columns
_MOST_DEPTH = 3
_SCALARS = "biufc"
_LENGTH = struct.Struct("<I")
_LENGTHS = np.dtype("<u8")
_TEXT = ("utf-8", "surrogatepass")
_PLAIN = {
    float: (b"D", np.dtype("<f8")),
    int: (b"Q", np.dtype("<i8")),
    bool: (b"B", np.dtype("?")),
}
_ONE_AFTER_THE_OTHER = b"NDQB"

Array = np.ndarray[Any, Any]


def packed(values: Sequence[Any]) -> tuple[bytes, dict[int, type]]:
    """Return outcomes as bytes, and {position: type} of those that can't be kept."""
    quick = _quick(values, 0)
    if quick is not None:
        return quick, {}
    dumped = []
    unkept = {}
    for position, value in enumerate(values):
        one = dumped_or_type(value)
        if isinstance(one, type):
            unkept[position] = one
            one = b""
        dumped.append(one)
    return _anything(dumped), unkept


def unpacked(
    data: bytes,
    count: int,
    find: Classes = loaded_class,
) -> list[Any]:
    """Return so many outcomes, ABSENT where one isn't there or can't be made here.

    Raises
    ------
    ValueError
        If the bytes aren't those of so many outcomes.
    """
    try:
        read = _READERS[data[:1]]
        return read(_body(data), count, find)
    except (
        KeyError,
        TypeError,
        IndexError,
        struct.error,
        RecursionError,
        OverflowError,
    ) as error:
        raise ValueError(f"these are no {count} outcomes ({error!r})") from None


def are_all_there(data: bytes) -> bool:
    """Return whether each outcome of a block is there, and can be made anywhere."""
    tag = data[:1]
    if tag == b"T":
        return all(map(are_all_there, _columns(_body(data))))
    return tag in _READERS and tag != b"V"


def form(data: bytes) -> bytes:
    """Return what blocks have in common that can be joined."""
    tag = data[:1]
    if tag == b"G":
        head, _ = _description(_body(data))
        return tag + head
    if tag == b"T":
        forms = map(form, _columns(_body(data)))
        return tag + b"(" + b",".join(forms) + b")"
    return tag


def joined(blocks: Sequence[bytes], counts: Sequence[int]) -> bytes:
    """Return blocks of one form as one; each has so many outcomes."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    tag = first[:1]
    if tag in _ONE_AFTER_THE_OTHER:
        return tag + b"".join(map(_body, blocks))
    if tag == b"G":
        return _joined_scalars(blocks)
    if tag == b"T":
        return _joined_tuples(blocks, counts)
    lengths = []
    rest = []
    for data, count in zip(blocks, counts, strict=True):
        size = 1 + count * _LENGTHS.itemsize
        lengths.append(data[1:size])
        rest.append(data[size:])
    return b"".join([tag, *lengths, *rest])


def _joined_scalars(blocks: Sequence[bytes]) -> bytes:
    numbers = []
    for data in blocks:
        head, its_numbers = _description(_body(data))
        numbers.append(its_numbers)
    return _described(head, *numbers)


def _joined_tuples(blocks: Sequence[bytes], counts: Sequence[int]) -> bytes:
    columns = []
    places = map(_columns, map(_body, blocks))
    for column in zip(*places, strict=True):
        columns.append(joined(column, counts))
    return _tuples(columns)


def _body(data: bytes) -> memoryview:
    """Return what follows the tag."""
    return memoryview(data)[1:]


# Values as bytes.


def _quick(values: Sequence[Any], depth: int) -> bytes | None:
    """Return values of one simple type as bytes, or None if they aren't."""
    kind, *others = set(map(type, values))
    if others:
        return None
    if kind in _PLAIN:
        return _numbers_of(values, *_PLAIN[kind])
    if kind is type(None):
        return b"N" + bytes(len(values))
    if kind is str:
        return _texts(values)
    if kind is tuple:
        return _quick_tuples(values, depth)
    if issubclass(kind, np.generic):
        return _scalars(values)
    return None


def _numbers_of(
    values: Sequence[Any],
    tag: bytes,
    dtype: np.dtype[Any],
) -> bytes | None:
    try:
        numbers = np.array(values, dtype)
    except OverflowError:  # an int beyond 64 bits
        return None
    return tag + numbers.tobytes()


def _texts(values: Sequence[str]) -> bytes:
    lengths = np.fromiter(map(len, values), _LENGTHS, len(values))
    return b"S" + lengths.tobytes() + "".join(values).encode(*_TEXT)


def _quick_tuples(values: Sequence[tuple[Any, ...]], depth: int) -> bytes | None:
    places, *others = set(map(len, values))
    if others or depth == _MOST_DEPTH:
        return None
    if not 0 < places <= _MOST_PLACES:
        return None
    columns = []
    for column in zip(*values, strict=True):
        made = _quick(column, depth + 1)
        if made is None:
            return None
        columns.append(made)
    return _tuples(columns)


def _tuples(columns: Sequence[bytes]) -> bytes:
    lengths = np.fromiter(map(len, columns), _LENGTHS)
    parts = [b"T", _LENGTH.pack(len(columns)), lengths.tobytes(), *columns]
    return b"".join(parts)


def _scalars(values: Sequence[Any]) -> bytes | None:
    dtype = values[0].dtype
    is_number = dtype.kind in _SCALARS and type(values[0]) is dtype.type
    if not is_number:
        return None
    head = json_text(dtype.str).encode()
    return _described(head, np.array(values, dtype).tobytes())


def _described(head: bytes, *numbers: bytes | memoryview) -> bytes:
    parts = [b"G", _LENGTH.pack(len(head)), head, *numbers]
    return b"".join(parts)


def _anything(dumped: Sequence[bytes]) -> bytes:
    lengths = np.fromiter(map(len, dumped), _LENGTHS, len(dumped))
    return b"".join([b"V", lengths.tobytes(), *dumped])


# Bytes as values.


def _read_none(data: memoryview, count: int, _: Classes) -> list[Any]:
    if data != bytes(count):
        raise ValueError(f"these are not {count} times nothing")
    return [None] * count


def _read_floats(data: memoryview, count: int, _: Classes) -> list[Any]:
    return _plain_numbers(data, count, float)


def _read_ints(data: memoryview, count: int, _: Classes) -> list[Any]:
    return _plain_numbers(data, count, int)


def _read_bools(data: memoryview, count: int, _: Classes) -> list[Any]:
    return _plain_numbers(data, count, bool)


def _plain_numbers(data: memoryview, count: int, kind: type) -> list[Any]:
    _, dtype = _PLAIN[kind]
    values: list[Any] = _numbers(data, dtype, count).tolist()
    return values


def _numbers(data: memoryview, dtype: np.dtype[Any], count: int) -> Array:
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"these are no {count} numbers")
    return np.frombuffer(data, dtype, count)


def _read_scalars(data: memoryview, count: int, _: Classes) -> list[Any]:
    head, numbers = _description(data)
    dtype = np.dtype(str(json_value(head)))
    if dtype.kind not in _SCALARS:
        raise ValueError("these are no numbers")
    return list(_numbers(numbers, dtype, count))


def _description(data: memoryview) -> tuple[bytes, memoryview]:
    """Return what describes the type of numbers, and these."""
    (size,) = _LENGTH.unpack_from(data)
    start = _LENGTH.size
    return bytes(data[start : start + size]), data[start + size :]


def _read_texts(data: memoryview, count: int, _: Classes) -> list[Any]:
    ends, rest = _ends(data, count)
    whole = bytes(rest).decode(*_TEXT)
    if ends[-1] != len(whole):
        raise ValueError("these are no texts of such lengths")
    texts = []
    for start, end in itertools.pairwise(ends):
        texts.append(whole[start:end])
    return texts


def _read_tuples(data: memoryview, count: int, find: Classes) -> list[Any]:
    columns = []
    for column in _columns(data):
        columns.append(unpacked(column, count, find))
    return list(zip(*columns, strict=True))


def _columns(data: memoryview) -> list[bytes]:
    (places,) = _LENGTH.unpack_from(data)
    if not 0 < places <= _MOST_PLACES:
        raise ValueError(f"tuples of {places}")
    return _cut(data[_LENGTH.size :], places)


def _read_anything(
    data: memoryview,
    count: int,
    find: Classes,
) -> list[Any]:
    return absent_where_not(_cut(data, count), find)


def _cut(data: memoryview, count: int) -> list[bytes]:
    """Return the parts of what begins with their lengths."""
    ends, rest = _ends(data, count)
    if ends[-1] != len(rest):
        raise ValueError("these are no parts of such lengths")
    parts = []
    for start, end in itertools.pairwise(ends):
        parts.append(bytes(rest[start:end]))
    return parts


def _ends(data: memoryview, count: int) -> tuple[list[int], memoryview]:
    """Return where so many parts end, after a 0, and what follows their lengths."""
    size = count * _LENGTHS.itemsize
    lengths = _numbers(data[:size], _LENGTHS, count)
    ends = itertools.accumulate(lengths.tolist(), initial=0)
    return list(ends), data[size:]


_READERS: dict[bytes, Callable[[memoryview, int, Classes], list[Any]]] = {
    b"N": _read_none,
    b"D": _read_floats,
    b"Q": _read_ints,
    b"B": _read_bools,
    b"G": _read_scalars,
    b"S": _read_texts,
    b"T": _read_tuples,
    b"V": _read_anything,
}
