"""Global variables that a module fills when they are first needed, as told from its text::

    def connection():
        global _connection
        if _connection is None:
            _connection = connect()

A worker that finds nothing there makes its own.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from mpipar.pool.guard import globals_of

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def is_filled_when_needed(file: str, name: str) -> bool:
    """Return whether functions of a file fill a variable if there is nothing in it."""
    return name in _lazy_names(file)


@functools.cache
def _lazy_names(file: str) -> set[str]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            found |= globals_of(node) & set(_looked_at(node))
    return found


def _looked_at(function: ast.AST) -> Iterator[str]:
    """Yield the names that a function asks whether there is anything in them."""
    for node in ast.walk(function):
        asked: ast.AST | None = None
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            asked = node.left
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            asked = node.operand
        if isinstance(asked, ast.Name):
            yield asked.id
