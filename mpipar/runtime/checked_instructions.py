"""Machine code of what compiled code checks: operators of whole numbers, and numbers that become
others.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir as llvm
from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global

from mpipar.runtime.checked_numbers import (
    BINARY,
    EXACT,
    FITTING,
    IN_PLACE,
    NEGATIVE_POWER,
    NOT_EXACT,
    UNARY,
    WHOLE,
    Key,
    are_whole,
    as_whole,
    exactly,
    known_as,
    literal,
    negatable,
    of_both,
    proper,
    result_of,
    short,
    types_of,
)

NEEDS_MORE = (
    "a whole number needs more bits than compiled code has for it: 64, or those of NumPy's type"
)
NEGATIVE_SHIFT = "negative shift count"
NO_WHOLE = "what isn't finite, or has more than 64 bits, is no whole number"
DOMAIN = "math domain error"
RANGE = "math range error"


def _declare_binary(key: Key, original: Any, of: Any) -> None:
    @infer_global(key, typing_key=known_as(key))
    class _Template(AbstractTemplate):
        prefer_literal = True

        def generic(self, args: Any, kws: Any) -> Any:
            if are_whole(args):
                kind = result_of(of, *args)
                if kind is not None:
                    return signature(kind, *[_operand(given, kind) for given in args])
            return types_of(self.context, original, args)

    @lower_builtin(known_as(key), types.Any, types.Any)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _binary(context, builder, of, sig, args)


def _operand(given: Any, kind: Any) -> Any:
    """Return of which type an operand is taken: one that has all that the result's type depends on,
    as Numba asks for that again.
    """
    is_condition = isinstance(given, types.Boolean)
    return kind if is_condition or literal(given) is not None else given


def _declare_unary(key: Key, of: Any) -> None:
    @infer_global(key, typing_key=known_as(key))
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if isinstance(args[0], types.Integer):
                return signature(args[0], args[0])
            return types_of(self.context, of, args)

    @lower_builtin(known_as(key), types.Any)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _unary(context, builder, of, sig, args)


def _declare(key: Key, *kinds: Any, gives: Any = None) -> Callable[[Any], Any]:
    """Have a function be the machine code of what is used once types are known; a decorator."""

    def use(lower: Any) -> Any:
        @infer_global(key, typing_key=known_as(key))
        class _Template(AbstractTemplate):
            def generic(self, args: Any, kws: Any) -> Any:
                if not isinstance(args[0], kinds):
                    return None
                return signature(gives or args[0], *args)

        _Template.key = key
        lower_builtin(known_as(key), *[types.Any] * (lower.__code__.co_argcount - 3))(
            lambda context, builder, sig, args: lower(context, builder, sig, *args)
        )
        return lower

    return use


def _refuse(
    context: Any,
    builder: Any,
    condition: Any,
    error: type[Exception],
    text: str,
) -> None:
    """Raise an error where a condition holds."""
    with builder.if_then(condition, likely=False):
        context.call_conv.return_user_exc(builder, error, (text,))


def _word(value: int) -> Any:
    return llvm.Constant(llvm.IntType(64), value)


def _original(context: Any, builder: Any, of: Any, kind: Any, args: Any) -> Any:
    """Return what Numba's own operation gives for numbers of one type."""
    key = context.typing_context.resolve_value_type(of)
    sig = types_of(context.typing_context, of, [kind] * len(args))
    return context.get_function(key, sig)(builder, args)


