"""What of a script is left when its ``if __name__ == "__main__":`` is taken out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

_WRITING = {
    *("w", "wb", "wt", "w+", "wb+", "w+b", "w-"),
    *("a", "ab", "at", "a+", "ab+"),
    *("r+", "rb+", "r+b"),
    *("x", "xb", "xt"),
}
"""Modes in which a file is opened to write to it."""
_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
"""What is in these isn't done when a script is imported."""


class Guarded(NamedTuple):
    """A script with a guard.

    Attributes
    ----------
    rest : ast.Module
        What is left of it.
    lines : list of range
        Those of its main part.
    rebound : set of str
        Names that its main part may bind anew.
    """

    rest: ast.Module
    lines: list[range]
    rebound: set[str]


def guarded(source: str | bytes) -> Guarded | None:
    """Return a script without its main part; None if it has no guard, or can't be parsed."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    remover = _Remover()
    remover.visit(tree)  # changes it
    if not remover.lines:
        return None
    return Guarded(tree, remover.lines, remover.bound | globals_of(tree))


def writes(tree: ast.Module) -> int | None:
    """Return the line in which a script opens something to write to it when it is imported, if that
    is plain to see.
    """
    for node in _done_at_import(tree):
        if isinstance(node, ast.Call) and _opens_to_write(node):
            return node.lineno
    return None


def lines_at_import(tree: ast.Module) -> set[int]:
    """Return the lines of a script that are done when it is imported."""
    return {node.lineno for node in _done_at_import(tree) if hasattr(node, "lineno")}


def _opens_to_write(call: ast.Call) -> bool:
    modes = call.args[1:2]
    for keyword in call.keywords:
        if keyword.arg == "mode":
            modes.append(keyword.value)
    constants = [mode for mode in modes if isinstance(mode, ast.Constant)]
    return any(mode.value in _WRITING for mode in constants)


def globals_of(tree: ast.AST) -> set[str]:
    """Return the names of global variables that functions in a piece of a script bind."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found.update(node.names)
    return found


def _done_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _LATER):
            yield child
            yield from _done_at_import(child)


class _Remover(ast.NodeTransformer):
    """Takes out what is done in the main script alone."""

    def __init__(self) -> None:
        self.lines: list[range] = []
        self.bound: set[str] = set()

    def visit(self, node: ast.AST) -> ast.AST:
        """Replace a guard and what it guards."""
        if isinstance(node, (*_LATER, ast.ClassDef)):
            return node
        if not isinstance(node, ast.If) or not is_guard(node.test):
            return self.generic_visit(node)
        last = node.body[-1].end_lineno or node.lineno
        self.lines.append(range(node.lineno, last + 1))
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                self.bound.add(each.id)
        main_part = ast.Module([node], [])
        self.bound.update(globals_of(main_part))
        return ast.copy_location(ast.Pass(), node)


def is_guard(test: ast.expr) -> bool:
    """Return whether a condition holds in the main script alone."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(map(is_guard, test.values))
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    if not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, *test.comparators]
    return any(map(_is_name, sides)) and any(map(_is_main, sides))


def _is_name(side: ast.expr) -> bool:
    return isinstance(side, ast.Name) and side.id == "__name__"


def _is_main(side: ast.expr) -> bool:
    return isinstance(side, ast.Constant) and side.value == "__main__"
