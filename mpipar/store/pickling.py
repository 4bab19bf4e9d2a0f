"""What pickle makes of objects, without their pickles."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from typing import Any

PROTOCOL = 4
BY_VALUE = {
    *("datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta"),
    *("datetime.timezone", "decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
    *("builtins.range", "builtins.slice"),
    *("re.Pattern", "operator.itemgetter", "operator.attrgetter", "operator.methodcaller"),
}
"""Kinds of objects that don't change, so that nobody can tell one from an equal one."""


class Unfingerprintable(TypeError):
    """A value can't be told from others; ``kind`` is its type."""

    def __init__(self, kind: type, reason: str = "") -> None:
        self.kind = kind
        module = type.__getattribute__(kind, "__module__")
        name = type.__getattribute__(kind, "__qualname__")
        name = f"{module}.{name}".removeprefix("builtins.")
        super().__init__(f"{name} can't be told from others of its type{reason}")


def reduced_by_pickle(value: Any) -> Any:
    """Return what pickle makes an object of."""
    reduce = copyreg.dispatch_table.get(type(value))
    if reduce is not None:
        return reduce(value)
    try:
        return value.__reduce_ex__(PROTOCOL)
    except Exception as error:
        raise Unfingerprintable(type(value)) from error


def fresh(items: Iterator[Any] | None) -> tuple[Any, ...] | None:
    """Return the items of an iterator that pickle would go through."""
    if items is None:
        return None
    return tuple(items)
