"""Objects that the user's own modules have under a name: their homes, and pickles that refer to
them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from mpipar.pool import originals
from mpipar.pool.by_value import Pickler
from mpipar.pool.limited import Limited
from mpipar.pool.module_places import Place, is_own_file

_MOST_BYTES = 2**20
_SIMPLE = {
    int,
    float,
    complex,
    str,
    bytes,
    bool,
    type(None),
    range,
}
_WITHOUT_NAMES = (
    "__main__",
    "builtins",
)  # of what these have, the pickler knows how to send it


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
                if type(value) in _SIMPLE or name.startswith("__"):
                    continue
                if not is_a(value, FunctionType, type, ModuleType):
                    places = self._places.setdefault(id(value), [])
                    places.append((module.__name__, name))
                    self._objects.append(value)

    def places_of(self, value: Any) -> list[tuple[str, str]]:
        """Return all places that have an object, its home first; none for what is no object of
        a module, or can't be told from others.
        """
        if type(value) in _SIMPLE:
            return []
        return self._places.get(id(value), [])


class StatePickler(Pickler):
    """Pickles what a module has; functions and classes of modules by name alone.

    Parameters
    ----------
    homes : Homes
    place : Place
        Whose value is pickled.
    """

    def __init__(self, homes: Homes, place: Place) -> None:
        self._file = Limited(_MOST_BYTES)
        super().__init__(self._file, defined="", lends=True)
        self._homes = homes
        self._own = place.module, place.steps[0].key
        self._is_whole = len(place.steps) == 1

    def dumps(self, value: Any) -> bytes:
        """Return the pickle of a value. Raises if it can't be pickled."""
        self.dump(value)
        return self._file.getvalue()

    def persistent_id(self, obj: Any) -> Any:
        """Return the home of an object of a module, unless it is this which is pickled."""
        places = self._homes.places_of(obj)
        if not places or (self._is_whole and places[0] == self._own):
            return None
        return places[0]

    def reducer_override(self, obj: Any) -> Any:  # noqa: D102
        is_named = isinstance(obj, (FunctionType, type)) and obj.__module__ not in _WITHOUT_NAMES
        if is_named and found_by_name(obj) is not obj and originals.reduced(obj) is None:
            raise TypeError(f"there is no name that leads to {obj!r}")  # a copy isn't the same
        return super().reducer_override(obj)
