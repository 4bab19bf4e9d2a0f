"""Objects of the user's classes as fields and back: dataclasses, named tuples and enumerations.

Only such classes count as say nothing of their own about how their objects are copied; none of
their code is called.
"""

from __future__ import annotations

import copyreg
import dataclasses
import enum
import types
from collections.abc import Iterable, Iterator
from typing import Any

_ABOUT_COPIES = ("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__", "__del__")
_HAS_SPACE = "__dict__"
_OWN_CONSTRUCTION = ("__getnewargs__", "__getnewargs_ex__")


def is_enumeration(kind: type) -> bool:
    """Return whether a class is an enumeration as Python makes them."""
    return type(kind) is enum.EnumMeta


def member_name(value: Any) -> str | None:
    """Return the name of a member, or None if it is a combination of several."""
    kind = type(value)
    name = value._name_
    is_member = isinstance(name, str) and kind.__members__.get(name) is value
    return name if is_member else None


def is_named_tuple(kind: Any) -> bool:
    """Return whether a class is a named tuple, or one derived from it."""
    if not issubclass(kind, tuple) or type(kind) is not type:
        return False
    names = getattr(kind, "_fields", None)
    if not isinstance(names, tuple):
        return False
    bases = [base for base in kind.__mro__ if base not in (tuple, object)]
    are_known = all(not _has_slots(base) for base in bases)
    return are_known and _is_copied_plainly(kind) and not hasattr(kind, "__getnewargs_ex__")


def is_dataclass(kind: Any) -> bool:
    """Return whether a class is a dataclass that has all it holds in attributes."""
    if not dataclasses.is_dataclass(kind) or kind.__new__ is not object.__new__:
        return False
    own = any(hasattr(kind, name) for name in _OWN_CONSTRUCTION)
    return not own and _is_copied_plainly(kind)


def _is_copied_plainly(kind: Any) -> bool:
    if kind in copyreg.dispatch_table:
        return False
    for base in kind.__mro__[:-1]:
        for name in _ABOUT_COPIES:
            method = vars(base).get(name)
            if method is not None and getattr(method, "__module__", None) != "dataclasses":
                return False
    return True


def fields_of(kind: Any) -> list[str]:
    """Return the names of a dataclass' fields."""
    return [field.name for field in dataclasses.fields(kind)]


def state_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and values of all attributes that an object has by itself."""
    yield from _space_of(value).items()
    for name, slot in _slots(type(value)).items():
        try:
            yield name, slot.__get__(value)
        except AttributeError:  # there is nothing in it
            continue


def set_state(value: Any, state: Iterable[tuple[str, Any]]) -> bool:
    """Give an object its attributes, and return whether it has a place for each."""
    slots = _slots(type(value))
    places = _space_of(value)
    has_places = _HAS_SPACE in {name for base in type(value).__mro__ for name in vars(base)}
    for name, item in state:
        if name in slots:
            slots[name].__set__(value, item)
        elif has_places and isinstance(name, str):
            places[name] = item
        else:
            return False
    return True


def _space_of(value: Any) -> dict[str, Any]:
    try:
        space: dict[str, Any] = object.__getattribute__(value, _HAS_SPACE)
    except AttributeError:
        return {}
    return space


def _slots(kind: type) -> dict[str, Any]:
    """Return {name: descriptor} of what objects of a class have beside their dictionary."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        for name, item in vars(base).items():
            if isinstance(item, types.MemberDescriptorType):
                found.setdefault(name, item)
    return found


def _has_slots(kind: type) -> bool:
    return any(isinstance(item, types.MemberDescriptorType) for item in vars(kind).values())
