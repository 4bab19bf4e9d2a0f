"""Data as bytes that tell it apart: values without functions and classes of the user's own."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import numpy as np

from mpipar.store.array_digests import in_memory_order
from mpipar.store.own_code import (
    OwnCode,
    is_class,
    is_function,
    is_installed,
    is_module,
    is_own_module,
    module_of,
)
from mpipar.store.pickling import Unfingerprintable
from mpipar.store.value_writer import (
    DEFINED,
    NAMED,
    ValueWriter,
)

_LARGE = 2**16  # bytes of an array
_MANY = 2**12  # items
_SAMPLES = 2**9


class NotData(Exception):
    """A value has something in it that is followed further: a function or class of the user's."""


class DataWriter(ValueWriter):
    """Writes values without functions and classes of the user's."""

    def __init__(self, own: OwnCode) -> None:
        super().__init__()
        self._own = own

    def define(self, value: Any) -> None:  # noqa: D102
        if not write_name(self, self._own, value):
            raise NotData

    def inner(self) -> ValueWriter:  # noqa: D102
        return DataWriter(self._own)


class GlanceWriter(DataWriter):
    """Writes no more than samples of what is large, to see whether it has been changed."""

    def list(self, value: Any) -> None:
        """Write a list, or its length and some of its items."""
        if len(value) > _MANY and not self.is_again(value):
            self.put(DEFINED, len(value))
            value = value[:: len(value) // _SAMPLES]
        super().list(value)

    def dict(self, value: Any) -> None:
        """Write a dict, or its length and the first of its items."""
        if len(value) > _MANY and not self.is_again(value):
            self.put(DEFINED, len(value))
            value = dict(itertools.islice(value.items(), _SAMPLES))
        super().dict(value)

    def numbers(self, array: Any) -> bytes:
        """Return what stands for the numbers of an array, or some of them."""
        is_contiguous = array.flags.c_contiguous or array.flags.f_contiguous
        if array.nbytes > _LARGE and is_contiguous:
            array = in_memory_order(array)[:: -(-array.size // _SAMPLES)]
        return super().numbers(array)

    def inner(self) -> ValueWriter:  # noqa: D102
        return GlanceWriter(self._own)


def glance(own: OwnCode, value: Any) -> bytes:
    """Return a digest of data, or of samples if it is large.

    Workers have global data as it was when it was first handed to them, whatever is changed in
    place; so it is right to take data for the same that has been changed elsewhere.
    """
    writer = GlanceWriter(own)
    writer.write(value)
    return writer.digest()


class StateWriter(DataWriter):
    """Writes values with no more than the names and the code of functions and classes in them."""

    def define(self, value: Any) -> None:  # noqa: D102
        if write_name(self, self._own, value):
            return
        self.put(DEFINED, value.__name__)
        if is_function(value):
            self.put(DEFINED, self._own.digests.of(value.__code__))

    def inner(self) -> ValueWriter:  # noqa: D102
        return StateWriter(self._own)


def write_name(writer: ValueWriter, own: OwnCode, value: Any) -> bool:
    """Write no more than the name of what isn't the user's own; return whether it isn't."""
    if is_module(value):
        if is_own_module(value.__name__):
            return False
        own.note_package(value.__name__)
        writer.put(NAMED, value.__name__, "")
        return True
    module = module_of(value)
    name = getattr(value, "__qualname__", "") or value.__name__
    if type(value) is np.ufunc:
        return _write_ufunc(writer, value)
    if is_function(value) or is_class(value):
        if not is_installed(value, module):
            return False
    elif is_own_module(module):
        writer.put(NAMED, module, name, own.library(_file(module)))
        return True
    own.note_package(module)
    writer.put(NAMED, module, name)
    return True


def _file(module: str) -> str:
    return str(getattr(sys.modules.get(module), "__file__", ""))


def _write_ufunc(writer: ValueWriter, value: Any) -> bool:
    for module in ("numpy", "scipy.special"):
        name = str(value.__name__)
        if getattr(sys.modules.get(module), name, None) is value:
            writer.put(NAMED, module, name)
            return True
    raise Unfingerprintable(np.ufunc)
