"""The main script as a module that workers have: imported once, where they come from.

::

    root                                         fork server of each rank           its children
    first pool ──▶ script_of_main() ──bytes──▶   import_script(): all but what  ──▶ imported_main()
                                                 ``if __name__ == "__main__":`` guards

A script without a guard isn't imported, nor one that can't be without harm: workers then have its
names by value.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import functools
import importlib.machinery
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import process
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

from mpipar.pool.guard import Guarded, guarded, lines_at_import, writes
from mpipar.pool.watched import refuse, watched
from mpipar.runtime.outlets import note

_PATIENCE_SECONDS = (
    5.0  # that an import may take besides twice what the script itself has taken so far
)
_KEPT_SIGNALS = {signal.SIGKILL, signal.SIGSTOP}

_began = time.monotonic()
# None if it was gone
_began_in: str | None = process.ORIGINAL_DIR  # type: ignore[attr-defined]
_main: ModuleType | None = None
_cpus = 1


class Identity(NamedTuple):
    """What a main module is.

    Attributes
    ----------
    file : str or None
    package, name : str or None
        Of a module that was started by ``-m``.
    """

    file: str | None
    package: str | None
    name: str | None


class Script(NamedTuple):
    """A script to import.

    Attributes
    ----------
    identity : Identity
    source : bytes
    path, argv : list of str
        ``sys.path`` and ``sys.argv``.
    folder : str
        The working folder when it began: it may have left that by now, and does so again.
    environment : dict
        What the script has changed in it.
    stand_in : callable or None
        Lets the names of multiprocessing stand for mpipar's.
    cpus : int
        What ``multiprocessing.cpu_count`` is.
    seconds : float
        That the import may take.
    """

    identity: Identity
    source: bytes
    path: list[str]
    argv: list[str]
    folder: str
    environment: dict[str, str | None]
    stand_in: Callable[[], None] | None
    cpus: int
    seconds: float


# What the root does.


def identity_of_main() -> Identity:
    """Return what the main module of this process is."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    name = None if spec is None else spec.name
    file = getattr(main, "__file__", None)
    return Identity(
        file and os.path.abspath(file),
        getattr(main, "__package__", None),
        name,
    )


_script: bytes | None = None
_rebound: set[str] = set()
_done_by_import: set[int] = set()


def script_of_main(
    environment: dict[str, str | None],
    stand_in: Callable[[], None] | None,
    cpus: int,
) -> tuple[bytes, str | None]:
    """Return the main script for :func:`import_script`, or nothing if it isn't to be imported.

    With it comes why, if that is to be told. What it returns the first time holds.
    """
    global _script, _rebound, _done_by_import
    if _script is not None:
        return _script, None
    _script = b""
    identity = identity_of_main()
    source, found = _source(identity)
    if found is None or not _is_in_main_part(found):
        return b"", None
    line = writes(found.rest)
    if line is not None:
        return b"", f"workers don't import {identity.file}: line {line} opens a file to write to it"
    seconds = 2 * (time.monotonic() - _began) + _PATIENCE_SECONDS
    script = Script(
        identity,
        source,
        list(sys.path),
        list(sys.argv),
        _began_in or os.getcwd(),
        environment,
        stand_in,
        cpus,
        seconds,
    )
    _script = pickle.dumps(script)
    _rebound = found.rebound
    _done_by_import = lines_at_import(found.rest)
    return _script, None


def rebound_names() -> set[str]:
    """Return the names that the main part of the script that workers import may bind anew."""
    return _rebound


def lines_done_by_import() -> set[int]:
    """Return the lines of the script that have been done where workers come from."""
    return _done_by_import


def is_to_be_imported() -> bool:
    """Return whether workers may have the main script as a module."""
    return bool(_script)


def _source(identity: Identity) -> tuple[bytes, Guarded | None]:
    if identity.file is None or not identity.file.endswith(".py"):
        return b"", None
    try:
        source = Path(identity.file).read_bytes()
    except OSError:
        return b"", None
    return source, guarded(source)


