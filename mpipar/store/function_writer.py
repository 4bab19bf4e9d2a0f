"""Functions and classes of the user's own as bytes, with all of the user's own that they use, as it
is now.

A function is its code, its defaults, what it has taken from around it, and what the names that it
uses stand for: followed from value to value, so that it doesn't matter how these came about. What
is installed is no more than its name.
"""

from __future__ import annotations

import builtins
import ctypes
import enum
import functools
import importlib
import operator
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from mpipar.store.checks import ABSENT, Checks, bases_of, contents, of_function, type_of
from mpipar.store.class_parts import OF_FIELDS, attributes, is_dataclass, is_special, options
from mpipar.store.code_uses import Import, Mention
from mpipar.store.data_writer import DataWriter, NotData, StateWriter, glance, write_name
from mpipar.store.own_code import (
    OwnCode,
    is_class,
    is_function,
    is_module,
    is_own_code,
    is_own_module,
    module_of,
)
from mpipar.store.value_writer import (
    DEFINED,
    EMPTY,
    NAMED,
    OTHER,
    PLAIN,
    ValueWriter,
)

_LOOK_UP = set(
    map(id, (eval, exec, globals, vars, locals, __import__, importlib.import_module)),
)
_ENVIRONMENT = set(map(id, (os.environ, os.getenv, os.environb, os.getenvb)))
_DISPATCHER = functools.singledispatch(len).__code__  # type: ignore[attr-defined]
_LOCKS = {
    "_thread.lock",
    "_thread.RLock",
    "multiprocessing.synchronize.Lock",
    "multiprocessing.synchronize.RLock",
}


