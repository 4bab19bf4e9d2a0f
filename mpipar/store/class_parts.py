"""What a class is made of, beside what Python makes of that."""

from __future__ import annotations

import enum
import operator
import types
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
    "__match_args__",
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
    if type(value).__qualname__ == "CField":
        return True
    if issubclass(kind, enum.Enum):
        is_code = type(value) in (types.FunctionType, staticmethod, classmethod, property)
        return not is_code or name.startswith("_generate")
    if type(value) is not types.FunctionType:
        return False
    if value.__globals__.get("__name__") == f"namedtuple_{name_of(kind)}":
        return True
    return value.__code__.co_qualname.startswith("__create_fn__.<locals>.")
