"""Single tasks with one function and plain arguments, as most are: pickled together."""

from __future__ import annotations

import pickle
from typing import Any

from mpipar.pool import by_value
from mpipar.pool.plain import are_plain
from mpipar.pool.snapshot import Stamped


class Calls:
    """Calls of one function, with plain arguments; unpickled, it is the list of (function,
    arguments, keywords).
    """

    def __init__(self, function: Stamped, arguments: list[Any]) -> None:
        self._function = function
        self._arguments = arguments

    def __reduce__(self) -> Any:
        return _calls, (self._function.name, self._arguments)

    @classmethod
    def pickled(cls, items: Any) -> by_value.Pickled | None:
        """Pickle calls; return None if they aren't such."""
        if type(items) is not list:
            return None
        first = items[0]
        if type(first) is not tuple or not first:
            return None
        function = first[0]
        if type(function) is not Stamped or function.name is None:
            return None
        arguments = _plain_arguments(function, items)
        if arguments is None:
            return None
        pickled = pickle.dumps(cls(function, arguments))
        return by_value.Pickled([pickled], set(), [function.stamp], [])


def _plain_arguments(function: Stamped, items: list[Any]) -> list[Any] | None:
    """Return what calls give a function; None if one is of another, or not all of it is plain."""
    for item in items:
        if type(item) is not tuple or item[0] is not function:
            return None
    found = []
    for item in items:
        _, arguments, keywords = item
        if not are_plain([*arguments, *keywords.values()]):
            return None
        found.append(item[1:])
    return found


def _calls(name: bytes, arguments: list[Any]) -> list[Any]:
    function = by_value.loads([name])
    return [(function, *each) for each in arguments]
