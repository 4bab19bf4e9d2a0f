"""Global variables that no pickle takes, but that can be made anew of what they tell of themselves.

Forked workers have them as copies of the script's process; so have those that import the script.
"""

from __future__ import annotations

import functools
import gc
import io
import os
import random
import struct
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

_WEAK = (weakref.WeakKeyDictionary, weakref.WeakSet, weakref.WeakValueDictionary)


def reduced(value: Any) -> Any:
    """Reduce a value to what it can be made of; None for all others, which pickle may know."""
    kind = type(value)
    reduce = _OF_KINDS.get(kind)
    if reduce is None and kind.__name__ == "_FuncPtr":
        reduce = _function_of_library
    if reduce is None and kind.__module__ == "sqlite3":
        reduce = _connection
    if reduce is None and kind.__module__ == "ssl":
        reduce = _security
    if reduce is None:
        return None
    return reduce(value)


def _struct(value: struct.Struct) -> Any:
    return struct.Struct, (value.format,)


def _view_of_mapping(value: types.MappingProxyType[Any, Any]) -> Any:
    return types.MappingProxyType, (dict(value),)


def _system_random(_: random.SystemRandom) -> Any:
    return random.SystemRandom, ()


def _weak(value: Any) -> Any:
    """Reduce a container of weak references, if it is empty: what is in it, others have."""
    if len(value):
        return None
    return type(value), ()


def _sort_key(value: Any) -> Any:
    """Reduce what ``cmp_to_key`` returns to the function that compares."""
    functions = [each for each in gc.get_referents(value) if each is not type(value)]
    if len(functions) != 1:  # it is around a value
        return None
    return functools.cmp_to_key, (functions[0],)


def _view_of_memory(value: memoryview) -> Any:
    if not value.readonly or not value.contiguous or type(value.obj) is not bytes:
        return None
    return _view, (value.tobytes(), value.format, value.shape)


def _view(data: bytes, form: str, shape: tuple[int, ...]) -> memoryview:
    return memoryview(data).cast("B").cast(form, shape)  # type: ignore[call-overload,no-any-return]


def _file(value: Any) -> Any:
    """Reduce a file that is open for reading, to be open at the same place."""
    is_plain = not value.closed and value.mode in ("r", "rt", "rb") and isinstance(value.name, str)
    if not is_plain or not os.path.isfile(value.name):
        return None
    options = {}
    if isinstance(value, io.TextIOWrapper):
        options = {"encoding": value.encoding, "errors": value.errors}
    return _opened, (os.path.abspath(value.name), value.mode, options, value.tell())


def _opened(path: str, mode: str, options: dict[str, Any], position: int) -> Any:
    file = open(path, mode, **options)  # noqa: SIM115 (the script has it open, too)
    file.seek(position)
    return file


def _function_of_library(value: Any) -> Any:
    """Reduce a function of a library of ctypes."""
    libraries = [each for each in (value._objects or {}).values() if hasattr(each, "_FuncPtr")]
    if len(libraries) != 1 or not isinstance(value.__name__, str):
        return None
    (library,) = libraries
    made_of = type(library), library._name, value.__name__, value.restype, value.argtypes
    return _function, made_of


def _function(kind: Any, library: str | None, name: str, returned: Any, taken: Any) -> Any:
    function = getattr(kind(library), name)
    function.restype = returned
    if taken is not None:
        function.argtypes = taken
    return function


def _connection(value: Any) -> Any:
    """Reduce a connection of sqlite3 to its file, or to the contents of its memory."""
    sqlite3 = sys.modules["sqlite3"]
    if type(value) is not sqlite3.Connection or value.in_transaction:
        return None
    names = [(name, path) for _, name, path in value.execute("pragma database_list")]
    if len(names) != 1:  # others are attached
        return None
    ((_, path),) = names
    contents = None if path else value.serialize()
    return _connected, (path or ":memory:", contents, value.isolation_level, value.row_factory)


def _connected(path: str, contents: bytes | None, level: Any, factory: Any) -> Any:
    import sqlite3

    connection = sqlite3.connect(path, isolation_level=level, check_same_thread=False)
    if contents:
        connection.deserialize(contents)
    connection.row_factory = factory
    return connection


def _security(value: Any) -> Any:
    """Reduce what Python makes for https by itself, as openers of urllib have from 3.13 on; None if
    anything else shows in it.
    """
    ssl = sys.modules["ssl"]
    if type(value) is not ssl.SSLContext:
        return None
    usual = _usual_security()
    is_usual = all(getattr(value, name) == getattr(usual, name) for name in _OF_SECURITY)
    is_usual = is_usual and value.cert_store_stats() == usual.cert_store_stats()
    if not is_usual or value.get_ciphers() != usual.get_ciphers():
        return None
    return _usual_security, ()


def _usual_security() -> Any:
    import ssl

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.post_handshake_auth = True
    return context


_OF_SECURITY = (
    "check_hostname",
    "keylog_filename",
    "maximum_version",
    "minimum_version",
    "options",
    "post_handshake_auth",
    "protocol",
    "sni_callback",
    "verify_flags",
    "verify_mode",
)

_OF_KINDS: dict[type, Callable[[Any], Any]] = {
    struct.Struct: _struct,
    types.MappingProxyType: _view_of_mapping,
    random.SystemRandom: _system_random,
    type(functools.cmp_to_key(max)): _sort_key,
    memoryview: _view_of_memory,
    io.TextIOWrapper: _file,
    io.BufferedReader: _file,
    **dict.fromkeys(_WEAK, _weak),
}
