"""Arrays whose arithmetic says what NumPy's does without a word.

Whole numbers that don't fit in their type wrap around in NumPy, division of whole numbers by zero
gives zero, true + true is true, and the sine of a truth value, or of a byte, has three digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.core.partials import Array
from mpipar.inputs.arithmetic import ARITIES, FUNCTIONS, TYPES

_INTEGERS = "iu"
_WHOLE = "biu"
_MAY_OVERFLOW = (
    np.add,
    np.subtract,
    np.multiply,
    np.power,
    np.square,
    np.negative,
    np.absolute,
    np.floor_divide,
)
_COMPARED = ("sum", "prod", "cumsum", "cumprod", "round", "dot", "polyval")
"""Functions that compute with whole numbers, and aren't ufuncs."""

_MOST_BITS = 1023.0  # by which a double can be shifted: zero times infinity would be nan
_REMAINDERS = (np.remainder, np.fmod)
_OF_COMPLEX = ("bool_", "complex128")
_REMEDY = "write float64(…) around one of them"


class Careful(np.ndarray[Any, np.dtype[Any]]):
    """An array that raises OverflowError, ZeroDivisionError or TypeError for these, or computes
    with doubles.
    """

    def __array_ufunc__(
        self,
        ufunc: np.ufunc,
        method: str,
        *inputs: Any,
        **keywords: Any,
    ) -> Any:
        """Compute as NumPy does, and look at the result."""
        plain = [_plain(value) for value in inputs]
        if ufunc is np.reciprocal and all(map(_is_small, plain)):  # of whole numbers it is 0
            plain = [_as_doubles(value) for value in plain]
        made = getattr(ufunc, method)(*plain, **keywords)
        if method != "__call__" or not isinstance(made, (np.ndarray, np.generic)):
            return made
        kind = made.dtype.kind
        if kind in _INTEGERS:
            _check_integers(ufunc, plain, made)
        elif kind == "b":
            _check_truth(ufunc, plain)
        elif made.dtype.itemsize < 8 and all(map(_is_small, plain)):
            made = ufunc(*map(_as_doubles, plain), **keywords)
        return careful(made)


def careful(array: Any) -> Careful:
    """Return an array, or a number, that takes care of its arithmetic."""
    return np.asarray(array).view(Careful)


def careful_type(name: str) -> Callable[[Any], Any]:
    """Return a type of NumPy's as a function that raises OverflowError for what it can't hold."""
    cast = getattr(np, name)

    def call(value: Any) -> Any:
        before = np.asarray(value)
        if before.dtype.kind == "c" and name not in _OF_COMPLEX:
            before = _real(name, before)
        with np.errstate(invalid="ignore"):
            made = np.asarray(cast(before))
        if made.dtype.kind in _INTEGERS and before.dtype.kind in "iuf":
            _check_cast(name, before, made)
        return careful(made)

    return call


def _careful_function(name: str) -> Callable[..., Any]:
    """Return a function that isn't a ufunc, with a value that takes care of its arithmetic."""
    function = FUNCTIONS[name]

    def call(*arguments: Any, **keywords: Any) -> Any:
        return careful(function(*arguments, **keywords))

    return call


def _compared_function(name: str) -> Callable[..., Any]:
    """Return a function that raises OverflowError for whole numbers that its value can't hold."""
    function = FUNCTIONS[name]
    fewest, _ = ARITIES[name]

    def call(*arguments: Any, **keywords: Any) -> Any:
        plain = [_all_plain(value) for value in arguments]
        made = np.asarray(function(*plain, **keywords))
        if made.dtype.kind in _INTEGERS:
            operands = [_whole_as_doubles(value) for value in plain[:fewest]]
            keywords.pop("dtype", None)
            with np.errstate(all="ignore"):
                expected = function(*operands, *plain[fewest:], **keywords)
            _check_near(expected, made)
        return careful(made)

    return call


def _careful_where(
    condition: Any,
    one: Any,
    other: Any,
) -> Any:
    """Return what NumPy's does, which takes -1 among bytes without a sign for 255."""
    made = np.where(condition, one, other)
    if made.dtype.kind not in _INTEGERS:
        return careful(made)
    limits = np.iinfo(made.dtype)
    for value in (one, other):
        if type(value) is not int:
            continue
        fits = limits.min <= value <= limits.max
        if not fits:
            raise OverflowError(f"{value} among whole numbers of {made.dtype}; {_REMEDY}")
    return careful(made)


