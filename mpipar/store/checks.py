"""Whether all that a digest was made of is still as it was, told in microseconds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

ABSENT = object()
"""What a name stands for that stands for nothing."""

Values: TypeAlias = tuple[Any, ...]
Get: TypeAlias = Callable[[Any], Values]


class Checks:
    """What shows whether all is still as it was when it was written.

    Attributes
    ----------
    data : list of (object, bytes)
        What may have been changed in place, and its digest.
    is_certain : bool
        Whether nothing else can have been changed.
    """

    def __init__(self) -> None:
        self.data: list[tuple[Any, bytes]] = []
        self.is_certain = True
        self._checks: list[tuple[Get, Any, Values]] = []
        self._spaces: dict[int, Any] = {}
        self._bound: dict[int, dict[str, Any]] = {}

    def add(self, get: Get, of: Any) -> None:
        """Note what this gets of an object."""
        self._checks.append((get, of, get(of)))

    def bind(self, space: Any, name: str, value: Any) -> None:
        """Note what a name stands for in a namespace."""
        self._spaces[id(space)] = space
        names = self._bound.setdefault(id(space), {})
        names[name] = value

    def close(self) -> None:
        """Make one check of all names in a namespace."""
        for number, space in self._spaces.items():
            there = dict(self._bound[number])
            absent = set()
            for name, value in self._bound[number].items():
                if value is ABSENT:
                    absent.add(name)
                    del there[name]
            if absent:
                self.add(_are_absent(absent), space)
            if there:
                get = _values_of(*there)
                self._checks.append((get, space, tuple(there.values())))

    def hold(self, digest_of: Callable[[Any], bytes]) -> bool:
        """Return whether all is as it was.

        Parameters
        ----------
        digest_of : callable
            Returns the digest of data as it is now.
        """
        if not self.is_certain or not self._are_the_same():
            return False
        return all(digest_of(value) == before for value, before in self.data)

    def _are_the_same(self) -> bool:
        """Return whether all names and attributes stand for what they stood for."""
        try:
            for get, of, before in self._checks:
                now = get(of)
                if len(now) != len(before):
                    return False
                if not all(map(operator.is_, now, before)):
                    return False
        except (AttributeError, KeyError, ValueError):  # there is nothing any more
            return False
        return True


def _are_absent(names: set[str]) -> Get:
    def get(space: Any) -> Values:
        return (names.isdisjoint(space),)

    return get


def _values_of(*names: str) -> Get:
    get = operator.itemgetter(*names)
    if len(names) > 1:
        return get
    return lambda space: (get(space),)


def all_of(space: Any) -> Values:
    """Get all of a namespace."""
    return (*space, *space.values())


def contents(cell: Any) -> Values:
    """Get what a function has taken from around it."""
    return (cell.cell_contents,)


of_function = operator.attrgetter(
    "__code__",
    "__defaults__",
    "__kwdefaults__",
    "__dict__",
)
"""Get what a function is made of."""

of_class = operator.attrgetter("__bases__", "__class__")
"""Get what a class is made of, beside its attributes."""
