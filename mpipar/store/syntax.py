"""What statements bind, use and say, from their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SAYS_NOTHING = ("ctx", "kind", "type_comment", "type_ignores")
_NO_EFFECT = {"run", "main", "print"}  # of what begins the run itself, which may be edited


def dump(node: Any, keep_docs: bool = False) -> str:
    """Return a syntax tree as text that is the same in all versions of Python."""
    if isinstance(node, list):
        return "[" + ",".join(dump(item, keep_docs) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for name, value in ast.iter_fields(node):
        is_value_of_constant = isinstance(node, ast.Constant) and name == "value"
        is_empty = value is None or value == []
        if (name in _SAYS_NOTHING or is_empty) and not is_value_of_constant:
            continue
        is_body = name == "body" and isinstance(node, DEFINITIONS)
        if is_body and not keep_docs and is_docstring(value[0]):
            value = value[1:]
        parts.append(f"{name}={dump(value, keep_docs)}")
    return f"{type(node).__name__}({','.join(parts)})"


def bound_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names of the module that a statement binds, or whose objects it changes."""
    if isinstance(statement, DEFINITIONS):
        yield statement.name
        return
    for node in _outer(statement):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from ((alias.asname or alias.name.partition(".")[0]) for alias in names)
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                root: Any = node
                while isinstance(root, (ast.Attribute, ast.Subscript)):
                    root = root.value
                if isinstance(root, ast.Name):
                    yield root.id


def _outer(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all in it, but what is in functions and classes."""
    yield node
    if not isinstance(node, (*DEFINITIONS, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _outer(child)


def concerns(statement: ast.stmt, binds: frozenset[str], names: set[str]) -> bool:
    """Return whether a statement binds one of these names, is registered with one, or acts on one;
    * may be any.
    """
    if binds & names or "*" in binds:
        return True
    if isinstance(statement, DEFINITIONS):
        return any(_named(decorator) & names for decorator in statement.decorator_list)
    if binds or is_guard(statement):
        return False
    has_effect = not _called(statement) & _NO_EFFECT
    return has_effect and bool(_named(statement) & names)


def _named(tree: ast.AST) -> set[str]:
    """Return all names in a tree."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _called(tree: ast.AST) -> set[str]:
    """Return the names of what is called in a tree, without those of what it is called on."""
    called = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called.add(getattr(node.func, "attr", getattr(node.func, "id", "")))
    return called


def used_names(node: ast.AST) -> set[str]:
    """Return the names that a statement uses and that aren't local to a function in it."""
    if isinstance(node, ast.Name):
        return {node.id}
    used: set[str] = set()
    for child in ast.iter_child_nodes(node):
        used |= used_names(child)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        used -= _local_names(node)
        defaults = [*node.args.defaults, *node.args.kw_defaults]
        for outside in [*defaults, *getattr(node, "decorator_list", [])]:
            if outside is not None:
                used |= used_names(outside)
    return used


def _local_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """Return the names that are a function's own: its arguments, and what it binds."""
    local, shared = set(), set()
    for node in _within(function):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            shared.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            local.add(node.id)
    for node in ast.walk(function.args):
        if isinstance(node, ast.arg):
            local.add(node.arg)
    return local - shared


def _within(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """Yield all in the body of a function, but what is in functions within it and in
    comprehensions.
    """
    rest: list[ast.AST] = (
        list(function.body) if isinstance(function.body, list) else [function.body]
    )
    while rest:
        node = rest.pop()
        yield node
        if not isinstance(
            node,
            (*DEFINITIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
        ):
            rest.extend(ast.iter_child_nodes(node))


def is_computed(statement: ast.stmt) -> bool:
    """Return whether values that a statement binds may be others than its text says."""
    if isinstance(statement, (*DEFINITIONS, ast.Import, ast.ImportFrom)):
        return False
    return any(
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        for node in ast.walk(statement)
    )


def is_guard(statement: ast.stmt) -> bool:
    """Return whether this is ``if __name__ == "__main__":``."""
    return isinstance(statement, ast.If) and any(
        isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test)
    )


def is_docstring(statement: ast.stmt) -> bool:
    """Return whether a statement is no more than a text."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
