"""Where modules are, without importing them."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec


def file_of(module: str) -> str | None:
    """Return the file of a module, or None."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__file__", None)
    try:
        spec = _spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return spec.origin if spec is not None and spec.has_location else None


def is_to_come(package: str, name: str) -> bool:
    """Return whether a name of a package is a module that nobody has imported yet."""
    there = vars(sys.modules[package]) if package in sys.modules else {}
    return name not in there and file_of(f"{package}.{name}") is not None


def _spec(module: str) -> ModuleSpec | None:
    """Return where a module is, without importing the packages that it is in."""
    package, _, _ = module.rpartition(".")
    if not package or package in sys.modules:
        return importlib.util.find_spec(module)
    outer = _spec(package)
    if outer is None or outer.submodule_search_locations is None:
        return None
    for finder in sys.meta_path:
        spec = finder.find_spec(module, outer.submodule_search_locations)
        if spec is not None:
            return spec
    return None
