"""How ranks are started on the nodes of a job: by mpirun, srun, or in a site's way.

=========================================  =============================================================================
``mpirun`` (or ``mpiexec``), with options  the one of this environment, told how many ranks go where
``srun``, with options                     a step of Slurm; which ``--mpi`` fits depends on the library
anything with ``{ranks}``                  that, with ``{ranks}`` and ``{ranks_per_node}`` filled in
anything else                              that, as it is, such as ``ibrun``
=========================================  =============================================================================

An mpirun starts one proxy on each node, by srun, and the proxy starts the ranks there: they have
its cores and GPUs. What a job says of each task would give the proxy those of one rank, so that
srun must not see it.
"""

from __future__ import annotations

import os
import shlex
import shutil
from typing import NamedTuple

from mpipar.base.errors import BadInput
from mpipar.batch.allocation import Allocation
from mpipar.runtime.mpirun import (
    INTEL_MPI,
    MPICH,
    OPEN_MPI,
    find_mpirun,
    vendor_of,
    with_its_folder,
)

# What srun takes for the share of a task: the first three of salloc and sbatch, in some versions of
# Slurm.
_OF_EACH_TASK = (
    *("SLURM_CPUS_PER_TASK", "SLURM_GPUS_PER_TASK", "SLURM_TRES_PER_TASK"),
    *("SRUN_CPUS_PER_TASK", "SLURM_CPUS_PER_GPU", "SLURM_TRES_BIND", "SLURM_GPU_BIND"),
)
_WORKERS_READ = "SLURM_CPUS_PER_TASK"
_MPIRUNS = ("mpirun", "mpiexec")


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
        Whether each rank may be pinned to a core; not if it has workers.

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
    if kind == "srun":
        return Launcher([name, *_srun(given, whole), *options], {})
    if kind not in _MPIRUNS:
        return Launcher([name, *options], {})
    program = find_mpirun() if name == kind else name
    if program is None:
        raise BadInput("launcher: there is no mpirun (pip install 'mpipar[mpich]' brings one)")
    vendor = vendor_of(program)
    flags, environment = _mpirun(vendor, given, whole=whole, pinned=pinned)
    environment["PATH"] = with_its_folder(program)
    return Launcher(
        [program, *flags, *options], environment, _hidden(vendor), exact=vendor != OPEN_MPI
    )


def can_shrink(text: str) -> bool:
    """Return whether a site's launcher can be told to leave nodes out."""
    kind = os.path.basename(text.split()[0])
    return kind in (*_MPIRUNS, "srun") and "{ranks}" not in text


def _mpirun(
    vendor: str, given: Allocation, *, whole: bool, pinned: bool
) -> tuple[list[str], dict[str, str]]:
    """Return options and environment for the mpirun of a vendor."""
    flags = ["-n", str(given.ranks)]
    each = given.ranks_per_node
    if vendor == OPEN_MPI:
        # A rank with workers needs all cores that Slurm gave it.
        flags += ["--map-by", f"ppr:{each}:node" if each else "slot"] + (
            [] if pinned else ["--bind-to", "none"]
        )
        if not whole:
            flags += ["--host", ",".join(f"{node}:{each}" for node in given.nodes)]
        return flags, {}
    if vendor in (MPICH, INTEL_MPI):
        flags += ["-ppn", str(each)] if each else []
        flags += _for_workers()
        flags += [] if whole else ["-hosts", ",".join(given.nodes)]
    # Intel MPI takes Slurm's word for what goes where, rather than -ppn, and pins ranks.
    settings = {"I_MPI_JOB_RESPECT_PROCESS_PLACEMENT": "0"} if each else {}
    return flags, (
        {
            **settings,
            **({} if pinned else {"I_MPI_PIN": "off"}),
        }
        if vendor == INTEL_MPI
        else {}
    )


def _hidden(vendor: str = "") -> tuple[str, ...]:
    """Return the variables that srun must not see when an mpirun calls it; Open MPI counts its
    slots by one of them.
    """
    return tuple(
        name for name in _OF_EACH_TASK if vendor in (MPICH, INTEL_MPI) or name != _WORKERS_READ
    )


def _for_workers() -> list[str]:
    """Return the options that give ranks back what is hidden from srun, and their number of workers
    depends on.
    """
    value = os.environ.get(_WORKERS_READ)
    return ["-genv", _WORKERS_READ, value] if value else []


def _srun(given: Allocation, whole: bool) -> list[str]:
    """Return options for a step over all ranks; it ends when one of them fails, rather than wait
    for the others.
    """
    options = ["--kill-on-bad-exit=1", f"--nodes={len(given.nodes)}", f"--ntasks={given.ranks}"]
    if given.ranks_per_node:
        options.append(f"--ntasks-per-node={given.ranks_per_node}")
    return options if whole else [*options, f"--nodelist={','.join(given.nodes)}"]


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word
