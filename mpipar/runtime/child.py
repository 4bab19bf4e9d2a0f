"""Processes beside a rank, of multiprocessing's fork server.

The fork server is a clean process that is started before MPI is initialised and never sees the
launcher's variables: no child is a copy of a process with MPI in it, nor takes itself for a rank.
If it dies, its children die with it, and there is a new one for the next child.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from multiprocessing import connection, forkserver, reduction, spawn, util
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.runtime.launcher import hidden_from_children

context = multiprocessing.get_context("forkserver")

_MOST_TRIES = 3  # to start a child
# between them: a process that is killed closes its sockets before it is seen to have ended
_PAUSE_SECONDS = 0.05
_LONGEST_FOLDER = 70  # bytes; names of sockets, which are in it, have 107 at most
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>

# names, for the fork server alone, the file of what it is to do before its next child
_ERRAND = "MPIPAR_ERRAND"
# names, for it alone, the modules that it is to import before its first child
_IMPORTS = "MPIPAR_IMPORTS"

_environment: dict[str, str] = {}  # of the fork server
_errand_file = ""


def prepare(*preload: str, is_patient: bool = False) -> None:
    """Start the fork server, unless it runs. To be called before MPI is initialised.

    Parameters
    ----------
    *preload : str
        Modules that all children import: the fork server imports them once.
    is_patient : bool
        Whether it does so when the first child is wanted, as perhaps none will be.

    Raises
    ------
    BadInput
        If there can't be one.
    """
    main = sys.modules["__main__"]
    if not os.path.exists(
        getattr(main, "__file__", None) or ""
    ):  # "<stdin>" is no file, and children would look for it
        vars(main).pop("__file__", None)
    at_once = [] if is_patient else preload
    later = preload if is_patient else []
    context.set_forkserver_preload([__name__, *at_once])
    unset = multiprocessing.get_start_method(allow_none=True) is None
    try:
        _have_short_folder()
        with hidden_from_children(), _errands(later):
            forkserver.ensure_running()
            _environment.clear()
            _environment.update(os.environ)
    except OSError as error:
        remedy = " (ulimit -n: the limit of open files)" if error.errno == errno.EMFILE else ""
        raise BadInput(
            f"workers: can't start the process that starts them: {error}{remedy}"
        ) from None
    if unset:  # a script may still choose how its own processes start
        multiprocessing.set_start_method(None, force=True)


@contextlib.contextmanager
def _errands(imports: Iterable[str]) -> Iterator[None]:
    """Let the fork server that is started inside this context know what to import before its first
    child, and where errands come from.
    """
    global _errand_file
    _errand_file = os.path.join(util.get_temp_dir(), f"errand-{os.getpid()}")
    os.environ[_ERRAND] = _errand_file
    os.environ[_IMPORTS] = " ".join(imports)
    try:
        yield
    finally:
        os.environ.pop(_ERRAND, None)
        os.environ.pop(_IMPORTS, None)


def send_on_errand(module: str, function: str, data: bytes) -> None:
    """Have the fork server call a function before its next child: this and all later ones have what
    that leaves.

    It is called once; again in a fork server that takes the place of a dead one, unless it died of
    that.

    Parameters
    ----------
    module, function : str
        Their names.
    data : bytes
        For the function.
    """
    if not _errand_file:
        return
    unfinished = f"{_errand_file}.new"
    with open(unfinished, "wb") as file:
        file.write(f"{module} {function}\n".encode() + data)
    os.replace(unfinished, _errand_file)


def _take_errands(file: str, imports: list[str]) -> None:
    """Import what is to be there before the first child, and look for an errand whenever a child
    is asked for, in the fork server.
    """
    receive, server = reduction.recvfds, os.getpid()
    has_been_done = False

    def receive_and_look(sock: Any, size: int) -> list[int]:
        nonlocal has_been_done
        received: list[int] = receive(sock, size)
        if os.getpid() != server:
            return received
        while imports:
            with contextlib.suppress(ImportError):  # who needs it will tell
                importlib.import_module(imports.pop(0))
        if not has_been_done and os.path.exists(file):
            has_been_done = True
            _do_errand(file)
        return received

    reduction.recvfds = receive_and_look
    sys.excepthook = functools.partial(_tell_of_server, server)


def _tell_of_server(
    server: int,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Tell of an exception in the fork server, or in a child that hasn't begun to work; not of
    Ctrl-C that came to the rank as it told the child what to do.
    """
    is_child = os.getpid() != server
    if not (is_child and kind is EOFError):
        sys.__excepthook__(kind, error, trace)


