"""The one door to MPI: no other module imports mpi4py.

:func:`world` gives a :class:`Comm`, which is a stand-in for one process where no launcher started
several, and an :class:`MPIComm` elsewhere. Both are used in the same way; MPI is loaded for the
second alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
import warnings
from typing import Any, NoReturn

from mpipar.base.errors import BadInput
from mpipar.runtime import start
from mpipar.runtime.communicator import Comm, MPIComm
from mpipar.runtime.journal import ENDED, STARTED, tell
from mpipar.runtime.launcher import Launch, launch
from mpipar.runtime.mismatch import library_name, not_loaded, sure_to_be_alone, worlds_of_one
from mpipar.runtime.outlets import flush


@functools.cache
def world() -> Comm:
    """Return the communicator of all ranks that the launcher started. Collective over them at the
    first call.

    Raises
    ------
    BadInput
        If the launcher started several copies, but MPI can't be loaded or sees one rank alone.
    """
    comm = _meet()
    if comm.is_root:
        tell(STARTED, ranks=comm.size)
    return comm


def _meet() -> Comm:
    launched = launch()
    if (launched is None or launched.size == 1) and not _mpi_in_use():
        return Comm()
    try:
        mpi = _load_mpi()
    except (ImportError, RuntimeError) as error:
        raise not_loaded(launched, error) from None
    library = library_name(mpi.Get_library_version())
    if not mpi.Is_initialized():
        if launched is not None and sure_to_be_alone(launched, library):
            raise worlds_of_one(launched, library)
        with start.time_limit():
            start.initialize(mpi)
            return _communicator(mpi, launched)
    return _communicator(
        mpi, launched
    )  # ranks of a program that has started MPI may come hours after each other


def ranks_of(communicator: Any) -> Comm:
    """Return the ranks of a communicator of mpi4py; call its ``free`` when it is done with.
    Collective over them.

    Messages of the user's own never meet those of ours: these go through a copy.

    Raises
    ------
    BadInput
        If it isn't a communicator that something can be run over.
    """
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not isinstance(communicator, mpi.Comm):
        raise BadInput(f"comm: expected a communicator of mpi4py, got {communicator!r:.60}")
    if not mpi.Is_initialized() or mpi.Is_finalized():
        raise BadInput("comm: MPI is not running: it was not begun, or has ended")
    if communicator == mpi.COMM_NULL:
        raise BadInput("comm: this rank is in no communicator (COMM_NULL)")
    if communicator.Is_inter():
        raise BadInput(
            "comm: expected an intracommunicator; .Merge() makes one of an intercommunicator"
        )
    if world.cache_info().currsize and world().is_lent:
        raise BadInput("comm: the other ranks serve pools here; run it without `mpipar run`")
    return Comm() if communicator.Get_size() == 1 else MPIComm(mpi, communicator)


def _communicator(mpi: Any, launched: Launch | None) -> Comm:
    if mpi.COMM_WORLD.Get_size() == 1:
        if launched is not None and launched.size > 1:
            raise worlds_of_one(launched, library_name(mpi.Get_library_version()))
        return Comm()
    if start.is_survivable():
        from mpipar.runtime.ulfm import SurvivingComm

        return SurvivingComm(mpi)
    return MPIComm(mpi)


def end(code: int) -> NoReturn:
    """End this process with no more of the user's code, but leave MPI in order if all ranks
    live.
    """
    flush()
    if world().size > 1 and not world().lost_ranks:
        sys.modules["mpi4py.MPI"].Finalize()
        ctypes.CDLL(None).exit(
            code
        )  # MPICH's mpirun takes it for a failure if what libraries do at exit is left out
    os._exit(code)


def leave(code: int) -> None:
    """Say that this program ends on purpose; end it at once if ranks have died: MPI_Finalize may
    then wait for them.
    """
    if speaks_for_all():
        tell(ENDED, code=code)
    if not _mpi_in_use() or not sys.modules["mpi4py.MPI"].Is_initialized():
        return
    with contextlib.suppress(BadInput):  # of copies that don't know of each other
        if world().lost_ranks:
            flush()
            os._exit(code)


def finalize() -> None:
    """End MPI, if this process has begun it. Collective over all ranks."""
    if not _mpi_in_use():
        return
    mpi = sys.modules["mpi4py.MPI"]
    if mpi.Is_initialized() and not mpi.Is_finalized():
        mpi.Finalize()


def speaks_for_all() -> bool:
    """Return whether this process is the one that should write a message that all ranks would.

    Of N copies that don't know of each other it is the launcher's rank 0.
    """
    try:
        return world().is_root
    except BadInput:
        launched = launch()
        return launched is None or launched.rank == 0


def _mpi_in_use() -> bool:
    """Return whether the user's program has loaded MPI by itself."""
    return "mpi4py.MPI" in sys.modules


def _load_mpi() -> Any:
    """Return mpi4py.MPI, initialised or not."""
    if not _mpi_in_use():
        # Read by Open MPI alone. Its ucx component for one-sided operations warns at exit, and
        # spinning ranks would take the cores from computing ones; a user's own setting wins.
        os.environ.setdefault("OMPI_MCA_osc", "^ucx")
        local_size = os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", "")
        if local_size.isdigit() and int(local_size) > (os.cpu_count() or 1):
            os.environ.setdefault("OMPI_MCA_mpi_yield_when_idle", "1")
        import mpi4py

        mpi4py.rc.initialize = False  # world() looks first whether the library fits the launcher
        mpi4py.rc.finalize = True
    with warnings.catch_warnings():
        # mpi4py warns of a launcher of another MPI, in every rank; worlds_of_one says more, once.
        warnings.filterwarnings(
            "ignore", message=".*suspicious MPI execution environment", category=RuntimeWarning
        )
        from mpi4py import MPI
    return MPI
