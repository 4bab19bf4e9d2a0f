"""Digests of functions with what of the user's own they use, from syntax trees.

A function is followed through its module: each statement that binds a name which it uses, and the
names that these use, and so on into the user's own modules; neither the standard library nor
installed packages are looked at. Comments, formatting and docstrings don't count, and Python's
version doesn't.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
import zipimport
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from mpipar.base.own_files import MPIPAR, is_own
from mpipar.runtime.launcher import is_of_this_start
from mpipar.store.module_files import file_of, is_to_come
from mpipar.store.syntax import (
    DEFINITIONS,
    bound_names,
    concerns,
    dump,
    environment_of,
    files_named,
    is_computed,
    is_docstring,
    is_guard,
    used_names,
)

Digests = dict[str, str]
"""{"file.py:name": digest}, or {"file.py": digest} for what binds no name."""

_DYNAMIC = {"globals", "eval", "exec", "vars", "__import__", "import_module", "locals"}
_LIBRARIES = (".so", ".dylib", ".dll", ".pyd")
_MOST_OBJECTS = 1000  # of objects that make others when they are looked at


class Surroundings(NamedTuple):
    """What functions name but don't have in them: paths of files, variables of the environment."""

    files: set[str]
    variables: set[str]


def digests_of(functions: Iterable[Any], names: Iterable[tuple[ModuleType, str]] = ()) -> Digests:
    """Return the digests of functions and what of the user's own they use, wherever that can be
    found; parameters as for :func:`digests_and_surroundings_of`.
    """
    return digests_and_surroundings_of(functions, names)[0]


def digests_and_surroundings_of(
    functions: Iterable[Any],
    names: Iterable[tuple[ModuleType, str]] = (),
) -> tuple[Digests, Surroundings]:
    """Return the digests of functions and what of the user's own they use, and their surroundings.

    Parameters
    ----------
    functions : iterable
        Functions, or anything that can be called; classes and objects stand for their methods.
    names : iterable of (module, str)
        What modules have under these names.
    """
    walk = _Walk()
    for function in functions:
        walk.add_object(function)
    for module, name in names:
        path = getattr(module, "__file__", None)
        if path is not None and is_own(path):
            walk.add(path, module.__name__, name)
        walk.add_object(getattr(module, name, None))
    return walk.digests(), Surroundings(walk.files, walk.environment - {None})


def digests_of_import(module: str, names: Iterable[str] = ()) -> Digests:
    """Return the digests of what is imported from a module, or of all of it, as its source says;
    none if it isn't the user's own.
    """
    walk = _Walk(with_values=False)
    if names:
        walk.add_import_from(module, list(names))
    else:
        walk.add_import(module)
    digests = walk.digests()
    for variable in walk.environment:
        digests[f"environment {variable}"] = _hash(_in_environment(variable))
    return digests


def _in_environment(variable: str | None) -> str:
    """Return a variable of the environment, or for None all but those of this start alone."""
    if variable is not None:
        return repr(os.environ.get(variable))
    return repr(sorted(item for item in os.environ.items() if not is_of_this_start(item[0])))


class _Source:
    """The statements of a module, and which names they bind."""

    def __init__(self, path: str, module: str) -> None:
        self.path = path
        self.module = module
        text = _read(path)
        self.keep_docs = b"__doc__" in text
        self.statements = [s for s in ast.parse(text).body if not is_docstring(s)]
        self.binds = [frozenset(bound_names(s)) for s in self.statements]
        self.changing: set[str] = set()
        for node in ast.walk(ast.Module(self.statements, [])):
            if isinstance(node, ast.Global):
                self.changing.update(node.names)
        self.known: set[str] = set().union(*self.binds)


