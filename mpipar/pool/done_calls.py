"""The calls that stand alone in a script, as ``library.set_option(…)``, and have been done."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from types import CodeType

from mpipar.pool.guard import is_guard
from mpipar.pool.script_text import parsed

_Defined = ast.FunctionDef | ast.AsyncFunctionDef


def done_calls(code: CodeType, line: int) -> Iterator[ast.Call]:
    """Yield what has been called on the way to a line of a script or function, in order.

    Of statements that a condition or a loop holds, those alone that lead to the line, or that have
    been done in any case.

    Parameters
    ----------
    code : CodeType
        What is being done.
    line : int
        Where it is now.
    """
    yield from _done(_body(code), line)


def _body(code: CodeType) -> Sequence[ast.stmt]:
    tree = parsed(code.co_filename)
    if code.co_name == "<module>":
        return tree.body
    for node in ast.walk(tree):
        if isinstance(node, _Defined) and _first_line(node) == code.co_firstlineno:
            return node.body
    return ()


def _first_line(function: _Defined) -> int:
    lines = [each.lineno for each in function.decorator_list]
    return min([function.lineno, *lines])


def _done(body: Sequence[ast.stmt], line: int) -> Iterator[ast.Call]:
    for statement in body:
        if statement.lineno >= line:
            return
        is_done = (statement.end_lineno or 0) < line
        if is_done and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            yield statement.value
        for block in _blocks(statement, line):
            yield from _done(block, line)


def _blocks(statement: ast.stmt, line: int) -> Iterator[Sequence[ast.stmt]]:
    """Yield the blocks of a statement that have been done, or are being done."""
    if isinstance(statement, (ast.With, ast.Try)):
        yield statement.body
        return
    if isinstance(statement, ast.If) and is_guard(statement.test):
        yield statement.body
        return
    for name in ("body", "orelse"):
        block = getattr(statement, name, None)
        is_flow = isinstance(statement, (ast.If, ast.For, ast.While))
        if is_flow and block and block[0].lineno <= line <= (block[-1].end_lineno or 0):
            yield block
