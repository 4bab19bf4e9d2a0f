"""What a function may not have if it is to give in compiled code what it does in plain Python: why,
in one line, from the types of its operations alone.
"""

from __future__ import annotations

import operator
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba.core import types

from mpipar.base.errors import BadInput
from mpipar.runtime import checked_numbers as checked

MATH = ("math", "cmath")
"""Modules of Python's whose functions raise where those of C don't."""

_KEEP_TYPE = (bool, float, len, min, max, complex, print, range, enumerate, zip, isinstance)
_NUMPYS_OWN = "NumPy rounds or wraps as its own type says, compiled code doesn't"
_NO_FUNCTION_OF = "numba.core.unsafe.eh"
_SUMS_ARE_COMPENSATED = sys.version_info >= (3, 12)


class Refused(BadInput):
    """What a function has may not be in compiled code what it is in plain Python."""


def refused(text: str, loc: Any) -> Refused:
    """Return the error for a place in the source."""
    return Refused(f"{text} (line {loc.line})")


def too_large(value: int, loc: Any) -> Refused:
    """Return the error for a constant that only np.uint64 holds, or nothing."""
    if value < 2**64:
        return refused(
            f"whole numbers of compiled code have 64 bits; write np.uint64({value})", loc
        )
    return refused(f"whole numbers of compiled code have 64 bits, got {value}", loc)


def _named(kind: Any) -> str:
    names = {types.int64: "a whole number", types.float64: "a float"}
    return names.get(kind, f"np.{kind}")


def _is_beyond(kind: Any) -> bool:
    value = checked.literal(kind)
    return value is not None and not -(2**63) <= value < 2**63


def of_whole_numbers(of: Any, operands: Sequence[Any]) -> str:
    """Return why an operation of whole numbers isn't compiled."""
    if of is operator.pow and (checked.literal(operands[1]) or 0) < 0:
        return checked.NEGATIVE_POWER
    plain = [types.unliteral(kind) for kind in operands]
    for first, second in (plain, plain[::-1]):
        if isinstance(first, types.Integer) and first not in (types.int64, second):
            name = f"np.{first}"
            either = f"write int(…) around the first or {name}(…) around the second"
            return f"{name} with {_named(second)}: {either}"
    return "compiled code can't tell whether these numbers are NumPy's or Python's"


def of_small_numbers(operands: Sequence[Any]) -> str:
    """Return why an operation of numbers or arrays isn't compiled, where NumPy has them in a small
    type with what may be Python's; nothing if it is.
    """
    elements = [getattr(kind, "dtype", kind) for kind in operands]
    if not all(isinstance(kind, (types.Number, types.Boolean)) for kind in elements):
        return ""
    has_array = any(isinstance(kind, types.Array) for kind in operands)
    one, other = (types.unliteral(kind) for kind in elements)
    if one == other:
        return ""
    for small, second in ((one, other), (other, one)):
        if _depends_on_whose(small, second, has_array):
            return (
                f"np.{small} with {_named(second)}: {_NUMPYS_OWN};"
                " write int(…) or float(…) around the first"
            )
    return ""


def _depends_on_whose(small: Any, other: Any, has_array: bool) -> bool:
    """Return whether NumPy gives something else with a number of Python's than with its own."""
    is_whole = isinstance(small, types.Integer)
    if checked.is_wide_unsigned(small):
        return has_array and isinstance(other, types.Integer)
    if not checked.is_narrow(small):
        return False
    return has_array or not is_whole or other in (types.float32, types.complex64)


def of_call(key: Any, function: Any, call: Any) -> str:
    """Return why a call isn't compiled, or nothing."""
    count = len(call.args) + len(call.kws)
    owner = getattr(key, "__self__", None)
    reasons = {
        "try would catch what plain Python doesn't raise": getattr(key, "__module__", None)
        == _NO_FUNCTION_OF,
        "random numbers are those of rng, an argument of the kernel": isinstance(
            owner, (random.Random, np.random.RandomState)
        ),
        "a set has another order in compiled code": _pops_of_set(key, function),
        "compiled code rounds to digits otherwise than Python": key is round and count > 1,
        "compiled code sorts what is alike otherwise than Python": key is sorted and count > 1,
        "write the operator itself": getattr(key, "__module__", None) == "_operator",
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _pops_of_set(key: Any, function: Any) -> bool:
    is_of_set = isinstance(function, types.BoundFunction) and isinstance(function.this, types.Set)
    return is_of_set and "pop" in str(key)


def of_arguments(key: Any, kinds: Sequence[Any], result: Any) -> str:
    """Return why a call with small numbers of NumPy's isn't compiled, or nothing: few functions
    keep their type.
    """
    if key in _KEEP_TYPE:
        return ""
    is_ufunc = isinstance(key, np.ufunc)
    if is_ufunc and len(kinds) == 2:
        mixed = of_small_numbers(kinds)
        if mixed:
            return mixed
    is_of_math = getattr(key, "__module__", "") in MATH
    given = getattr(result, "dtype", result)
    for element in _small_elements(kinds):
        is_changed = is_ufunc and given not in (element, types.boolean)
        is_single = is_of_math and not isinstance(element, types.Integer)
        if is_changed or is_single:
            name = f"np.{element} in {key.__name__}"
            return f"{name}: {_NUMPYS_OWN}; write float(…) around it"
    return ""


def _small_elements(kinds: Sequence[Any]) -> Iterator[Any]:
    for kind in kinds:
        element = getattr(kind, "dtype", kind)
        if checked.is_narrow(element):
            yield element


def of_extreme(kinds: Sequence[Any]) -> str:
    """Return why min or max of these isn't compiled, or nothing."""
    numbers = {types.unliteral(kind) for kind in kinds if isinstance(kind, types.Number)}
    is_mixed = len(numbers) > 1
    has_small = any(map(checked.is_narrow, numbers)) or types.uint64 in numbers
    if is_mixed and has_small:
        return "min and max are of numbers of one type: write int(…)"
    return ""


def of_sum(result: Any) -> str:
    """Return why ``sum`` isn't compiled, or nothing."""
    if _SUMS_ARE_COMPENSATED and isinstance(result, (types.Float, types.Complex)):
        return "sum of floats has other digits in compiled code: write a loop"
    return ""


def of_conversion(kind: Any, target: Any) -> str:
    """Return why a variable of one type can't be one of another, or nothing."""
    if isinstance(kind, types.BaseTuple) and isinstance(target, types.BaseTuple):
        return _of_tuples(kind, target)
    if not isinstance(kind, types.Number) or not isinstance(target, types.Number):
        return ""
    if checked.is_narrow(kind) or types.uint64 in (types.unliteral(kind), target):
        both = f"{_named(kind)} here, and {_named(target)} there"
        return f"a variable is {both}: write int(…) or float(…)"
    return ""


def _of_tuples(kind: Any, target: Any) -> str:
    for one, other in zip(kind, target, strict=False):
        is_same = types.unliteral(one) == types.unliteral(other)
        if not is_same and checked.literal(one) is None:
            return "a tuple has numbers of several types at one place: write int(…) or float(…)"
    return ""