def _is_in_main_part(script: Guarded) -> bool:
    """Return whether the script has come to its main part, as far as this thread shows."""
    names = vars(sys.modules["__main__"])
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is names and frame.f_code.co_name == "<module>":
            return any(frame.f_lineno in lines for lines in script.lines)
        frame = frame.f_back
    return True


# What a fork server does.


def import_script_silently(data: bytes) -> None:
    """Import a script, in the process that workers are copies of; if it can't be done, the root
    will tell.
    """
    import_script(data, tells=False)


_SHARED = ("multiprocessing.synchronize.", "multiprocessing.heap.", "multiprocessing.connection.")
"""What workers have in common with the script, which is nothing to tell: sharing sees to it."""


def import_script(data: bytes, *, tells: bool = True) -> None:
    """Import a script, in the process that workers are copies of; tell if it can't be done."""
    global _main, _cpus
    script: Script = pickle.loads(data)
    _cpus = script.cpus
    before = sys.modules["__main__"]
    problem = None
    try:
        with _as_in_script(script), watched(script.identity.file or "") as stopped:
            main = _executed(script)
        if stopped:
            problem = stopped[0]
    except BaseException as error:  # SystemExit, too
        problem = f"{type(error).__name__}: {error}".split("\n")[0]
    if problem is None:
        _main = main
        return
    sys.modules["__main__"] = before
    sys.modules.pop("__mp_main__", None)
    if tells and not any(name in problem for name in _SHARED):
        note(f"mpipar: workers don't import {script.identity.file}: {problem}")


def imported_main() -> ModuleType | None:
    """Return the main script, if it has been imported where this process comes from."""
    return _main


def cpu_count() -> int:
    """Return the number of workers, for a script that is being imported."""
    return _cpus


def new_main(identity: Identity) -> ModuleType:
    """Return an empty main module."""
    main = ModuleType("__main__")
    names = vars(main)
    names["__builtins__"] = builtins
    if identity.file is None:
        return main
    names.update(__file__=identity.file, __cached__=None, __package__=identity.package)
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", identity.file)
    if identity.name is not None:
        main.__spec__ = importlib.machinery.ModuleSpec(
            identity.name, main.__loader__, origin=identity.file
        )
        main.__spec__.has_location = True
    return main


def _executed(script: Script) -> ModuleType:
    found = guarded(script.source)
    assert found is not None
    if script.identity.package:
        importlib.import_module(script.identity.package)
    code: CodeType = compile(
        found.rest,
        script.identity.file or "",
        "exec",
        dont_inherit=True,
    )
    main = new_main(script.identity)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    if script.stand_in is not None:
        script.stand_in()
    exec(code, vars(main))
    return main


@contextlib.contextmanager
def _as_in_script(script: Script) -> Iterator[None]:
    """Let this process be like the script's inside the context, without output, input, or what is
    done at the end.
    """
    folder = os.getcwd()
    environment = dict(os.environ)
    path = list(sys.path)
    argv = list(sys.argv)
    stdin = sys.stdin
    handlers = {
        number: signal.getsignal(number) for number in signal.valid_signals() - _KEPT_SIGNALS
    }
    register = atexit.register
    atexit.register = _without_scripts(register, script.identity.file)
    sys.path[:], sys.argv[:], sys.stdin = script.path, script.argv, None
    try:
        with _silence(), _limit(script.seconds):
            os.chdir(script.folder)
            _change_environment(script.environment)
            yield
    finally:
        sys.path[:], sys.argv[:], sys.stdin = path, argv, stdin
        atexit.register = register
        register(
            os._exit, 0
        )  # the first thing at the end, and the last: what is the script's isn't taken down here
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        os.chdir(folder)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


def _change_environment(changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.environ["MPI4PY_RC_INITIALIZE"] = "false"


def _without_scripts(register: Callable[..., Any], file: str | None) -> Callable[..., Any]:
    @functools.wraps(register)
    def register_others(
        function: Any,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        if sys._getframe(1).f_code.co_filename != file:
            register(function, *arguments, **options)
        return function

    return register_others


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Let nothing be printed inside this context: the script has printed it."""
    kept = {number: os.dup(number) for number in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        refuse(f"it takes more than {seconds:.0f} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
