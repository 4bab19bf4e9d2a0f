"""What code of functions uses of what is around it, told from its instructions."""

from __future__ import annotations

import dis
import importlib.util
import re
from collections.abc import Iterator
from types import CodeType
from typing import Any, NamedTuple

from mpipar.store.syntax import ENVIRONMENT

Path = tuple[str, ...]

_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
_NAMES = {*_LOADS, *_ATTRIBUTES, "IMPORT_FROM"}
_ARGUMENTS = {"argv", "orig_argv", "parse_args", "parse_known_args"}
_NAMESPACES = {"f_globals", "f_locals", "f_builtins", "__globals__"}
_ANNOTATIONS = {
    *("__annotations__", "__annotate__", "get_annotations", "get_type_hints"),
    *("signature", "__signature__", "getfullargspec"),
}
"""Names of what looks at annotations of functions."""

_READERS = {
    *("query", "eval", "evaluate", "re_evaluate"),  # of pandas, and of numexpr
    *("from_formula", "dmatrix", "dmatrices", "incr_dbuilder"),
    *("ols", "wls", "gls", "rlm", "glm", "gee", "mixedlm"),
    *("logit", "probit", "poisson", "quantreg"),
}
"""Names of what looks the names in a text up where it is called."""

_IMPORTERS = {
    *("importlib", "pkgutil", "runpy", "pydoc", "builtins"),
    *("pickle", "cloudpickle", "dill", "joblib", "torch"),
}
_IMPORT = {
    *("import_module", "__import__", "resolve_name", "run_module", "run_path", "locate"),
    *("load", "loads", "Unpickler"),
    *("spec_from_file_location", "SourceFileLoader", "module_from_spec"),
}
_IMPORT_OF = {"pandas": "read_pickle", "zipimport": "zipimporter", "shelve": "open"}
"""{module: the name in it that imports what a text, a file, or a pickle names}."""
_LOOK_UP = {"eval", "exec", "globals", "vars", "locals"}
"""Names in modules that a function imports by itself."""

_NAME_IN_TEXT = re.compile(r"[^\W\d]\w*")
ITS_NAME = "\0name"
"""What stands for the name of the module itself as a key, ``x[__name__]``."""

_SAYS_NOTHING = {"CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL"}
_SUBSCRIPTS = {"BINARY_SUBSCR", "BINARY_OP"}


class Import(NamedTuple):
    """An import within a function: ``from ..module import names``, or ``import module``."""

    level: int
    module: str
    names: tuple[str, ...]

    def resolved(self, package: str | None) -> str:
        """Return the whole name of the module."""
        return importlib.util.resolve_name("." * self.level + self.module, package)


class Mention(NamedTuple):
    """A global name in a function.

    Attributes
    ----------
    name : str
    path : tuple of str
        The attributes that are looked up one after the other: ``("b", "c")`` for ``name.b.c``.
    key : str or None
        The text that it is looked up by: ``"HOME"`` for ``name["HOME"]`` and ``name.get("HOME")``.
    """

    name: str
    path: Path
    key: str | None


class Uses(NamedTuple):
    """What code uses, with all code within it.

    Attributes
    ----------
    mentions : tuple of Mention
    imports : tuple of Import
    environment : tuple of (str or None)
        Variables of the environment; None stands for any.
    uses_arguments : bool
        Whether it looks at those of the command line.
    uses_docs, uses_subclasses : bool
        Whether it looks at docstrings; at what is derived from a class.
    uses_annotations : bool
        Whether it looks at annotations of functions.
    uses_names : bool
        Whether it looks names up in a way that doesn't show which.
    uses_modules, imports_by_name : bool
        Whether it imports by itself what it looks modules up in, or imports others with.
    in_texts : tuple of str
        The names in its texts, if it uses what may look them up, as ``query("x > @limit")`` does.
    """

    mentions: tuple[Mention, ...]
    imports: tuple[Import, ...]
    environment: tuple[str | None, ...]
    uses_arguments: bool
    uses_docs: bool
    uses_subclasses: bool
    uses_annotations: bool
    uses_names: bool
    uses_modules: bool
    imports_by_name: bool
    in_texts: tuple[str, ...]


