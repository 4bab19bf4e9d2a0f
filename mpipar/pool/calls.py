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
        self._function, self._arguments = function, arguments

    def __reduce__(self) -> Any:
        return _calls, (self._function.name, self._arguments)

    @classmethod
    def pickled(cls, items: Any) -> by_value.Pickled | None:
        """Pickle calls; return None if they aren't such."""
        function = (
            items[0][0] if type(items) is list and type(items[0]) is tuple and items[0] else None
        )
        if type(function) is not Stamped or function.name is None:
            return None
        if not all(type(item) is tuple and item[0] is function for item in items):
            return None
        if not all(are_plain([*arguments, *keywords.values()]) for _, arguments, keywords in items):
            return None
        calls = cls(function, [item[1:] for item in items])
        return by_value.Pickled([pickle.dumps(calls)], set(), [function.stamp], [])


def _calls(name: bytes, arguments: list[Any]) -> list[Any]:
    function = by_value.loads([name])
    return [(function, *each) for each in arguments]