def _careful_full_like(like: Any, value: Any) -> Any:
    """Return what NumPy's does, which cuts 2.7 among whole numbers to 2."""
    made = np.full_like(_all_plain(like), value)
    if made.dtype.kind not in _WHOLE:
        return careful(made)
    is_same = made == np.asarray(value)
    if not np.all(is_same):
        raise OverflowError(f"{value} among numbers of {made.dtype}; {_REMEDY}")
    return careful(made)


def _functions() -> dict[str, Callable[..., Any]]:
    careful_functions: dict[str, Callable[..., Any]] = {}
    for name, function in FUNCTIONS.items():
        if isinstance(function, np.ufunc):
            continue
        if name in _COMPARED:
            careful_functions[name] = _compared_function(name)
        elif name in TYPES:
            careful_functions[name] = careful_type(name)
        else:
            careful_functions[name] = _careful_function(name)
    careful_functions["where"] = _careful_where
    careful_functions["full_like"] = _careful_full_like
    return careful_functions


CAREFUL_FUNCTIONS = _functions()
"""Functions that formulas may name and that aren't ufuncs, which ask the operands themselves."""


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Careful) else value


def _all_plain(value: Any) -> Any:
    """Return an array, a number, or a list of such, that NumPy computes with as it does."""
    if isinstance(value, (list, tuple)):
        return [_all_plain(part) for part in value]
    return _plain(value)


def _whole_as_doubles(value: Any) -> Any:
    """Return whole numbers as doubles. Raises TypeError if there are fractions among them."""
    doubles = _as_doubles(value)
    is_whole = doubles == np.trunc(doubles)
    if not np.all(is_whole):
        raise TypeError("numbers with fractions can't be taken for whole ones")
    return doubles


def _real(name: str, before: Array) -> Array:
    if np.any(before.imag):
        raise TypeError(f"complex numbers that {name} can't hold; write real(…) around them")
    return before.real


def _check_integers(ufunc: np.ufunc, inputs: list[Any], made: Any) -> None:
    """Raise OverflowError or ZeroDivisionError if whole numbers aren't what they should be."""
    is_division = ufunc is np.floor_divide or ufunc in _REMAINDERS
    if is_division and not np.all(inputs[1]):
        raise ZeroDivisionError("division of a whole number by zero")
    if ufunc is np.left_shift:
        by = np.minimum(_as_doubles(inputs[1]), _MOST_BITS)
        inputs = [inputs[0], np.exp2(by)]
        ufunc = np.multiply
    elif ufunc is np.lcm:
        one, other = inputs
        divisor = np.gcd(one, other)
        divisor = np.maximum(divisor, 1)
        shortened = _as_doubles(one) / divisor
        inputs = [np.abs(shortened), np.abs(_as_doubles(other))]
        ufunc = np.multiply
    elif ufunc not in _MAY_OVERFLOW:
        return
    with np.errstate(all="ignore"):
        expected = ufunc(*map(_as_doubles, inputs))
    _check_near(expected, made)


def _check_near(expected: Any, made: Any) -> None:
    """Raise OverflowError if whole numbers are others than doubles have it."""
    with np.errstate(all="ignore"):
        difference = np.abs(expected - made.astype(np.float64))
    # What wraps around is off by a power of two; doubles are rounded by far less.
    is_right = difference < 2.0 ** (8 * made.dtype.itemsize - 1)
    if not np.all(is_right):
        raise OverflowError(f"whole numbers that {made.dtype} can't hold; {_REMEDY}")


def _check_truth(ufunc: np.ufunc, inputs: list[Any]) -> None:
    """Raise TypeError for a sum of truth values."""
    if ufunc is np.add:
        raise TypeError("true + true is true; to count, write 1*(…) + 1*(…), else (…) | (…)")


def _check_cast(name: str, before: Array, made: Array) -> None:
    if not np.all(made == np.trunc(before)):
        raise OverflowError(f"numbers that {name} can't hold")


def _is_small(value: Any) -> bool:
    """Return whether NumPy makes floats of few digits of this: it is truth values, or whole."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in _WHOLE
    return isinstance(value, int)


def _as_doubles(value: Any) -> Any:
    return np.asarray(value, np.float64)