def uses(code: CodeType) -> Uses:
    """Return what code uses, in an order that other versions of Python give it, too."""
    mentions: set[Mention] = set()
    imports: set[Import] = set()
    variables: set[str | None] = set()
    words: set[Any] = set()
    for each in all_code(code):
        instructions = _instructions(each)
        mentions.update(_mentions(instructions))
        imports.update(_imports(instructions))
        variables.update(_variables(instructions))
        words.update(instruction.argval for instruction in instructions if _is_name(instruction))
    imported = {each.module.partition(".")[0] for each in imports}
    names = set(_NAMESPACES)
    if "builtins" in imported:
        names |= _LOOK_UP
    return Uses(
        tuple(sorted(mentions, key=_order)),
        tuple(sorted(imports)),
        tuple(sorted(variables, key=str)),
        not _ARGUMENTS.isdisjoint(words),
        "__doc__" in words,
        "__subclasses__" in words,
        not _ANNOTATIONS.isdisjoint(words),
        not names.isdisjoint(words),
        "sys" in imported and "modules" in words,
        _imports_by_name(imported, words),
        () if _READERS.isdisjoint(words) else _names_in_texts(code),
    )


def _imports_by_name(imported: set[str], words: set[Any]) -> bool:
    """Return whether code that imports these modules, and uses these names, imports others."""
    for module, name in _IMPORT_OF.items():
        if module in imported and name in words:
            return True
    return not (_IMPORTERS.isdisjoint(imported) or _IMPORT.isdisjoint(words))


def _names_in_texts(code: CodeType) -> tuple[str, ...]:
    found: set[str] = set()
    for each in all_code(code):
        for constant in each.co_consts:
            if isinstance(constant, str):
                found.update(_NAME_IN_TEXT.findall(constant))
    return tuple(sorted(found))


def _order(mention: Mention) -> tuple[str, Path, str]:
    return mention.name, mention.path, mention.key or ""


def all_code(code: CodeType) -> Iterator[CodeType]:
    """Yield code, and all that is within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from all_code(constant)


def _instructions(code: CodeType) -> list[dis.Instruction]:
    return [each for each in dis.get_instructions(code) if each.opname not in _SAYS_NOTHING]


def _mentions(instructions: list[dis.Instruction]) -> Iterator[Mention]:
    for number, instruction in enumerate(instructions):
        if instruction.opname in _LOADS:
            path = _path(instructions, number + 1)
            yield Mention(instruction.argval, path, _key(instructions, number + len(path)))


def _is_name(instruction: dis.Instruction) -> bool:
    return instruction.opname in _NAMES


def _variables(instructions: list[dis.Instruction]) -> Iterator[str | None]:
    """Yield the variables of the environment that are looked up; None for any."""
    for number, instruction in enumerate(instructions):
        if not _is_name(instruction) or instruction.argval not in ENVIRONMENT:
            continue
        path = _path(instructions, number + 1)
        key = _key(instructions, number + len(path))
        if path in ((), ("get",)) and key != ITS_NAME:
            yield key
        else:
            yield None


def _path(instructions: list[dis.Instruction], start: int) -> Path:
    """Return the names of the attributes that are looked up one after the other."""
    found = []
    for instruction in instructions[start:]:
        if instruction.opname not in _ATTRIBUTES:
            break
        found.append(instruction.argval)
    return tuple(found)


def _key(instructions: list[dis.Instruction], number: int) -> str | None:
    """Return the text in ``x["text"]`` and ``x("text", …)``, if the instruction of this number
    gives x.
    """
    following = instructions[number + 1 : number + 3]
    if len(following) < 2:
        return None
    if following[0].argval == "__name__" and _is_subscript(following[1]):
        return ITS_NAME
    if following[0].opname != "LOAD_CONST":
        return None
    text: Any = following[0].argval
    if type(text) is str and (_is_subscript(following[1]) or _is_called(instructions[number])):
        return text
    return None


def _is_subscript(instruction: dis.Instruction) -> bool:
    is_other_operation = instruction.opname == "BINARY_OP" and instruction.argrepr != "[]"
    return instruction.opname in _SUBSCRIPTS and not is_other_operation


def _is_called(instruction: dis.Instruction) -> bool:
    """Return whether what an instruction loads is called with what follows."""
    return instruction.opname == "LOAD_METHOD" or "NULL" in instruction.argrepr


def _imports(instructions: list[dis.Instruction]) -> Iterator[Import]:
    for number, instruction in enumerate(instructions):
        if instruction.opname == "IMPORT_NAME":
            level, names = (each.argval for each in instructions[number - 2 : number])
            yield Import(level, instruction.argval, tuple(names or ()))
