"""Whether the ranks of a node have the cores that their workers need, and how to mend it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mpipar.base.text import several
from mpipar.runtime import node
from mpipar.runtime.launcher_words import (
    CORES_OF_STEP,
    MORE_CORES,
    STEP,
    UNSET_CORES,
)


class Place(NamedTuple):
    """Where a rank runs.

    Attributes
    ----------
    host : str
    cores : frozenset of int
        Those that it may run on.
    workers : int
        How many processes of it compute at a time.
    workers_cores : int
        How many cores its workers may run on.
    machine : int
        How many cores the host has.
    quota : int or None
        How many cores' worth of time its control group has, in all.
    launcher : str
        How to start ranks that have more cores; empty if that can't be told.
    """

    host: str
    cores: frozenset[int]
    workers: int
    workers_cores: int
    machine: int
    quota: int | None
    launcher: str


class Shortage(NamedTuple):
    """Too few cores.

    Attributes
    ----------
    where, what, remedy : str
        Of which rank or host, what there is, and how to mend it.
    """

    where: str
    what: str
    remedy: str


def place(
    host: str,
    workers: int,
    workers_cores: int | None = None,
) -> Place:
    """Return where this process runs."""
    cores = node.affinity()
    quota = node.cgroup_cores()
    return Place(
        host=host,
        cores=cores,
        workers=workers,
        workers_cores=len(cores) if workers_cores is None else workers_cores,
        machine=os.cpu_count() or 1,
        quota=max(1, round(quota)) if quota else None,
        launcher=_remedy(workers),
    )


def advice(places: Sequence[Place]) -> str | None:
    """Return one line about ranks that have too few cores, for all of them; None if they have
    enough.

    Who starts more ranks or workers than a whole machine has cores knows that, and is told nothing.
    """
    found = _pinned(places) or _of_hosts(places, told=False)
    if not found:
        return None
    first = found[0]
    others = len({one.where for one in found}) - 1
    more = f" (and {others} more)" if others else ""
    return f"{first.where}{more}: {first.what}: {first.remedy}"


def shortages(places: Sequence[Place]) -> Iterator[Shortage]:
    """Yield what there is too little of: the first rank whose workers have too few cores, and each
    such host.
    """
    yield from _pinned(places)[:1]  # mostly it is the same everywhere
    yield from _of_hosts(places, told=True)


def _pinned(places: Sequence[Place]) -> list[Shortage]:
    """Return the ranks whose workers have too few cores, though the host has more."""
    found = []
    for rank, one in enumerate(places):
        are_too_few = one.workers_cores < min(one.workers, one.machine)
        if one.workers > 1 and are_too_few:
            cores = several(one.workers_cores, "core")
            what = f"its {one.workers} workers share {cores}, as the rank is pinned"
            found.append(Shortage(f"rank {rank} on host {one.host}", what, one.launcher or _MORE))
    return found


def _of_hosts(places: Sequence[Place], *, told: bool) -> list[Shortage]:
    """Return the hosts whose ranks have too few cores among them; ``told``: even where these are
    all there are.
    """
    by_host: dict[str, list[Place]] = {}
    for one in places:
        by_host.setdefault(one.host, []).append(one)
    found = []
    for here in by_host.values():
        shortage = _of_host(here, told=told)
        if shortage is not None:
            found.append(shortage)
    return found


def _of_host(here: Sequence[Place], *, told: bool) -> Shortage | None:
    """Return whether the ranks of one host have too few cores among them."""
    first = here[0]
    where = f"host {first.host}"
    machine = first.machine
    wanted = _workers_of(here)
    sets = {one.cores for one in here}
    everything = frozenset[int]().union(*sets)
    has_all_cores = len(everything) >= machine
    if has_all_cores and wanted > machine:  # who started them knows that
        if not told:
            return None
        return Shortage(
            where,
            f"{_crowd(here)} share {several(machine, 'core')}",
            _FEWER,
        )
    short = _short(here, sets | {everything})
    if short is not None:
        return Shortage(where, f"{short}, as they are pinned", first.launcher or _FEWER)
    quota = _quota(here)
    if quota is None or quota >= min(wanted, machine):
        return None
    time = several(quota, "core")
    what = f"{_crowd(here)} have the time of {time}, by their control group"
    return Shortage(where, what, _FEWER)


def _short(here: Sequence[Place], sets: Iterable[frozenset[int]]) -> str | None:
    """Return which ranks of a host have too few cores among them, as nothing else is open to them;
    None if none.
    """
    for cores in sorted(sets, key=len):
        within = [one for one in here if one.cores <= cores]
        if _workers_of(within) > len(cores):
            return f"{_crowd(within)} share {several(len(cores), 'core')}"
    return None


def _workers_of(here: Sequence[Place]) -> int:
    return sum(one.workers for one in here)


def _crowd(here: Sequence[Place]) -> str:
    workers = _workers_of(here)
    ranks = several(len(here), "rank")
    if workers == len(here):
        return ranks
    return f"{ranks} with {several(workers, 'worker')} in all"


def _quota(here: Sequence[Place]) -> int | None:
    return max((one.quota for one in here if one.quota is not None), default=None)


_MORE = "ask for more cores, or for fewer workers"
_FEWER = "start fewer ranks or workers, or ask for more cores or nodes"


def _remedy(workers: int, environment: Mapping[str, str] = os.environ) -> str:
    """Return how ranks get more cores from what started them; empty if that can't be told."""
    by_open_mpi = "OMPI_COMM_WORLD_SIZE" in environment
    by_hydra = "MPI_LOCALNRANKS" in environment
    by_mpirun = by_open_mpi or by_hydra
    if not by_mpirun:
        return MORE_CORES.format(workers=workers) if STEP in environment else ""
    if environment.get(CORES_OF_STEP):
        return UNSET_CORES
    if by_open_mpi:
        return "pass --bind-to none to mpirun"
    by_intel_mpi = any(name.startswith("I_MPI_") for name in environment)
    if by_intel_mpi:
        return "set I_MPI_PIN=off"
    return "pass -bind-to none to mpirun, or ask for more cores"
