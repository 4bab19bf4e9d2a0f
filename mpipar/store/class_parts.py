"""What a class is made of, beside what Python makes of that."""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import operator
import types
import typing
from collections.abc import Iterator
from typing import Any

_SAY_NOTHING = {
    "__abstractmethods__",
    "__annotations__",
    "__annotations_cache__",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__qualname__",
    "__static_attributes__",
    "__weakref__",
    "_abc_impl",
}
OF_FIELDS = (
    "name",
    "type",
    "default",
    "default_factory",
    "init",
    "repr",
    "hash",
    "compare",
    "metadata",
    "kw_only",
)
_CODE = (
    types.FunctionType,
    staticmethod,
    classmethod,
    property,
)
_OF_DATACLASSES = (
    "init",
    "repr",
    "eq",
    "order",
    "unsafe_hash",
    "frozen",
)


def attributes(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of a class's own attributes, sorted."""
    for name, value in sorted(vars(kind).items(), key=operator.itemgetter(0)):
        if name not in _SAY_NOTHING and not _is_made(kind, name, value):
            yield name, value


name_of = vars(type)["__name__"].__get__
"""Return the name of a class, without what its metaclass says it is."""


def is_dataclass(kind: type) -> bool:
    """Return whether a class, or one that it is derived from, is a data class."""
    return any("__dataclass_fields__" in vars(base) for base in type.mro(kind))


def registered(kind: Any) -> list[type]:
    """Return the classes that count as derived from an abstract one by ``register``."""
    references, *_ = abc._get_dump(kind)  # type: ignore[attr-defined]
    found = [reference() for reference in references]
    return sorted((each for each in found if each is not None), key=name_of)


_OF_PICKLE = ("__getstate__", "__reduce__", "__reduce_ex__")


def hides_state(kind: type) -> bool:
    """Return whether a class of Python's code says itself what pickle sees of its objects, whose
    attributes are in a dict.
    """
    for name in _OF_PICKLE:
        if type(getattr(kind, name, None)) is types.FunctionType:
            return hasattr(kind, "__dict__") and bool(kind.__dictoffset__)
    return False


def options(kind: Any) -> list[Any]:
    """Return the options of a data class."""
    return [getattr(kind.__dataclass_params__, name) for name in _OF_DATACLASSES]


def is_special(name: str) -> bool:
    """Return whether a name is one of Python's: of two underscores on both sides."""
    return name.startswith("__") and name.endswith("__")


def _is_made(kind: type, name: str, value: Any) -> bool:
    """Return whether an attribute of a class is made of others: of fields, of members."""
    if type(value) in (types.MemberDescriptorType, types.GetSetDescriptorType):
        return True
    if name_of(type(value)) == "CField":
        return True
    if name == "__orig_bases__" and value[0] is typing.NamedTuple:
        return True
    if issubclass(kind, enum.Enum):
        return _is_made_for_members(kind, name, value)
    if type(value) not in _CODE:
        return False
    function = getattr(value, "__func__", value)
    function = getattr(function, "__wrapped__", function)
    return type(function) is types.FunctionType and _is_made_function(function)


def _is_made_for_members(kind: type, name: str, value: Any) -> bool:
    """Return whether an attribute of an enumeration is a member, or what Python notes of these."""
    if name in kind.__members__ or name == "_generate_next_value_":  # type: ignore[attr-defined]
        return True
    return type(value) not in _CODE and is_made_name(name)


def is_made_name(name: str) -> bool:
    """Return whether Python's enumerations keep a name, as ``_value_``, for themselves."""
    return name.startswith("_") and name.endswith("_")


def _is_made_function(function: types.FunctionType) -> bool:
    """Return whether a function has been made for a data class, or a named tuple."""
    if function.__globals__.get("__name__", "").startswith("namedtuple_"):
        return True
    code = function.__code__
    is_of_maker = code.co_filename in (collections.__file__, dataclasses.__file__)
    return is_of_maker or code.co_qualname.startswith("__create_fn__.<locals>.")
