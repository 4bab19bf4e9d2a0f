"""What NumPy's functions are for one number, in Numba's subset of Python: the table, by loops.

A *loop* is a function of NumPy's for operands of certain types: here "?" booleans, "l" whole
numbers of 64 bits, "d" doubles. Where NumPy's whole numbers would wrap around, or be divided by
zero, these raise, as :mod:`mpipar.inputs.careful` does. What isn't in the table can't be compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mpipar.kernels import elementary

TOO_LARGE = "whole numbers that int64 can't hold; write float64(…) around one of them"
BY_ZERO = "division of a whole number by zero"

_LEAST = -(2**63)
_BEYOND = 2.0**63


class Form(NamedTuple):
    """A function of NumPy's for operands ``a``, ``b`` and ``c``.

    Attributes
    ----------
    text : str
        Python's expression for it.
    outside : str
        Where that doesn't hold; nothing if it always does.
    anywhere : str
        What holds there, too.
    """

    text: str
    outside: str = ""
    anywhere: str = ""


def floor_quotient(a: float, b: float) -> float:
    """Return a // b as NumPy does."""
    if b == 0.0:
        return a / b
    rest: float = np.fmod(a, b)
    quotient = (a - rest) / b
    has_other_sign = (rest < 0.0) != (b < 0.0)
    if rest != 0.0 and has_other_sign:
        quotient -= 1.0
    if quotient == 0.0:
        return float(np.copysign(0.0, a / b))
    whole = float(np.floor(quotient))
    if quotient - whole > 0.5:
        whole += 1.0
    return whole


def modulo(a: float, b: float) -> float:
    """Return a % b as NumPy does: of the sign of b."""
    rest: float = np.fmod(a, b)
    if b == 0.0 or rest != rest:
        return rest
    if rest == 0.0:
        return float(np.copysign(0.0, b))
    if (rest < 0.0) != (b < 0.0):
        rest += b
    return rest


def sum_of_whole(a: int, b: int) -> int:
    """Return a + b. Raises OverflowError if it needs more than 64 bits."""
    result = a + b
    if ((a ^ result) & (b ^ result)) < 0:
        raise OverflowError(TOO_LARGE)
    return result


def difference_of_whole(a: int, b: int) -> int:
    """Return a - b. Raises OverflowError if it needs more than 64 bits."""
    result = a - b
    if ((a ^ b) & (a ^ result)) < 0:
        raise OverflowError(TOO_LARGE)
    return result


def product_of_whole(a: int, b: int) -> int:
    """Return a·b. Raises OverflowError if it needs more than 64 bits."""
    result = a * b
    # What wraps around is off by 2⁶⁴ or more; doubles are rounded by far less.
    if abs(np.float64(a) * np.float64(b) - np.float64(result)) >= _BEYOND:
        raise OverflowError(TOO_LARGE)
    return result


def floor_quotient_of_whole(a: int, b: int) -> int:
    """Return a // b. Raises ZeroDivisionError, and OverflowError if it needs more than 64 bits."""
    if b == 0:
        raise ZeroDivisionError(BY_ZERO)
    if b == -1:
        return difference_of_whole(0, a)
    return a // b


def modulo_of_whole(a: int, b: int) -> int:
    """Return a % b. Raises ZeroDivisionError."""
    if b == 0:
        raise ZeroDivisionError(BY_ZERO)
    if b == -1:
        return 0
    return a % b


def power_of_whole(a: int, b: int) -> int:
    """Return aᵇ for b ≥ 0. Raises OverflowError if it needs more than 64 bits."""
    product = 1
    while b > 0:
        if b & 1:
            product = product_of_whole(product, a)
        b >>= 1
        if b > 0:
            a = product_of_whole(a, a)
    return product


def left_shift(a: int, b: int) -> int:
    """Return a << b, and 0 for b < 0. Raises OverflowError if it needs more than 64 bits."""
    if b < 0 or a == 0:
        return 0
    if b >= 64:
        raise OverflowError(TOO_LARGE)
    result = a << b
    if (result >> b) != a:
        raise OverflowError(TOO_LARGE)
    return result


