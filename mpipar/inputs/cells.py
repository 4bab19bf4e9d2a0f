"""Text in cells of tables, and the values that it stands for."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from typing import Any

from mpipar.core.parameters import parse_int

TYPES = ("int", "float", "str", "bool", "date", "datetime")
"""Types of columns; date and datetime may have a format after a colon, such as ``%d.%m.%Y``."""

_EXACT_IN_FLOATS = 2**53
_DIGITS = frozenset("0123456789")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
_INT = re.compile(r"0|-?[1-9][0-9]{0,19}")
_MISSING = ("", "na", "n/a", "nan", "null", "none")
TRUE_OR_FALSE = {"true": True, "false": False}
"""What is bool unasked, in any case of letters."""


def is_type(kind: str) -> bool:
    """Return whether there is such a type of columns."""
    name, colon, format = kind.partition(":")
    if not colon:
        return name in TYPES
    return name in ("date", "datetime") and "%" in format


def converted(text: str, kind: str, decimal: str = ".") -> Any:
    """Return the value of a cell, as a type of :data:`TYPES`. Raises ValueError.

    Parameters
    ----------
    text : str
    kind : str
        One of the types, or "int?", "float?" or "bool?": an empty cell is None.
    decimal : str
        The decimal point.
    """
    may_be_none = kind.endswith("?")
    if may_be_none and not text:
        return None
    if may_be_none:
        return converted(text, kind[:-1], decimal)
    name, _, format = kind.partition(":")
    parse: dict[str, Callable[[], Any]] = {
        "int": lambda: _int(text),
        "float": lambda: float_or_nan(text, decimal),
        "str": lambda: text,
        "bool": lambda: _bool(text),
        "date": lambda: _date(text, format),
        "datetime": lambda: _datetime(text, format),
    }
    return parse[name]()


def looks_like_number(text: str) -> bool:
    """Return whether a text has digits and is a number, also with a decimal comma."""
    if not _has_digits(text):
        return False
    return parsed(text) is not None or _DECIMAL_COMMA.fullmatch(text) is not None


def parsed(text: str) -> float | None:
    """Return the number in a text, or None if there is none.

    What only Python takes for a number is none: 1_000, or digits of other scripts.
    """
    if not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def fit_in_64_bits(numbers: list[int]) -> bool:
    """Return whether one type of whole numbers of 64 bits holds all numbers."""
    smallest = min(numbers)
    largest = max(numbers)
    if smallest < 0:
        return smallest >= -(2**63) and largest < 2**63
    return largest < 2**64


def prints_back(text: str) -> bool:
    """Return whether Python prints a number as this text.

    It does so as a float, or as a whole number that a float holds.
    """
    value = parsed(text)
    if value is None:
        return False
    if is_int(text):
        return abs(int(text)) <= _EXACT_IN_FLOATS
    return repr(value) == text


def _has_digits(text: str) -> bool:
    return not _DIGITS.isdisjoint(text)


def is_int(text: str) -> bool:
    """Return whether a text is a whole number that Python prints as it is."""
    return _INT.fullmatch(text) is not None


def with_point(text: str, decimal: str) -> str | None:
    """Return a number's text with a decimal point; None if it has one where commas are wanted."""
    if decimal == ".":
        return text
    if "." in text:
        return None
    return text.replace(decimal, ".")


def _int(text: str) -> int:
    """Return a whole number, which may be written as in options: 1e3, 1_000, 2.0."""
    number = parse_int(text)
    if not fit_in_64_bits([number]):
        raise ValueError(f"expected a whole number of at most 64 bits, got {text!r:.60}")
    return number


def float_or_nan(text: str, decimal: str) -> float:
    """Return the number in a cell; if that is empty, or NA or null, nan. Raises ValueError."""
    if text.lower() in _MISSING:
        return float("nan")
    pointed = with_point(text, decimal)
    value = parsed(pointed or "")
    if value is None:
        raise ValueError(f"expected a number, got {text!r:.60}")
    if math.isinf(value) and _has_digits(text):
        raise ValueError(f"expected a number that 64 bits hold, got {text!r:.60}")
    return value


def _bool(text: str) -> bool:
    known = {**TRUE_OR_FALSE, "1": True, "0": False}
    word = text.lower()
    if word not in known:
        raise ValueError(f"expected true or false, got {text!r:.60}")
    return known[word]


def _date(text: str, format: str) -> datetime.date:
    if format:
        return _datetime(text, format).date()
    return datetime.date.fromisoformat(text)


def _datetime(text: str, format: str) -> datetime.datetime:
    if format:
        return datetime.datetime.strptime(text, format)
    return datetime.datetime.fromisoformat(text)
