"""What became of each item of a map, as bytes and back: its result or its exception.

::

    number of the item, length, kind (R, E), checksum of these and of what follows
    the result, or what makes the exception again, as mpipar.store.values has it

An exception is made again without a call of its class, so that no code of it runs.
"""

from __future__ import annotations

import struct
import sys
import traceback
import zlib
from collections.abc import Iterator
from typing import Any

from mpipar.base.errors import ItemFailed, UnfitResult
from mpipar.store.values import Unstorable, dump, load

_HEAD = struct.Struct("<QQcI")
_RESULT = b"R"
_EXCEPTION = b"E"


class ItemTraceback(Exception):
    """Where in the function an item's exception was raised: the cause of that."""

    def __str__(self) -> str:
        if not self.args:
            return ""
        return f"\n\n{self.args[0].rstrip()}"


def result_as_bytes(item: int, result: Any) -> bytes:
    """Return the result of an item as bytes. Raises UnfitResult, naming the type, if it can't be
    stored.
    """
    try:
        data = dump(result)
    except Unstorable as error:
        raise UnfitResult(f"the result of item {item}: {error}") from None
    return _framed(item, _RESULT, data)


def exception_as_bytes(
    item: int,
    error: BaseException,
    below: int = 1,
) -> bytes:
    """Return an exception that an item's function raised as bytes; ``below`` frames of ours are
    left out.
    """
    trace = error.__traceback__
    for _ in range(below):
        if trace is not None:
            trace = trace.tb_next
    kind = type(error)
    told = {
        "module": kind.__module__.replace("__mp_main__", "__main__"),
        "name": kind.__qualname__,
        "text": _text(error),
        "args": _stored(_arguments(error)),
        "state": _stored(dict(getattr(error, "__dict__", {}))),
        "traceback": "".join(traceback.format_exception(kind, error, trace)),
    }
    return _framed(item, _EXCEPTION, dump(told))


def outcomes_of(data: bytes) -> Iterator[tuple[int, Any, bool]]:
    """Yield the number of each item, its result or exception, and whether it is that. Raises
    ValueError.
    """
    position = 0
    while position < len(data):
        if position + _HEAD.size > len(data):
            raise ValueError("outcomes end in the middle of one")
        item, length, kind, checksum = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        stored = data[position : position + length]
        if len(stored) != length or _checksum(item, kind, stored) != checksum:
            raise ValueError(f"the outcome of item {item} is damaged")
        value = load(stored)
        is_exception = kind == _EXCEPTION
        if is_exception:
            value = _made_again(value)
        yield item, value, is_exception
        position += length


def _framed(item: int, kind: bytes, data: bytes) -> bytes:
    checksum = _checksum(item, kind, data)
    return _HEAD.pack(item, len(data), kind, checksum) + data


def _checksum(item: int, kind: bytes, data: bytes) -> int:
    head = b"%d %b %d" % (item, kind, len(data))
    return zlib.crc32(data, zlib.crc32(head))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # in the user's own __str__
        return ""


def _arguments(error: BaseException) -> tuple[Any, ...]:
    if isinstance(error, OSError) and error.filename is not None and len(error.args) == 2:
        return (*error.args, error.filename)
    return error.args


def _stored(value: Any) -> bytes | None:
    """Return a value as bytes, or None if it can't be."""
    try:
        return dump(value)
    except Unstorable:
        return None


def _made_again(told: dict[str, Any]) -> BaseException:
    """Return an exception of the class that it had, or an ItemFailed if that isn't there."""
    kind = _class(told["module"], told["name"])
    error: BaseException | None = None
    if kind is not None:
        arguments = (told["text"],)
        state = {}
        if told["args"] is not None:
            arguments = load(told["args"])
        if told["state"] is not None:
            state = load(told["state"])
        error = _new(kind, arguments, state)
    if error is None:
        error = ItemFailed(f"{told['name']}: {told['text']}")
    error.__cause__ = ItemTraceback(told["traceback"])
    return error


def _new(
    kind: type[BaseException],
    arguments: tuple[Any, ...],
    state: dict[str, Any],
) -> BaseException | None:
    """Return a new exception of a class, with none of the user's code called."""
    try:
        if kind.__module__ == "builtins":
            error = kind(*arguments)
        else:
            builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins")
            error = builtin.__new__(kind, *arguments)
            BaseException.__setattr__(error, "args", tuple(arguments))
        vars(error).update(state)
    except Exception:
        return None
    return error


def _class(module: str, name: str) -> type[BaseException] | None:
    """Return a class of exceptions that is loaded, or None."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        if not hasattr(found, "__dict__"):
            return None
        found = vars(found).get(part)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    return None
