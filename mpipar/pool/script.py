"""Running a script as it is, with the names of multiprocessing standing for mpipar's. Imports modules beside it."""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
import threading
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from mpipar.core.errors import BadInput
from mpipar.pool import presence, relay, stand_in
from mpipar.runtime.comm import leave
from mpipar.runtime.interrupt import outlive_warning


def run_script(target: str, arguments: list[str], is_module: bool, workers: int | str | None, seed: int | None) -> int:
    """Run a script on the root, with the workers of all ranks; return its exit code. Collective over all ranks.

    Parameters
    ----------
    target : str
        The script's file, or the name of a module.
    arguments : list of str
        The script's own.
    is_module : bool
        Whether the target is a module.
    workers : int or "auto", optional
        Worker processes in each rank.
    seed : int, optional
        Of ``random`` and ``numpy.random`` in tasks.

    Raises
    ------
    BadInput
        If there is no such script, or the launcher started several copies, but MPI can't be loaded or sees one alone.
    """
    if not is_module and not os.path.exists(target):
        raise BadInput(f"there is no file {target!r}")
    # As Python itself does; a worker finds the modules beside the script, too.
    sys.path[0] = os.getcwd() if is_module else os.path.dirname(os.path.realpath(target))
    outlive_warning()
    presence.configure(workers, seed, stand_in.install)
    comm = presence.enter()
    if not comm.is_root:
        relay.serve(comm, workers or 1)
        leave(0)
        return 0
    sys.argv = [target, *arguments]
    try:
        presence.attend()
        stand_in.install()
        code = _exit_code_of(target, is_module=is_module)
        for thread in threading.enumerate():  # Python waits for these, too, and they may use pools
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
    finally:
        presence.finish()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    leave(code)
    return code


def _exit_code_of(target: str, *, is_module: bool) -> int:
    """Run the script, and return what Python would exit with."""
    try:
        if is_module:
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        elif Path(target).is_dir() or target.endswith((".zip", ".pyz")):
            runpy.run_path(target, run_name="__main__")
        else:
            _execute(target)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _print_traceback()
        return 130
    except BaseException:
        _print_traceback()
        return 1
    return 0


def _execute(path: str) -> None:
    """Run a file as the main module, which it stays until the end of the process."""
    main = ModuleType("__main__")
    main.__file__ = path
    main.__loader__ = SourceFileLoader("__main__", path)
    main.__dict__["__builtins__"] = builtins
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _print_traceback() -> None:
    """Print the exception as Python would have, without the lines of this module."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        trace = trace.tb_next
    assert kind is not None
    assert error is not None
    sys.excepthook(kind, error.with_traceback(trace), trace)
