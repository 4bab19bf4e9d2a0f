"""Elementary functions for compiled code, in Numba's subset of Python: of doubles, without
branches.

Numba leaves exp and the like to the C library: a call for each number, whose last bits depend on
the library and the processor. These are sums, products and choices, so that a loop with them runs
in the processor's vectors, with the same bits on each. Polynomials and constants are those of
fdlibm (Sun Microsystems, 1993), but for exp, which is Taylor's series. Errors are below 1 unit in
the last place, and 2 for tan.

The angle of :func:`sin`, :func:`cos` and :func:`tan` is below :data:`FAR`; ``…_anywhere`` takes
any, far ones with the C library's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mpipar.core.devices.compiled import inlined

FAR = 1e6
"""Angles are reduced by three parts of π/2, and this many times π/2 of the first two are exact."""

_TO_WHOLE = 6755399441055744.0  # 1.5 · 2⁵²: added, it rounds, and leaves a whole number in the bits
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_PER_LN2 = 1.4426950408889634
_LARGEST_EXPONENT = 710.0  # exp is inf from there on
_LEAST_EXPONENT = -746.0  # and 0 up to there
_BIAS = 1023


@inlined
def exp(x: float) -> float:
    """Return the exponential."""
    if x > _LARGEST_EXPONENT:
        x = _LARGEST_EXPONENT
    if x < _LEAST_EXPONENT:
        x = _LEAST_EXPONENT
    k = (x * _PER_LN2 + _TO_WHOLE) - _TO_WHOLE
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    r2 = r * r
    r4 = r2 * r2
    # 1/n!, in pairs, so that few of the products wait for others.
    a = 0.5 + r * (1.0 / 6.0)
    b = 1.0 / 24.0 + r * (1.0 / 120.0)
    c = 1.0 / 720.0 + r * (1.0 / 5040.0)
    d = 1.0 / 40320.0 + r * (1.0 / 362880.0)
    e = 1.0 / 3628800.0 + r * (1.0 / 39916800.0)
    f = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0)
    series = (a + r2 * b) + r4 * ((c + r2 * d) + r4 * (e + r2 * f))
    y = 1.0 + (high + (r2 * series - low))
    # 2ᵏ in two factors, as it may be no double where the product is one.
    bits = k * 0.5 + _TO_WHOLE
    others = (k - (bits - _TO_WHOLE)) + _TO_WHOLE
    return y * _power_of_2(bits) * _power_of_2(others)


@inlined
def _power_of_2(whole: float) -> float:
    """Return 2ᵏ for k + 1.5 · 2⁵²."""
    bits = np.float64(whole).view(np.int64)
    return np.int64((bits + _BIAS) << 52).view(np.float64)


_ROOT_HALF = 0x3FE6A09E << 32  # bits of about √½
_ONE = 0x3FF << 52
_L1 = 6.666666666666735130e-01
_L2 = 3.999999999940941908e-01
_L3 = 2.857142874366239149e-01
_L4 = 2.222219843214978396e-01
_L5 = 1.818357216161805012e-01
_L6 = 1.531383769920937332e-01
_L7 = 1.479819860511658591e-01
_LEAST_NORMAL = 2.2250738585072014e-308
_FRACTION = (1 << 52) - 1
_TO_DOUBLE = 0x433 << 52  # with a small whole number below, it is 2⁵² more
_SHIFT = 2.0**52 + _BIAS


@inlined
def log(x: float) -> float:
    """Return the natural logarithm."""
    scaled = x
    shift = _SHIFT
    if x < _LEAST_NORMAL:
        scaled = x * 2.0**54
        shift = _SHIFT + 54.0
    bits = np.float64(scaled).view(np.int64) + (_ONE - _ROOT_HALF)
    whole = np.int64(((bits >> 52) & 0xFFF) | _TO_DOUBLE).view(np.float64)
    k = whole - shift
    f = np.int64((bits & _FRACTION) + _ROOT_HALF).view(np.float64) - 1.0
    half = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (_L2 + w * (_L4 + w * _L6))
    odd = z * (_L1 + w * (_L3 + w * (_L5 + w * _L7)))
    y: float = s * (half + (odd + even)) + k * _LN2_LOW - half + f + k * _LN2_HIGH
    if not x < np.inf:  # NaN, too
        y = x
    if x == 0.0:
        y = -np.inf
    if x < 0.0:
        y = np.nan
    return y


_PER_HALF_PI = 6.36619772367581382433e-01
_HALF_PI_1 = 1.57079632673412561417e00
_HALF_PI_2 = 6.07710050630396597660e-11
_HALF_PI_3 = 2.02226624871116645580e-21
_HALF_PI_4 = 8.47842766036889956997e-32
_S1 = -1.66666666666666324348e-01
_S2 = 8.33333333332248946124e-03
_S3 = -1.98412698298579493134e-04
_S4 = 2.75573137070700676789e-06
_S5 = -2.50507602534068634195e-08
_S6 = 1.58969099521155010221e-10
_C1 = 4.16666666666666019037e-02
_C2 = -1.38888888888741095749e-03
_C3 = 2.48015872894767294178e-05
_C4 = -2.75573143513906633035e-07
_C5 = 2.08757232129817482790e-09
_C6 = -1.13596475577881948265e-11


@inlined
def _sine_and_cosine(x: float) -> tuple[Any, float, float]:
    """Return how many times π/2 is in an angle, and sine and cosine of the rest."""
    whole = x * _PER_HALF_PI + _TO_WHOLE
    k = whole - _TO_WHOLE
    a = x - k * _HALF_PI_1
    b = k * _HALF_PI_2
    r = a - b
    c = k * _HALF_PI_3
    y = r - c
    tail = ((a - r) - b) + ((r - y) - c) - k * _HALF_PI_4
    z = y * y
    w = z * z
    near = _S2 + z * (_S3 + z * _S4)
    r = near + z * w * (_S5 + z * _S6)
    v = z * y
    sine = y - ((z * (0.5 * tail - v * r) - tail) - v * _S1)
    near = z * (_C1 + z * (_C2 + z * _C3))
    r = near + w * w * (_C4 + z * (_C5 + z * _C6))
    half = 0.5 * z
    w = 1.0 - half
    cosine = w + (((1.0 - w) - half) + (z * r - y * tail))
    return np.float64(whole).view(np.int64), sine, cosine


@inlined
def _in_quadrant(quadrant: Any, sine: float, cosine: float) -> float:
    """Return the sine of an angle and so many times π/2."""
    y = sine
    if quadrant & 1:
        y = cosine
    if quadrant & 2:
        y = -y
    return y


@inlined
def sin(x: float) -> float:
    """Return the sine of an angle below FAR."""
    quadrant, sine, cosine = _sine_and_cosine(x)
    return _in_quadrant(quadrant, sine, cosine)


@inlined
def cos(x: float) -> float:
    """Return the cosine of an angle below FAR."""
    quadrant, sine, cosine = _sine_and_cosine(x)
    return _in_quadrant(quadrant + 1, sine, cosine)


@inlined
def is_far(x: float) -> bool:
    """Return whether an angle is too large for sin and cos here, and not infinite."""
    return (abs(x) > FAR) & (abs(x) < np.inf)


def sin_anywhere(x: float) -> float:
    """Return the sine."""
    if is_far(x):
        return float(np.sin(x))
    return sin(x)


def cos_anywhere(x: float) -> float:
    """Return the cosine."""
    if is_far(x):
        return float(np.cos(x))
    return cos(x)


@inlined
def tan(x: float) -> float:
    """Return the tangent of an angle below FAR."""
    quadrant, sine, cosine = _sine_and_cosine(x)
    above = sine
    below = cosine
    if quadrant & 1:
        above = cosine
        below = -sine
    return above / below


def tan_anywhere(x: float) -> float:
    """Return the tangent."""
    if is_far(x):
        return float(np.tan(x))
    return tan(x)
