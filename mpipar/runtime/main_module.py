"""The user's main module, as workers get to know it: they import it, or have what they need of it
by value.
"""

from __future__ import annotations

import ast
import linecache
import sys
from multiprocessing import spawn


def may_be_imported() -> bool:
    """Return whether another process may import the main module: if that has a guard, or no code
    that is to be seen.

    A script without ``if __name__ == "__main__"`` would do all its work again there.
    """
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None:  # a notebook, or standard input
        return False
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return True
    return not tree.body or any(_is_guard(statement) for statement in tree.body)


def _is_guard(statement: ast.stmt) -> bool:
    """Return whether a statement asks for the name of the module."""
    if not isinstance(statement, ast.If):
        return False
    names = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)}
    return "__name__" in names


def description() -> dict[str, str]:
    """Return what :func:`import_it` needs, in another process, to import this one's main module."""
    wanted = ("init_main_from_name", "init_main_from_path")
    data = spawn.get_preparation_data("")
    return {name: data[name] for name in wanted if name in data}


def import_it(described: dict[str, str]) -> None:
    """Import the main module of another process, as multiprocessing does in those that it
    spawns.
    """
    spawn.prepare(described)