class FunctionWriter(ValueWriter):
    """Writes a function or class, and all that it uses, each once.

    Parameters
    ----------
    own : OwnCode
    first_digest : callable
        Returns the digest that data had when it was first seen, given it and its digest now.
    """

    def __init__(self, own: OwnCode, first_digest: Callable[[Any, bytes], bytes]) -> None:
        super().__init__()
        self._own = own
        self._first_digest = first_digest
        self._todo: deque[Any] = deque()
        self._docs: list[Any] = []
        self._shows_docs = False
        self.checks = Checks()

    def write_all(self, value: Any) -> None:
        """Write a function or class, and all that it uses."""
        self.define(value)
        while self._todo:
            self._write_definition(self._todo.popleft())
        if self._shows_docs:
            for each in self._docs:
                self._write_attribute(each.__doc__)
        self.checks.close()
        self.checks.is_certain = not self.is_changeable

    def define(self, value: Any) -> None:
        """Write the number of a function or class, which is looked at when it is its turn."""
        if write_name(self, self._own, value) or self.is_again(value):
            return
        self.chunks.append(DEFINED)
        self._todo.append(value)

    def unordered(self, value: Iterable[Any]) -> None:
        """Write the members of a set, in an order that what they are made of gives."""
        members = sorted(((self._state(each), each) for each in value), key=operator.itemgetter(0))
        for _, member in members:
            self.write(member)

    def _state(self, value: Any) -> bytes:
        """Return a digest of data and, of functions and classes in it, no more than their names."""
        writer = StateWriter(self._own)
        writer.write(value)
        return writer.digest()

    def _write_definition(self, value: Any) -> None:
        if is_function(value):
            self._write_function(value)
        elif is_module(value):
            self._write_module(value)
        else:
            self._write_class(value)

    # Functions

    def _write_function(self, function: types.FunctionType) -> None:
        code = function.__code__
        if code is _DISPATCHER:
            self._write_dispatcher(function)
            return
        is_own = is_own_code(code)
        self.checks.add(of_function, function)
        self._docs.append(function)
        if is_own:
            self.put(DEFINED, self._own.digests.of(code))
        else:
            module = module_of(function)
            self._own.note_package(module)
            self.put(NAMED, module, code.co_qualname)
        self.write(function.__defaults__)
        for space in (function.__kwdefaults__, function.__dict__):
            self._write_attributes(space)
        self.put(DEFINED, code.co_freevars)
        for cell in function.__closure__ or ():
            self.cell(cell)
        if is_own:
            self._write_used(function)

    def _write_dispatcher(self, function: Any) -> None:
        """Write a function of functools.singledispatch, without what it remembers."""
        self.checks.add_all(function.registry)
        self.put(NAMED, "singledispatch", len(function.registry))
        for kind, implementation in function.registry.items():
            self.write(kind)
            self.write(implementation)

    def cell(self, value: Any) -> None:
        """Write what a function has taken from around it."""
        if self.is_again(value):
            return
        try:
            self.checks.add(contents, value)
        except ValueError:
            self.chunks.append(EMPTY)
            self.is_changeable = True
            return
        self.write(value.cell_contents)

    def _write_attributes(self, space: dict[str, Any] | None) -> None:
        if space is None:
            self.chunks.append(EMPTY)
            return
        self.checks.add_all(space)
        self.put(DEFINED, *sorted(space))
        for name in sorted(space):
            self._write_attribute(space[name])

    def _write_used(self, function: types.FunctionType) -> None:
        """Write what the names that a function uses stand for."""
        space = function.__globals__
        used = self._own.uses(function.__code__)
        self._shows_docs |= used.uses_docs
        if used.uses_arguments:
            self._write_attribute(sys.argv)
        for key in used.environment:
            self._write_environment(key)
        for mention in used.mentions:
            value = space.get(mention.name, ABSENT)
            self.checks.bind(space, mention.name, value)
            if value is ABSENT:
                value = vars(builtins).get(mention.name, ABSENT)
            self.put(NAMED, mention.name, *mention.path)
            self._write_mention(value, mention, space)
        for each_import in used.imports:
            self._write_import(function, each_import)

    def _write_mention(self, value: Any, mention: Mention, space: dict[str, Any]) -> None:
        value, owner = self._followed(value, mention.path)
        if id(value) in _LOOK_UP:
            self._write_space(space)
        elif id(value) in _ENVIRONMENT:
            self._write_environment(mention.key)
        elif value is ABSENT:
            self._write_absent(owner)
        elif _is_definition(value) or not _is_installed(owner):
            self._write_attribute(value)

    def _write_absent(self, owner: types.ModuleType | None) -> None:
        """Write what a module of the user's, which hasn't a name, may get it from."""
        if owner is None or _is_installed(owner):
            return
        self.define(owner)
        self._write_attribute(vars(owner).get("__getattr__"))

    def _followed(self, value: Any, path: tuple[str, ...]) -> tuple[Any, types.ModuleType | None]:
        """Return what the attributes of modules lead to, and the last of these modules."""
        owner = None
        for name in path:
            if not is_module(value):
                break
            owner = value
            if _is_installed(owner):
                self._own.note_package(owner.__name__)
            value = vars(owner).get(name, ABSENT)
            self.checks.bind(vars(owner), name, value)
        return value, owner

    def _write_environment(self, key: str | None) -> None:
        """Write a variable of the environment, or all."""
        self.is_changeable = True
        if key is not None:
            self.put(OTHER, "environment", key, os.environ.get(key))
            return
        self.put(OTHER, "environment", *sorted(os.environ.items()))

    # Modules

    def _write_module(self, module: types.ModuleType) -> None:
        self.put(OTHER, "module")
        self._write_space(vars(module))

    def _write_space(self, space: dict[str, Any]) -> None:
        """Write all that a module has, of which any may be used."""
        if self.is_again(space):
            return
        self.checks.add_all(space)
        for name in sorted(name for name in space if not is_special(name)):
            self.put(NAMED, name)
            self._write_what_can_be(space[name])

    def _write_what_can_be(self, value: Any) -> None:
        """Write a value, or no more than its type if it can't be told from others."""
        start = len(self.chunks)
        try:
            self._write_attribute(value)
        except Exception:
            del self.chunks[start:]
            self.put(OTHER, type(value).__qualname__)

    def _write_import(self, function: types.FunctionType, each: Import) -> None:
        """Write what a function imports when it is called: its source and, of a module that was
        there before, all that this has.
        """
        name = each.resolved(function.__globals__.get("__package__"))
        source = self._own.imported(name, each.names)
        self.put(OTHER, name, each.names, source)
        if source and self._own.was_imported(name):
            self._write_space(vars(sys.modules[name]))

    # Classes

    def _write_class(self, kind: type) -> None:
        self.checks.add(type_of, kind)
        self.checks.add(bases_of, kind)
        self.checks.add_all(vars(kind))
        self._docs.append(kind)
        self.put(DEFINED, kind.__qualname__)
        self.write(type(kind))
        self.write(bases_of(kind))
        if is_dataclass(kind):
            self._write_fields(kind)
        if issubclass(kind, enum.Enum):
            self._write_members(kind)
        self._write_annotations(vars(kind).get("__annotations__", {}))
        for name, value in attributes(kind):
            self.put(NAMED, name)
            if is_special(name) and not callable(value):
                self._write_what_can_be(value)
            else:
                self._write_attribute(value)

    def _write_fields(self, kind: Any) -> None:
        before = self.is_changeable
        for field in kind.__dataclass_fields__.values():
            self.parts(field, *OF_FIELDS)
        self.is_changeable = before  # as nobody changes a field
        self.put(OTHER, *options(kind))

    def _write_members(self, kind: Any) -> None:
        for name, member in kind.__members__.items():
            self.put(NAMED, name)
            self._write_attribute(member._value_)

    def _write_annotations(self, annotations: dict[str, Any]) -> None:
        self.put(DEFINED, *annotations)  # in their order, which is that of fields
        for value in annotations.values():
            self._write_what_can_be(value)

    # Values

    def _write_attribute(self, value: Any) -> None:
        """Write what a name stands for. What is data gets a digest of its own, which tells whether
        it has been changed.
        """
        kind = type(value)
        if kind in PLAIN or _is_definition(value):
            self.write(value)
            return
        if f"{kind.__module__}.{kind.__qualname__}" in _LOCKS:
            self.put(OTHER, "lock")
            return
        writer = DataWriter(self._own)
        try:
            writer.write(value)
        except NotData:
            self._write_other_state(value)
        else:
            self._write_data(value, writer)

    def _write_data(self, value: Any, writer: ValueWriter) -> None:
        if not writer.is_changeable:
            self.put(OTHER, writer.digest())
        elif not self.is_again(value):
            now = writer.digest()
            self.put(OTHER, now)
            self.checks.add_data(value, glance(self._own, value))
            self._note_change(value, now)

    def _write_other_state(self, value: Any) -> None:
        """Write an object that has functions or classes of the user's in it."""
        self._note_change(value, self._state(value))
        self.checks.add_object(value)
        self.write(value)

    def _note_change(self, value: Any, now: bytes) -> None:
        """Write what data was when it was first seen, if that is something else."""
        first = self._first_digest(value, now)
        if first != now:
            self.put(OTHER, "changed", first)

    def write_object(self, value: Any, kind: type) -> None:
        """Write an object of a kind that isn't known; of libraries by ctypes, their bytes."""
        if issubclass(kind, ctypes.CDLL):
            self.put(OTHER, self._own.library(str(value._name)))
            return
        super().write_object(value, kind)


def _is_definition(value: Any) -> bool:
    return is_function(value) or is_class(value) or is_module(value)


def _is_installed(module: types.ModuleType | None) -> bool:
    return module is not None and not is_own_module(module.__name__)
