"""The names of the main script, as a worker has them: what is sent by value is defined here.

A worker has the script's module, imported or empty, and gets *definitions* of names: what the
script has bound to them, pickled. To unpickle one may need another, so each is made when it is
first met.

There is one main module in a process, and pickles find it by what they call. So these names are
held here, from :func:`begin` on, which a worker calls once, until :func:`end`.
"""

from __future__ import annotations

import builtins
import importlib
import pickle
import sys
from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeAlias

GIVEN = "#"
"""In names that functions without a name are given."""

_PASSES = 3

_ABSENT = object()


class Definition(NamedTuple):
    """What a name of the main script stands for.

    Attributes
    ----------
    name : str
    version : int
        Grows with each definition that is made.
    place : int
        Where it comes among others: functions first, then classes, bases before what is derived,
        then all other values, which may need these to be unpickled.
    pickled : bytes
        Nothing if it can't be pickled.
    reason : str
        Why.
    shape : str, optional
        Tells whether a worker that has imported the script has the same already.
    attributes : dict, optional
        Of a class that it has: {name: pickled value}.
    home : (str, str), optional
        The module that it was imported from, and its name there: if it can't be unpickled, it is
        what is there.
    """

    name: str
    version: int
    place: int
    pickled: bytes
    reason: str = ""
    shape: str | None = None
    attributes: dict[str, bytes | None] = {}  # noqa: RUF012 (never changed)
    home: tuple[str, str] | None = None


class Unsendable(Exception):
    """What a name of the script means can't be sent, and the worker's own isn't the same."""


IsKept: TypeAlias = Callable[[Definition], bool]


class MainNames:
    """The names of the main script in a process.

    Parameters
    ----------
    main : module, optional
        The main module of a worker; without it, the process's own.
    kept : callable, optional
        Tells whether a worker that has imported the script has already what is to be defined.
    """

    def __init__(self, main: ModuleType | None = None, kept: IsKept | None = None) -> None:
        self._own = None if main is None else vars(main)
        self._kept = kept
        self._given: dict[str, Any] = {}  # {name that was given here: function}
        self._undone: dict[str, Definition] = {}  # definitions that have just come
        self._begun: set[str] = set()  # those of them whose value is there, perhaps not complete
        self._failed: dict[str, Exception] = {}  # why names have no value
        self._waiting: list[Definition] = []  # of names that no code of a task has shown
        self._found: dict[str, int] = {}  # versions of those that were looked for

    @property
    def names(self) -> dict[str, Any]:
        """The names, and what they stand for."""
        if self._own is not None:
            return self._own
        return vars(sys.modules["__main__"])

    def define(self, definitions: Iterable[Definition]) -> None:
        """Take in definitions. One that can't be unpickled has no name: :meth:`why_missing` tells
        why.
        """
        news = []
        for each in definitions:
            if self._found.pop(each.name, None) != each.version:
                news.append(each)
        self._define_all(news)

    def define_when_looked_for(self, definitions: Iterable[Definition]) -> None:
        """Take in definitions of names that nobody may need."""
        self._waiting.extend(definitions)

    def define_waiting(self) -> None:
        """Define the names that nobody has needed yet."""
        if not self._waiting:
            return
        waiting = [each for each in self._waiting if each.name not in self.names]
        self._waiting.clear()
        self._found.update((each.name, each.version) for each in waiting)
        self._define_all(waiting)

    def why_missing(self, name: str) -> Exception | None:
        """Return why a name has no value in this worker, if that is known here alone."""
        error = self._failed.get(name)
        if isinstance(error, Unsendable):
            return None
        return error

    def _define_all(self, definitions: Iterable[Definition]) -> None:
        todo = sorted(definitions, key=lambda each: each.place)
        for _ in range(_PASSES):  # to unpickle an object may need the value of another name
            self._undone.update((each.name, each) for each in todo)
            while self._undone:
                self._try_to_define(next(iter(self._undone)))
            self._begun.clear()
            todo = [each for each in todo if each.name in self._failed]

    def _try_to_define(self, name: str) -> None:
        self._failed.pop(name, None)
        try:
            self._define(name)
        except Exception as error:
            self._undone.pop(name, None)
            self.names.pop(name, None)
            self._failed[name] = error

    def _define(self, name: str) -> None:
        # Of classes that refer to each other, one is met again while it is being made, and made
        # then: that both are the same, cloudpickle sees to.
        definition = self._undone[name]
        if self._kept is not None and GIVEN not in name and self._kept(definition):
            self._undone.pop(name, None)
            return
        if not definition.pickled:
            raise Unsendable(definition.reason)
        self._table(name)[name] = _loaded(definition)
        self._undone.pop(name, None)
        self._begun.discard(name)

    def _table(self, name: str) -> dict[str, Any]:
        if GIVEN in name:
            return self._given
        return self.names

    def note_begun(self, name: str, value: Any) -> None:
        """Let a name mean a class or function that is being made: others may refer to it."""
        if self._own is not None:
            self._own[name] = value
            self._begun.add(name)

    def value(self, path: str) -> Any:
        """Return what a name stands for; attributes of it follow, each after a zero byte."""
        name, *attributes = path.split("\0")
        if name in self._undone and name not in self._begun:
            self._define(name)
        value = self._table(name).get(name, _ABSENT)
        if value is _ABSENT:
            if name in self._failed:
                raise self._failed[name]
            raise AttributeError(f"the main script has no {name!r}")
        for attribute in attributes:
            value = getattr(value, attribute)
        return value


