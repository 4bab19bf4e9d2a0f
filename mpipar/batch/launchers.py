"""How ranks are started on the nodes of a job: by mpirun, the scheduler, or in a site's way.

==================================  =============================================================
``mpirun`` (``mpiexec``), options   the one of this environment, told how many ranks go where
the scheduler's starter, options    that, told the same, if it can start this MPI
anything with ``{ranks}``           that, with ``{ranks}`` and ``{ranks_per_node}`` filled in
anything else                       that, as it is, such as ``ibrun``
==================================  =============================================================

An mpirun starts one proxy on each node, by the scheduler's starter, and the proxy starts the ranks
there: they have its cores and GPUs. What a job says of each rank would give the proxy those of one
rank, so that the starter must not see it.
"""

from __future__ import annotations

import os
import shlex
import shutil
from typing import NamedTuple

from mpipar.base.errors import BadInput
from mpipar.batch.allocation import Allocation
from mpipar.batch.schedulers import scheduler
from mpipar.runtime.mpirun import (
    INTEL_MPI,
    MPICH,
    OPEN_MPI,
    find_mpirun,
    vendor_of,
    with_its_folder,
)

_MPIRUNS = ("mpirun", "mpiexec")
_HYDRAS = (MPICH, INTEL_MPI)


class Launcher(NamedTuple):
    """What starts the ranks.

    Attributes
    ----------
    command : list of str
        What comes before the program.
    environment : dict
        What must be set in addition.
    hidden : tuple of str
        What must not be set.
    exact : bool
        Whether all ranks have ended with 0 if it has.
    """

    command: list[str]
    environment: dict[str, str]
    hidden: tuple[str, ...] = ()
    exact: bool = True


def launcher(text: str, given: Allocation, *, whole: bool = True, pinned: bool = True) -> Launcher:
    """Return what starts the ranks of a job.

    Parameters
    ----------
    text : str
        The site's launcher, in words as a shell would split them.
    given : Allocation
        Which nodes, and how many ranks.
    whole : bool
        Whether these are all nodes of the job.
    pinned : bool
        Whether each rank may be pinned to a core; not if it has workers. One that was given
        several cores never is.

    Raises
    ------
    BadInput
        If there is no such launcher.
    """
    try:
        name, *options = shlex.split(text)
    except ValueError as error:
        raise BadInput(f"launcher: {text!r} can't be split into words ({error})") from None
    if shutil.which(name) is None and name not in _MPIRUNS:
        raise BadInput(f"launcher: there is no program {name!r} on the path")
    kind = os.path.basename(name)
    if "{ranks}" in text:
        values = {"ranks": str(given.ranks), "ranks_per_node": str(given.ranks_per_node or "")}
        hidden = _hidden() if kind in _MPIRUNS else ()
        return Launcher([_filled(word, values) for word in (name, *options)], {}, hidden)
    if kind in _MPIRUNS:
        return _mpirun(name, options, given, whole=whole, pinned=pinned)
    starter = scheduler().starter
    if kind == starter.program:
        return Launcher([name, *starter.options(given, whole=whole), *options], {})
    return Launcher([name, *options], {})


def can_shrink(text: str) -> bool:
    """Return whether a site's launcher can be told to leave nodes out."""
    kind = os.path.basename(text.split()[0])
    return kind in (*_MPIRUNS, scheduler().starter.program) and "{ranks}" not in text


def _mpirun(
    name: str,
    options: list[str],
    given: Allocation,
    *,
    whole: bool,
    pinned: bool,
) -> Launcher:
    """Return an mpirun with what its vendor wants to be told."""
    program: str | None = name
    if name in _MPIRUNS:
        program = find_mpirun()
    if program is None:
        raise BadInput("launcher: there is no mpirun (pip install 'mpipar[mpich]' brings one)")
    vendor = vendor_of(program)
    pinned = pinned and _has_one_core()
    environment: dict[str, str] = {}
    if vendor == OPEN_MPI:
        flags = _of_open_mpi(given, whole=whole, pinned=pinned)
    elif vendor in _HYDRAS:
        flags = _of_hydra(given, whole=whole)
    else:
        flags = []
    if vendor == INTEL_MPI:
        environment |= _of_intel_mpi(given, pinned=pinned)
    environment["PATH"] = with_its_folder(program)
    return Launcher(
        [program, "-n", str(given.ranks), *flags, *options],
        environment,
        _hidden(vendor),
        exact=vendor != OPEN_MPI,
    )


def _of_open_mpi(given: Allocation, *, whole: bool, pinned: bool) -> list[str]:
    each = given.ranks_per_node
    flags = ["--map-by", f"ppr:{each}:node" if each else "slot"]
    if not pinned:  # a rank needs all cores that the scheduler gave it
        flags += ["--bind-to", "none"]
    if not whole:
        flags += ["--host", ",".join(f"{node}:{each}" for node in given.nodes)]
    return flags


def _of_hydra(given: Allocation, *, whole: bool) -> list[str]:
    flags = _for_workers()
    if given.ranks_per_node:
        flags = ["-ppn", str(given.ranks_per_node), *flags]
    if not whole:
        flags += ["-hosts", ",".join(given.nodes)]
    return flags


def _of_intel_mpi(given: Allocation, *, pinned: bool) -> dict[str, str]:
    """Return its variables: it takes the scheduler's word for what goes where, rather than -ppn,
    and pins ranks.
    """
    settings = {}
    if given.ranks_per_node:
        settings["I_MPI_JOB_RESPECT_PROCESS_PLACEMENT"] = "0"
    if not pinned:
        settings["I_MPI_PIN"] = "off"
    return settings


def _hidden(vendor: str = "") -> tuple[str, ...]:
    """Return the variables that the starter must not see when an mpirun calls it; Open MPI counts
    its slots by that of the cores.
    """
    starter = scheduler().starter
    if vendor in _HYDRAS:
        return starter.of_each_rank
    return tuple(name for name in starter.of_each_rank if name != starter.cores_variable)


def _has_one_core() -> bool:
    """Return whether the job asks for no more than a core for each rank."""
    name = scheduler().starter.cores_variable
    return os.environ.get(name) in (None, "", "1")


def _for_workers() -> list[str]:
    """Return the options that give ranks back what is hidden from the starter, and their number of
    workers depends on.
    """
    name = scheduler().starter.cores_variable
    value = os.environ.get(name)
    if not value:
        return []
    return ["-genv", name, value]


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word