class _Walk:
    """What has been found so far."""

    def __init__(self, *, with_values: bool = True) -> None:
        self._with_values = with_values
        self._found: dict[str, list[str]] = defaultdict(list)
        self._sources: dict[str, _Source | None] = {}
        self._taken: dict[str, set[int]] = defaultdict(set)
        self._objects: dict[int, Any] = {}
        self.environment: set[Any] = set()
        self.files: set[str] = set()

    def digests(self) -> Digests:
        """Return the digest of each thing found."""
        digests = {}
        for label, parts in sorted(self._found.items()):
            digests[label] = _hash("\0".join(sorted(set(parts))))
        return digests

    def add_object(self, thing: Any) -> None:
        """Add a function, or what is called through partial, a method, a wrapper or a callable
        object.
        """
        if thing is None or id(thing) in self._objects or len(self._objects) > _MOST_OBJECTS:
            return
        self._objects[id(thing)] = thing
        for inner in ("func", "__func__", "__wrapped__", "py_func", "function"):
            if callable(getattr(thing, inner, None)):
                self.add_object(getattr(thing, inner))
        name, module = _name_and_module(thing)
        self._add_definition(thing, name, module)
        self._add_closure(thing, name)

    def _add_definition(self, thing: Any, name: str, module: str) -> None:
        """Add what defines an object, if that is the user's own."""
        path = getattr(sys.modules.get(module), "__file__", None)
        code = getattr(thing, "__code__", None)
        if path is None:
            if code is not None:
                self._found[f"function:{name}"].append(_code(code))
        elif is_own(path) or _is_driver(path):
            line = getattr(code, "co_firstlineno", 0)
            self.add(path, module, name.partition(".")[0], line)

    def _add_closure(self, thing: Any, name: str) -> None:
        """Add the values and functions that a function has taken from around it."""
        for number, cell in enumerate(getattr(thing, "__closure__", None) or ()):
            try:
                value = cell.cell_contents
            except ValueError:  # it is empty
                continue
            if callable(value):
                self.add_object(value)
            else:
                self._add_value(f"closure:{name}", f"{number}", value)

    def add(
        self,
        path: str,
        module: str,
        name: str | None,
        line: int = 0,
    ) -> None:
        """Add what a name is bound to in a file, or what is at a line, or the whole file."""
        if not path.endswith(".py"):
            self._found[os.path.basename(path)].append(_bytes(path))
            return
        source = self._source(path, module)
        if source is None:
            self._found[os.path.basename(path)].append(_bytes(path))
        elif name is not None and name not in source.known and line:
            self._add_line(source, line)
        elif name is None or name not in source.known:
            self._take(source, range(len(source.statements)))
        else:
            self._add_names(source, {name})

    def _add_line(self, source: _Source, line: int) -> None:
        """Add the statement at a line, which has a function without a name."""
        for number, statement in enumerate(source.statements):
            first = statement.lineno
            if isinstance(statement, DEFINITIONS):
                first = min([first, *(d.lineno for d in statement.decorator_list)])
            if first <= line <= (statement.end_lineno or first):
                self._add_names(source, self._take(source, [number]))

    def _add_names(self, source: _Source, names: set[str]) -> None:
        """Add all that binds or changes these names, the names used there, and so on."""
        taken = self._taken[source.path]
        while True:
            new = []
            for number, statement in enumerate(source.statements):
                if number not in taken and concerns(statement, source.binds[number], names):
                    new.append(number)
            if not new:
                return
            used = self._take(source, new)
            names = names | used
            if used & _DYNAMIC:
                self._take(source, range(len(source.statements)))
                return

    def _take(self, source: _Source, numbers: Iterable[int]) -> set[str]:
        """Add statements, with what they import, and return the names that they use."""
        used: set[str] = set()
        taken = self._taken[source.path]
        new = [number for number in numbers if number not in taken]
        for number in new:  # modules that import each other may take some of these meanwhile
            statement = source.statements[number]
            if is_guard(statement) and not source.binds[number]:
                continue
            taken.add(number)
            names = sorted(source.binds[number])
            label = os.path.basename(source.path)
            if names:
                label += f":{names[0]}"
            self._found[label].append(dump(statement, source.keep_docs))
            self._add_imports(source, statement)
            self._add_files(source, statement)
            if self._with_values and is_computed(statement):
                self._add_values(source, label, names)
            used |= used_names(statement)
            self.environment |= environment_of(statement)
        return used

    def _add_values(
        self,
        source: _Source,
        label: str,
        names: Iterable[str],
    ) -> None:
        """Add what names have in a module, but for those that functions give other values."""
        module = sys.modules.get(source.module)
        for name in names:
            if name not in source.changing:
                self._add_value(label, name, getattr(module, name, None))

    def _add_value(self, label: str, name: str, value: Any) -> None:
        """Add a plain value: a constant may come from a file or the environment."""
        if isinstance(value, np.ndarray) and value.dtype != object:
            data = np.ascontiguousarray(value)
            told = f"{data.dtype.str}{data.shape}{hashlib.sha256(data.tobytes()).hexdigest()}"
        elif _is_plain(value):
            told = repr(value)
        else:
            return
        self._found[label].append(f"{name}={told}")

    def _add_imports(self, source: _Source, statement: ast.stmt) -> None:
        package = getattr(sys.modules.get(source.module), "__package__", None)
        package = package or source.module.rpartition(".")[0]
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.add_import(alias.name)
            elif isinstance(node, ast.ImportFrom):
                written = "." * node.level + (node.module or "")
                try:
                    base = importlib.util.resolve_name(written, package or None)
                except ImportError:
                    continue
                self.add_import_from(base, [alias.name for alias in node.names])

    def add_import(self, module: str) -> None:
        """Add a module, and the packages that it is in."""
        parts = module.split(".")
        for length in range(1, len(parts) + 1):
            self._add_module(".".join(parts[:length]), None)

    def add_import_from(self, base: str, names: list[str]) -> None:
        """Add what is imported from a module, or package, under these names."""
        for name in names:
            if name == "*":
                self._add_module(base, None)
                continue
            inner = f"{base}.{name}"
            is_module = inner in sys.modules or is_to_come(base, name)
            self._add_module(base, name)
            if is_module:
                self._add_module(inner, None)

    def _add_module(self, module: str, name: str | None) -> None:
        """Add a module of the user's, or what it has under a name."""
        path = file_of(module)
        if path is not None and is_own(path):
            self.add(path, module, name)

    def _add_files(self, source: _Source, statement: ast.stmt) -> None:
        """Note the files that a statement names, and add the bytes of shared libraries."""
        for path in files_named(statement, Path(source.path).parent):
            if path.name.endswith(_LIBRARIES):
                self._found[path.name].append(_bytes(str(path)))
            else:
                self.files.add(str(path))

    def _source(self, path: str, module: str) -> _Source | None:
        if path not in self._sources:
            try:
                self._sources[path] = _Source(path, module)
            except (OSError, ImportError, SyntaxError, ValueError):
                self._sources[path] = None
        return self._sources[path]