def _loaded(definition: Definition) -> Any:
    if definition.home is None:
        return pickle.loads(definition.pickled)
    try:
        return pickle.loads(definition.pickled)
    except Exception:
        return of_module(*definition.home)


class _Main(ModuleType):
    """A main module by value: whoever looks into it otherwise than by the names in tasks' code
    finds all of it.
    """

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            _current.define_waiting()
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        _current.define_waiting()
        names = _current.names
        if name in names:
            return names[name]
        raise AttributeError(f"module '__main__' has no attribute {name!r}")


_current = MainNames()


def begin(main: ModuleType | None = None, kept: IsKept | None = None) -> MainNames:
    """Let this process be a worker, whose names of the main script are those that it is sent.

    Parameters
    ----------
    main : module, optional
        The script as it was imported, with ``kept``; without it, all is defined by value.
    kept : callable, optional
        Tells whether what is to be defined is there already.

    Returns
    -------
    MainNames
    """
    global _current
    if main is None:
        main = _Main("__main__")
        kept = None
    sys.modules["__main__"] = main  # for what is pickled by other means
    vars(main)["__builtins__"] = builtins
    _current = MainNames(main, kept)
    return _current


def end() -> None:
    """Let the names of the main script be those of this process's main module again."""
    global _current
    _current = MainNames()


def current() -> MainNames:
    """Return the names of the main script in this process."""
    return _current


def own_names() -> dict[str, Any]:
    """Return what the names of the main script stand for in this process."""
    return _current.names


def begin_and_define(definitions: Iterable[Definition]) -> None:
    """Let this process, which isn't a worker, have the main script's names by value."""
    begin().define(definitions)


def define_given(definitions: Iterable[Definition]) -> None:
    """Take in definitions in a thread of a process that has the script's names already, but not
    those given here.
    """
    _current.define(each for each in definitions if GIVEN in each.name)


# What pickles call.


def named(path: str) -> Any:
    """Return what a name of the main script stands for."""
    return _current.value(path)


def of_module(module: str, name: str) -> Any:
    """Return what a module has under a name."""
    return getattr(importlib.import_module(module), name)


class Imported:
    """What is pickled for an object that a module has under a name.

    Parameters
    ----------
    home : (str, str)
        The module, and the name.
    """

    def __init__(self, home: tuple[str, str]) -> None:
        self._home = home

    def __reduce__(self) -> Any:
        return of_module, self._home


def function(code: Any, closure: Any) -> FunctionType:
    """Return a function that uses the names of the main script."""
    return FunctionType(code, own_names(), None, None, closure)


def begun(
    name: str,
    make: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> Any:
    """Return a class or function that is being made, and let its name mean it already."""
    value = make(*arguments)
    _current.note_begun(name, value)
    return value
