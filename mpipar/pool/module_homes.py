"""Objects that the user's own modules have under a name: their homes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from mpipar.pool.module_places import is_own_file

SIMPLE = {
    int,
    float,
    complex,
    str,
    bytes,
    bool,
    type(None),
    range,
}
"""Types of values that nothing tells apart from others that are equal."""


def own_modules() -> Iterator[ModuleType]:
    """Yield the user's own modules that have been imported, but for the main one."""
    for name, module in list(sys.modules.items()):
        if name in ("__main__", "__mp_main__") or type(module) is not ModuleType:
            continue
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and module.__name__ == name and is_own_file(file):
            yield module


def is_a(value: Any, *kinds: type) -> bool:
    """Return whether something is of one of these types, without a look at it: proxies may have no
    ``__class__`` yet.
    """
    return issubclass(type(value), kinds)


def found_by_name(thing: Any) -> Any:
    """Return what is where a function or class says that it is; None if there is nothing."""
    found: Any = sys.modules.get(thing.__module__ or "")
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found


class Homes:
    """Where the objects are that global variables of own modules stand for, by what they are."""

    def __init__(self) -> None:
        self._places: dict[int, list[tuple[str, str]]] = {}
        self._objects: list[Any] = []  # so that no other has their ids
        for module in sorted(own_modules(), key=lambda each: each.__name__):
            for name, value in list(vars(module).items()):
                if type(value) in SIMPLE or name.startswith("__"):
                    continue
                if not is_a(value, FunctionType, type, ModuleType):
                    places = self._places.setdefault(id(value), [])
                    places.append((module.__name__, name))
                    self._objects.append(value)

    def places_of(self, value: Any) -> list[tuple[str, str]]:
        """Return all places that have an object, its home first; none for what is no object of
        a module, or can't be told from others.
        """
        if type(value) in SIMPLE:
            return []
        return self._places.get(id(value), [])
