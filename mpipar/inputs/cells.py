"""Text in cells of tables, and the values that it stands for.

A column is converted unasked only where one format prints all of its values back as they were:
``007``, ``+1`` and ``1e5`` may be names, and stay text, and so do 3.9 and 3.10 together. Whoever
knows better names the type.
"""

from __future__ import annotations

import datetime
import itertools
import math
import re
from collections.abc import Callable
from typing import Any

from mpipar.core.parameters import parse_int

TYPES = ("int", "float", "str", "bool", "date", "datetime")
"""Types of columns. After date and datetime may follow a colon and a format such as
``%d.%m.%Y``.
"""

_EXACT_IN_FLOATS = 2**53
_MOST_DECIMALS = 30
_PLAIN = re.compile(r"-?[0-9]+\.[0-9]+")
_SCIENTIFIC = re.compile(r"-?[0-9](?:\.(?P<decimals>[0-9]{1,30}))?[eE][+-]?[0-9]{1,3}")
_STYLES = tuple(itertools.product("eE", ("+", ""), (1, 2, 3)))
_TRUE_OR_FALSE = {"true": True, "false": False}


def is_type(kind: str) -> bool:
    """Return whether there is such a type of columns."""
    name, colon, format = kind.partition(":")
    return name in TYPES and (not colon or (name in ("date", "datetime") and "%" in format))


def guessed(texts: list[str], decimal: str = ".") -> list[Any]:
    """Return the values of a column: all int, or float, or bool, or else the texts as they are."""
    for guess in (_as_ints, _as_floats, _as_bools):
        values = guess(texts, decimal)
        if values is not None:
            return values
    return texts


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
    if kind.endswith("?"):
        return converted(text, kind[:-1], decimal) if text else None
    name, _, format = kind.partition(":")
    parse: dict[str, Callable[[], Any]] = {
        "int": lambda: _int(text),
        "float": lambda: _float_or_nan(text, decimal),
        "str": lambda: text,
        "bool": lambda: _bool(text),
        "date": lambda: (
            _datetime(text, format).date() if format else datetime.date.fromisoformat(text)
        ),
        "datetime": lambda: _datetime(text, format),
    }
    return parse[name]()


def looks_like_number(text: str) -> bool:
    """Return whether a text has digits and is a number, also with a decimal comma."""
    has_digits = any(digit in text for digit in "0123456789")
    return has_digits and (
        parsed(text) is not None or re.fullmatch(r"[+-]?[0-9]*,[0-9]+", text) is not None
    )


def parsed(text: str) -> float | None:
    """Return a number, but not of what is one to Python alone: 1_000, or with digits of other
    scripts.
    """
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def fit_in_64_bits(numbers: list[int]) -> bool:
    """Return whether one type of whole numbers of 64 bits holds all numbers."""
    smallest, largest = min(numbers), max(numbers)
    return smallest >= -(2**63) and largest < (2**63 if smallest < 0 else 2**64)


def prints_back(text: str) -> bool:
    """Return whether a number is printed as this text by Python: as a float, or as a whole number
    that one holds.
    """
    value = parsed(text)
    if value is None:
        return False
    if _is_int(text):
        return abs(int(text)) <= _EXACT_IN_FLOATS
    return repr(value) == text


def _is_int(text: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]{0,19}", text) is not None


def _as_ints(texts: list[str], decimal: str) -> list[int] | None:
    if not all(map(_is_int, texts)):
        return None
    numbers = [int(text) for text in texts]
    return numbers if fit_in_64_bits(numbers) else None


def _as_floats(texts: list[str], decimal: str) -> list[float] | None:
    """Return floats, of which one at least has a point or an exponent, as else they may be numbers
    of things.

    An empty cell is nan.
    """
    pointed = [_with_point(text, decimal) for text in texts if text]
    known = [text for text in pointed if text is not None]
    if not known or len(known) < len(pointed):
        return None
    if not any(_has_fraction_or_exponent(text) for text in known):
        return None
    if not any(
        form(known) for form in (_as_python_prints, _with_so_many_decimals, _in_scientific_form)
    ):
        return None
    values = [_float_or_nan(text, decimal) for text in texts]
    has_gap_and_nan = len(known) < len(texts) and "nan" in known
    return None if has_gap_and_nan else values