def right_shift(a: int, b: int) -> int:
    """Return a >> b."""
    if b < 0 or b >= 64:
        return -int(a < 0)
    return a >> b


def whole(a: float) -> np.int64:
    """Return what is before the point. Raises OverflowError if it needs more than 64 bits, or isn't
    finite.
    """
    if abs(a) < _BEYOND:
        return np.int64(a)
    if a != -_BEYOND:
        raise OverflowError(TOO_LARGE)
    return np.int64(_LEAST)


def heaviside(a: float, b: float) -> float:
    """Return 0 below 0, 1 above, b at 0."""
    if a == 0.0:
        return b
    if a != a:
        return a
    return 1.0 if a > 0.0 else 0.0


_C_LIBRARY = """
    exp2 expm1 log2 log10 log1p sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh cbrt
"""
_AS_IN_NUMPY = "floor ceil trunc rint sign isnan isinf isfinite signbit sqrt"
_OF_TWO = "arctan2 hypot logaddexp logaddexp2 copysign nextafter fmod"


def _of_numpy(names: str, operands: str) -> dict[str, Form]:
    return {name: Form(f"np.{name}({operands})") for name in names.split()}


def _operators(**texts: str) -> dict[str, Form]:
    return {name: Form(text) for name, text in texts.items()}


_COMPARISONS = _operators(
    equal="a == b",
    not_equal="a != b",
    less="a < b",
    less_equal="a <= b",
    greater="a > b",
    greater_equal="a >= b",
)
_LOGIC = _operators(
    logical_and="(a != 0) & (b != 0)",
    logical_or="(a != 0) | (b != 0)",
    logical_xor="(a != 0) != (b != 0)",
    logical_not="a == 0",
)
_SUMS = _operators(
    add="a + b",
    subtract="a - b",
    multiply="a * b",
    negative="-a",
    positive="a",
    absolute="abs(a)",
    square="a * a",
    conjugate="a",
)

_DOUBLES = {
    **_COMPARISONS,
    **_LOGIC,
    **_SUMS,
    **_of_numpy(f"{_C_LIBRARY} {_AS_IN_NUMPY}", "a"),
    **_of_numpy(_OF_TWO, "a, b"),
    **_operators(
        divide="a / b",
        floor_divide="floor_quotient(a, b)",
        remainder="modulo(a, b)",
        power="np.power(a, b)",
        float_power="np.power(a, b)",
        reciprocal="1.0 / a",
        fabs="abs(a)",
        maximum="a if (a >= b) | (a != a) else b",
        minimum="a if (a <= b) | (a != a) else b",
        fmax="a if (a >= b) | (b != b) else b",
        fmin="a if (a <= b) | (b != b) else b",
        heaviside="heaviside(a, b)",
        degrees="a * (180.0 / np.pi)",
        radians="a * (np.pi / 180.0)",
        exp="exp(a)",
        log="log(a)",
    ),
    "sin": Form("sin(a)", "is_far(a)", "sin_anywhere(a)"),
    "cos": Form("cos(a)", "is_far(a)", "cos_anywhere(a)"),
    "tan": Form("tan(a)", "is_far(a)", "tan_anywhere(a)"),
}
_DOUBLES["rad2deg"] = _DOUBLES["degrees"]
_DOUBLES["deg2rad"] = _DOUBLES["radians"]

