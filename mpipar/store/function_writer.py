"""Functions and classes of the user's own as bytes, with all of the user's own that they use, as it
is now.

A function is its code, its defaults, what it has taken from around it, and what the names that it
uses stand for: followed from value to value, so that it doesn't matter how these came about. What
is installed is no more than its name.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import operator
import os
import sys
import types
from typing import Any

from mpipar.runtime.launcher import is_of_this_start
from mpipar.store.checks import ABSENT, contents, of_function
from mpipar.store.class_writer import ClassWriter, is_definition
from mpipar.store.code_uses import ITS_NAME, Import, Mention, Uses
from mpipar.store.own_code import (
    ANY,
    is_class,
    is_function,
    is_module,
    is_own_code,
    is_own_module,
    module_of,
)
from mpipar.store.value_writer import (
    DEFINED,
    EMPTY,
    NAMED,
    OTHER,
    PLAIN,
)

_LOOK_UP = set(map(id, (eval, exec, globals, vars, locals)))
_IMPORT = set(map(id, (__import__, importlib.import_module)))
_IMPORT_TOO = {
    *("pkgutil.resolve_name", "runpy.run_module", "runpy.run_path", "pydoc.locate"),
    *("dill._dill.load", "dill._dill.loads", "joblib.numpy_pickle.load", "pickle._Unpickler"),
    *("pandas.io.pickle.read_pickle", "pandas.read_pickle", "shelve.open"),
    *("torch.serialization.load", "_pickle.Unpickler", "_pickle.load", "_pickle.loads"),
    *("_frozen_importlib_external.spec_from_file_location", "zipimport.zipimporter"),
    *("_frozen_importlib_external.SourceFileLoader", "_frozen_importlib.module_from_spec"),
    *("importlib._bootstrap_external.spec_from_file_location",),
    *("importlib._bootstrap_external.SourceFileLoader", "importlib._bootstrap.module_from_spec"),
}
"""What imports what a text, a file, or a pickle names."""
_ENVIRONMENT = set(map(id, (os.environ, os.getenv, os.environb, os.getenvb)))
_OF_MODULES = {
    "__builtins__",
    "__cached__",
    "__doc__",
    "__file__",
    "__loader__",
    "__name__",
    "__package__",
    "__path__",
    "__spec__",
}
_DISPATCHER = functools.singledispatch(len).__code__  # type: ignore[attr-defined]


class FunctionWriter(ClassWriter):
    """Writes a function or class, and all that it uses, each once.

    See :class:`ClassWriter` for its parameters.
    """

    def write_all(self, value: Any) -> None:
        """Write a function or class, and all that it uses."""
        self.define(value)
        self._write_rest()
        while self._write_next_shown():
            self._write_rest()
        self.checks.close()
        self.checks.is_certain = not self.is_changeable

    def _write_next_shown(self) -> bool:
        """Write what one thing shows to those that look at more than names of their own; return
        whether there was one. What comes with it may look, and show, too.
        """
        for shows, write in (
            (self._shows_names, self._write_names_around),
            (self._shows_subclasses, self._write_subclasses),
            (self._shows_annotations, self._write_annotations_of),
            (self._shows_docs, self._write_doc),
        ):
            place = self._shown[write.__name__]
            if shows and place < len(self._written):
                self._shown[write.__name__] += 1
                write(self._written[place])
                return True
        return False

    def _write_rest(self) -> None:
        while self._todo:
            self._write_definition(self._todo.popleft())

    def _write_annotations_of(self, value: Any) -> None:
        """Write the annotations of a function; a class has them already."""
        if not is_function(value):
            return
        try:
            annotations = value.__annotations__
        except Exception:  # whatever is in them, where they are made when they are looked at
            annotations = {}
        self._write_annotations(annotations)

    def _write_names_around(self, value: Any) -> None:
        """Write all that is beside a function: what it calls may look at its caller's names."""
        if is_function(value) and is_own_code(value.__code__):
            self._write_space(value.__globals__)

    def _write_doc(self, value: Any) -> None:
        self._write_attribute(value.__doc__)

    def _write_subclasses(self, kind: Any) -> None:
        """Write what is derived from a class, which anybody can find by that."""
        if not is_class(kind):
            return
        self.checks.add(type.__subclasses__, kind)
        derived: list[type] = type.__subclasses__(kind)
        for each in sorted(derived, key=operator.attrgetter("__qualname__")):
            self.define(each)

    def _write_definition(self, value: Any) -> None:
        if is_function(value):
            self._write_function(value)
        elif is_module(value):
            self._write_module(value)
        else:
            self._write_class(value)

    # Functions

    def _write_function(self, function: types.FunctionType) -> None:
        code = function.__code__
        if code is _DISPATCHER:
            self._write_dispatcher(function)
            return
        is_own = is_own_code(code)
        self.checks.add(of_function, function)
        self._written.append(function)
        if is_own:
            self.put(DEFINED, self._own.digests.of(code))
        else:
            module = module_of(function)
            self._own.note_package(module)
            self._shows_annotations |= _is_of_package(function)
            self.put(NAMED, module, code.co_qualname)
        self.write(function.__defaults__)
        for space in (function.__kwdefaults__, function.__dict__):
            self._write_attributes(space)
        self.put(DEFINED, code.co_freevars)
        for cell in function.__closure__ or ():
            self.cell(cell)
        if is_own:
            self._write_used(function)

    def _write_dispatcher(self, function: Any) -> None:
        """Write a function of functools.singledispatch, without what it remembers."""
        self.checks.add_all(function.registry)
        self.put(NAMED, "singledispatch", len(function.registry))
        for kind, implementation in function.registry.items():
            self.write(kind)
            self.write(implementation)

    def cell(self, value: Any) -> None:
        """Write what a function has taken from around it."""
        if self.is_again(value):
            return
        try:
            self.checks.add(contents, value)
        except ValueError:
            self.chunks.append(EMPTY)
            self.is_changeable = True
            return
        self.write(value.cell_contents)

    def _write_attributes(self, space: dict[str, Any] | None) -> None:
        if space is None:
            self.chunks.append(EMPTY)
            return
        self.checks.add_all(space)
        self.put(DEFINED, *sorted(space))
        for name in sorted(space):
            self._write_attribute(space[name])

    def _write_used(self, function: types.FunctionType) -> None:
        """Write what the names that a function uses stand for."""
        space = function.__globals__
        used = self._own.uses(function.__code__)
        self._shows_docs |= used.uses_docs
        self._shows_subclasses |= used.uses_subclasses
        self._shows_annotations |= used.uses_annotations
        self._shows_names |= used.uses_names
        self._write_unnamed(function, used)
        for key in used.environment:
            self._write_environment(key)
        for mention in used.mentions:
            value = space.get(mention.name, ABSENT)
            self.checks.bind(space, mention.name, value)
            if value is ABSENT:
                value = vars(builtins).get(mention.name, ABSENT)
            self.put(NAMED, mention.name, *mention.path)
            self._write_mention(value, mention, function)
        for each_import in used.imports:
            self._write_import(function, each_import)
        for name in used.in_texts:
            value = space.get(name, ABSENT)
            self.checks.bind(space, name, value)
            if value is not ABSENT:
                self.put(NAMED, name)
                self._write_what_can_be(value)

    def _write_unnamed(self, function: types.FunctionType, used: Uses) -> None:
        """Write what a function uses in a way that doesn't show what it is."""
        if used.uses_names:
            self._write_space(function.__globals__)
        if used.uses_arguments:
            self.checks.bind(vars(sys), "argv", sys.argv)
            self._write_attribute(sys.argv)
        if used.uses_modules:
            self._write_modules(None)
        if used.imports_by_name:
            self._write_import_by_name(function, None)

    def _write_mention(self, value: Any, mention: Mention, function: types.FunctionType) -> None:
        value, owner = self._followed(value, mention.path)
        if id(value) in _LOOK_UP:
            self._own.met.add(ANY)  # by eval
            self._write_space(function.__globals__)
        elif _is_importer(value):
            self._write_import_by_name(function, _module_named(value, mention.key))
        elif value is sys.modules and mention.key == ITS_NAME:
            self._write_space(function.__globals__)
        elif value is sys.modules:
            self._write_modules(mention.key)
        elif id(value) in _ENVIRONMENT and mention.key == ITS_NAME:
            self._write_environment(None)
        elif id(value) in _ENVIRONMENT:
            self._write_environment(mention.key)
        elif value is ABSENT:
            self._write_absent(owner)
        elif is_definition(value) or type(value) in PLAIN or not _is_installed(owner):
            self._write_attribute(value)

    def _write_absent(self, owner: types.ModuleType | None) -> None:
        """Write what a module of the user's, which hasn't a name, may get it from."""
        if owner is None or _is_installed(owner):
            return
        self.define(owner)
        self._write_attribute(vars(owner).get("__getattr__"))

    def _followed(self, value: Any, path: tuple[str, ...]) -> tuple[Any, types.ModuleType | None]:
        """Return what the attributes of modules lead to, and the last of these modules."""
        owner = None
        for name in path:
            if not is_module(value):
                break
            owner = value
            if _is_installed(owner):
                self._own.note_package(owner.__name__)
            value = vars(owner).get(name, ABSENT)
            self.checks.bind(vars(owner), name, value)
        return value, owner

    def _write_environment(self, key: str | None) -> None:
        """Write a variable of the environment, or all but those of this start alone."""
        self.is_changeable = True
        if key is not None:
            self.put(OTHER, "environment", key, os.environ.get(key))
            return
        kept = [item for item in os.environ.items() if not is_of_this_start(item[0])]
        self.put(OTHER, "environment", *sorted(kept))

    # Modules

    def _write_modules(self, key: str | None) -> None:
        """Write a module that is looked up in ``sys.modules``, or all of the user's."""
        for name in [key] if key is not None else sorted(sys.modules):
            module = sys.modules.get(name)
            if module is not None and is_own_module(name):
                self.define(module)

    def _write_import_by_name(self, function: types.FunctionType, name: str | None) -> None:
        """Write a module that is imported by its name; if that isn't known, all that are beside
        the function's.
        """
        self._write_space(function.__globals__)
        if name is not None:
            self._write_import(function, Import(0, name, ()))
            return
        self._own.met.add(ANY)
        self.put(OTHER, self._own.sources_beside(function.__code__.co_filename))

    def _write_module(self, module: types.ModuleType) -> None:
        self.put(OTHER, "module")
        self._write_space(vars(module))

    def _write_space(self, space: dict[str, Any]) -> None:
        """Write all that a module has, of which any may be used."""
        if self.is_again(space):
            return
        self.checks.add_all(space)
        for name in sorted(space.keys() - _OF_MODULES):
            self.put(NAMED, name)
            self._write_what_can_be(space[name])

    def _write_import(self, function: types.FunctionType, each: Import) -> None:
        """Write what a function imports when it is called: its source and, of a module that was
        there before, all that this has.
        """
        name = each.resolved(function.__globals__.get("__package__"))
        source = self._own.imported(name, each.names)
        self.put(OTHER, name, each.names, source)
        if source and self._own.was_imported(name):
            self._write_space(vars(sys.modules[name]))


def _module_named(importer: Any, key: str | None) -> str | None:
    """Return the module that a text names; None if that isn't known, as the text is that of a
    file, or says it from a package that isn't known.
    """
    if id(importer) not in _IMPORT or key is None or key.startswith("."):
        return None
    return key


def _is_importer(value: Any) -> bool:
    if id(value) in _IMPORT:
        return True
    is_named = is_function(value) or is_class(value)
    if not is_named and type(value) is not types.BuiltinFunctionType:
        return False
    return f"{module_of(value)}.{value.__qualname__}" in _IMPORT_TOO


def _is_installed(module: types.ModuleType | None) -> bool:
    return module is not None and not is_own_module(module.__name__)


def _is_of_package(function: types.FunctionType) -> bool:
    """Return whether a function is of a package beside Python's own library: what it wraps, it may
    look at in any way.
    """
    name = str(function.__globals__.get("__name__", ""))
    return name.partition(".")[0] not in sys.stdlib_module_names
