"""What is to be done when a module has been imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import TypeAlias

Action: TypeAlias = Callable[[ModuleType], None]
Before: TypeAlias = Callable[[], Action]

_awaited: dict[str, list[tuple[Before | None, Action]]] = {}
_of_files: list[tuple[Callable[[str], bool], Action]] = []


def on_arrival(
    name: str,
    action: Action,
    *,
    before: Before | None = None,
) -> None:
    """Call an action with a module: now if it has been imported, or else as soon as it is.

    Parameters
    ----------
    name : str
        Of the module.
    action : callable
        It gets the module.
    before : callable, optional
        Called before the module is imported, if that isn't so already; returns the action to take
        instead.
    """
    if name in sys.builtin_module_names:
        __import__(name)  # it costs nothing
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        action(module)
        return
    _awaited.setdefault(name, []).append((before, action))
    _install()


def on_arrivals_of_files(is_wanted: Callable[[str], bool], action: Action) -> None:
    """Call an action with each module that is imported from now on from a file that is wanted."""
    _of_files.append((is_wanted, action))
    _install()


def _install() -> None:
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def _actions_of_file(spec: ModuleSpec | None) -> list[Action]:
    """Return what is to be done with a module because of its file."""
    if spec is None or type(spec.loader) is not SourceFileLoader:
        return []
    file = spec.origin or ""
    return [action for is_wanted, action in _of_files if is_wanted(file)]


class _Finder:
    """What the import system asks for modules: for those that are awaited, it finds what others
    do.
    """

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the spec of a module that is awaited, or may be; None for all others."""
        if name not in _awaited and not _of_files:
            return None
        spec = _found_by_others(name, path, target)
        of_file = _actions_of_file(spec)
        if name not in _awaited and not of_file:
            return spec
        loader = getattr(spec, "loader", None)
        execute = getattr(loader, "exec_module", None)
        if execute is None or loader is None or isinstance(loader, type):
            return spec

        def execute_and_act(module: ModuleType) -> None:
            waiting = _awaited.pop(name, [])
            actions = [action if before is None else before() for before, action in waiting]
            vars(loader).pop("exec_module", None)
            execute(module)
            for action in [*actions, *of_file]:
                action(module)

        try:
            loader.exec_module = execute_and_act
        except (AttributeError, TypeError):  # a loader that can't be changed
            return spec
        return spec


def _found_by_others(
    name: str,
    path: Sequence[str] | None,
    target: ModuleType | None,
) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is _Finder:
            continue
        spec = finder.find_spec(name, path, target)
        if spec is not None:
            return spec
    return None
