"""Values of columns whose types nobody named.

A column is converted only where one format prints all of its values back as they were: ``007``,
``+1`` and ``1e5`` may be names, and stay text, and so do 3.9 and 3.10 together. Whoever knows
better names the type.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

from mpipar.inputs.cells import (
    TRUE_OR_FALSE,
    fit_in_64_bits,
    float_or_nan,
    is_int,
    parsed,
    prints_back,
    with_point,
)

_MOST_DECIMALS = 30
_PLAIN = re.compile(r"-?[0-9]+\.[0-9]+")
_SCIENTIFIC = re.compile(r"-?[0-9](?:\.(?P<decimals>[0-9]{1,30}))?[eE][+-]?[0-9]{1,3}")
_LETTERS = "eE"
_PLUSES = ("+", "")
_WIDTHS = (1, 2, 3)
_STYLES = tuple(itertools.product(_LETTERS, _PLUSES, _WIDTHS))


def guessed(texts: list[str], decimal: str = ".") -> list[Any]:
    """Return the values of a column: all int, or float, or bool, or else the texts as they are."""
    for guess in (_as_ints, _as_floats, _as_bools):
        values = guess(texts, decimal)
        if values is not None:
            return values
    return texts


def _as_ints(texts: list[str], decimal: str) -> list[int] | None:
    if not all(map(is_int, texts)):
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
    values = [float_or_nan(text, decimal) for text in texts]
    has_gaps = len(known) < len(texts)
    if has_gaps and "nan" in known:
        return None
    return values


def _all_with_point(texts: list[str], decimal: str) -> list[str]:
    """Return the cells that aren't empty, with decimal points, or nothing if one can't have it."""
    known = []
    for text in filter(None, texts):
        pointed = with_point(text, decimal)
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


def _may_be_among(
    whole: list[str],
    pointed: list[str],
    decimals: int,
) -> bool:
    """Return whether whole numbers may be written without the decimals that others have.

    Where one is written with them, as 2.00, 2 may be another name.
    """
    zeros = "." + "0" * decimals
    if any(zeros in text for text in pointed):
        return False
    return all(map(is_int, whole)) and all(map(prints_back, whole))


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


def _are_written(
    numbers: list[re.Match[str]],
    letter: str,
    plus: str,
    width: int,
) -> bool:
    return all(_is_written(number, letter, plus, width) for number in numbers)


def _is_written(
    number: re.Match[str],
    letter: str,
    plus: str,
    width: int,
) -> bool:
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
        value = TRUE_OR_FALSE.get(text.lower())
        if value is None:
            return None
        values.append(value)
    return values
