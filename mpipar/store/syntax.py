"""What statements bind, use and say, from their syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "expandvars"}
"""Names of what gives the environment."""
_LOOKS_LIKE_FILE = re.compile(r"[^\n\0]{0,300}[./][^\n\0]{0,100}")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_WITH_NAMES_OF_THEIR_OWN = (*DEFINITIONS, ast.Lambda, *_COMPREHENSIONS)
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
        if not _says_something(node, name, value):
            continue
        is_body = name == "body" and isinstance(node, DEFINITIONS)
        if is_body and not keep_docs and is_docstring(value[0]):
            value = value[1:]
        parts.append(f"{name}={dump(value, keep_docs)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _says_something(node: ast.AST, name: str, value: Any) -> bool:
    """Return whether a field of a node is part of what the source says."""
    if isinstance(node, ast.Constant) and name == "value":
        return True
    is_empty = value is None or value == []
    return not is_empty and name not in _SAYS_NOTHING


def bound_names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names of the module that a statement binds, or whose objects it changes."""
    if isinstance(statement, DEFINITIONS):
        yield statement.name
        return
    for node in _outer(statement):
        if isinstance(node, DEFINITIONS):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            yield node.id
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            yield from _root_name(node)


def _root_name(node: ast.Attribute | ast.Subscript) -> Iterator[str]:
    """Yield the name that an attribute or item is of: x for ``x.y[0]``; nothing for ``f().y``."""
    root: ast.expr = node
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


def concerns(
    statement: ast.stmt,
    binds: frozenset[str],
    names: set[str],
) -> bool:
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
    local = set()
    shared = set()
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
    rest: list[ast.AST] = []
    if isinstance(function, ast.Lambda):
        rest.append(function.body)
    else:
        rest.extend(function.body)
    while rest:
        node = rest.pop()
        yield node
        if not isinstance(node, _WITH_NAMES_OF_THEIR_OWN):
            rest.extend(ast.iter_child_nodes(node))


def is_computed(statement: ast.stmt) -> bool:
    """Return whether values that a statement binds may be others than its text says."""
    if isinstance(statement, (*DEFINITIONS, ast.Import, ast.ImportFrom)):
        return False
    return any(_is_read(node) for node in ast.walk(statement))


def _is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def is_guard(statement: ast.stmt) -> bool:
    """Return whether this is ``if __name__ == "__main__":``."""
    return isinstance(statement, ast.If) and "__name__" in _named(statement.test)


def is_docstring(statement: ast.stmt) -> bool:
    """Return whether a statement is no more than a text."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def environment_of(statement: ast.stmt) -> set[str | None]:
    """Return the variables of the environment that a statement looks up; None for any."""
    found: set[str | None] = set()
    named = set()
    for node in ast.walk(statement):
        of, key = _looked_up(node)
        is_text = isinstance(key, ast.Constant) and isinstance(key.value, str)
        if is_text and _last_name(of) in ENVIRONMENT - {"expandvars"}:
            found.add(key.value)  # type: ignore[union-attr]
            named.add(id(of))
    if any(
        _last_name(node) in ENVIRONMENT and id(node) not in named for node in ast.walk(statement)
    ):
        found.add(None)
    return found


def _looked_up(node: ast.AST) -> tuple[ast.AST | None, ast.AST | None]:
    """Return x and key of ``x[key]``, ``x(key, …)`` and ``x.get(key, …)``."""
    if isinstance(node, ast.Subscript):
        return node.value, node.slice
    if not isinstance(node, ast.Call) or not node.args:
        return None, None
    of = node.func
    if isinstance(of, ast.Attribute) and of.attr in ("get", "setdefault", "pop"):
        of = of.value
    return of, node.args[0]


def _last_name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def files_named(statement: ast.stmt, folder: Path) -> Iterator[Path]:
    """Yield the files that texts in a statement name, from here or from a folder."""
    for node in ast.walk(statement):
        text = node.value if isinstance(node, ast.Constant) else None
        if not isinstance(text, str) or not _LOOKS_LIKE_FILE.fullmatch(text):
            continue
        for path in (Path(text), folder / text):
            if path.is_file():
                yield path
                break
