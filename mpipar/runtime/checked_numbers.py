"""Whole numbers in compiled code as plain Python and NumPy have them: what stands for operators
while it is made, and of which types these are.

Python's whole numbers, which have 64 bits there, are checked. NumPy's unsigned ones wrap, as in
NumPy. Its signed ones are checked: what wraps there by accident is an error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import types
from numba.np import numpy_support

WHOLE = types.int64
EXACT = 2**53
"""Up to here, each whole number is a double."""

NEGATIVE_POWER = "a negative power of a whole number is none: write 2.0**-n, not 2**-n"
NOT_EXACT = "a whole number beyond 2**53 is no double: compiled code would round it"

Key = Callable[..., Any]


def _stand_in(name: str) -> Key:
    """Return an object that operators are known by."""

    def key(*arguments: Any) -> Any:
        raise AssertionError("only compiled code has it")

    key.__name__ = key.__qualname__ = name
    return key


def known_as(key: Key) -> str:
    """Return what Numba knows an operator by."""
    return f"mpipar.{key.__name__}"


BINARY = {
    of: _stand_in(f"checked_{of.__name__}")
    for of in (
        operator.add,
        operator.sub,
        operator.mul,
        operator.floordiv,
        operator.mod,
        operator.pow,
        operator.lshift,
        operator.rshift,
        operator.and_,
        operator.or_,
        operator.xor,
    )
}
"""What stands for operators of Python's while compiled code is made: for each the checked one."""

IN_PLACE = {
    getattr(operator, f"i{of.__name__.rstrip('_')}"): _stand_in(f"checked_i{of.__name__}")
    for of in BINARY
}

UNARY = {
    of: _stand_in(f"checked_{of.__name__}")
    for of in (operator.neg, operator.invert, operator.pos, abs)
}

as_whole = _stand_in("as_whole")
"""``int(x)``."""

exactly = _stand_in("exactly")
"""A whole number that is a double."""

negatable = _stand_in("negatable")
"""A whole number whose opposite has 64 bits, too."""

short = _stand_in("short")
"""A whole number of 62 bits."""

of_both = _stand_in("of_both")
"""Of two floats: 0 if both are finite, NaN if one is, infinity else."""

proper = _stand_in("proper")
"""A float, unless it isn't finite where the other is."""

FITTING = {
    kind: _stand_in(f"fitting_{kind}") for kind in (*types.signed_domain, *types.unsigned_domain)
}
"""By types: a number that NumPy puts into an array of that type, or makes one of."""


def is_narrow(kind: Any) -> bool:
    """Return whether something is of a type of NumPy's that holds less than Python's numbers do."""
    if isinstance(kind, types.Integer):
        return bool(kind.bitwidth < 64)
    return kind in (types.float32, types.complex64)


def is_wide_unsigned(kind: Any) -> bool:
    """Return whether something is a np.uint64."""
    return isinstance(kind, types.Integer) and not kind.signed and kind.bitwidth == 64


def literal(kind: Any) -> int | None:
    """Return the value of a whole number that stands in the source, or None."""
    if isinstance(kind, types.IntegerLiteral):
        return int(kind.literal_value)
    return None


def _holds(kind: Any, value: int) -> bool:
    return bool(kind.minval <= value <= kind.maxval)


def are_whole(kinds: Any) -> bool:
    """Return whether all are whole numbers, or conditions beside such."""
    some = [kind for kind in kinds if isinstance(kind, types.Integer)]
    conditions = [kind for kind in kinds if isinstance(kind, types.Boolean)]
    return bool(some) and len(some) + len(conditions) == len(kinds)


def result_of(of: Any, left: Any, right: Any) -> Any:
    """Return of which type an operation of whole numbers is, as in NumPy 2; None where plain
    Python's differs with what compiled code can't tell: whether a number is NumPy's or Python's.
    """
    if of is operator.pow and (literal(right) or 0) < 0:
        return None
    if of in (operator.lshift, operator.rshift) and is_wide_unsigned(left):
        is_count = not is_narrow(right) or not right.signed
        return types.uint64 if is_count else None
    if isinstance(left, types.Boolean):
        return _promoted(right, 1)
    if isinstance(right, types.Boolean):
        return _promoted(left, 1)
    for one, other in ((left, right), (right, left)):
        value = literal(one)
        if value is not None:
            return _promoted(other, value)
    return _promoted_variables(left, right)


def _promoted(kind: Any, value: int) -> Any:
    """Return the type of what a number gives with one that stands in the source."""
    own = literal(kind)
    if own is not None:
        both_fit = _holds(WHOLE, own) and _holds(WHOLE, value)
        return WHOLE if both_fit else None
    if not _holds(kind, value):
        return None
    return kind


def _promoted_variables(left: Any, right: Any) -> Any:
    if WHOLE in (left, right):
        other = right if left == WHOLE else left
        return other if other.signed else None
    promoted = np.promote_types(*map(numpy_support.as_dtype, (left, right)))
    if promoted.kind not in "iu":
        return None
    return numpy_support.from_dtype(promoted)


def types_of(context: Any, of: Any, arguments: Any) -> Any:
    """Return the signature of a function for arguments of some types; it has machine code for them
    once it was asked for that.
    """
    return context.resolve_function_type(context.resolve_value_type(of), tuple(arguments), {})
