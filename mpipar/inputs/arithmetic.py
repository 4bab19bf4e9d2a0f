"""The names that an expression may use besides its variables.

Functions (:data:`FUNCTIONS`)
    NumPy's ufuncs of one result, such as sin, exp, hypot and maximum; where, clip, interp, sinc and
    others; and its types, such as float64(x).

Constants (:data:`CONSTANTS`)
    pi, e, euler_gamma, inf and nan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

TYPES = ("bool_", "int32", "int64", "uint64", "float32", "float64", "complex128")
"""Names of types, which are functions, and what ``dtype`` may be."""

KEYWORDS = ("axis", "keepdims", "dtype", "ddof", "decimals", "deg", "posinf", "neginf")
"""Arguments that may be given by name: none that is an array to write into."""

_MOMENTS = ("mean", "std", "var")
_EXTREMES = ("min", "max", "argmin", "argmax")
REDUCTIONS = ("sum", "prod", *_MOMENTS, "median", *_EXTREMES, "any", "all")
"""Functions that make one value of those along an axis."""

RUNNING = ("cumsum", "cumprod", "sort")
"""Functions that mix the values along an axis, and give as many."""

_ALL_UFUNCS = {name: found for name, found in vars(np).items() if isinstance(found, np.ufunc)}
_UFUNCS = {name: ufunc for name, ufunc in _ALL_UFUNCS.items() if ufunc.nout == 1}
_OF_ONE = ("real", "imag", "sinc", "i0", "nan_to_num", "zeros_like", "ones_like", *TYPES)
_OTHERS = {
    **dict.fromkeys(_OF_ONE, (1, 1)),
    **dict.fromkeys((*REDUCTIONS, *RUNNING, "round", "angle"), (1, 2)),
    **dict.fromkeys(("full_like", "dot", "polyval"), (2, 2)),
    **dict.fromkeys(("where", "clip", "interp"), (3, 3)),
}

_OF_UFUNCS = {name: (ufunc.nin, ufunc.nin) for name, ufunc in _UFUNCS.items()}
ARITIES = _OF_UFUNCS | _OTHERS
"""Fewest and most arguments by position; NumPy takes more of them as arrays to write into."""

_UFUNCS_OF_ITEMS = [name for name, ufunc in _UFUNCS.items() if ufunc.signature is None]
ELEMENTWISE = frozenset(
    {*_UFUNCS_OF_ITEMS, *_OF_ONE, "full_like", "round", "angle", "where", "clip"}
)
"""Functions whose value for an item depends on nothing but that item."""

_OF_TRUTH = [name for name, ufunc in _UFUNCS.items() if "d->?" in ufunc.types]
_OF_TRUTH += [name for name, ufunc in _UFUNCS.items() if "dd->?" in ufunc.types]
NOT_FLOATS = frozenset({*_OF_TRUTH, *TYPES, "argmin", "argmax", "any", "all"})
"""Functions that make truth values or whole numbers of floats."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_UFUNCS,
    **{name: getattr(np, name) for name in _OTHERS},
    # For a Python number, NumPy's give a Python number, and these have no limit.
    "real": lambda x: np.real(np.asarray(x)),
    "imag": lambda x: np.imag(np.asarray(x)),
}
"""Functions that may be called. None gives whole numbers of Python, nor a tuple or a list."""

CONSTANTS: dict[str, float] = {
    "pi": np.pi,
    "e": np.e,
    "euler_gamma": np.euler_gamma,
    "inf": np.inf,
    "nan": np.nan,
}
"""Constants that may be named."""

ARITHMETIC_NAMES = tuple(sorted({*FUNCTIONS, *CONSTANTS}))
"""All names that expressions may use besides their variables."""
