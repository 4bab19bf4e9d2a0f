"""What a script has libraries set in themselves, as ``pint.set_application_registry(mine)``.

Forked workers of multiprocessing have it. No table can know all such functions, so workers call
them again, with the same arguments: those that stand alone in the script, or in a function that has
led to its pool, whose names say that they set something, and whose arguments can be told.
"""

from __future__ import annotations

import ast
import importlib
import operator
import re
import sys
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from mpipar.pool import by_value, importing
from mpipar.pool.arrivals import on_arrival
from mpipar.pool.by_value import Pickled
from mpipar.pool.call_arguments import Arguments, Unclear, made
from mpipar.pool.done_calls import done_calls
from mpipar.pool.module_homes import found_by_name, own_modules
from mpipar.pool.script_text import home_of
from mpipar.runtime.outlets import note

_SETTING = re.compile(
    r"set|(add|option|config|configure|switch)(_|[A-Z])|(use|configure)(_|[A-Z]|$)"
)
_REGISTERING = re.compile(
    r"(un|de)?register|(install|patch|enable|disable|activate|monkey)(_|[A-Z]|$)"
)
"""These change what other modules do, so that their own must be there, too."""

_LEFT = {
    "__main__",
    "__mp_main__",
    "asyncio",
    "atexit",
    "builtins",
    "comet_ml",
    "concurrent",
    "faulthandler",
    "gc",
    "h5py",
    "importlib",
    "logging",
    "mlflow",
    "mpi4py",
    "mpipar",
    "multiprocessing",
    "neptune",
    "os",
    "random",
    "ray",
    "resource",
    "sentry_sdk",
    "signal",
    "subprocess",
    "sys",
    "threading",
    "wandb",
    "warnings",
}
"""Packages whose settings the table has, which are no settings, or which tell a server."""

_MOST_BYTES = 2**20
"""So much each worker may be given for one call."""


class Done(NamedTuple):
    """A call that the script has done.

    Attributes
    ----------
    text : str
        As it stands in the script.
    module : str
    path : str
        Attributes from there to the function.
    arguments : tuple
    keywords : dict
        Values, or calls that make them.
    """

    text: str
    module: str
    path: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


class LibraryCall(NamedTuple):
    """A call to be done in a worker.

    Attributes
    ----------
    text, module, path : str
        As those of Done.
    frames : list of bytes
        Arguments and keywords, pickled.
    needs_names : bool
        Whether the main script's names are needed for that.
    """

    text: str
    module: str
    path: str
    frames: list[bytes]
    needs_names: bool


# What the script's process does.


def states() -> Iterator[tuple[str, Any]]:
    """Yield all calls, by name, with what they were given, as that may change what comes out of
    tasks.
    """
    for done in _done_by_script(with_imported=True):
        yield done.text, (done.arguments, done.keywords)


def library_calls(dumps: Callable[[Any], Pickled]) -> tuple[list[LibraryCall], set[str]]:
    """Return the calls for workers, and the names of the main script that they need."""
    found = []
    needed: set[str] = set()
    for done in _done_by_script(with_imported=False):
        try:
            pickled = dumps((done.arguments, done.keywords))
        except Exception as error:
            _tell(f"workers have not what the script sets by {done.text}: {error!r}")
            continue
        frames = [bytes(frame) for frame in pickled.frames]
        if sum(map(len, frames)) > _MOST_BYTES:
            _tell(f"workers have not what the script sets by {done.text}: it has too many bytes")
            continue
        call = LibraryCall(done.text, done.module, done.path, frames, bool(pickled.needed))
        found.append(call)
        needed |= pickled.needed
    return found, needed


def _done_by_script(*, with_imported: bool) -> Iterator[Done]:
    own = {module.__name__ for module in own_modules()}
    without = set() if with_imported else importing.lines_done_by_import()
    for frame in _frames_of_script(own):
        is_main_part = frame.f_code.co_name == "<module>"
        for call in done_calls(frame.f_code, frame.f_lineno):
            if is_main_part and call.lineno in without:
                continue
            done = _done(call, frame, own)
            if done is not None:
                yield done


def _frames_of_script(own: set[str]) -> list[FrameType]:
    """Return where this thread is in the main script, and in functions of the user's own modules:
    what these do when they are imported they do in workers, too.
    """
    main = vars(sys.modules["__main__"])
    found = []
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        is_import = frame.f_code.co_name == "<module>"
        is_own = frame.f_globals.get("__name__") in own and not is_import
        if frame.f_globals is main or is_own:
            found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _done(call: ast.Call, frame: FrameType, own: set[str]) -> Done | None:
    """Return what a call sets in a library; None if it does no such thing."""
    *_, name = ast.unparse(call.func).split(".")
    if not _SETTING.match(name) and not _REGISTERING.match(name):
        return None
    names = ChainMap(frame.f_locals, frame.f_globals, frame.f_builtins)
    place = _place(call.func, names)
    if place is None:
        return None
    module, path = place
    package, *_ = module.split(".")
    if module in own or package in _LEFT or "random" in module.split("."):
        return None
    try:
        arguments, keywords = Arguments(frame, names).of(call)
    except Unclear:
        return None
    return Done(ast.unparse(call), module, path, arguments, keywords)


def _place(function: ast.expr, names: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the module, and the attributes from there, where a function is."""
    if isinstance(function, ast.Attribute):
        owner = _place(function.value, names)
        if owner is None:
            return None
        module, path = owner
        below = f"{module}.{function.attr}"
        if not path and isinstance(sys.modules.get(below), ModuleType):
            return below, ""
        return module, f"{path}.{function.attr}".lstrip(".")
    if isinstance(function, ast.Name) and function.id in names:
        return _place_of_value(function.id, names[function.id])
    return None


def _place_of_value(name: str, value: Any) -> tuple[str, str] | None:
    if isinstance(value, ModuleType):
        return value.__name__, ""
    if hasattr(value, "__qualname__") and found_by_name(value) is value:
        return value.__module__, value.__qualname__
    return home_of(name, value)


# What a worker does.


def call_first(calls: list[LibraryCall]) -> None:
    """Do the calls that don't need the main script's names."""
    for call in calls:
        if not call.needs_names:
            _call(call)


def call_rest(calls: list[LibraryCall]) -> None:
    """Do the calls that need the main script's names."""
    for call in calls:
        if call.needs_names:
            _call(call)


def _call(call: LibraryCall) -> None:
    *_, name = call.path.split(".")
    try:
        if _REGISTERING.match(name):
            importlib.import_module(call.module)
    except Exception as error:
        _tell(f"a worker can't have what the script sets by {call.text}: {error!r}")
        return
    on_arrival(call.module, _calling(call))


def _calling(call: LibraryCall) -> Callable[[ModuleType], None]:
    def do(module: ModuleType) -> None:
        try:
            arguments, keywords = by_value.loads(call.frames)
            function = operator.attrgetter(call.path)(module)
            function(*made(arguments), **made(keywords))
        except Exception as error:
            _tell(f"a worker can't have what the script sets by {call.text}: {error!r}")

    return do


def _tell(text: str) -> None:
    note(f"mpipar: {text}")
