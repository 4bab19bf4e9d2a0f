"""What is the user's own of a script's modules and functions, and what is installed."""

from __future__ import annotations

import functools
import hashlib
import marshal
import os
import sys
import types
from pathlib import Path
from typing import Any

from mpipar.base.own_files import is_own
from mpipar.store.code_digests import CodeDigests
from mpipar.store.code_uses import Uses, uses
from mpipar.store.pickling import Unfingerprintable
from mpipar.store.source import digests_of_import

_MAIN = ("__main__", "__mp_main__")
_MOST_SOURCES = 1000
ANY = "*"
"""Stands for a module that is imported by a name which isn't known."""

_is_own = functools.cache(is_own)


class OwnCode:
    """What is known of the code of a process.

    Attributes
    ----------
    digests : CodeDigests
    packages : dict of str to str
        {name of an installed package that was met: its version}.
    met : set of str
        Installed modules that were met, since this was emptied; ANY stands for any.
    """

    digests = CodeDigests()  # of the process: a source may be edited later
    _imported_before: dict[str, bool] = {}  # noqa: RUF012 (of the process, too)
    _uses: dict[int, tuple[types.CodeType, Uses]] = {}  # noqa: RUF012 (nor does code change)

    def __init__(self) -> None:
        self.packages: dict[str, str] = {"python": "{}.{}".format(*sys.version_info)}
        self.met: set[str] = set()
        self._tops: set[str] = set()
        self._sources: dict[tuple[str, tuple[str, ...]], bytes] = {}
        self._libraries: dict[str, str] = {}

    def uses(self, code: types.CodeType) -> Uses:
        """Return what code uses."""
        known = self._uses.get(id(code))
        if known is None:
            known = code, uses(code)
            self._uses[id(code)] = known
        return known[1]

    def imported(self, name: str, names: tuple[str, ...]) -> bytes:
        """Return a digest of the source of what is imported from a module of the user's own;
        nothing of others.
        """
        if (name, names) not in self._sources:
            self._sources[name, names] = self._imported(name, names)
        source = self._sources[name, names]
        if not source:
            self.note_package(name)
        return source

    def _imported(self, name: str, names: tuple[str, ...]) -> bytes:
        found = digests_of_import(name, names)
        if not found:
            return b""
        return marshal.dumps(sorted(found.items()), 2)

    def was_imported(self, name: str) -> bool:
        """Return whether a module was there when this was first asked: tasks that are done in this
        process may import it later, and make no difference.
        """
        return self._imported_before.setdefault(name, name in sys.modules)

    def sources_beside(self, source: str) -> str:
        """Return a digest of all sources of the user's in the folder of one, but for that. Raises
        Unfingerprintable, if there is no folder, as within an archive.
        """
        folder = os.path.dirname(source)
        if folder and not Path(folder).is_dir():
            raise Unfingerprintable(types.ModuleType)
        digests = []
        for path in sorted(Path(folder).rglob("*.py")):
            if is_own(str(path)) and str(path) != source:
                digests.append(f"{path.relative_to(folder)} {_digest_of_file(str(path))}")
            if len(digests) > _MOST_SOURCES:
                raise Unfingerprintable(types.ModuleType)
        return "\n".join(digests)

    def library(self, path: str) -> str:
        """Return a digest of a shared library, as it was when it was first looked at."""
        if path not in self._libraries:
            self._libraries[path] = _digest_of_file(path)
        return self._libraries[path]

    def note_package(self, module: str) -> None:
        """Note which version the package of a module has, if it is an installed one."""
        self.met.add(module)
        top = module.partition(".")[0]
        if top in self._tops:
            return
        self._tops.add(top)
        if top in sys.stdlib_module_names or top in _MAIN:
            return
        version = _version(top)
        if version is not None:
            self.packages[top] = version


def _version(package: str) -> str | None:
    there = vars(sys.modules[package]).get("__version__") if package in sys.modules else None
    if isinstance(there, str):
        return there
    from importlib.metadata import version  # takes time to load

    try:
        return version(package)
    except Exception:  # there are packages of other names, and broken ones
        return None


def is_function(value: Any) -> bool:
    """Return whether a value is a function of Python's code, without asking it."""
    return type(value) is types.FunctionType


def is_class(value: Any) -> bool:
    """Return whether a value is a class, without asking it."""
    return issubclass(type(value), type)


def is_module(value: Any) -> bool:
    """Return whether a value is a module, without asking it."""
    return issubclass(type(value), types.ModuleType)


def module_of(value: Any) -> str:
    """Return the module that a function or class says it is of."""
    module = getattr(value, "__module__", None)
    if isinstance(module, str):
        return module
    return "builtins"  # as of what C's code makes without one


def is_own_module(name: str) -> bool:
    """Return whether a module is the user's own: also the script, and what has no file."""
    if name in _MAIN:
        return True
    module = sys.modules.get(name)
    if module is None:
        top = name.partition(".")[0]
        return top not in sys.stdlib_module_names and top not in sys.modules
    return _is_own_module(name, module)


@functools.lru_cache(maxsize=4096)
def _is_own_module(name: str, module: types.ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return _is_own(file)
    if name.partition(".")[0] in sys.stdlib_module_names:
        return False
    places = list(getattr(module, "__path__", ()))  # of a package without __init__.py
    return all(map(_is_own, map(str, places)))


def is_own_code(code: types.CodeType) -> bool:
    """Return whether code is in a file of the user's own, or was made by exec."""
    path = code.co_filename
    if path.startswith("<frozen"):
        return False
    return path.startswith("<") or _is_own(path)


def is_installed(value: Any, module: str) -> bool:
    """Return whether an installed module has a function or class under its name."""
    if is_own_module(module):
        return False
    if is_function(value) and is_own_code(value.__code__):
        return False
    found: Any = sys.modules.get(module)
    for name in value.__qualname__.split("."):
        if found is None:
            return False
        found = vars(found).get(name)
    return found is value


def _digest_of_file(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
