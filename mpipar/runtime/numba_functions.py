"""Functions of a user's as Numba takes them, with all that they call, by name or by a module."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any

import numba
from numba.core import errors

from mpipar.core.devices.compiled import INLINED
from mpipar.runtime import checked_code, frozen_code


def dispatcher(function: FunctionType, options: Mapping[str, Any]) -> Any:
    """Return Numba's object for a function.

    Parameters
    ----------
    function : function
    options : mapping
        Numba's, and ``strict``: whether all is to be as in plain Python.
    """
    jit = dict(options)
    if jit.pop("strict"):
        jit["pipeline_class"] = checked_code.CheckedCompiler
    return _Making(jit).dispatcher(function)


class _Making:
    """What has been made of functions and modules so far."""

    def __init__(self, jit: Mapping[str, Any]) -> None:
        self._jit = jit
        self._made: dict[Any, Any] = {}

    def dispatcher(self, function: FunctionType) -> Any:
        """Return Numba's object for a function, in which the functions of Python's that it uses are
        such objects, too.
        """
        if function in self._made:
            return self._made[function]
        scope = dict(function.__globals__)
        copy = FunctionType(
            function.__code__,
            scope,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__qualname__ = function.__qualname__
        is_inlined = getattr(function, INLINED, False)
        made = self._made[function] = numba.njit(**self._jit, forceinline=is_inlined)(copy)
        self._replace(scope, sorted(set(frozen_code.names_used(function.__code__))), made)
        return made

    def _replace(self, scope: dict[str, Any], names: list[str], user: Any) -> None:
        """Put what Numba takes in place of what has these names."""
        for name in names:
            value = scope.get(name)
            if isinstance(value, FunctionType) and not _is_known(value, user.typingctx):
                scope[name] = self.dispatcher(value)
            elif isinstance(value, ModuleType) and not frozen_code.is_known(value.__name__):
                scope[name] = self._module(value, names, user)

    def _module(self, module: ModuleType, names: list[str], user: Any) -> ModuleType:
        """Return a module as a function sees it that uses these names."""
        key = (module, tuple(names))
        if key not in self._made:
            copy = self._made[key] = ModuleType(module.__name__)
            vars(copy).update(vars(module))
            self._replace(vars(copy), names, user)
        made: ModuleType = self._made[key]
        return made


def _is_known(function: FunctionType, context: Any) -> bool:
    """Return whether Numba has an implementation of its own."""
    try:
        context.resolve_value_type(function)
    except (ValueError, errors.NumbaError):
        return False
    return True
