"""Values as bytes that tell them apart, quickly: what fingerprints are digests of.

What is equal as pickle sees it gives the same bytes, whatever its identity in memory, the order of
sets and the process; nothing can be made of the bytes again. Objects are looked at as pickle does,
and no further code of theirs is run.

The bytes are a sequence: of what is plain, as marshal writes it (version 2, which looks at no
identities); of what isn't, a mark of those below, which marshal hasn't, and its parts.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import marshal
import pathlib
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from mpipar.store import numba_parts
from mpipar.store.array_digests import digest_of_numbers, is_masked, metadata_of
from mpipar.store.by_name import content_of_named
from mpipar.store.class_parts import name_of
from mpipar.store.own_code import module_of
from mpipar.store.package_parts import PARTS, functions_hidden_in
from mpipar.store.pickling import BY_VALUE, PROTOCOL, fresh, reduced_by_pickle

PLAIN: frozenset[type] = frozenset({type(None), bool, int, float, complex, str, bytes})

_LOCKS = {
    "_thread.lock",
    "_thread.RLock",
    "multiprocessing.synchronize.Lock",
    "multiprocessing.synchronize.RLock",
}
"""Kinds of locks, none of which changes what comes out of a task."""

_ARRAY_KINDS = "biufcSUVmM"

(
    AGAIN,
    TUPLE,
    LIST,
    DICT,
    SET,
    BYTES,
    ARRAY,
    OBJECTS,
    SCALAR,
    MEMBER,
    METHOD,
    REDUCED,
    NAMED,
    DEFINED,
    OTHER,
    EMPTY,
) = (bytes([0x80 + number]) for number in range(16))


def digest(data: bytes) -> bytes:
    """Return 16 bytes that stand for some."""
    return hashlib.blake2b(data, digest_size=16).digest()


class ValueWriter:
    """Writes values, one after the other.

    Attributes
    ----------
    is_changeable : bool
        Whether something has been written that may be changed in place.
    """

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.is_changeable = False
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # what has a number, as others might get its identity

    def digest(self) -> bytes:
        """Return the digest of all that was written."""
        return digest(b"".join(self.chunks))

    def write(self, value: Any) -> None:
        """Write a value. Raises Unfingerprintable, or whatever its own code raises."""
        kind = type(value)
        if kind in PLAIN:
            self.chunks.append(marshal.dumps(value, 2))
            return
        write = _WRITERS.get(kind)
        if write is not None:
            getattr(self, write)(value)
        elif issubclass(kind, type):
            self.define(value)
        else:
            self._write_other(value, kind)

    def put(self, mark: bytes, *plain: Any) -> None:
        """Write a mark, and plain values."""
        self.chunks.append(mark)
        self.chunks.append(marshal.dumps(plain, 2))

    def define(self, value: Any) -> None:
        """Write a function, class or module."""
        raise NotImplementedError

    def is_again(self, value: Any) -> bool:
        """Return whether a value has been met before, and write which one, or give it a number."""
        number = self._numbers.get(id(value))
        if number is not None:
            self.put(AGAIN, number)
            return True
        self._numbers[id(value)] = len(self._numbers)
        self._alive.append(value)
        return False

    def inner(self) -> ValueWriter:
        """Return a writer for what has a digest of its own in this."""
        raise NotImplementedError

    # Containers

    def tuple(self, value: Any) -> None:
        """Write a tuple; an equal one is the same, as it can't change."""
        if PLAIN.issuperset(map(type, value)):
            self.chunks.append(marshal.dumps(value, 2))
            return
        self.put(TUPLE, len(value))
        for item in value:
            self.write(item)

    def list(self, value: Any) -> None:
        """Write a list."""
        if self._is_changeable_again(value):
            return
        if PLAIN.issuperset(map(type, value)):
            self.chunks.append(marshal.dumps(value, 2))
            return
        self._items(LIST, list(value))

    def dict(self, value: Any) -> None:
        """Write a dict, whose order counts."""
        if self._is_changeable_again(value):
            return
        if PLAIN.issuperset(map(type, value)) and PLAIN.issuperset(map(type, value.values())):
            self.chunks.append(marshal.dumps(value, 2))
            return
        items = list(value.items())
        self.put(DICT, len(items))
        for key, item in items:
            self.write(key)
            self.write(item)

    def set(self, value: Any) -> None:
        """Write a set, whose order doesn't count."""
        if type(value) is set and self._is_changeable_again(value):
            return
        self.put(SET, type(value) is set)
        self.unordered(value)

    def unordered(self, value: Iterable[Any]) -> None:
        """Write the members of a set."""
        digests = []
        for item in list(value):
            writer = self.inner()
            writer.write(item)
            self.is_changeable |= writer.is_changeable
            digests.append(writer.digest())
        self.put(LIST, *sorted(digests))

    def bytearray(self, value: Any) -> None:
        """Write a bytearray."""
        if not self._is_changeable_again(value):
            self.put(BYTES, bytes(value))

    def _is_changeable_again(self, value: Any) -> bool:
        self.is_changeable = True
        return self.is_again(value)

    def _items(self, mark: bytes, items: Any) -> None:
        self.put(mark, len(items))
        for item in items:
            self.write(item)

    # NumPy

    def array(self, value: Any) -> None:
        """Write an array: as pickle does, neither its strides nor what it is a view of."""
        if not self._is_changeable_again(value):
            self._array(value)

    def _array(self, value: Any) -> None:
        dtype = value.dtype
        is_fortran = value.flags.f_contiguous and not value.flags.c_contiguous
        if dtype.hasobject and dtype.names is None and dtype.kind == "O":
            self.put(OBJECTS, value.shape, is_fortran)
            self._items(LIST, value.ravel(order="A").tolist())
        elif dtype.names is not None:
            self.put(ARRAY, value.shape, is_fortran)
            self._reduced(dtype, "dtype")
            for name in dtype.names:  # so that what is between them doesn't count
                self._array(value[name])
        elif dtype.kind in _ARRAY_KINDS and not dtype.hasobject:
            said = dtype.str
            self.put(ARRAY, value.shape, is_fortran, said, metadata_of(dtype))
            self.put(BYTES, self.numbers(value))
        else:
            self._reduced(value, "array")

    def masked(self, value: Any) -> None:
        """Write a masked array."""
        if self._is_changeable_again(value):
            return
        self.put(OTHER, "masked", bool(value.hardmask))
        self._array(value.view(np.ndarray))
        self._array(np.ma.getmaskarray(value))
        self._array(np.asarray(value.fill_value, dtype=value.dtype))

    def numbers(self, array: Any) -> bytes:
        """Return what stands for the numbers of an array."""
        return digest_of_numbers(array)

    def scalar(self, value: Any) -> None:
        """Write a scalar of NumPy."""
        dtype = value.dtype
        if dtype.kind in "biufcSU" and dtype.char not in "gG":
            self.put(SCALAR, type(value).__name__, dtype.str, value.tobytes())
            return
        self.put(SCALAR, type(value).__name__)
        self._array(np.asarray(value))

    # Functions

    def method(self, value: Any) -> None:
        """Write a method with what it is bound to."""
        self.chunks.append(METHOD)
        self.write(value.__func__)
        self.write(value.__self__)

    def builtin(self, value: Any) -> None:
        """Write a function that isn't Python's code."""
        owner = getattr(value, "__self__", None)
        if owner is None or type(owner) is types.ModuleType:
            self.define(value)
            return
        self.put(METHOD, value.__name__)
        self.write(owner)

    def descriptor(self, value: Any) -> None:
        """Write a function of a class of C's."""
        self.put(METHOD, value.__name__)
        self.write(value.__objclass__)

    def descriptor_of_class(self, value: Any) -> None:
        """Write what a class makes of functions, without what that remembers."""
        self.parts(value, *_PARTS[type(value)])

    def parts(self, value: Any, *names: str) -> None:
        """Write an object that is no more than some of its attributes."""
        if self.is_again(value):
            return
        self.put(OTHER, type(value).__qualname__, len(names))
        for name in names:
            self.write(getattr(value, name))

    def mapping(self, value: Any) -> None:
        """Write a dict that can't be changed here."""
        self.dict(dict(value))

    def ellipsis(self, _: Any) -> None:
        """Write the one ellipsis."""
        self.put(OTHER, "...")

    def cached(self, value: Any) -> None:
        """Write a function with a cache, without what is in that."""
        self.put(OTHER, *value.cache_parameters().values())
        self.parts(value, "__wrapped__")

    # Other objects

    def _write_other(self, value: Any, kind: type) -> None:
        if issubclass(kind, np.generic):
            if kind.__module__ == "numpy":
                self.scalar(value)
                return
        elif is_masked(kind):
            self.masked(value)
            return
        elif name_of(kind) == "cython_function_or_method":
            self.define(value)
            return
        elif issubclass(kind, np.dtype):
            self._reduced(value, "dtype")
            return
        elif issubclass(kind, enum.Enum):
            self.chunks.append(MEMBER)
            self.write(kind)
            self.write(object.__getattribute__(value, "_value_"))
            return
        elif issubclass(kind, (set, frozenset)):
            if not self._is_changeable_again(value):
                self._set_of_other_kind(value)
            return
        self.write_object(value, kind)

    def write_object(self, value: Any, kind: type) -> None:
        """Write an object of a kind that isn't known here: as pickle sees it."""
        module = module_of(kind)
        name = f"{module}.{kind.__qualname__}"
        if module.startswith("numba.") and (source := numba_parts.source_of(value)) is not None:
            self.put(OTHER, name_of(kind), *numba_parts.types_of(value))
            self.parts(source, "py_func", "targetoptions")
        elif module.startswith("pathlib") and issubclass(kind, pathlib.PurePath):
            self.put(OTHER, name_of(kind), str(value))
        elif name in _LOCKS:
            self.put(OTHER, "lock")
        elif name in BY_VALUE:
            self._reduced(value, name)
        elif name in PARTS:
            self.parts(value, *PARTS[name])
        elif not self._is_changeable_again(value):
            self._reduced(value, "")
            for function in functions_hidden_in(value, kind):
                self.write(function)

    def _set_of_other_kind(self, value: Any) -> None:
        reduced = value.__reduce_ex__(PROTOCOL)
        self.put(REDUCED, "set")
        self.write(type(value))
        self.unordered(value)
        self.write(reduced[2:])

    def _reduced(self, value: Any, name: str) -> None:
        """Write what pickle makes an object of."""
        reduced = reduced_by_pickle(value)
        if isinstance(reduced, str):
            self.put(NAMED, str(getattr(value, "__module__", "")), reduced)
            self.write(type(value))
            content = content_of_named(value)
            if content is not None:
                self.write(content)
            return
        make, arguments, *rest = reduced
        state, items, pairs, *more = [*rest, None, None, None][:4]
        self.put(REDUCED, name, len(rest))
        self.write(make)
        self.write(arguments)
        self.write(state)
        self.write(fresh(items))
        self.write(fresh(pairs))
        self.write(tuple(more))


_PARTS = {
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    functools.cached_property: ("func", "attrname"),
    functools.singledispatchmethod: ("dispatcher", "func"),
}
"""{type: what of an object of exactly that type isn't what it remembers}."""

_WRITERS = {
    tuple: "tuple",
    list: "list",
    dict: "dict",
    set: "set",
    frozenset: "set",
    bytearray: "bytearray",
    **dict.fromkeys(_PARTS, "descriptor_of_class"),
    np.ndarray: "array",
    np.ufunc: "define",
    type(...): "ellipsis",
    type(functools.cache(len)): "cached",
    types.FunctionType: "define",
    types.ModuleType: "define",
    types.MethodType: "method",
    types.BuiltinFunctionType: "builtin",
    types.MethodWrapperType: "builtin",
    types.MethodDescriptorType: "descriptor",
    types.WrapperDescriptorType: "descriptor",
    types.ClassMethodDescriptorType: "descriptor",
    types.GetSetDescriptorType: "descriptor",
    types.MemberDescriptorType: "descriptor",
    types.MappingProxyType: "mapping",
}
"""{type: the method that writes a value of exactly that type}."""
