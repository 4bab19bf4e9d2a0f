"""Whether all that a digest was made of is still as it was, told in microseconds."""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

ABSENT = object()
"""What a name stands for that stands for nothing."""

Values: TypeAlias = Iterable[Any]
Get: TypeAlias = Callable[[Any], Values]


class Checks:
    """What shows whether all is still as it was when it was written.

    Attributes
    ----------
    is_certain : bool
        Whether nothing else can have been changed.
    """

    def __init__(self) -> None:
        self.is_certain = True
        self._gets: list[Get] = []
        self._of: list[Any] = []
        self._before: list[Any] = []
        self._spaces: dict[int, Any] = {}
        self._bound: dict[int, dict[str, Any]] = {}
        self._data: list[tuple[Callable[[], Any], bytes]] = []
        self._objects: list[Callable[[], Any]] = []

    def add(self, get: Get, of: Any) -> None:
        """Note what this gets of an object."""
        self._gets.append(get)
        self._of.append(of)
        self._before.extend(get(of))

    def add_all(self, space: Any) -> None:
        """Note all of a namespace."""
        self.add(type(space).keys, space)
        self.add(type(space).values, space)

    def bind(self, space: Any, name: str, value: Any) -> None:
        """Note what a name stands for in a namespace."""
        self._spaces[id(space)] = space
        names = self._bound.setdefault(id(space), {})
        names[name] = value

    def add_data(self, value: Any, digest: bytes) -> None:
        """Note the digest of what may be changed in place."""
        self._data.append((held(value), digest))

    def add_object(self, value: Any) -> None:
        """Note what may be changed in place without a way to tell."""
        self._objects.append(held(value))

    def objects(self) -> Iterator[Any]:
        """Yield all that may be changed in place."""
        for get, _ in self._data:
            yield get()
        for get in self._objects:
            yield get()

    def close(self) -> None:
        """Make one check of all names in a namespace."""
        for number, space in self._spaces.items():
            there = []
            absent = set()
            for name, value in self._bound[number].items():
                if value is ABSENT:
                    absent.add(name)
                else:
                    there.append(name)
            if there:
                self.add(_values_of(*there), space)
            if absent:
                self.add(_are_absent(absent), space)

    def hold(self, digest_of: Callable[[Any], bytes]) -> bool:
        """Return whether all is as it was.

        Parameters
        ----------
        digest_of : callable
            Returns the digest of data as it is now.
        """
        if not self.is_certain or not self._are_the_same():
            return False
        return all(digest_of(get()) == before for get, before in self._data)

    def _are_the_same(self) -> bool:
        """Return whether all names and attributes stand for what they stood for."""
        try:
            found = map(operator.call, self._gets, self._of)
            now = list(itertools.chain.from_iterable(found))
        except (AttributeError, KeyError, ValueError):  # there is nothing any more
            return False
        return len(now) == len(self._before) and all(map(operator.is_, now, self._before))


def held(value: Any) -> Callable[[], Any]:
    """Return what gives a value, if possible without keeping it alive."""
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value


def _are_absent(names: set[str]) -> Get:
    def get(space: Any) -> Values:
        return (names.isdisjoint(space),)

    return get


def _values_of(*names: str) -> Get:
    return operator.itemgetter(*names, names[0])  # of one name alone it would give no tuple


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

bases_of: Get = vars(type)["__bases__"].__get__
"""Get the bases of a class, without what its metaclass says they are."""


def type_of(value: Any) -> Values:
    """Get the type of an object."""
    return (type(value),)
