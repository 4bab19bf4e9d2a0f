"""How data of the user's own modules was when they had been imported.

Workers import these modules, and so have it as it is then. What is small is compared with what each
worker has. What is large, or can't be pickled, is sent only if it has changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from mpipar.pool.arrivals import on_arrivals_of_files
from mpipar.pool.module_homes import SIMPLE, is_a
from mpipar.pool.module_pickles import MOST_BYTES, Digest, digest_of
from mpipar.pool.module_places import ATTRIBUTE, Place, Step, Steps, is_own_file
from mpipar.pool.twins import data_of
from mpipar.runtime import child


class _State(NamedTuple):
    """A value that was large, or couldn't be pickled.

    Attributes
    ----------
    identity : int
    digest : Digest or None
        None if there can't be one.
    """

    identity: int
    digest: Digest | None


_states: dict[str, dict[tuple[str, str], _State]] = {}
"""Of each module that has been noted: {path of a place: what was there}."""


def note_imports() -> None:
    """Note how the user's own modules are when they have been imported, from now on."""
    if not child.is_of_server:
        is_own_file(__file__)  # now, as the first answer may import a module itself
        on_arrivals_of_files(is_own_file, _note)


def _note(module: ModuleType) -> None:
    states = _states[module.__name__] = {}
    for place in places_of_data(module):
        if type(place.value) in SIMPLE and not _is_long(place.value):
            continue
        state = _state(place.value)
        if _has_to_be_noted(state):
            states[place.path] = state


def _is_long(value: Any) -> bool:
    return type(value) in (str, bytes) and 4 * len(value) > MOST_BYTES


def _state(value: Any) -> _State:
    try:
        return _State(id(value), digest_of(value))
    except Exception:  # it is nested too deeply, say
        return _State(id(value), None)


def _has_to_be_noted(state: _State) -> bool:
    digest = state.digest
    if digest is None:
        return True
    is_large = digest.size > MOST_BYTES
    return is_large or bool(digest.identities)


def is_noted(module: str) -> bool:
    """Return whether it is known how a module was when it had been imported."""
    return module in _states


def is_rebound(place: Place) -> bool:
    """Return whether another object is there than when the module had been imported."""
    states = _states.get(place.module, {})
    state = states.get(place.path)
    if state is None:
        return True
    return state.identity != id(place.value)


def has_changed(place: Place, others: list[tuple[str, str]]) -> bool:
    """Return whether what is at a place of a module that was noted has changed since.

    Parameters
    ----------
    place : Place
    others : list of (str, str)
        Module and name of all places that have the very same object: one module may have it
        from another, which had been changed before.
    """
    now = _state(place.value)
    for path in {place.path, *others}:
        states = _states.get(path[0])
        if states is None:
            continue
        before = states.get(path)
        if _differs(before, now):
            return True
    return False


def _differs(before: _State | None, now: _State) -> bool:
    if before is None:
        return True
    if before.digest is None or now.digest is None:
        return before.identity != now.identity
    return not before.digest.is_of_same(now.digest)


def places_of_data(module: ModuleType) -> Iterator[Place]:
    """Yield the global variables of a module, and the data of its classes."""
    for name, value in list(vars(module).items()):
        if not name.startswith("__") and not is_a(value, ModuleType):
            yield from _places_at(module.__name__, name, value)


def _places_at(module: str, name: str, value: Any) -> Iterator[Place]:
    steps: Steps = (Step(ATTRIBUTE, name),)
    yield Place(module, steps, value)
    if not is_a(value, type) or type.__getattribute__(value, "__module__") != module:
        return
    try:
        attributes = data_of(value)
    except Exception:  # of a metaclass that lets nobody look
        return
    for attribute, data in attributes.items():
        step = Step(ATTRIBUTE, attribute)
        yield Place(module, (*steps, step), data)
