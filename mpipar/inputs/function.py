"""Functions that are given by name: ``package.module:name`` or ``path/to/file.py:name``."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean
from mpipar.inputs.common import Function, check_file, listed, one_line

_loading = 0


def is_loading() -> bool:
    """Return whether a user's file is being imported for what is in it, and should run nothing."""
    return _loading > 0


@functools.cache
def load(name: str) -> Any:
    """Return what ``name`` names; the same object at every call in a process.

    Parameters
    ----------
    name : str
        ``package.module:attribute`` or ``path/to/file.py:attribute``; the attribute may be dotted.

    Raises
    ------
    BadInput
        If there is no such file, module or attribute, or if the module raises while it is imported.

    Notes
    -----
    A file is imported as a module with the file's stem as its name, and its folder is put first on
    ``sys.path``, which multiprocessing hands on to worker processes: what is defined in the file
    can be unpickled there.
    """
    where, _, attribute = name.rpartition(":")
    if not where or not all(attribute.split(".")):
        raise BadInput(f"{name!r}: expected package.module:name or path/to/file.py:name")
    global _loading
    _loading += 1
    try:
        if where.endswith(".py"):
            module = _from_file(where)
        else:
            module = _from_module(where)
    finally:
        _loading -= 1
    return _attribute(module, where, attribute)


def load_callable(name: str) -> Function:
    """Return the function, or whatever can be called, that ``name`` names; see :func:`load`.

    Raises BadInput.
    """
    loaded: Function = load(name)
    if not callable(loaded):
        raise BadInput(
            f"{name!r}: expected a function, got an object of type {type(loaded).__name__}"
        )
    return loaded


def _from_file(where: str) -> ModuleType:
    """Return the module that is in a file."""
    path = Path(where)
    check_file(path)
    if "." in path.stem:
        raise BadInput(f"{where!r}: a file with a dot in its name can't be imported; rename it")
    folder = os.path.dirname(os.path.abspath(path))
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()  # the file may be newer than what Python knows of its folder
    module = _import(path.stem, where)
    origin = getattr(module, "__file__", None)
    if not _is_same_file(origin, path):
        other = origin or "built into Python"
        raise BadInput(f"{where!r}: its name is taken by another module, {other}; rename it")
    return module


def _is_same_file(origin: str | None, path: Path) -> bool:
    if origin is None or not os.path.exists(origin):
        return False
    return os.path.samefile(origin, path)


def _from_module(where: str) -> ModuleType:
    """Return a module by its name, from the current folder if it is not elsewhere."""
    if not all(part.isidentifier() for part in where.split(".")):
        raise BadInput(f"{where!r}: neither the name of a module nor of a .py file")
    with contextlib.suppress(FileNotFoundError):  # the current folder may have been removed
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
    importlib.invalidate_caches()
    return _import(where, where)


def _import(module: str, where: str) -> ModuleType:
    """Import a module; ``where`` is what the user calls it."""
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        # A module that can't find another one is there, and raises like any other.
        if missing is not None and f"{module}.".startswith(f"{missing}."):
            raise BadInput(f"{where!r}: no module named {missing!r}") from None
        raise BadInput(f"{where!r} raised while it was imported: {one_line(error)}") from error


def _attribute(module: ModuleType, where: str, attribute: str) -> Any:
    """Return an attribute, which may be dotted, of a module."""
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            hint = did_you_mean(part, dir(found)) or f"; it has {listed(_public(found))}"
            raise BadInput(f"{where!r} has no {attribute!r}{hint}") from None
        except Exception as error:  # of a module or class that makes its attributes
            raise BadInput(
                f"{where!r}: {attribute!r} can't be loaded: {one_line(error)}"
            ) from error
    return found


def _public(thing: Any) -> list[str]:
    """Return the names of what can be called in a module or class, and isn't private."""
    names = getattr(thing, "__dict__", {})
    return [name for name, value in names.items() if name[:1] != "_" and callable(value)]
