"""Modules that the script has loaded from files where nobody would look for them by name.

Their classes and functions are pickled by name, so workers have to find them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from mpipar.pool.module_homes import own_modules

_files: dict[str, str] = {}


def files_of_modules() -> dict[str, str]:
    """Return the files of the user's own modules that aren't found by their names."""
    found = {}
    for module in own_modules():
        file = os.path.abspath(module.__file__ or "")
        if not _is_found(module.__name__, file):
            found[module.__name__] = file
    return found


@functools.cache
def _is_found(name: str, file: str) -> bool:
    parent, _, _ = name.rpartition(".")
    path = None
    if parent:
        path = getattr(sys.modules.get(parent), "__path__", None)
    try:
        spec = PathFinder.find_spec(name, path)
    except Exception:  # of a path that is none
        return False
    if spec is None or spec.origin is None:
        return False
    return _are_same(spec.origin, file)


def _are_same(one: str, other: str) -> bool:
    """Return whether two names are those of one file, which may be in an archive."""
    if one == other:
        return True
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return False


def find(files: dict[str, str]) -> None:
    """Let modules be found in files, in a worker, where no others are found by their names."""
    if files and _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
    _files.update(files)


class _Finder:
    """What the import system asks last."""

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the spec of a module whose file is known."""
        file = _files.get(name)
        if file is None:
            return None
        folders = None
        if os.path.basename(file) == "__init__.py":
            folders = [os.path.dirname(file)]
        return importlib.util.spec_from_file_location(
            name, file, submodule_search_locations=folders
        )
