"""What the text of the main script tells: what it imports by name, and which attributes of others
it sets.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_CHANGING = {
    *("add", "append", "appendleft", "extend", "insert", "setdefault", "update"),
    *("clear", "discard", "pop", "popleft", "remove", "sort", "reverse"),
}
"""Methods that change a container."""


class Target(NamedTuple):
    """What a script sets: a name, and attributes from there.

    Attributes
    ----------
    name : str
    path : tuple of str
        Attributes; none if it changes a container that the name stands for.
    line : int
    """

    name: str
    path: tuple[str, ...]
    line: int


class Text(NamedTuple):
    """What a script's text tells.

    Attributes
    ----------
    imported : dict
        {name: (module, the name there)} of ``from module import name``.
    stars : list of str
        Modules of ``from module import *``.
    targets : list of Target
        In functions, too.
    """

    imported: dict[str, tuple[str, str]]
    stars: list[str]
    targets: list[Target]


_NOTHING = Text({}, [], [])


def text_of_main() -> Text:
    """Return what the text of the main script tells; nothing, if it has no file."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if not isinstance(file, str):
        return _NOTHING
    return _text_of(file, getattr(main, "__package__", None) or "")


@functools.cache
def parsed(file: str) -> ast.Module:
    """Return the syntax tree of a file, not to be changed; an empty one, if it has none."""
    try:
        return ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


@functools.cache
def _text_of(file: str, package: str) -> Text:
    text = Text({}, [], [])
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.ImportFrom):
            _note_import(node, package, text)
        text.targets.extend(_targets_of(node))
    return text


def _note_import(node: ast.ImportFrom, package: str, text: Text) -> None:
    name = "." * node.level + (node.module or "")
    try:
        module = importlib.util.resolve_name(name, package)
    except ImportError:  # relative, and there is no package
        return
    for each in node.names:
        if each.name == "*":
            text.stars.append(module)
        else:
            text.imported[each.asname or each.name] = module, each.name


def _targets_of(node: ast.AST) -> Iterator[Target]:
    """Yield what a statement or call sets."""
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node.ctx, ast.Store):
            yield from _target(node)
    elif isinstance(node, ast.Call):
        yield from _targets_of_call(node)


def _targets_of_call(call: ast.Call) -> Iterator[Target]:
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in _CHANGING:
        yield from _target(function.value)
    elif isinstance(function, ast.Name) and function.id == "setattr" and len(call.args) == 3:
        holder, name, _ = call.args
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield from _target(ast.Attribute(holder, name.value, lineno=call.lineno))


def _target(node: ast.AST) -> Iterator[Target]:
    """Yield what a name and attributes lead to, up to the first item of a container."""
    path: list[str] = []
    line: int = getattr(node, "lineno", 0)
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            path.append(node.attr)
        elif isinstance(node, ast.Subscript):
            path.clear()
        else:
            return
        node = node.value
    yield Target(node.id, tuple(reversed(path)), line)


def home_of(name: str, value: Any) -> tuple[str, str] | None:
    """Return the module, and the name there, from which the main script has imported what it has
    under a name; None if it hasn't.
    """
    text = text_of_main()
    found = text.imported.get(name)
    places = [found] if found is not None else [(module, name) for module in text.stars]
    for module, attribute in places:
        own = vars(sys.modules[module]) if module in sys.modules else {}
        if own.get(attribute) is value and value is not None:
            return module, attribute
    return None
