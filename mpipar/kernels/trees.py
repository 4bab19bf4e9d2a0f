"""Functions of Python's that are made of syntax trees, and of other functions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from mpipar.kernels.scalar_forms import FUNCTIONS


class _Filler(ast.NodeTransformer):
    """Puts operands where a form names them."""

    def __init__(self, operands: Mapping[str, ast.expr]) -> None:
        self._operands = operands

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._operands.get(node.id, node)


def parsed(text: str) -> ast.expr:
    """Return the tree of text of our own."""
    return ast.parse(text, mode="eval").body


def filled(text: str, operands: Mapping[str, ast.expr]) -> ast.expr:
    """Return a form with its operands."""
    tree: ast.expr = _Filler(operands).visit(parsed(text))
    return tree


def function_of_lines(arguments: str, lines: Sequence[ast.stmt]) -> FunctionType:
    """Return a function with these lines."""
    module = ast.parse(f"def value({arguments}): pass")
    [function] = module.body
    assert isinstance(function, ast.FunctionDef)
    function.body = [*lines]
    code = compile(ast.fix_missing_locations(module), "<formula>", "exec")
    [own] = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return FunctionType(own, {"__name__": __name__, **FUNCTIONS})


def with_functions(loop: Callable[..., Any], **functions: Any) -> FunctionType:
    """Return a function that has others where it names globals, as compiled code knows no
    functions as arguments.
    """
    assert isinstance(loop, FunctionType)
    scope = {**loop.__globals__, **functions}
    made = FunctionType(
        loop.__code__,
        scope,
        loop.__name__,
        loop.__defaults__,
        loop.__closure__,
    )
    made.__kwdefaults__ = loop.__kwdefaults__
    made.__qualname__ = loop.__qualname__
    made.__dict__.update(loop.__dict__)
    return made
