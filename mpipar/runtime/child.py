"""Processes beside a rank, of multiprocessing's fork server. Imports mpipar.runtime.launcher alone.

The fork server is a clean process that is started before MPI is initialised and never sees the launcher's variables: no
child is a copy of a process with MPI in it, nor takes itself for a rank.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection, forkserver, spawn
from multiprocessing.process import BaseProcess
from typing import Any

from mpipar.runtime.launcher import hidden_from_children

context = multiprocessing.get_context("forkserver")

FAREWELL_SECONDS = 2.0  # that children are given to end by themselves


def prepare(*preload: str) -> None:
    """Start the fork server, unless it runs. To be called before MPI is initialised.

    Parameters
    ----------
    *preload : str
        Modules that all children import: the fork server imports them once.
    """
    main = sys.modules["__main__"]
    if not os.path.exists(
        getattr(main, "__file__", None) or ""
    ):  # "<stdin>" is no file, and children would look for it
        vars(main).pop("__file__", None)
    context.set_forkserver_preload(list(preload))
    unset = multiprocessing.get_start_method(allow_none=True) is None
    with hidden_from_children():
        forkserver.ensure_running()
    if unset:  # a script may still choose how its own processes start
        multiprocessing.set_start_method(None, force=True)


def start(target: Callable[..., None], *arguments: Any, main: bool = True) -> BaseProcess:
    """Start a process that calls ``target``, and ends with this one.

    Parameters
    ----------
    target : callable
        By name.
    *arguments
        For it.
    main : bool
        Whether the process imports this one's main module, as kernels in it need. A script that has no
        ``if __name__ == "__main__"`` would run again.
    """
    process = context.Process(target=_run, args=(target, arguments), daemon=True)
    with contextlib.nullcontext() if main else main_hidden_from_children():
        process.start()
    return process


def _run(target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the rank decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    target(*arguments)


def _die_with_parent() -> None:
    """End this process when its rank does, even in the midst of a long block."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def how_it_ended(process: BaseProcess) -> str:
    """Return what became of a process."""
    process.join(FAREWELL_SECONDS)
    code = process.exitcode
    if code is None:
        return "the worker closed its pipe"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"the worker was killed by {signal.Signals(-code).name}"
    return f"the worker ended with exit code {code}"


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
    """Make multiprocessing look at ``_hidden`` when it tells a child what to import: it has no option for that."""
    all_data = spawn.get_preparation_data

    @functools.wraps(all_data)
    def get_preparation_data(name: str) -> dict[str, Any]:
        data = all_data(name)
        if getattr(_hidden, "main", False):
            data.pop("init_main_from_name", None)
            data.pop("init_main_from_path", None)
        return data

    spawn.get_preparation_data = get_preparation_data
