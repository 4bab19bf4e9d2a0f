"""The end of an interpreter, without what takes two thirds of its time: to free all that is loaded.

A fork of a warm interpreter shares its memory with it, until it frees an object there: then the
page is copied, and that of 60 MB. So what Python does at its end is done here, in its order, but
for what libraries do at theirs: MPI takes leave of its launcher here too, and a process that has
files of HDF5 open ends as Python does.
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
    if not is_plain:
        return
    threading._shutdown()
    atexit._run_exitfuncs()
    if not _flush():
        return
    _free(main)
    if _flush() and not _hdf5_has_work():
        _end_mpi()
        # Not os._exit: some libraries of MPI say at C's end that they are done.
        ctypes.CDLL(None).exit((code or 0) & 0xFF)


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
    if gc.get_freeze_count():  # else a collection would look at, and so copy, all that is shared
        gc.collect()


def _hdf5_has_work() -> bool:
    """Return whether anything in a file of HDF5 is open."""
    h5f = sys.modules.get("h5py.h5f")
    if h5f is None:
        return False
    kinds = h5f.OBJ_FILE | h5f.OBJ_DATASET | h5f.OBJ_GROUP | h5f.OBJ_ATTR
    return h5f.get_obj_count(h5f.OBJ_ALL, kinds) > 0


def _end_mpi() -> None:
    """End MPI if mpi4py would."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized():
        return
    if sys.modules["mpi4py"].rc.finalize is not False:
        mpi.Finalize()
