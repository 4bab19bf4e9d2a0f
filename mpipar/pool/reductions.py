"""How what is known from where it came, or by what it is made of, is pickled. Imports nothing of mpipar."""

from __future__ import annotations

import functools
import sys
from types import CodeType
from typing import Any

from cloudpickle.cloudpickle import _code_reduce

_LARGE = 2**16  # bytes; buffers from here on travel as frames of their own


def cached(function: Any, parameters: dict[str, Any]) -> Any:
    """Return a function with a cache."""
    return functools.lru_cache(**parameters)(function)


def cached_property(function: Any, name: str | None) -> Any:
    """Return a cached property."""
    made = functools.cached_property(function)
    made.attrname = name
    return made


def single_dispatch(registry: dict[Any, Any]) -> Any:
    """Return a function that is chosen by the type of its argument."""
    made = functools.singledispatch(registry[object])
    for kind, function in registry.items():
        made.register(kind, function)
    return made


class _Memory:
    """The memory of an array that is read-only, for one that isn't."""

    def __init__(self, array: Any) -> None:
        self._array = array
        address = array.__array_interface__["data"][0]
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": (array.nbytes,), "data": (address, False)}


def writable(array: Any) -> Any:
    """Reduce an array that is read-only to one that can be written to, as pickles of protocol 4 do."""
    flags = array.flags
    if array.dtype.hasobject or not (flags.c_contiguous or flags.f_contiguous):
        return NotImplemented
    if array.nbytes < _LARGE:
        return array.copy(order="K").__reduce_ex__(5)
    memory = sys.modules["numpy"].asarray(_Memory(array))  # nobody writes to it here
    order = "C" if flags.c_contiguous else "F"
    return type(array)(array.shape, array.dtype, memory, order=order).__reduce_ex__(5)


def reduce_code(code: CodeType) -> Any:
    """Reduce code to what has its file, in which tracebacks and debuggers look for its lines."""
    make, arguments = _code_reduce(code)
    return make, tuple(code.co_filename if each == "<dynamic-code>" else each for each in arguments)


OF_TYPES: dict[type, Any] = {CodeType: reduce_code}
"""{type: what reduces its objects}."""
