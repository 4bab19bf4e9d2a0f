"""The signatures of kernels, and calls with what a function takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mpipar.base.errors import BadKernel

GIVEN = ("rng", "xp")
"""Positional parameters of a kernel that are not arrays in shared memory."""


def arrays_wanted(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the positional parameters of a kernel after the block. Raises BadKernel if it isn't
    one.
    """
    positional = [
        p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY
    ]
    if not positional or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in positional):
        raise BadKernel(
            f"{function.__name__}: a kernel takes (block, *, …), (block, rng, *, …) or (block, xp,"
            f" *, …), its options after the *; got ({', '.join(map(str, positional))}, …)"
        )
    return tuple(p.name for p in positional[1:])


def keywords_of(function: Callable[..., Any]) -> set[str]:
    """Return the names of the keyword-only parameters of a function."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def call(function: Callable[..., Any], /, *args: Any, **available: Any) -> Any:
    """Call ``function`` with those of ``available`` that it takes by keyword."""
    wanted = set(inspect.signature(function).parameters) if not args else keywords_of(function)
    return function(*args, **{name: value for name, value in available.items() if name in wanted})