def _narrowed(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """Return a whole number as NumPy's type has it; raise OverflowError if it doesn't."""
    if kind.bitwidth == 64:
        return value
    small = builder.trunc(value, llvm.IntType(kind.bitwidth))
    again = builder.sext(small, llvm.IntType(64))
    _refuse(context, builder, builder.icmp_signed("!=", again, value), OverflowError, NEEDS_MORE)
    return small


_WITH_OVERFLOW = {
    operator.add: "sadd_with_overflow",
    operator.sub: "ssub_with_overflow",
    operator.mul: "smul_with_overflow",
}


def _binary(context: Any, builder: Any, of: Any, sig: Any, args: Any) -> Any:
    kind = sig.return_type
    if not are_whole((kind, *sig.args)):
        raise NotImplementedError
    if of in (operator.lshift, operator.rshift):
        return _shifted(context, builder, of, sig, args)
    if not kind.signed:
        wide = [
            context.cast(builder, value, given, types.uint64)
            for value, given in zip(args, sig.args, strict=True)
        ]
        value = _original(context, builder, of, types.uint64, wide)
        return context.cast(builder, value, types.uint64, kind)
    wide = [
        context.cast(builder, value, given, WHOLE)
        for value, given in zip(args, sig.args, strict=True)
    ]
    value = _checked(context, builder, of, *wide)
    return _narrowed(context, builder, value, kind)


def _checked(context: Any, builder: Any, of: Any, left: Any, right: Any) -> Any:
    """Return what an operation of Python's whole numbers gives."""
    if of in _WITH_OVERFLOW:
        pair = getattr(builder, _WITH_OVERFLOW[of])(left, right)
        has_overflown = builder.extract_value(pair, 1)
        _refuse(context, builder, has_overflown, OverflowError, NEEDS_MORE)
        return builder.extract_value(pair, 0)
    if of is operator.pow:
        return context.compile_internal(builder, _power, WHOLE(WHOLE, WHOLE), [left, right])
    if of is operator.floordiv:
        is_least = builder.icmp_signed("==", left, _word(-(2**63)))
        is_minus_one = builder.icmp_signed("==", right, _word(-1))
        both = builder.and_(is_least, is_minus_one)
        _refuse(context, builder, both, OverflowError, NEEDS_MORE)
    return _original(context, builder, of, WHOLE, [left, right])


_times = BINARY[operator.mul]


def _power(base: int, exponent: int) -> int:
    if exponent < 0:
        raise ValueError(NEGATIVE_POWER)
    result = 1
    while True:
        if exponent & 1:
            result = _times(result, base)
        exponent >>= 1
        if exponent == 0:
            return result
        base = _times(base, base)


def _shifted(context: Any, builder: Any, of: Any, sig: Any, args: Any) -> Any:
    kind = sig.return_type
    wide = WHOLE if kind.signed else types.uint64
    value = context.cast(builder, args[0], sig.args[0], wide)
    count = context.cast(builder, args[1], sig.args[1], WHOLE)
    if sig.args[1].signed:
        is_negative = builder.icmp_signed("<", count, _word(0))
        _refuse(context, builder, is_negative, ValueError, NEGATIVE_SHIFT)
    is_beyond = builder.icmp_unsigned(">=", count, _word(kind.bitwidth if wide != WHOLE else 64))
    within = builder.select(is_beyond, _word(63), count)
    if of is operator.rshift:
        if wide == WHOLE:
            return _narrowed(context, builder, builder.ashr(value, within), kind)
        shifted = builder.select(is_beyond, _word(0), builder.lshr(value, within))
        return context.cast(builder, shifted, wide, kind)
    shifted = builder.shl(value, within)
    if wide != WHOLE:
        return context.cast(builder, builder.select(is_beyond, _word(0), shifted), wide, kind)
    back = builder.ashr(shifted, within)
    is_cut = builder.icmp_signed("!=", back, value)
    is_some = builder.icmp_signed("!=", value, _word(0))
    has_overflown = builder.or_(is_cut, builder.and_(is_beyond, is_some))
    _refuse(context, builder, has_overflown, OverflowError, NEEDS_MORE)
    return _narrowed(context, builder, shifted, kind)


def _unary(context: Any, builder: Any, of: Any, sig: Any, args: Any) -> Any:
    kind = sig.return_type
    if not isinstance(kind, types.Integer):
        raise NotImplementedError
    (value,) = args
    if of is operator.pos or (of is abs and not kind.signed):
        return value
    if of is operator.invert:
        return builder.not_(value)
    opposite = builder.neg(value)
    if not kind.signed:
        return opposite
    zero = llvm.Constant(value.type, 0)
    is_least = builder.and_(
        builder.icmp_signed("==", opposite, value), builder.icmp_signed("!=", value, zero)
    )
    _refuse(context, builder, is_least, OverflowError, NEEDS_MORE)
    if of is abs:
        return builder.select(builder.icmp_signed("<", value, zero), opposite, value)
    return opposite


for _of, _key in BINARY.items():
    _declare_binary(_key, _of, _of)
for (_original_of, _key), _of in zip(IN_PLACE.items(), BINARY, strict=True):
    _declare_binary(_key, _original_of, _of)
for _one, _key in UNARY.items():
    _declare_unary(_key, _one)


def _refuse_unless_between(
    context: Any,
    builder: Any,
    value: Any,
    kind: Any,
    least: int,
    most: int,
) -> None:
    """Raise OverflowError unless a number, without what is behind its point, is from least to
    most.
    """
    if isinstance(kind, types.Float):
        double = context.cast(builder, value, kind, types.float64)
        low = llvm.Constant(llvm.DoubleType(), float(least))
        high = llvm.Constant(llvm.DoubleType(), float(most + 1))
        one = llvm.Constant(llvm.DoubleType(), 1.0)
        # Beyond 2**53 there is nothing between, and the sum is the number.
        from_low = builder.fcmp_ordered(">", builder.fadd(double, one), low)
        if abs(least) > EXACT:
            from_low = builder.fcmp_ordered(">=", double, low)
        is_within = builder.and_(from_low, builder.fcmp_ordered("<", double, high))
        _refuse(context, builder, builder.not_(is_within), OverflowError, NO_WHOLE)
        return
    if not kind.signed:
        wide = context.cast(builder, value, kind, types.uint64)
        is_beyond = builder.icmp_unsigned(">", wide, _word(most))
    else:
        wide = context.cast(builder, value, kind, WHOLE)
        is_beyond = builder.icmp_signed("<", wide, _word(least))
        if most < 2**63:
            is_more = builder.icmp_signed(">", wide, _word(most))
            is_beyond = builder.or_(is_beyond, is_more)
    _refuse(context, builder, is_beyond, OverflowError, NEEDS_MORE)


@_declare(as_whole, types.Integer, types.Boolean, types.Float, gives=WHOLE)
def _as_whole(context: Any, builder: Any, sig: Any, value: Any) -> Any:
    (kind,) = sig.args
    if not isinstance(kind, types.Boolean):
        _refuse_unless_between(context, builder, value, kind, -(2**63), 2**63 - 1)
    return context.cast(builder, value, kind, WHOLE)


@_declare(exactly, types.Integer)
def _exactly(context: Any, builder: Any, sig: Any, value: Any) -> Any:
    (kind,) = sig.args
    wide = context.cast(builder, value, kind, WHOLE)
    away = builder.add(wide, _word(EXACT))
    is_beyond = builder.icmp_unsigned(">", away, _word(2 * EXACT))
    _refuse(context, builder, is_beyond, OverflowError, NOT_EXACT)
    return value


@_declare(negatable, types.Integer)
def _negatable(context: Any, builder: Any, sig: Any, value: Any) -> Any:
    is_least = builder.icmp_signed("==", value, _word(-(2**63)))
    _refuse(context, builder, is_least, OverflowError, NEEDS_MORE)
    return value


@_declare(short, types.Integer, gives=WHOLE)
def _short(context: Any, builder: Any, sig: Any, value: Any) -> Any:
    (kind,) = sig.args
    _refuse_unless_between(context, builder, value, kind, -(2**62), 2**62)
    return context.cast(builder, value, kind, WHOLE)


def _declare_fitting(kind: Any, key: Key) -> None:
    @_declare(key, types.Integer, types.Float)
    def _fitting(context: Any, builder: Any, sig: Any, value: Any) -> Any:
        _refuse_unless_between(
            context, builder, value, sig.args[0], int(kind.minval), int(kind.maxval)
        )
        return value


for _kind, _key in FITTING.items():
    _declare_fitting(_kind, _key)


def _is_nan(builder: Any, value: Any) -> Any:
    return builder.fcmp_unordered("uno", value, value)


def _is_finite(builder: Any, value: Any) -> Any:
    nothing = builder.fsub(value, value)
    return builder.fcmp_ordered("ord", nothing, nothing)


@_declare(of_both, types.Float)
def _of_both(context: Any, builder: Any, sig: Any, left: Any, right: Any) -> Any:
    zeros = [builder.fsub(value, value) for value in (left, right)]
    is_one_nan = builder.or_(_is_nan(builder, left), _is_nan(builder, right))
    is_one_infinite = builder.fcmp_unordered("uno", *zeros)
    infinity = llvm.Constant(left.type, float("inf"))
    nan = llvm.Constant(left.type, float("nan"))
    zero = llvm.Constant(left.type, 0.0)
    return builder.select(is_one_nan, nan, builder.select(is_one_infinite, infinity, zero))


@_declare(proper, types.Float)
def _proper(context: Any, builder: Any, sig: Any, value: Any, given: Any) -> Any:
    is_new_nan = builder.and_(_is_nan(builder, value), builder.not_(_is_nan(builder, given)))
    _refuse(context, builder, is_new_nan, ValueError, DOMAIN)
    is_new_infinity = builder.and_(
        builder.not_(_is_finite(builder, value)), _is_finite(builder, given)
    )
    _refuse(context, builder, is_new_infinity, OverflowError, RANGE)
    return value
