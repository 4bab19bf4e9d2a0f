"""Classes of the user's own as bytes, with their bases, attributes and all that these are."""

from __future__ import annotations

import abc
import ctypes
import enum
import operator
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

from mpipar.store.checks import Checks, bases_of, type_of
from mpipar.store.class_parts import (
    OF_FIELDS,
    attributes,
    hides_state,
    is_dataclass,
    is_made_name,
    is_special,
    name_of,
    options,
    registered,
)
from mpipar.store.data_writer import DataWriter, NotData, StateWriter, glance, write_name
from mpipar.store.own_code import (
    OwnCode,
    is_class,
    is_function,
    is_module,
    is_own_module,
    module_of,
)
from mpipar.store.package_parts import is_made_by_pydantic
from mpipar.store.value_writer import DEFINED, NAMED, OTHER, PLAIN, ValueWriter


class ClassWriter(ValueWriter):
    """Writes what names stand for, and classes, of which each is written once.

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
        self._written: list[Any] = []
        self._shows_docs = False
        self._shows_annotations = False
        self._shows_names = False
        self._shows_subclasses = False
        self._shown: Counter[str] = Counter()  # of how many written things, by what wrote that
        self.checks = Checks()

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

    def _write_what_can_be(self, value: Any) -> None:
        """Write a value, or no more than its type if it can't be told from others."""
        start = len(self.chunks)
        try:
            self._write_attribute(value)
        except Exception:
            del self.chunks[start:]
            self.put(OTHER, type(value).__qualname__)

    # Classes

    def _write_class(self, kind: type) -> None:
        self.checks.add(type_of, kind)
        self.checks.add(bases_of, kind)
        self.checks.add_all(vars(kind))
        self._written.append(kind)
        self.put(DEFINED, kind.__qualname__)
        self.write(type(kind))
        self.write(bases_of(kind))
        if is_dataclass(kind):
            self._write_fields(kind)
        if issubclass(kind, enum.Enum):
            self._write_members(kind)
        if issubclass(type(kind), abc.ABCMeta):
            self.checks.add(registered, kind)
            self.put(OTHER, *sorted(name_of(each) for each in registered(kind)))
        annotations = vars(kind).get("__annotations__")
        if type(annotations) is dict:
            self._write_annotations(annotations)
        for name, value in attributes(kind):
            if is_made_by_pydantic(kind, name):
                continue
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
            self.checks.add_all(vars(member))
            for own in sorted(vars(member)):
                if not is_made_name(own):
                    self.put(NAMED, own)
                    self._write_what_can_be(vars(member)[own])

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
        if kind in PLAIN or is_definition(value):
            self.write(value)
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
        if hides_state(kind) and is_own_module(module_of(kind)):
            self._write_hidden(value)

    def _write_hidden(self, value: Any) -> None:
        """Write the attributes of an object of the user's, as pickle may not see all of them, but
        workers that have imported the script have them.
        """
        if self.is_again(value.__dict__):
            return
        for name in sorted(value.__dict__):
            self.put(NAMED, name)
            self._write_what_can_be(value.__dict__[name])


def is_definition(value: Any) -> bool:
    """Return whether a value is a function, class or module."""
    return is_function(value) or is_class(value) or is_module(value)
