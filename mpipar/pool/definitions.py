"""What the names of the main script stand for, to be sent to workers."""

from __future__ import annotations

import contextlib
import io
import itertools
import operator
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeAlias

import cloudpickle

from mpipar.pool.by_value import Pickled, Pickler, Reused, dumps
from mpipar.pool.limited import Limited, TooLarge
from mpipar.pool.main_names import GIVEN, Definition, Imported, own_names
from mpipar.pool.script_text import home_of
from mpipar.pool.sharing import holds_shared

_MOST_NAMELESS = 64  # functions without a name that are remembered
_LAST = 2**31
_SMALL = 2**16  # bytes
_UNSEEN = "it is large, the main part of the script has set it, and no code of a task names it"

_ABSENT = object()

Describe: TypeAlias = Callable[[Definition, Any, Callable[[Any], bytes]], Definition]

_CONSTANT = {int, float, complex, str, bytes, bool, type(None)}


class _Made(NamedTuple):
    """A definition, or why there is none, what gives what it was made of, and the names that it
    needs.
    """

    value: Callable[[], Any]
    definition: Definition | Exception
    needed: set[str]


class Definitions:
    """The definitions of the main script's names, on the root; in any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # again: what is pickled may itself use a pool
        self._versions = itertools.count(1)
        self._known: dict[str, _Made] = {}
        self._nameless: OrderedDict[int, tuple[Any, str]] = OrderedDict()
        self._contents: dict[str, list[Any]] = {}  # of the closures of functions without a name
        self._pickles: dict[str, list[bytes]] = {}  # of these contents
        self._names: dict[int, str] = {}
        self._unsendable: dict[str, Exception] = {}
        self._lent: list[Any] = []  # what definitions need, until the pool is over
        self.describe: Describe | None = None  # set if workers import the script
        self._homes: set[tuple[str, str]] = set()

    def dumps(self, value: Any) -> Pickled:
        """Pickle a value for workers."""
        return dumps(value, self._names, lends=True)

    def dumps_global(self, value: Any) -> Pickled:
        """Pickle what a module has for workers, where it may be shared; keep what that lends."""
        pickled = dumps(value, self._names, defined="", lends=True)
        self.keep(pickled.lent)
        return pickled

    def keep(self, lent: list[Any]) -> None:
        """Keep what is lent to workers until :meth:`release`."""
        self._lent += lent

    def release(self) -> None:
        """Lend nothing any more: the workers have ended."""
        self._lent = []

    def note_homes(self, homes: Iterable[tuple[str, str]]) -> None:
        """Note what workers have in modules as the script has it: a name of the main script that
        was imported from there needs no value of its own.
        """
        self._homes.update(homes)

    def share(self) -> None:
        """Define the names of what workers share with the script now, as it may close its end of a
        pipe.
        """
        with self._lock:
            for name, value in list(own_names().items()):
                if holds_shared(value):
                    self._definition(name)

    def reused(self) -> Reused:
        """Return what pickles small values for workers, in one thread."""
        return Reused(self._names)

    def remember(self, function: Any) -> bool:
        """Give a function without a name one, so that its definition is sent once and not with each
        task.

        Returns
        -------
        bool
            Whether it has got a name, or has one but other contents than before.
        """
        if type(function) is not FunctionType:
            return False
        if "<locals>" not in function.__qualname__ and function.__name__ != "<lambda>":
            return False
        with self._lock:
            return self._remember(function)

    def _remember(self, function: FunctionType) -> bool:
        contents = [_contents(cell) for cell in function.__closure__ or ()]
        contents += function.__defaults__ or ()
        contents += (function.__kwdefaults__ or {}).values()
        known = self._nameless.get(id(function))
        if known is not None:
            self._nameless.move_to_end(id(function))
            name = known[1]
            before = self._contents[name]
            is_same = len(before) == len(contents) and all(map(operator.is_, before, contents))
            if is_same and self._are_as_before(name, contents):
                return False
        else:
            name = f"{function.__name__}{GIVEN}{next(self._versions)}"
            self._nameless[id(function)] = function, name
            self._names[id(function)] = name
            while len(self._nameless) > _MOST_NAMELESS:
                key, (_, old) = self._nameless.popitem(last=False)
                del self._names[key], self._contents[old]
                self._pickles.pop(old, None)
                self._known.pop(old, None)
        self._contents[name] = contents
        self._are_as_before(name, contents)
        self._known.pop(name, None)
        return True

    def _are_as_before(self, name: str, contents: list[Any]) -> bool:
        """Return whether nothing has changed within the contents of a function, and note how they
        are.
        """
        if all(type(each) in _CONSTANT for each in contents):
            return True
        try:
            pickled = [bytes(frame) for frame in self.dumps(contents).frames]
        except Exception:  # which will be told when it is sent
            return False
        before = self._pickles.get(name)
        self._pickles[name] = pickled
        return before == pickled

    def stamp(self, needed: set[str]) -> dict[str, Definition]:
        """Return the definitions of some names, and of what these need, as they are now; raises as
        :meth:`missing`.
        """
        if not needed:
            return {}
        return {each.name: each for each in self.missing(needed, {})}

    def missing(
        self,
        needed: set[str],
        has: Mapping[str, int],
        wanted: Collection[str] = (),
    ) -> list[Definition]:
        """Return the definitions that a worker needs for some names, and hasn't.

        Parameters
        ----------
        needed : set of str
        has : mapping
            {name: version of the definition that the worker has}.
        wanted : collection of str
            Names that are needed if they can be had.

        Raises
        ------
        Exception
            If a function or class can't be pickled. Of other things that can't, a worker has no
            name.
        """
        with self._lock:
            return self._missing(needed, has, wanted)

    def _missing(
        self,
        needed: set[str],
        has: Mapping[str, int],
        wanted: Collection[str],
    ) -> list[Definition]:
        found: list[Definition] = []
        seen = {*needed, *wanted}
        todo = list(seen)
        while todo:
            name = todo.pop()
            definition, more = self._definition(name)
            if isinstance(definition, Exception):
                if name in needed:
                    raise definition
                continue
            if definition is not None and has.get(name) != definition.version:
                found.append(definition)
            todo += more - seen
            seen |= more
        return found

    def unsendable(self, name: str) -> Exception | None:
        """Return why a name of the main script can't be sent to workers, if that has been tried."""
        return self._unsendable.get(name)

    def small(self, rebound: Collection[str] = ()) -> list[Definition]:
        """Return the definitions of all that the main script has of its own, but for what is large
        or can't be sent.

        Parameters
        ----------
        rebound : collection of str
            Names that workers may not have as they were when the script was imported.
        """
        found = []
        for name, value in list(own_names().items()):
            if not self._is_wanted(name, value):
                continue
            with self._lock:
                definition = self._small(name)
                if definition is None and name in rebound:
                    definition = Definition(
                        name,
                        next(self._versions),
                        _LAST,
                        b"",
                        _UNSEEN,
                    )
            if definition is not None and (definition.pickled or self.describe is not None):
                found.append(definition)
        return found

    def _is_wanted(self, name: str, value: Any) -> bool:
        """Return whether workers that have nothing, or the imported script, may need a value."""
        if self.describe is None:
            return not name.startswith("__")
        return _is_own(name, value)

    def _small(self, name: str) -> Definition | None:
        try:
            definition, _ = self._definition(name, _SMALL)
        except TooLarge:
            return None
        if isinstance(definition, Definition):
            return definition
        return None

    def _definition(
        self,
        name: str,
        limit: int | None = None,
    ) -> tuple[Definition | Exception | None, set[str]]:
        """Return the definition of a name, or why there is none, and what else it needs."""
        value = self._value(name)
        if value is _ABSENT:  # perhaps a builtin, or not defined yet
            return None, set()
        known = self._known.get(name)
        if known is not None and known.value() is value:
            return known.definition, known.needed
        file = Limited(limit)
        pickler = Pickler(file, self._names, defined=name, lends=True)
        definition: Definition | Exception
        home = self._home(name, value)
        try:
            if home in self._homes:
                pickler.dump(Imported(home))
            else:
                pickler.dump(value)
        except TooLarge:
            raise
        except Exception as error:
            error.with_traceback(None)  # which would keep alive whatever opens the pool
            if "changed size during iteration" in str(error):  # it may do the next time
                return error, set()
            self._unsendable[name] = error
            definition = self._of_unsendable(name, value, error)
        else:
            self.keep(pickler.lent or [])
            definition = Definition(
                name,
                next(self._versions),
                _place(value),
                file.getvalue(),
                home=home,
            )
            self._unsendable.pop(name, None)
        if isinstance(definition, Definition):
            definition = self._described(definition, value)
        self._known[name] = _Made(_held(value), definition, pickler.needed)
        return definition, pickler.needed

    def _home(self, name: str, value: Any) -> tuple[str, str] | None:
        """Return where the main script has imported an object from that workers have by value."""
        is_named = isinstance(value, (FunctionType, type, ModuleType))
        if self.describe is not None or GIVEN in name or is_named:
            return None
        return home_of(name, value)

    def _described(self, definition: Definition, value: Any) -> Definition:
        """Return a definition with what tells whether a worker has the same, where it may."""
        if self.describe is None or GIVEN in definition.name:
            return definition
        return self.describe(definition, value, self._lasting)

    def _of_unsendable(
        self,
        name: str,
        value: Any,
        error: Exception,
    ) -> Definition | Exception:
        """Return the definition of what can't be sent; no more than why where workers have none."""
        home = self._home(name, value)
        if home is not None:
            return Definition(
                name, next(self._versions), _place(value), self._lasting(Imported(home))
            )
        if self.describe is None:
            return error
        return Definition(name, next(self._versions), _place(value), b"", repr(error))

    def _lasting(self, value: Any) -> bytes:
        """Pickle what belongs to a definition."""
        file = io.BytesIO()
        pickler = Pickler(file, self._names, lends=True)
        pickler.dump(value)
        self.keep(pickler.lent or [])
        return file.getvalue()

    def _value(self, name: str) -> Any:
        if GIVEN not in name:
            return own_names().get(name, _ABSENT)
        for function, given in self._nameless.values():
            if given == name:
                return function
        return _ABSENT


