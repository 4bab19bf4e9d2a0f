"""Running a script as it is, with the names of multiprocessing standing for mpipar's."""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.pool import patch_multiprocessing, rank_agent
from mpipar.pool.ending import Ending
from mpipar.pool.keep_options import KeepOptions
from mpipar.pool.pool_runtime import process_runtime
from mpipar.runtime.comm import leave
from mpipar.runtime.interrupt import outlive_warning
from mpipar.runtime.launcher import launch

if TYPE_CHECKING:
    from mpipar.pool.keeping import Keeping


class Prepared(NamedTuple):
    """A script for which all is prepared.

    Attributes
    ----------
    target : str
        Its file, or the name of a module.
    arguments : list of str
    is_module : bool
        Whether it is a module.
    keeping : Keeping or None
        What keeps outcomes of its tasks, if they are kept.
    """

    target: str
    arguments: list[str]
    is_module: bool
    keeping: Keeping | None


def prepare(
    target: str,
    arguments: list[str],
    is_module: bool,
    workers: int | str | None,
    seed: int | None,
    keep: KeepOptions,
) -> Prepared | None:
    """Start the workers of all ranks for a script; return what the root runs. Collective.

    On other ranks this returns None, when the root has ended.

    Parameters
    ----------
    target : str
        The script's file, or the name of a module.
    arguments : list of str
        Its arguments.
    is_module : bool
        Whether the target is a module.
    workers : int or "auto", optional
        Worker processes in each rank.
    seed : int, optional
        Of ``random`` and ``numpy.random`` in tasks.
    keep : KeepOptions
        What is kept of its tasks.

    Raises
    ------
    BadInput
        If there is no such script, or the launcher started several copies, but MPI can't be loaded
        or sees one alone; if an output can't be written, or what is known can't be read.
    """
    keep.check()
    if not is_module and not os.path.exists(target):
        raise BadInput(f"there is no file {target!r}")
    # As Python itself does; a worker finds the modules beside the script, too.
    if is_module:
        sys.path[0] = os.getcwd()
    else:
        sys.path[0] = os.path.dirname(os.path.realpath(target))
    outlive_warning()
    process_runtime.configure(
        workers,
        seed,
        patch_multiprocessing.install,
        is_patient=keep.may_know_tasks,
    )
    comm = process_runtime.enter()
    keeping = None
    if keep.is_wanted:
        from mpipar.pool.keeping import begun  # HDF5 takes time to load

        keeping = begun(keep, target, arguments, comm)
    if not comm.is_root:
        rank_agent.serve(comm, workers or 1)
        leave(0)
        return None
    engine = process_runtime.attend()
    if keeping is not None:
        keeping.tell(
            seed=seed,
            ranks=engine.size,
            workers=engine.workers,
            hosts=engine.hosts,
        )
    patch_multiprocessing.install()
    return Prepared(target, arguments, is_module, keeping)


def run(script: Prepared) -> None:
    """Run a prepared script as the main module, which it stays until the end of the process.

    Raises
    ------
    BaseException
        Whatever the script raises: it is Python that ends, with its exit code, as if the script had
        been its own.
    """
    ending = Ending(script.keeping)
    target = script.target
    sys.argv = [target, *script.arguments]
    try:
        if script.is_module:
            sys.argv[0] = "-m"
            _run_module(target)
        elif Path(target).is_dir() or target.endswith((".zip", ".pyz")):
            sys.path[0] = target
            _run_module("__main__", alter_argv=False)
        else:
            _execute(os.path.abspath(target))
    except BaseException as error:
        ending.note(error)
        if isinstance(error, KeyboardInterrupt) and launch() is not None:
            sys.excepthook(KeyboardInterrupt, error, error.__traceback__)
            sys.exit(130)  # a launcher would tell of a signal
        raise


def _run_module(name: str, *, alter_argv: bool = True) -> None:
    """Run a module as ``python -m`` does."""
    _new_main()
    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]


def _execute(path: str) -> None:
    main = _new_main()
    main.__file__ = path
    main.__loader__ = SourceFileLoader("__main__", path)
    main.__dict__["__cached__"] = None
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, main.__dict__)


def _new_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main
