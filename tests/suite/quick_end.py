"""The end of an interpreter, without what takes two thirds of its time: to free all that is loaded.

A fork of a warm interpreter shares its memory with it, until it frees an object there: then the
page is copied, and that of 60 MB. So what Python does at its end is done here, in its order; and
then the process ends by the C library's ``exit``, as Python does, so that what libraries do at
their end (HDF5 closes files) is done, too.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys
import threading
import types


def end(code: object, main: types.ModuleType) -> None:
    """End this process, if it is one that can end quickly; else return.

    Parameters
    ----------
    code : object
        That of SystemExit.
    main : module
        What the user's objects are in, which are freed, as their ends may say something.
    """
    is_plain = code is None or type(code) is int
    if not is_plain or "mpi4py.run" in sys.modules or "h5py" in sys.modules:
        return  # HDF5 crashes in exit, where objects of h5py that refer to a dataset are alive
    threading._shutdown()
    atexit._run_exitfuncs()
    if not _flush():
        return
    _free(main)
    _finalize_mpi()
    if _flush():
        ctypes.PyDLL(None).exit((code or 0) & 0xFF)


def _flush() -> bool:
    """Return whether all that was printed is out; what hinders it, Python tells."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except (OSError, ValueError):
        return False
    return True


def _free(main: types.ModuleType) -> None:
    """Free what is in a module, as Python does: private names first."""
    names = list(vars(main))
    names.sort(key=lambda name: not name.startswith("_") or name == "__builtins__")
    for name in names:
        if name != "__builtins__":
            vars(main)[name] = None
    gc.collect()


def _finalize_mpi() -> None:
    """Do what mpi4py does at the very end."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None:
        return
    rc = sys.modules["mpi4py"].rc
    is_wanted = rc.initialize if rc.finalize is None else rc.finalize
    if is_wanted and mpi.Is_initialized() and not mpi.Is_finalized():
        mpi.Finalize()