def is_named(function: FunctionType) -> bool:
    """Return whether a function is what its module has under its name, and so is pickled as no more
    than that name.
    """
    if function.__module__ == "__main__":
        names = own_names()
    else:
        module = sys.modules.get(function.__module__)
        if module is None or cloudpickle.list_registry_pickle_by_value():
            return False
        names = vars(module)
    return names.get(function.__qualname__) is function


def _held(value: Any) -> Callable[[], Any]:
    """Return what gives a value, if possible without keeping it alive."""
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value


def _is_own(name: str, value: Any) -> bool:
    """Return whether the main script has a name for something that isn't just imported."""
    is_imported = isinstance(value, (FunctionType, type)) and value.__module__ != "__main__"
    return not (is_imported or isinstance(value, ModuleType) or name.startswith("__"))


def _place(value: Any) -> int:
    if isinstance(value, FunctionType):
        return 0
    if isinstance(value, type):
        return len(value.__mro__)
    return _LAST


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return _ABSENT


def definitions_of_main() -> list[Definition]:
    """Return all functions and classes that the main script has defined so far, but for those that
    can't be pickled.
    """
    table = Definitions()
    found: dict[str, Definition] = {}
    for name, value in list(own_names().items()):
        if isinstance(value, (FunctionType, type)) and value.__module__ == "__main__":
            with contextlib.suppress(Exception):
                found |= table.stamp({name})
    return list(found.values())