def _do_errand(file: str) -> None:
    begun = f"{file}.begun"
    os.replace(file, begun)  # if this process dies of it, the next one doesn't try
    with open(begun, "rb") as opened:
        module, function = opened.readline().decode().split()
        data = opened.read()
    getattr(importlib.import_module(module), function)(data)
    os.replace(begun, file)


is_of_server = _ERRAND in os.environ
"""Whether this process is the fork server, or comes from it."""
if is_of_server:
    _take_errands(os.environ.pop(_ERRAND), os.environ.pop(_IMPORTS, "").split())


def _have_short_folder() -> None:
    """Let multiprocessing have its sockets in a folder whose name isn't too long for them."""
    if len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_FOLDER:
        return
    users = tempfile.tempdir
    try:
        for tempfile.tempdir in ("/tmp", "/var/tmp", "/dev/shm"):
            with contextlib.suppress(OSError):
                util.get_temp_dir()  # makes one, and keeps it
                return
    finally:
        tempfile.tempdir = users


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a process that calls ``target``, and ends with this one. It doesn't import the main
    module.

    Parameters
    ----------
    target : callable
        By name.
    *arguments
        For it.

    Raises
    ------
    OSError, EOFError
        If that can't be done, tried several times.
    """
    for tries_left in range(_MOST_TRIES - 1, -1, -1):
        try:
            revive()
            process = context.Process(
                target=_run,
                args=(target, arguments),
                daemon=True,
            )
            with main_hidden_from_children():
                process.start()
        except (OSError, EOFError):  # the fork server was killed in the midst of it
            if not tries_left:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            break
    return process


def revive() -> None:
    """Start the fork server again if it has died, with the environment that it had."""
    server = _server()
    if (
        server is not None
        and os.waitid(os.P_PID, server, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    ):
        return
    with hidden_from_children():
        own = dict(os.environ)
        try:
            _become(os.environ, _environment or own)
            forkserver.ensure_running()
        finally:
            _become(os.environ, own)


def _become(variables: MutableMapping[str, str], others: Mapping[str, str]) -> None:
    for name in variables.keys() - others.keys():
        del variables[name]
    variables.update(others)


def _server() -> int | None:
    """Return the process number of the fork server, which multiprocessing doesn't tell."""
    number: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return number


def _run(target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    sys.excepthook = sys.__excepthook__
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the rank decides
    _die_with_server()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    target(*arguments)


def _die_with_server() -> None:
    """Let this process end with the fork server: the rank takes it for dead then, as nobody tells
    when it ends.
    """
    with contextlib.suppress(AttributeError, OSError):  # Linux alone has it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if _forked_by and os.getppid() != _forked_by:  # it has just ended
        os._exit(1)


_forked_by = 0  # the process that the last fork was made by, if this module was there


def _note_fork() -> None:
    global _forked_by
    _forked_by = os.getpid()


os.register_at_fork(before=_note_fork)


def _die_with_parent() -> None:
    """End this process when its rank does, even in the midst of a long block."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


_hidden = threading.local()


@contextlib.contextmanager
def main_hidden_from_children() -> Iterator[None]:
    """Let processes that this thread starts inside the context not import its main module."""
    _install()
    _hidden.main = True
    try:
        yield
    finally:
        _hidden.main = False


@functools.cache
def _install() -> None:
    """Make multiprocessing look at ``_hidden`` when it tells a child what to import: it has no
    option for that.
    """
    all_data = spawn.get_preparation_data

    @functools.wraps(all_data)
    def get_preparation_data(name: str) -> dict[str, Any]:
        data = all_data(name)
        if getattr(_hidden, "main", False):
            data.pop("init_main_from_name", None)
            data.pop("init_main_from_path", None)
        return data

    spawn.get_preparation_data = get_preparation_data
