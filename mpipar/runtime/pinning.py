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


def place(host: str, workers: int, workers_cores: int | None = None) -> Place:
    """Return where this process runs."""
    cores, quota = node.affinity(), node.cgroup_cores()
    return Place(
        host,
        cores,
        workers,
        len(cores) if workers_cores is None else workers_cores,
        os.cpu_count() or 1,
        max(1, round(quota)) if quota else None,
        _remedy(workers),
    )


def advice(places: Sequence[Place]) -> str | None:
    """Return one line about ranks that have too few cores, for all of them; None if they have
    enough.

    Who starts more ranks or workers than a whole machine has cores knows that, and is told nothing.
    """
    found = _pinned(places) or _of_hosts(places, told=False)
    if not found:
        return None
    first, others = found[0], len({one.where for one in found}) - 1
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
        if one.workers > 1 and one.workers_cores < min(one.workers, one.machine):
            what = (
                f"its {one.workers} workers share {several(one.workers_cores, 'core')}, as the rank"
                " is pinned"
            )
            found.append(Shortage(f"rank {rank} on host {one.host}", what, one.launcher or _MORE))
    return found


def _of_hosts(places: Sequence[Place], *, told: bool) -> list[Shortage]:
    """Return the hosts whose ranks have too few cores among them; ``told``: even where these are
    all there are.
    """
    found = []
    for host in dict.fromkeys(one.host for one in places):
        here = [one for one in places if one.host == host]
        everything = frozenset[int]().union(*(one.cores for one in here))
        wanted, machine = sum(one.workers for one in here), here[0].machine
        if len(everything) >= machine and wanted > machine:  # all there are: it is known
            if told:
                found.append(
                    Shortage(
                        f"host {host}", f"{_crowd(here)} share {several(machine, 'core')}", _FEWER
                    )
                )
            continue
        short = _short(here, {one.cores for one in here} | {everything})
        if short is not None:
            found.append(
                Shortage(f"host {host}", f"{short}, as they are pinned", here[0].launcher or _FEWER)
            )
        elif (quota := _quota(here)) is not None and quota < min(wanted, machine):
            what = (
                f"{_crowd(here)} have the time of {several(quota, 'core')}, by their control group"
            )
            found.append(Shortage(f"host {host}", what, _FEWER))
    return found


def _short(here: Sequence[Place], sets: Iterable[frozenset[int]]) -> str | None:
    """Return which ranks of a host have too few cores among them, as nothing else is open to them;
    None if none.
    """
    for cores in sorted(sets, key=len):
        within = [one for one in here if one.cores <= cores]
        if sum(one.workers for one in within) > len(cores):
            return f"{_crowd(within)} share {several(len(cores), 'core')}"
    return None


def _crowd(here: Sequence[Place]) -> str:
    workers = sum(one.workers for one in here)
    ranks = several(len(here), "rank")
    return ranks if workers == len(here) else f"{ranks} with {several(workers, 'worker')} in all"


def _quota(here: Sequence[Place]) -> int | None:
    return max((one.quota for one in here if one.quota is not None), default=None)


_MORE = "ask for more cores, or for fewer workers"
_FEWER = "start fewer ranks or workers, or ask for more cores or nodes"


def _remedy(workers: int, environment: Mapping[str, str] = os.environ) -> str:
    """Return how ranks get more cores from what started them; empty if that can't be told."""
    by_open_mpi = "OMPI_COMM_WORLD_SIZE" in environment
    by_hydra = "MPI_LOCALNRANKS" in environment
    by_mpirun = by_open_mpi or by_hydra
    if by_mpirun and environment.get(CORES_OF_STEP):
        return UNSET_CORES
    if by_open_mpi:
        return "pass --bind-to none to mpirun"
    if by_mpirun and any(name.startswith("I_MPI_") for name in environment):
        return "set I_MPI_PIN=off"
    if STEP in environment and not by_mpirun:
        return MORE_CORES.format(workers=workers)
    if by_mpirun:
        return "pass -bind-to none to mpirun, or ask for more cores"
    return ""
