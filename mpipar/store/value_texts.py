"""Dates, times, decimals, paths and the like as text and back."""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
import sys
import uuid
from collections.abc import Callable
from typing import Any

TEXTS: dict[type, Callable[[str], Any]] = {
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
    datetime.timedelta: lambda text: datetime.timedelta(*map(int, text.split())),
    decimal.Decimal: decimal.Decimal,
    fractions.Fraction: fractions.Fraction,
    pathlib.PosixPath: pathlib.PosixPath,
    pathlib.PurePosixPath: pathlib.PurePosixPath,
    uuid.UUID: uuid.UUID,
}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    kind.__name__: reader for kind, reader in TEXTS.items()
}


def made_of_text(name: str, text: str) -> Any:
    """Return a value of a type with this name, one of TEXTS."""
    return _FROM_TEXT[name](text)


def text_of(value: Any) -> str:
    """Return a text that a value can be made from again."""
    if isinstance(value, datetime.timedelta):
        return f"{value.days} {value.seconds} {value.microseconds}"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


TIMES = (datetime.datetime, datetime.time)


def is_plain_time(value: Any) -> bool:
    """Return whether ISO's text tells all of a time."""
    return not value.fold and _is_difference_to_utc(value.tzinfo)


def zone_as_texts(zone: Any) -> list[str] | None:
    """Return what a zone can be made from again, or None if it is of another kind."""
    if zone is None:
        return []
    if type(zone) is datetime.timezone:
        has_name = not _is_difference_to_utc(zone)
        name = [zone.tzname(None)] if has_name else []
        return [text_of(zone.utcoffset(None)), *name]
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is None or type(zone) is not zoneinfo.ZoneInfo or zone.key is None:
        return None
    is_the_one = zoneinfo.ZoneInfo(zone.key) is zone
    return ["zoneinfo", zone.key, ""] if is_the_one else None


def _zone_of(texts: list[str]) -> datetime.tzinfo | None:
    match texts:
        case []:
            return None
        case ["zoneinfo", key, _]:
            from zoneinfo import ZoneInfo  # takes time to load

            return ZoneInfo(key)
        case [offset, *name]:
            return datetime.timezone(TEXTS[datetime.timedelta](offset), *name)
    raise ValueError("there is no such zone")


def time_of(name: str, text: str, fold: int, zone: list[str]) -> Any:
    """Return a time of day, or of a date, in a zone."""
    return made_of_text(name, text).replace(fold=fold, tzinfo=_zone_of(zone))


def _is_difference_to_utc(zone: Any) -> bool:
    """Return whether a zone, or none, is no more than that: one by name has rules."""
    if zone is None:
        return True
    return type(zone) is datetime.timezone and "'" not in repr(zone)