def _has_fraction_or_exponent(text: str) -> bool:
    return parsed(text) is not None and any(sign in text for sign in ".eE")


def _as_python_prints(texts: list[str]) -> bool:
    """Return whether Python prints all as they are, and none as another: 1 and 1.0 may be two
    names.
    """
    if not all(map(prints_back, texts)):
        return False
    different = set(texts)
    return len({repr(float(text)) for text in different}) == len(different)


def _with_so_many_decimals(texts: list[str]) -> bool:
    """Return whether all have equally many digits after the point, as spreadsheets print them, or
    are whole.
    """
    pointed = [text for text in texts if "." in text]
    whole = [text for text in texts if "." not in text]
    decimals = len(pointed[0].partition(".")[2]) if pointed else 0
    if not 1 <= decimals <= _MOST_DECIMALS:
        return False
    if not all(
        _PLAIN.fullmatch(text) and f"{float(text):.{decimals}f}" == text for text in pointed
    ):
        return False
    if not whole:
        return True
    zeros = "." + "0" * decimals
    return (
        all(map(prints_back, whole))
        and all(map(_is_int, whole))
        and not any(zeros in text for text in pointed)
    )


def _in_scientific_form(texts: list[str]) -> bool:
    """Return whether all are like 2.5e-3, with exponents that are written alike; 1e5 alone may be a
    name.
    """
    found = [_SCIENTIFIC.fullmatch(text) for text in texts]
    matches = [match for match in found if match is not None]
    if len(matches) < len(texts) or not all(math.isfinite(float(text)) for text in texts):
        return False
    may_be_names = not any(sign in text for text in texts for sign in ".-+")
    if may_be_names:
        return False
    decimals = {len(match["decimals"] or "") for match in matches}
    has_zeros = any((match["decimals"] or "").endswith("0") for match in matches)
    if has_zeros and len(decimals) > 1:
        return False
    return any(all(_is_written(match, *style) for match in matches) for style in _STYLES)


def _is_written(number: re.Match[str], letter: str, plus: str, width: int) -> bool:
    """Return whether a number is printed as it is, in a style of writing the exponent."""
    printed = f"{float(number[0]):.{len(number['decimals'] or '')}e}"
    digits, _, exponent = printed.partition("e")
    sign = "-" if exponent[0] == "-" else plus
    return f"{digits}{letter}{sign}{int(exponent[1:]):0{width}}" == number[0]


def _as_bools(texts: list[str], decimal: str) -> list[bool] | None:
    values = [_TRUE_OR_FALSE.get(text.lower()) for text in texts]
    return [value for value in values if value is not None] if None not in values else None


def _with_point(text: str, decimal: str) -> str | None:
    """Return the text of a number with a decimal point, or None if it has one, and commas are
    wanted.
    """
    if decimal == ".":
        return text
    return None if "." in text else text.replace(decimal, ".")


def _int(text: str) -> int:
    """Return a whole number, which may be written as in options: 1e3, 1_000, 2.0."""
    number = parse_int(text)
    if not fit_in_64_bits([number]):
        raise ValueError(f"expected a whole number of at most 64 bits, got {text!r:.60}")
    return number


def _float_or_nan(text: str, decimal: str) -> float:
    if not text:
        return float("nan")
    pointed = _with_point(text, decimal)
    value = None if pointed is None else parsed(pointed)
    if value is None:
        raise ValueError(f"expected a number, got {text!r:.60}")
    if abs(value) == float("inf") and any(digit in text for digit in "0123456789"):
        raise ValueError(f"expected a number that 64 bits hold, got {text!r:.60}")
    return value


def _bool(text: str) -> bool:
    known = {**_TRUE_OR_FALSE, "1": True, "0": False}
    if text.lower() not in known:
        raise ValueError(f"expected true or false, got {text!r:.60}")
    return known[text.lower()]


def _datetime(text: str, format: str) -> datetime.datetime:
    return (
        datetime.datetime.strptime(text, format)
        if format
        else datetime.datetime.fromisoformat(text)
    )