_WHOLE = {
    **_COMPARISONS,
    **_LOGIC,
    **_operators(
        add="sum_of_whole(a, b)",
        subtract="difference_of_whole(a, b)",
        multiply="product_of_whole(a, b)",
        negative="difference_of_whole(0, a)",
        positive="a",
        absolute="a if a >= 0 else difference_of_whole(0, a)",
        square="product_of_whole(a, a)",
        conjugate="a",
        floor_divide="floor_quotient_of_whole(a, b)",
        remainder="modulo_of_whole(a, b)",
        power="power_of_whole(a, b)",
        sign="np.int64(a > 0) - np.int64(a < 0)",
        maximum="max(a, b)",
        minimum="min(a, b)",
        fmax="max(a, b)",
        fmin="min(a, b)",
        bitwise_and="a & b",
        bitwise_or="a | b",
        bitwise_xor="a ^ b",
        invert="~a",
        left_shift="left_shift(a, b)",
        right_shift="right_shift(a, b)",
        floor="a",
        ceil="a",
        trunc="a",
        isnan="a != a",
        isinf="a != a",
        isfinite="a == a",
    ),
}

_BOOLEANS = {
    **_COMPARISONS,
    **_operators(
        logical_and="a & b",
        logical_or="a | b",
        logical_xor="a ^ b",
        logical_not="not a",
        bitwise_and="a & b",
        bitwise_or="a | b",
        bitwise_xor="a ^ b",
        invert="not a",
        multiply="a & b",
        maximum="a | b",
        minimum="a & b",
        fmax="a | b",
        fmin="a & b",
        absolute="a",
        floor="a",
        ceil="a",
        trunc="a",
        isnan="a != a",
        isinf="a != a",
        isfinite="a == a",
    ),
}

FORMS: dict[str, dict[str, Form]] = {"d": _DOUBLES, "l": _WHOLE, "?": _BOOLEANS}
"""{type of the operands: {NumPy's name: form}}"""

CASTS: dict[tuple[str, str], Form] = {
    ("?", "l"): Form("np.int64(a)"),
    ("?", "d"): Form("np.float64(a)"),
    ("l", "d"): Form("np.float64(a)"),
    ("d", "l"): Form("whole(a)"),
    ("l", "?"): Form("a != 0"),
    ("d", "?"): Form("a != 0.0"),
}
"""{(from, to): form}"""

CHOICE = Form("b if a else c")

MOST_PRODUCTS = 8
"""Up to this power, a number is multiplied with itself."""

_SMALLEST = 1e-300
_LARGEST = 1e300


def power(exponent: float) -> Form | None:
    """Return the form of ``a`` to a power that is known; None for that of two numbers."""
    if exponent == 0.5:
        return Form("np.sqrt(a)")
    if exponent == 1.5:
        return Form("a * np.sqrt(a)", "a == -np.inf", "np.power(a, 1.5)")
    if not 1.0 <= abs(exponent) <= MOST_PRODUCTS or exponent != int(exponent):
        return None
    product = _product(int(abs(exponent)))
    if exponent > 0:
        return Form(product)
    if exponent == -1:
        return Form("1.0 / a")
    outside = f"({product} < {_SMALLEST}) | ({product} > {_LARGEST})"
    if exponent % 2:
        outside = f"(abs({product}) < {_SMALLEST}) | (abs({product}) > {_LARGEST})"
    return Form(f"1.0 / ({product})", outside, f"np.power(a, {float(exponent)})")


def _product(count: int) -> str:
    """Return the product of so many times ``a``, by squares."""
    if count == 1:
        return "a"
    half = _product(count // 2)
    squared = f"({half}) * ({half})"
    if count % 2:
        return f"({squared}) * a"
    return squared


FUNCTIONS = {
    "np": np,
    **{
        function.__name__: function
        for function in (
            floor_quotient,
            modulo,
            sum_of_whole,
            difference_of_whole,
            product_of_whole,
            floor_quotient_of_whole,
            modulo_of_whole,
            power_of_whole,
            left_shift,
            right_shift,
            whole,
            heaviside,
            elementary.exp,
            elementary.log,
            elementary.sin,
            elementary.cos,
            elementary.tan,
            elementary.is_far,
            elementary.sin_anywhere,
            elementary.cos_anywhere,
            elementary.tan_anywhere,
        )
    },
}
"""What forms use."""
