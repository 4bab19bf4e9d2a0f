"""The settings of a script, taken for its workers and put into force there."""

from __future__ import annotations

import contextlib
import copy
import os
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from mpipar.pool import by_value
from mpipar.pool.arrivals import on_arrival
from mpipar.pool.by_value import Pickled
from mpipar.pool.setting_forms import changed_parameters, comparable
from mpipar.pool.settings import OF_PROCESS, OF_THREAD, SETTINGS, Setting
from mpipar.runtime.outlets import note

_BY_NAME = {setting.name: setting for setting in SETTINGS}

_at_start: dict[str, Any] = {}

_NO_MATTER = {
    *("switch interval", "options of sys", "garbage collection", "faulthandler"),
    *("encoding of output", "umask", "niceness", "limits of the system", "signal handlers"),
    *("logging", "stack size of threads", "timeout of sockets", "start of processes"),
    *("ForkingPickler", "copyreg", "folder of tempfile"),
    *("threads of pyFFTW", "dask", "backends of joblib"),
}
"""Settings that change how a task goes, or what it says, but not what comes out of it."""

_OF_USERS = {"matplotlib"}
"""Settings that count for what can reach their library alone: scripts draw with them, too."""

_defaults: dict[str, Any] = {}


class Inherited(NamedTuple):
    """A setting of the script.

    Attributes
    ----------
    name : str
        Its row in the table.
    frames : list of bytes
        What it is, pickled.
    needs_names : bool
        Whether the main script's names are needed for that.
    """

    name: str
    frames: list[bytes]
    needs_names: bool


def note_start() -> None:
    """Note how the process is set before the script begins, or before the first pool."""
    if _at_start:
        return
    for setting in SETTINGS:
        if setting.kind == OF_PROCESS:
            with contextlib.suppress(Exception):
                _at_start[setting.name] = setting.take(_module(setting))


def _module(setting: Setting) -> Any:
    return sys.modules.get(setting.module) or __import__(setting.module)


def inherited(dumps: Callable[[Any], Pickled]) -> tuple[list[Inherited], set[str]]:
    """Return the settings of this process, and the names of the main script that they need.

    Parameters
    ----------
    dumps : callable
        Pickles a value for workers.
    """
    found = []
    needed = set()
    for setting in SETTINGS:
        try:
            state = _state(setting)
            if state is None:
                continue
            pickled = dumps(state)
        except Exception as error:
            _tell(f"workers have not the script's setting of {setting.name}: {error!r}")
            continue
        frames = [bytes(frame) for frame in pickled.frames]
        found.append(Inherited(setting.name, frames, bool(pickled.needed)))
        needed |= pickled.needed
    return found, needed


def note_defaults() -> None:
    """Note how libraries are set when the script imports them: what stays so doesn't count."""
    for setting in SETTINGS:
        if setting.kind != OF_PROCESS and setting.module not in sys.modules:
            on_arrival(setting.module, _noting(setting))


def _noting(setting: Setting) -> Callable[[ModuleType], None]:
    def note_default(module: ModuleType) -> None:
        if _is_set_from_outside(setting.module):
            return
        with contextlib.suppress(Exception):  # then all of it counts
            _defaults[setting.name] = copy.deepcopy(comparable(setting.take(module)))

    return note_default


def _is_set_from_outside(module: str) -> bool:
    """Return whether variables of the environment may say how a library is set."""
    package, *_ = module.split(".")
    return any(name.upper().startswith(package.upper()) for name in os.environ)


def states() -> list[tuple[str, Any]]:
    """Return the settings of this process that may change what comes out of any task, by name; of
    libraries, those that aren't as they were when these were imported.
    """
    return [(name, state) for name, state in _states() if name not in _OF_USERS]


def states_of_users() -> dict[str, Any]:
    """Return {library: settings} of those that count for what can reach the library alone."""
    return {name: state for name, state in _states() if name in _OF_USERS}


def _states() -> Iterator[tuple[str, Any]]:
    for setting in SETTINGS:
        if setting.name in _NO_MATTER:
            continue
        state = None
        with contextlib.suppress(Exception):  # which is told where workers get them
            state = _state(setting)
        if state is not None:
            state = _that_counts(setting, state)
        if state is not None and state != {}:
            yield setting.name, state


def _that_counts(setting: Setting, state: Any) -> Any:
    """Return what of a setting may change what comes out of tasks; None, if it is nothing."""
    if setting.name == "warnings":
        return _that_raise(*state)
    if setting.name == "time zone":  # others may have the same names
        return *state, time.timezone, time.altzone, os.environ.get("TZ")
    if setting.name == "matplotlib":
        return changed_parameters(sys.modules["matplotlib"])
    state = comparable(state)
    if setting.name not in _defaults:
        return state
    before = _defaults[setting.name]
    if isinstance(state, dict) and isinstance(before, dict):
        return _changed(state, before)
    return None if _are_equal(state, before) else state


def _that_raise(filters: list[Any], _: list[str]) -> list[Any] | None:
    """Return the filters of warnings that make exceptions of them, up to the last of these; None,
    if there is none.
    """
    actions = [each[0] for each in filters]
    if "error" not in actions:
        return None
    last = len(actions) - actions[::-1].index("error")
    return filters[:last]


def _state(setting: Setting) -> Any:
    """Return a setting as it is; None if there is nothing to tell."""
    module = sys.modules.get(setting.module)
    if module is None or getattr(module.__spec__, "_initializing", False):
        return None
    state = setting.take(module)
    if setting.kind != OF_PROCESS:
        return state
    before = _at_start.get(setting.name)
    if isinstance(state, dict) and isinstance(before, dict):
        return _changed(state, before) or None
    if state == before:
        return None
    return state


def _changed(state: dict[Any, Any], before: dict[Any, Any]) -> dict[Any, Any]:
    """Return what of a setting isn't as it was."""
    found = {}
    for name, value in state.items():
        if name not in before or not _are_equal(before[name], value):
            found[name] = value
    return found


def _are_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # of arrays, say
        return False


def put_first(settings: list[Inherited], *, in_thread: bool = False) -> None:
    """Put the settings into force that don't need the main script's names.

    Parameters
    ----------
    settings : list of Inherited
    in_thread : bool
        Whether those alone that each thread has for itself.
    """
    _put([each for each in settings if not each.needs_names], in_thread=in_thread)


def put_rest(settings: list[Inherited], *, in_thread: bool = False) -> None:
    """Put the settings into force that need the main script's names; as :func:`put_first`."""
    _put([each for each in settings if each.needs_names], in_thread=in_thread)


def _put(settings: list[Inherited], *, in_thread: bool) -> None:
    for each in settings:
        setting = _BY_NAME[each.name]
        if setting.kind == OF_THREAD or not in_thread:
            on_arrival(setting.module, _putting(setting, each.frames))


def _putting(setting: Setting, frames: list[bytes]) -> Callable[[ModuleType], None]:
    def put_into_force(module: ModuleType) -> None:
        try:
            setting.put(module, by_value.loads(frames))
        except Exception as error:
            _tell(f"a worker can't have the script's setting of {setting.name}: {error!r}")

    return put_into_force


def _tell(text: str) -> None:
    note(f"mpipar: {text}")  # of a worker, which no program of the user's is