def _name_and_module(thing: Any) -> tuple[str, str]:
    """Return what an object is called and where; of one without a name, its class."""
    name = getattr(thing, "__qualname__", None)
    module = getattr(thing, "__module__", None)
    if isinstance(name, str) and isinstance(module, str):
        return name, module
    return type(thing).__qualname__, type(thing).__module__


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    return isinstance(value, (bool, int, float, complex, str, bytes, np.generic))


def _is_driver(path: str) -> bool:
    """Return whether a file is a driver of mpipar's own, or has the fast forms of one."""
    folder = os.path.dirname(os.path.realpath(path))
    ours = os.path.realpath(MPIPAR)
    return folder in (ours, os.path.join(ours, "kernels"))


def _code(code: Any) -> str:
    """Return a digest of a function without a file; it holds for this version of Python alone."""
    constants = [_code(c) if hasattr(c, "co_code") else repr(c) for c in code.co_consts]
    return _hash(f"{code.co_code!r}{constants}{code.co_names}")


def _bytes(path: str) -> str:
    try:
        return hashlib.sha256(_read(path)).hexdigest()
    except (OSError, ImportError):
        return "unreadable"


def _read(path: str) -> bytes:
    """Return what is in a file, which may be in an archive that modules are imported from. Raises
    OSError, ImportError.
    """
    try:
        return Path(path).read_bytes()
    except NotADirectoryError:
        return zipimport.zipimporter(path).get_data(path)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
