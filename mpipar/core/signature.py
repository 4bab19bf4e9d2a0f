"""The signatures of kernels, and calls with what a function takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from mpipar.base.errors import BadKernel
from mpipar.base.text import did_you_mean

GIVEN = ("rng", "xp", "seeds")
"""Positional parameters of a kernel that are not arrays in shared memory."""


def arrays_wanted(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the positional parameters of a kernel after the block. Raises BadKernel if it isn't
    one.
    """
    parameters = inspect.signature(function).parameters.values()
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    if not positional or any(p.kind is not p.POSITIONAL_OR_KEYWORD for p in positional):
        got = ", ".join(map(str, positional))
        raise BadKernel(
            f"{function.__name__}: a kernel takes (block, *, …), (block, rng, *, …) or"
            f" (block, xp, *, …), its options after the *; got ({got}, …)"
        )
    _, *others = positional
    return tuple(parameter.name for parameter in others)


def check_count(name: str, n: object) -> None:
    """Raise BadKernel unless n is what a kernel's number of items can be."""
    if isinstance(n, str) or callable(n):
        return
    hint = f"; for a fixed number write n=lambda: {n}" if isinstance(n, int) else ""
    raise BadKernel(
        f"{name}: n should be the name of a parameter, or a function of parameters,"
        f" got {n!r:.60}{hint}"
    )


def keywords_of(function: Callable[..., Any]) -> set[str]:
    """Return the names of the keyword-only parameters of a function."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_keywords(
    function: Callable[..., Any],
    what: str,
    kernel: str,
    known: Collection[str],
) -> None:
    """Raise BadKernel if a function of a kernel takes by keyword what the kernel doesn't.

    Parameters
    ----------
    function : callable
    what, kernel : str
        What the function is, and the kernel's name.
    known : collection of str
        Names of the kernel's parameters.
    """
    unknown = keywords_of(function).difference(known)
    if unknown:
        names = ", ".join(sorted(unknown))
        hint = did_you_mean(min(unknown), known)
        raise BadKernel(f"{kernel}: its {what} takes {names}, which the kernel doesn't{hint}")


def fitting(
    function: Callable[..., Any],
    what: str,
    positional: tuple[str, ...],
    kernel: str,
    known: Collection[str],
) -> Callable[..., Any]:
    """Return a function if it takes these positional parameters and, by keyword, some of the
    kernel's. Raises BadKernel.
    """
    parameters = inspect.signature(function).parameters.keys()
    if len(parameters - keywords_of(function)) != len(positional):
        takes = ", ".join((*positional, "*", "…"))
        raise BadKernel(
            f"{kernel}: its {what} takes ({takes}), with parameters of the kernel after the *"
        )
    check_keywords(function, what, kernel, known)
    return function


def call(
    function: Callable[..., Any],
    /,
    *args: Any,
    **available: Any,
) -> Any:
    """Call ``function`` with those of ``available`` that it takes by keyword."""
    if args:
        wanted = keywords_of(function)
    else:
        wanted = set(inspect.signature(function).parameters)
    keywords = {name: value for name, value in available.items() if name in wanted}
    return function(*args, **keywords)
