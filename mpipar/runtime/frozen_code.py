"""What compiled code freezes: a digest of a function, and of all that its machine code is made of.

That is the byte code of the function, the values of the globals that it uses, and so on through the
functions among these.
"""

from __future__ import annotations

import enum
import hashlib
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from mpipar.core.devices.compiled import INLINED

_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, enum.Enum)
_KNOWN_BY_VERSION = {"numpy", "numba", "llvmlite", "math", "cmath", "builtins", "operator"}


class Unknown(Exception):
    """Something is used whose every change can't be seen: machine code of it can't be kept."""


def digest_of(function: FunctionType) -> str:
    """Return a digest of a function and of all that it uses. Raises Unknown.

    Notes
    -----
    It holds for this version of Python alone, as byte code does.
    """
    walk = _Walk()
    walk.add(function, ())
    return walk.digest.hexdigest()


def names_used(code: CodeType) -> Iterator[str]:
    """Yield all names of globals and attributes in a function, and in those inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_used(constant)


class _Walk:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._seen: dict[int, Any] = {}

    def _note(self, *told: object) -> None:
        self.digest.update(repr(told).encode("utf-8", "surrogatepass"))
        self.digest.update(b"\0")

    def add(self, value: Any, names: tuple[str, ...]) -> None:
        """Add a value; of a module, what it has under these names."""
        if isinstance(value, _PLAIN):
            self._note("value", type(value).__name__, value)
        elif isinstance(value, np.ndarray):
            self._add_array(value)
        elif isinstance(value, (tuple, list)):
            fields = getattr(value, "_fields", ())
            self._note("sequence", type(value).__qualname__, fields, len(value))
            for item in value:
                self.add(item, names)
        elif id(value) in self._seen:
            self._note("again", list(self._seen).index(id(value)))
        else:
            self._seen[id(value)] = value
            self._add_object(value, names)

    def _add_array(self, array: np.ndarray[Any, Any]) -> None:
        if array.dtype.hasobject:
            raise Unknown
        data = np.ascontiguousarray(array)
        content = hashlib.sha256(data.tobytes()).hexdigest()
        # Of records, ``dtype.str`` says how long they are alone.
        self._note("array", repr(data.dtype), data.shape, content)

    def _add_object(self, value: Any, names: tuple[str, ...]) -> None:
        inner = getattr(value, "py_func", None)
        if isinstance(value, FunctionType):
            self._add_function(value)
        elif isinstance(inner, FunctionType):
            self._note("compiled", sorted(getattr(value, "targetoptions", {}).items()))
            self.add(inner, ())
        elif isinstance(value, ModuleType):
            self._add_module(value, names)
        elif isinstance(value, type) and issubclass(value, tuple):
            fields = getattr(value, "_fields", ())
            self._note("tuple", value.__module__, value.__qualname__, fields)
            for default in getattr(value, "_field_defaults", {}).items():
                self.add(default, ())
        elif isinstance(value, (type, BuiltinFunctionType, np.ufunc)) or _is_of_numpy(value):
            self._add_named(value)
        elif type(value).__module__.startswith("numba.core.types"):
            self._note("type", repr(value))
        else:
            raise Unknown

    def _add_function(self, function: FunctionType) -> None:
        """Add a function, and the globals that it uses."""
        if is_known(function.__module__):
            self._note("library", function.__module__, function.__qualname__)
            return
        self._note("function", function.__qualname__, getattr(function, INLINED, False))
        self._add_code(function.__code__)
        self.add(function.__defaults__, ())
        defaults = function.__kwdefaults__ or {}
        for name in sorted(defaults):
            self._note("default", name)
            self.add(defaults[name], ())
        used = tuple(sorted(set(names_used(function.__code__))))
        for cell in function.__closure__ or ():
            self.add(cell.cell_contents, used)
        for name in used:
            if name in function.__globals__:
                self._note("global", name)
                self.add(function.__globals__[name], used)

    def _add_code(self, code: CodeType) -> None:
        self._note(
            "code",
            code.co_code,
            code.co_names,
            code.co_varnames,
            code.co_freevars,
        )
        self._note(
            code.co_argcount,
            code.co_kwonlyargcount,
            code.co_flags,
            code.co_exceptiontable,
        )
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add_code(constant)
            else:
                self._note("constant", constant)

    def _add_module(self, module: ModuleType, names: tuple[str, ...]) -> None:
        """Add what a module has under some names, as a function may use it."""
        self._note("module", module.__name__, getattr(module, "__version__", None))
        if is_known(module.__name__):
            return
        for name in names:
            if name in vars(module):
                self._note("attribute", name)
                self.add(vars(module)[name], names)

    def _add_named(self, value: Any) -> None:
        """Add what is written in C, or a class, which a library has under its name."""
        module = getattr(value, "__module__", None) or "builtins"
        top = _top(module)
        if top not in _KNOWN_BY_VERSION and top not in sys.stdlib_module_names:
            raise Unknown
        self._note("named", module, getattr(value, "__qualname__", repr(value)))


def _is_of_numpy(value: Any) -> bool:
    """Return whether something is a function of NumPy's, which needn't be one of Python's."""
    is_named = hasattr(value, "__qualname__") or hasattr(value, "__name__")
    return is_named and _top(type(value).__module__) == "numpy"


def is_known(module: str | None) -> bool:
    """Return whether a module is one that its version tells all about."""
    return _top(module) in _KNOWN_BY_VERSION


def _top(module: str | None) -> str:
    return (module or "").partition(".")[0]
