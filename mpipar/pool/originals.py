"""What functions of libraries were before the script put others in their place.

A script that replaces a function often keeps the original, and calls it. By its name it would be
the new one, so it is pickled as the original of that place.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

has_any = False

_replaced: set[tuple[str, str]] = set()  # in the script's process
_kept: dict[tuple[str, str], Any] = {}  # in a worker


def note_replaced(paths: Iterable[tuple[str, str]]) -> None:
    """Note what the script has put something else in the place of: module, and path in it."""
    global has_any
    _replaced.update(paths)
    has_any = bool(_replaced)


def reduced(thing: Any) -> Any:
    """Reduce a function or class that has been replaced where its name leads; None for others."""
    path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if path not in _replaced or _there(*path) is thing:
        return None
    return original, path


def keep(module: str, path: str, value: Any) -> None:
    """Keep what a worker has there, before it is replaced."""
    _kept.setdefault((module, path), value)


def original(module: str, path: str) -> Any:
    """Return what was there before the script replaced it."""
    found = _there(module, path)  # once the module is there, so is what was in it
    return _kept.get((module, path), found)


def _there(module: str, path: str) -> Any:
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    return found
