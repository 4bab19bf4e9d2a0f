"""What the script has changed in modules: workers import these, and would have them as they were.

Forked workers have modules as they are in the script. So what differs from what an import gives
goes to each worker with its place, and is put there as soon as the worker has imported the module:

* the data of the user's own modules: global variables, and attributes of classes, which a function
  of the module, or anybody else, may have set or changed in place,
* of all other modules what the text of the script sets: attributes of them, of their classes and
  objects, and items of their containers.

A worker keeps what is the same there. A value that several modules have is sent for one of them,
its *home*; others refer to it. Data that is large, or can't be pickled, is sent if it has changed
since the module was imported; what can't be, raises an error where it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from mpipar.pool import imported_state, importing, originals
from mpipar.pool.by_value import Pickler
from mpipar.pool.imported_state import places_of_data
from mpipar.pool.lazy_names import is_filled_when_needed
from mpipar.pool.main_names import own_names
from mpipar.pool.module_homes import Homes, found_by_name, own_modules
from mpipar.pool.module_pickles import StatePickler, WholePickler
from mpipar.pool.module_places import ATTRIBUTE, ForWorkers, Place, Step, Steps, taken
from mpipar.pool.refused import refused
from mpipar.pool.script_text import Target, home_of, text_of_main
from mpipar.runtime.outlets import note

_LEFT = {"multiprocessing", "concurrent.futures"}
"""Modules whose attributes are mpipar's under ``mpipar run``."""
_LEFT_OF = {
    "os": {
        "environ",
        "environb",
    },
    "sys": {
        "argv",
        "path",
        "stdin",
        "stdout",
        "stderr",
        "__stdin__",
        "__stdout__",
        "__stderr__",
        "modules",
        "meta_path",
        "path_hooks",
        "path_importer_cache",
    },
}
"""What of other modules is told by other means, or is each process's own."""
_told: set[str] = set()


class Change(NamedTuple):
    """A value, and where it belongs.

    Attributes
    ----------
    module : str
    steps : tuple of Step
        Attributes alone.
    pickled : bytes
        Nothing if it is large.
    needs_names : bool
        Whether the main script's names are needed to unpickle it.
    also : list of (str, str)
        Other places, as module and name, that have the very same object.
    large : range
        Which of the frames it is, if it is large.
    is_rebound : bool
        Whether it is another object than the import has left there.
    """

    module: str
    steps: Steps
    pickled: bytes
    needs_names: bool
    also: list[tuple[str, str]]
    large: range = range(0)
    is_rebound: bool = False

    @property
    def home(self) -> tuple[str, str]:
        """Return the module, and what leads to the value there."""
        return self.module, ".".join(step.key for step in self.steps)


class Changes(ForWorkers[Change]):
    """What workers get of all modules.

    Attributes
    ----------
    frames : list
        What is large, as it is in this process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Any] = []


def changes_in_modules(without: set[tuple[str, Any]]) -> Changes:
    """Return what workers that import the script's modules may not have.

    Parameters
    ----------
    without : set of (str, object)
        Module and first step of places that are sent as what processes share.
    """
    found = Changes()
    collector = _Collector(found)
    for module in own_modules():
        for place in places_of_data(module):
            if (place.module, place.steps[0].key) not in without:
                collector.add_data(place, module)
    patched = list(_places_of_patches(collector.seen))
    originals.note_replaced(place.path for place in patched)
    for place in patched:
        collector.add_patch(place, is_told=not importing.is_to_be_imported())
    return found


class _Collector:
    """Pickles what is at places.

    Parameters
    ----------
    found : Changes
        Takes it in.

    Attributes
    ----------
    seen : set
        Module and steps of all places of data.
    """

    def __init__(self, found: Changes) -> None:
        self._found = found
        self._homes = Homes()
        self.seen: set[tuple[str, Steps]] = set()

    def add_data(self, place: Place, module: ModuleType) -> None:
        """Add what an own module has: if it is large, or can't be pickled, if it has changed."""
        self.seen.add((place.module, place.steps))
        try:
            self._add_small(place)
        except Exception:
            self._add_if_changed(place, module)

    def _add_if_changed(self, place: Place, module: ModuleType) -> None:
        if not imported_state.is_noted(place.module):
            with contextlib.suppress(Exception):  # it may be as it was
                self._add_whole(place, is_strict=True)
            return
        if not imported_state.has_changed(place, self._homes.places_of(place.value)):
            return
        try:
            self._add_whole(place, is_strict=True)
        except Exception as error:
            if not is_filled_when_needed(module.__file__ or "", place.path[1]):
                self._add_what_can_be(place, error)

    def _add_what_can_be(self, place: Place, error: Exception) -> None:
        """Add a value that can't be pickled: what can't be of it refuses to be used."""
        try:
            self._add_whole(place, is_strict=False)
        except Exception:
            refusal = refused(place.name, str(error) or repr(error))
            self._add_whole(place._replace(value=refusal), is_strict=True)

    def add_patch(self, place: Place, *, is_told: bool) -> None:
        """Add what the text of the script has set somewhere."""
        try:
            self._add_small(place)
        except Exception as error:
            if is_told and place.name not in _told:
                _told.add(place.name)
                note(f"mpipar: workers have not the script's {place.name}: {error!r}")

    def _add_small(self, place: Place) -> None:
        pickler = StatePickler(self._homes, place)
        pickled = pickler.dumps(place.value)
        self._take(place, pickler, pickled)

    def _add_whole(self, place: Place, *, is_strict: bool) -> None:
        pickler = WholePickler(self._homes, place, is_strict=is_strict)
        frames = pickler.dumps(place.value)
        first = len(self._found.frames)
        self._found.frames += frames
        self._take(place, pickler, b"", range(first, first + len(frames)))

    def _take(
        self,
        place: Place,
        pickler: Pickler,
        pickled: bytes,
        large: range = range(0),
    ) -> None:
        self._found.needed.update(pickler.needed)
        self._found.lent.extend(pickler.lent or [])
        change = Change(
            place.module,
            place.steps,
            pickled,
            bool(pickler.needed),
            self._homes.places_of(place.value),
            large,
            is_rebound=bool(large) and imported_state.is_rebound(place),
        )
        self._found.values.append(change)


def _places_of_patches(seen: set[tuple[str, Steps]]) -> Iterator[Place]:
    """Yield what the text of the script sets elsewhere, as it is now; notes it as seen."""
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
    if not walk.path or _is_left(walk.module, walk.path[0]):
        return None
    steps = tuple(Step(ATTRIBUTE, name) for name in walk.path)
    return Place(walk.module, steps, walk.value)


def _is_left(module: str, attribute: str) -> bool:
    """Return whether an attribute of a module is not sent as what the script's text sets."""
    first, *_ = module.split(".")
    if module in _LEFT or first in ("__main__", "mpipar"):
        return True
    return attribute in _LEFT_OF.get(module, ())


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
