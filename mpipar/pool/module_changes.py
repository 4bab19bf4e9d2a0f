"""What the script has changed in modules: workers import these, and would have them as they were.

Forked workers have modules as they are in the script. So what differs from what an import gives
goes to each worker with its place, and is put there as soon as the worker has imported the module:

* the data of the user's own modules: global variables, and attributes of classes, which a function
  of the module, or anybody else, may have set or changed in place,
* of all other modules what the text of the script sets: attributes of them, of their classes and
  objects, and items of their containers.

A worker keeps what is the same there. A value that several modules have is sent for one of them,
its *home*; others refer to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from mpipar.pool import importing, originals
from mpipar.pool.main_names import own_names
from mpipar.pool.module_homes import Homes, StatePickler, found_by_name, is_a, own_modules
from mpipar.pool.module_places import ATTRIBUTE, Place, Step, Steps
from mpipar.pool.script_text import Target, home_of, text_of_main
from mpipar.pool.twins import data_of
from mpipar.runtime.outlets import note

_LEFT = {"sys", "os", "builtins", "multiprocessing", "concurrent.futures"}
"""Modules whose attributes are told by other means, or are no matter of workers."""
_told: set[str] = set()


class Change(NamedTuple):
    """A value, and where it belongs.

    Attributes
    ----------
    module : str
    steps : tuple of Step
        Attributes alone.
    pickled : bytes
    needs_names : bool
        Whether the main script's names are needed to unpickle it.
    also : list of (str, str)
        Other places, as module and name, that have the very same object.
    """

    module: str
    steps: Steps
    pickled: bytes
    needs_names: bool
    also: list[tuple[str, str]]

    @property
    def home(self) -> tuple[str, str]:
        """Return the module, and what leads to the value there."""
        return self.module, ".".join(step.key for step in self.steps)


class Changes(NamedTuple):
    """What workers get of all modules.

    Attributes
    ----------
    values : list of Change
    needed : set of str
        The names of the main script that these need.
    lent : list
        What they need of this process.
    """

    values: list[Change]
    needed: set[str]
    lent: list[Any]


def changes_in_modules(without: set[tuple[str, Any]]) -> Changes:
    """Return what workers that import the script's modules may not have.

    Parameters
    ----------
    without : set of (str, object)
        Module and first step of places that are sent as what processes share.
    """
    homes = Homes()
    found = Changes([], set(), [])
    for place in _places_of_data():
        if (place.module, place.steps[0].key) not in without:
            _add(found, place, homes, is_told=False)
    patched = list(_places_of_patches(found))
    originals.note_replaced(place.path for place in patched)
    for place in patched:
        _add(found, place, homes, is_told=not importing.is_to_be_imported())
    return found


def _add(found: Changes, place: Place, homes: Homes, *, is_told: bool) -> None:
    pickler = StatePickler(homes, place)
    try:
        pickled = pickler.dumps(place.value)
    except Exception as error:
        if is_told and place.name not in _told:
            _told.add(place.name)
            note(f"mpipar: workers have not the script's {place.name}: {error!r}")
        return
    found.needed.update(pickler.needed)
    found.lent.extend(pickler.lent or [])
    change = Change(
        place.module,
        place.steps,
        pickled,
        needs_names=bool(pickler.needed),
        also=homes.places_of(place.value),
    )
    found.values.append(change)


def _places_of_data() -> Iterator[Place]:
    """Yield the global variables of own modules, and the data of their classes."""
    for module in own_modules():
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


def _places_of_patches(found: Changes) -> Iterator[Place]:
    """Yield what the text of the script sets elsewhere, as it is now."""
    seen = {(change.module, change.steps) for change in found.values}
    lines = importing.lines_done_by_import()
    for target in text_of_main().targets:
        if target.line in lines:
            continue
        place = _place_of(target)
        if place is None:
            continue
        where = place.module, place.steps
        if where not in seen:
            seen.add(where)
            yield place


def _place_of(target: Target) -> Place | None:
    """Return where a target is, if that is in a module, and there is something now."""
    start = _start(target.name)
    if start is None:
        return None
    walk = _Walk(*start)
    try:
        for name in target.path:
            walk.step(name)
    except (AttributeError, KeyError):
        return None
    if not walk.path or _is_left(walk.module):
        return None
    steps = tuple(Step(ATTRIBUTE, name) for name in walk.path)
    return Place(walk.module, steps, walk.value)


def _is_left(module: str) -> bool:
    first, *_ = module.split(".")
    return module in _LEFT or first in ("__main__", "mpipar")


class _Walk:
    """A way from a module to what its attributes, and theirs, are.

    Parameters
    ----------
    module : str
    path : list of str
        Attributes from there to a value.
    value : object
    """

    def __init__(self, module: str, path: list[str], value: Any) -> None:
        self.module = module
        self.path = path
        self.value = value

    def step(self, name: str) -> None:
        """Go to an attribute of the value; from a module or class, from where that is itself."""
        if isinstance(self.value, ModuleType):
            self.module = self.value.__name__
            self.path = []
        elif isinstance(self.value, type) and found_by_name(self.value) is self.value:
            self.module = self.value.__module__
            self.path = self.value.__qualname__.split(".")
        self.value = taken(self.value, name)
        self.path.append(name)


def _start(name: str) -> tuple[str, list[str], Any] | None:
    """Return where what a name of the script stands for is in a module; None if it isn't."""
    value = own_names().get(name)
    if isinstance(value, ModuleType):
        return value.__name__, [], value
    if isinstance(value, type):
        if value.__module__ == "__main__":
            return None
        return value.__module__, [], value
    home = home_of(name, value)
    if home is None:
        return None
    module, attribute = home
    return module, [attribute], value


def taken(holder: Any, name: str) -> Any:
    """Return an attribute as it is, not what a descriptor makes of it."""
    if isinstance(holder, type):
        return vars(holder)[name]
    return getattr(holder, name)
