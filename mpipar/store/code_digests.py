"""Digests of code: of its syntax tree where the source at hand is that of the code, so that
neither comments nor Python's version count; else of its instructions.

A source may have been edited since it was imported, and functions are also made by exec. So the
source is compiled, and only a function that comes out with the same instructions is taken for it.
"""

from __future__ import annotations

import ast
import hashlib
import marshal
import operator
import sys
import warnings
from collections import defaultdict
from pathlib import Path
from types import CodeType
from typing import Any, TypeAlias

from mpipar.store.code_uses import all_code
from mpipar.store.syntax import dump, is_docstring

_Key: TypeAlias = tuple[str, bytes]  # a qualified name, and the instructions' digest
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Nodes: TypeAlias = dict[tuple[int, str], list[_Function]]


class CodeDigests:
    """Digests of code of a process; what is known of a source stays, as it may be edited."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[CodeType, bytes]] = {}
        self._texts: dict[str, bytes] = {}
        self._trees: dict[str, dict[_Key, bytes]] = {}

    def of(self, code: CodeType) -> bytes:
        """Return the digest of code."""
        known = self._known.get(id(code))
        if known is None:
            known = code, self._digest(code)
            self._known[id(code)] = known
        return known[1]

    def read(self, path: str) -> bytes:
        """Return a source as it was when it was first read."""
        if path not in self._texts:
            self._texts[path] = _text(path)
        return self._texts[path]

    def _digest(self, code: CodeType) -> bytes:
        path = code.co_filename
        if path not in self._trees:
            self._trees[path] = _trees(path, self.read(path))
        instructions = of_instructions(code)
        tree = self._trees[path].get((code.co_qualname, instructions))
        if tree is not None:
            return b"tree" + tree
        return b"code" + instructions


def _text(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return b""


_parts_of = operator.attrgetter(
    "co_code",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_flags",
    "co_exceptiontable",
)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def of_instructions(code: CodeType) -> bytes:
    """Return a digest of instructions; it holds for this version of Python alone."""
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            constants.append(of_instructions(constant))
        else:
            constants.append(_constant(constant))
    parts = (
        sys.version_info[:2],
        _parts_of(code),
        tuple(constants),
    )
    return _digest(marshal.dumps(parts, 2))


def _constant(value: Any) -> bytes:
    """Return a constant as bytes; the order of a set's members doesn't count."""
    if isinstance(value, tuple):
        return b"t" + marshal.dumps([_constant(each) for each in value], 2)
    if isinstance(value, frozenset):
        return b"s" + marshal.dumps(sorted(map(_constant, value)), 2)
    if isinstance(value, slice):
        return b"l" + _constant((value.start, value.stop, value.step))
    return b"c" + marshal.dumps(value, 2)


def _trees(path: str, text: bytes) -> dict[_Key, bytes]:
    """Return digests of the syntax trees of all functions in a source, where these are told apart
    by their lines.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python has told of them already
            tree = ast.parse(text)
            code = compile(text, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    nodes = _nodes(tree)
    keep_docs = b"__doc__" in text
    found: dict[_Key, bytes] = {}
    for each in all_code(code):
        at_line = nodes.get((each.co_firstlineno, each.co_name), [])
        if len(at_line) == 1:
            key = each.co_qualname, of_instructions(each)
            found.setdefault(key, _tree_digest(at_line[0], keep_docs))
    return found


def _nodes(tree: ast.Module) -> _Nodes:
    """Return the functions of a tree, by the line where they begin and their name."""
    found: _Nodes = defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found[node.lineno, "<lambda>"].append(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.lineno
            if node.decorator_list:
                first = node.decorator_list[0].lineno
            found[first, node.name].append(node)
    return found


def _tree_digest(node: _Function, keep_docs: bool) -> bytes:
    """Return a digest of what a function does: neither decorators nor values of defaults, which
    are looked at as they are, nor annotations, which nothing looks at.
    """
    body = node.body
    if isinstance(body, list) and not keep_docs and is_docstring(body[0]):
        body = body[1:]
    parts = [
        type(node).__name__,
        getattr(node, "name", ""),
        _signature(node.args),
        dump(body, keep_docs),
    ]
    said = "\0".join(parts)
    return _digest(said.encode("utf-8", "surrogatepass"))


def _signature(arguments: ast.arguments) -> str:
    """Return the names of arguments."""
    said = []
    for some in (arguments.posonlyargs, arguments.args, arguments.kwonlyargs):
        names = [each.arg for each in some]
        said.append(",".join(names))
    for star in (arguments.vararg, arguments.kwarg):
        name = ""
        if star is not None:
            name = star.arg
        said.append(name)
    return ";".join(said)
