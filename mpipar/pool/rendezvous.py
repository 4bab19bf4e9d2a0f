"""How the ranks of a pool find each other."""

from __future__ import annotations

import multiprocessing
import time
from typing import NamedTuple

from mpipar.base.errors import RunFailed
from mpipar.runtime import node
from mpipar.runtime.communicator import Comm
from mpipar.runtime.doorbell import Doorbell
from mpipar.runtime.interfaces import own_interfaces, shared_address
from mpipar.runtime.link import Link
from mpipar.runtime.pinning import Place, place

ACTIVE_SECONDS = 1e-3
IDLE_SECONDS = 0.02
"""Between looks at MPI where nobody can ring: soon after a message, and later. The first, too,
while one is sent.
"""
ACTIVE_FOR_SECONDS = 0.2
RUNG_SECONDS = 0.25
"""Between looks at MPI where somebody rings."""


class Peer(NamedTuple):
    """A rank, as the others see it.

    Attributes
    ----------
    host : str
    bell : bytes or None
        What to ring when there is a message for it; None where one can't, on another node.
    workers : int
        How many worker processes it has for a pool.
    place : Place
        Where it runs.
    networks : list of str
        The addresses of its interfaces.
    """

    host: str
    bell: bytes | None
    workers: int
    place: Place
    networks: list[str]


def meet(
    comm: Comm,
    bell: Doorbell,
    workers: int | str,
) -> tuple[Link | None, list[Peer]]:
    """Return the messages between ranks, and all ranks. Collective over comm.

    All ranks take the root's key for connections of :mod:`multiprocessing`, so that proxies of a
    manager are valid everywhere.

    Parameters
    ----------
    comm : Comm
    bell : Doorbell
        This rank's.
    workers : int or "auto"
        Worker processes in this rank.
    """
    process = multiprocessing.current_process()
    process.authkey = comm.bcast(bytes(process.authkey))
    link = comm.link()
    count = node.workers_of_rank(comm, workers)
    own = Peer(comm.host, bell.name, count, place(comm.host, count), own_interfaces())
    peers = list(comm.bcast(comm.gather(own)))
    if comm.size == 1:
        return link, peers
    root = peers[0]
    hears = root.host == comm.host and root.bell is not None and bell.ring(root.bell)
    all_hear = comm.bcast(comm.gather(hears))
    for rank, is_heard in enumerate(all_hear):
        if not is_heard:
            peers[rank] = peers[rank]._replace(bell=None)
    return link, peers


class Patience:
    """How long to sleep before the next look at MPI.

    Parameters
    ----------
    link : Link or None
        The messages between ranks, if there are several.
    rung : bool
        Whether everybody who may have a message rings.
    """

    def __init__(self, link: Link | None, *, rung: bool) -> None:
        self._link = link
        self._rung = rung
        self._last = 0.0

    def note(self) -> None:
        """Note that there was a message: another one may come soon."""
        self._last = time.monotonic()

    def seconds(self) -> float:
        """Return how long to sleep: not at all while a large message is on its way."""
        if self._link is not None and self._link.is_busy:
            if self._link.is_streaming:
                return 0.0
            return ACTIVE_SECONDS
        if self._link is None or self._rung:
            return RUNG_SECONDS
        if time.monotonic() < self._last + ACTIVE_FOR_SECONDS:
            return ACTIVE_SECONDS
        return IDLE_SECONDS


def drain(link: Link, seconds: float) -> None:
    """Give messages that are on their way some time to arrive."""
    deadline = time.monotonic() + seconds
    while link.is_busy and time.monotonic() < deadline:
        for _ in link.receive():
            pass
        time.sleep(1e-4)


def address_for(peers: list[Peer]) -> str | None:
    """Return an address of the first peer's node that all can connect to; None if all are on it.

    Raises
    ------
    RunFailed
        If there is none.
    """
    own = peers[0]
    others = {}
    for peer in peers:
        if peer.host != own.host:
            others[peer.host] = peer.networks
    if not others:
        return None
    address = shared_address(own.networks, list(others.values()))
    if address is None:
        told = [_networks(own.host, own.networks)]
        for host, found in others.items():
            told.append(_networks(host, found))
        raise RunFailed(f"the nodes share no network ({'; '.join(told)})")
    return address


def _networks(host: str, addresses: list[str]) -> str:
    return f"{host}: {', '.join(addresses) or 'none'}"
