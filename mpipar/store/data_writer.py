"""Data as bytes that tell it apart: values without functions and classes of the user's own."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np

from mpipar.store.own_code import OwnCode, is_importable, is_own_code, is_own_module, module_of
from mpipar.store.value_writer import DEFINED, NAMED, Unfingerprintable, ValueWriter


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


class StateWriter(DataWriter):
    """Writes values with no more than the names of functions and classes in them."""

    def define(self, value: Any) -> None:  # noqa: D102
        if not write_name(self, self._own, value):
            self.put(DEFINED, value.__name__)

    def inner(self) -> ValueWriter:  # noqa: D102
        return StateWriter(self._own)


def write_name(writer: ValueWriter, own: OwnCode, value: Any) -> bool:
    """Write no more than the name of what isn't the user's own; return whether it isn't."""
    if isinstance(value, types.ModuleType):
        if is_own_module(value.__name__):
            return False
        own.note_package(value.__name__)
        writer.put(NAMED, value.__name__, "")
        return True
    module = module_of(value)
    name = getattr(value, "__qualname__", "") or value.__name__
    if isinstance(value, np.ufunc):
        return _write_ufunc(writer, value)
    if isinstance(value, types.FunctionType):
        if is_own_code(value.__code__) or not is_importable(value, module):
            return False
    elif isinstance(value, type):
        if is_own_module(module):
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
