"""What tasks returned as bytes and back: exactly, without pickle, and many at once.

Beside the kinds of :mod:`mpipar.store.values`::

    ["x", module, class, fields, [name, value], …]   a dataclass, by all that is in it
    ["N", module, class, values, state]   a named tuple
    ["e", module, class, name, value as text]   a member of an enumeration
    ["=", number]   what was there before, in the same outcome: a list that is there twice

Objects are made of classes that are loaded and have the same fields, without a call of theirs; no
module is imported. What can't be made again is :data:`ABSENT`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from mpipar.base.json_text import json_text, json_value
from mpipar.store import classes
from mpipar.store.values import Dumper, Loader

Classes = Callable[[str, str], type | None]

_CAN_CHANGE = frozenset("ldsBamx")  # kinds that may be the same object at two places
_NEVER_TWICE = frozenset([type(None), bool, int, float, complex, str, bytes])


class _Absent:
    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()
"""Stands for an outcome that isn't there."""


class NotThere(ValueError):
    """The class of an object isn't loaded here, or is another one now."""


def loaded_class(module: str, name: str) -> type | None:
    """Return a class that is loaded, or None; nothing is imported, and no code of the module's is
    called.
    """
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        space = getattr(found, "__dict__", None) if isinstance(found, (type, _MODULE)) else None
        if space is None or part not in space:
            return None
        found = space[part]
    return found if isinstance(found, type) else None


_MODULE = type(sys)


def dumped(value: Any) -> bytes:
    """Return an outcome as bytes. Raises Unstorable, naming the type."""
    return _OutcomeDumper().dump(value)


def loaded(data: bytes, find: Classes = loaded_class) -> Any:
    """Return the outcome that :func:`dumped` got. Raises ValueError: NotThere, if its class isn't
    loaded.
    """
    text, _, numbers = data.partition(b"\0")
    try:
        return _OutcomeLoader(numbers, find).value(json_value(text))
    except NotThere:
        raise
    except Exception as error:  # NumPy's reader alone raises half a dozen kinds
        raise ValueError(f"not a stored outcome: {error!r}") from None


class _OutcomeDumper(Dumper):
    def __init__(self) -> None:
        super().__init__()
        self._met: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no other object gets the number of one

    def plain(self, value: Any) -> Any:
        if type(value) in _NEVER_TWICE:
            return super().plain(value)
        number = self._met.get(id(value))
        if number is not None:
            return ["=", number]
        made = super().plain(value)
        if made[0] in _CAN_CHANGE:
            self._met[id(value)] = len(self._met)
            self._alive.append(value)
        return made

    def sorted(self, values: Any) -> list[Any]:
        return [self.plain(value) for value in values]  # in their order, as pickle has them

    def array(self, array: Any) -> Any:
        is_by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
        if array.dtype.metadata is not None or array.dtype.isalignedstruct:
            return self.other(array)
        made = super().array(array.T if is_by_columns else array)
        if is_by_columns:
            made[2] = made[2][::-1]
            made.append("F")
        return made

    def other(self, value: Any) -> Any:
        kind = type(value)
        module = kind.__module__.replace("__mp_main__", "__main__")
        name = kind.__qualname__
        if loaded_class(kind.__module__, name) is not kind:
            return super().other(value)
        if classes.is_enumeration(kind):
            member = classes.member_name(value)
            if member is None:
                return super().other(value)
            return ["e", module, name, member, _as_text(value._value_)]
        if classes.is_named_tuple(kind):
            values = [*map(self.plain, value)]  # before the state, as they are read
            state = [[key, self.plain(item)] for key, item in classes.state_of(value)]
            return ["N", module, name, [*kind._fields], values, state]
        if classes.is_dataclass(kind):
            state = [[key, self.plain(item)] for key, item in classes.state_of(value)]
            return ["x", module, name, classes.fields_of(kind), state]
        return super().other(value)


class _OutcomeLoader(Loader):
    def __init__(self, numbers: bytes, find: Classes) -> None:
        super().__init__(numbers)
        self._find = find
        self._made: list[Any] = []

    def value(self, plain: Any) -> Any:
        if not isinstance(plain, list):
            return plain
        letter = plain[0]
        if letter == "=":
            return self._made[plain[1]]
        reader = _READERS.get(letter)
        made = super().value(plain) if reader is None else reader(self, *plain[1:])
        if letter in _CAN_CHANGE:
            self._made.append(made)
        return made

    def class_of(self, module: str, name: str) -> Any:
        kind = self._find(module, name)
        if kind is None:
            raise NotThere(f"there is no class {module}.{name}")
        return kind

    def member(
        self,
        module: str,
        name: str,
        member: str,
        text: str | None,
    ) -> Any:
        kind = self.class_of(module, name)
        if not classes.is_enumeration(kind) or member not in kind.__members__:
            raise NotThere(f"{module}.{name} has no {member}")
        found = kind.__members__[member]
        if _as_text(found._value_) != text:
            raise NotThere(f"{module}.{name}.{member} has another value now")
        return found

    def named_tuple(
        self,
        module: str,
        name: str,
        fields: list[str],
        values: list[Any],
        state: list[Any],
    ) -> Any:
        kind = self.class_of(module, name)
        if not classes.is_named_tuple(kind) or [*kind._fields] != fields:
            raise NotThere(f"{module}.{name} has other fields")
        if len(values) != len(fields):
            raise ValueError("a named tuple has as many values as fields")
        made = tuple.__new__(kind, self.values(*values))
        self._set(made, state)
        return made

    def dataclass(
        self,
        module: str,
        name: str,
        fields: list[str],
        *state: Any,
    ) -> Any:
        kind = self.class_of(module, name)
        if not classes.is_dataclass(kind) or classes.fields_of(kind) != fields:
            raise NotThere(f"{module}.{name} has other fields")
        made = object.__new__(kind)
        self._set(made, *state)
        return made

    def _set(self, made: Any, state: list[Any]) -> None:
        pairs = [(key, self.value(item)) for key, item in state]
        if not classes.set_state(made, pairs):
            raise NotThere(f"{type(made).__qualname__} has no place for what it had")


_READERS: dict[str, Callable[..., Any]] = {
    "e": _OutcomeLoader.member,
    "N": _OutcomeLoader.named_tuple,
    "x": _OutcomeLoader.dataclass,
}


def _as_text(value: Any) -> str | None:
    """Return a text that tells a value of a simple type from others, or None."""
    if type(value) not in _NEVER_TWICE:
        return None
    return json_text(Dumper().plain(value))


def dumped_or_type(value: Any) -> bytes | type:
    """Return an outcome as bytes, or the type that can't be had without pickle."""
    try:
        return dumped(value)
    except Exception:  # Unstorable, or whatever a class of the user's raises when it is looked at
        return type(value)


def absent_where_not(data: Sequence[bytes], find: Classes) -> list[Any]:
    """Return outcomes, ABSENT where there are no bytes, or none that can be read here."""
    values = []
    for one in data:
        value = ABSENT
        if one:
            try:
                value = loaded(one, find)
            except ValueError:
                value = ABSENT
        values.append(value)
    return values
