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
"""Types of columns; date and datetime may have a format after a colon, such as ``%d.%m.%Y``."""

_EXACT_IN_FLOATS = 2**53
_MOST_DECIMALS = 30
_DIGITS = frozenset("0123456789")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
_INT = re.compile(r"0|-?[1-9][0-9]{0,19}")
_PLAIN = re.compile(r"-?[0-9]+\.[0-9]+")
_SCIENTIFIC = re.compile(r"-?[0-9](?:\.(?P<decimals>[0-9]{1,30}))?[eE][+-]?[0-9]{1,3}")
_STYLES = tuple(itertools.product("eE", ("+", ""), (1, 2, 3)))
_TRUE_OR_FALSE = {"true": True, "false": False}


def is_type(kind: str) -> bool:
    """Return whether there is such a type of columns."""
    name, colon, format = kind.partition(":")
    if not colon:
        return name in TYPES
    return name in ("date", "datetime") and "%" in format


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
    may_be_none = kind.endswith("?")
    if may_be_none and not text:
        return None
    if may_be_none:
        return converted(text, kind[:-1], decimal)
    name, _, format = kind.partition(":")
    parse: dict[str, Callable[[], Any]] = {
        "int": lambda: _int(text),
        "float": lambda: _float_or_nan(text, decimal),
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
    smallest, largest = min(numbers), max(numbers)
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
    if _is_int(text):
        return abs(int(text)) <= _EXACT_IN_FLOATS
    return repr(value) == text


def _has_digits(text: str) -> bool:
    return not _DIGITS.isdisjoint(text)


def _is_int(text: str) -> bool:
    return _INT.fullmatch(text) is not None


def _as_ints(texts: list[str], decimal: str) -> list[int] | None:
    if not all(map(_is_int, texts)):
        return None
    numbers = [int(text) for text in texts]
    if not fit_in_64_bits(numbers):
        return None
    return numbers


def _as_floats(texts: list[str], decimal: str) -> list[float] | None:
    """Return floats, of which one at least has a point or an exponent: else they may be names.

    An empty cell is nan.
    """
    known = _all_with_point(texts, decimal)
    if not known or not any(map(_has_fraction_or_exponent, known)):
        return None
    if not _are_of_one_form(known):
        return None
    values = [_float_or_nan(text, decimal) for text in texts]
    has_gaps = len(known) < len(texts)
    if has_gaps and "nan" in known:
        return None
    return values


def _all_with_point(texts: list[str], decimal: str) -> list[str]:
    """Return the cells that aren't empty, with decimal points, or nothing if one can't have it."""
    known = []
    for text in filter(None, texts):
        pointed = _with_point(text, decimal)
        if pointed is None:
            return []
        known.append(pointed)
    return known


def _has_fraction_or_exponent(text: str) -> bool:
    has_sign_of_it = "." in text or "e" in text or "E" in text
    return has_sign_of_it and parsed(text) is not None


def _are_of_one_form(texts: list[str]) -> bool:
    """Return whether one format prints all numbers back as they were."""
    return (
        _are_as_python_prints(texts)
        or _have_as_many_decimals(texts)
        or _are_in_scientific_form(texts)
    )


def _are_as_python_prints(texts: list[str]) -> bool:
    """Return whether Python prints each as it is, and no two alike: 1 and 1.0 may be two names."""
    if not all(map(prints_back, texts)):
        return False
    different = set(texts)
    printed = {repr(float(text)) for text in different}
    return len(printed) == len(different)


def _have_as_many_decimals(texts: list[str]) -> bool:
    """Return whether all have as many digits after the point, as in spreadsheets, or are whole."""
    pointed = [text for text in texts if "." in text]
    if not pointed:
        return False
    decimals = len(pointed[0].partition(".")[2])
    if not 1 <= decimals <= _MOST_DECIMALS:
        return False
    if not all(_has_decimals(text, decimals) for text in pointed):
        return False
    whole = [text for text in texts if "." not in text]
    return not whole or _may_be_among(whole, pointed, decimals)


def _has_decimals(text: str, decimals: int) -> bool:
    """Return whether a number is printed as it is, with so many digits after the point."""
    if _PLAIN.fullmatch(text) is None:
        return False
    return f"{float(text):.{decimals}f}" == text


def _may_be_among(whole: list[str], pointed: list[str], decimals: int) -> bool:
    """Return whether whole numbers may be written without the decimals that others have.

    Where one is written with them, as 2.00, 2 may be another name.
    """
    zeros = "." + "0" * decimals
    if any(zeros in text for text in pointed):
        return False
    return all(map(_is_int, whole)) and all(map(prints_back, whole))


def _are_in_scientific_form(texts: list[str]) -> bool:
    """Return whether all are like 2.5e-3, with exponents that are written alike."""
    numbers = []
    for text in texts:
        number = _SCIENTIFIC.fullmatch(text)
        if number is None or not math.isfinite(float(text)):
            return False
        numbers.append(number)
    if not any(map(_is_surely_number, texts)):
        return False
    return _have_same_precision(numbers) and _have_same_style(numbers)


def _is_surely_number(text: str) -> bool:
    """Return whether a text of scientific form can't be a name, as 1e5 can."""
    return "." in text or "-" in text or "+" in text


def _have_same_precision(numbers: list[re.Match[str]]) -> bool:
    """Return whether all have as many decimals, or only as many as they need."""
    all_decimals = {number["decimals"] or "" for number in numbers}
    widths = set(map(len, all_decimals))
    has_zeros = any(decimals.endswith("0") for decimals in all_decimals)
    return len(widths) == 1 or not has_zeros


def _have_same_style(numbers: list[re.Match[str]]) -> bool:
    """Return whether one style of writing exponents prints all numbers as they are."""
    return any(_are_written(numbers, *style) for style in _STYLES)


def _are_written(numbers: list[re.Match[str]], letter: str, plus: str, width: int) -> bool:
    return all(_is_written(number, letter, plus, width) for number in numbers)


def _is_written(number: re.Match[str], letter: str, plus: str, width: int) -> bool:
    """Return whether a number is printed as it is, in a style of writing the exponent."""
    text = number[0]
    decimals = len(number["decimals"] or "")
    digits, _, exponent = f"{float(text):.{decimals}e}".partition("e")
    sign = "-" if exponent[0] == "-" else plus
    power = int(exponent[1:])
    return f"{digits}{letter}{sign}{power:0{width}}" == text


def _as_bools(texts: list[str], decimal: str) -> list[bool] | None:
    values = []
    for text in texts:
        value = _TRUE_OR_FALSE.get(text.lower())
        if value is None:
            return None
        values.append(value)
    return values


def _with_point(text: str, decimal: str) -> str | None:
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


def _float_or_nan(text: str, decimal: str) -> float:
    if not text:
        return float("nan")
    pointed = _with_point(text, decimal)
    value = parsed(pointed or "")
    if value is None:
        raise ValueError(f"expected a number, got {text!r:.60}")
    if math.isinf(value) and _has_digits(text):
        raise ValueError(f"expected a number that 64 bits hold, got {text!r:.60}")
    return value


def _bool(text: str) -> bool:
    known = {**_TRUE_OR_FALSE, "1": True, "0": False}
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
