"""The ranks that aren't the root: they pass orders to their workers."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal

from mpipar.pool.rendezvous import Patience, drain, meet
from mpipar.pool.worker_manager import LEAVE, Order, WorkerManager
from mpipar.runtime.communicator import Comm
from mpipar.runtime.doorbell import Doorbell


def serve(comm: Comm, workers: int | str) -> None:
    """Serve the root's pools, until the root ends. Collective over comm, with the root's engine.

    Parameters
    ----------
    comm : Comm
    workers : int or "auto"
        Worker processes in this rank.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(number, signal.SIG_IGN)  # they go to all ranks; the root's script decides
    bell = Doorbell()
    link, peers = meet(comm, bell, workers)
    assert link is not None
    root = peers[0].bell if peers[comm.rank].bell is not None else None
    manager = WorkerManager(bell, is_roots=False)
    patience = Patience(link, rung=root is not None)
    while True:
        manager.wait(patience.seconds())
        for _, (head, *frames) in link.receive():
            order = Order(*pickle.loads(head))
            if order.what == LEAVE:
                manager.end()
                comm.lost_ranks += bool(frames)  # the root tells
                drain(link, 1.0)
                return
            patience.note()
            manager.obey(order, frames)
        if 0 in link.lost:
            os._exit(1)  # the root has died, and its script with it
        for event, news in manager.events():
            patience.note()
            link.send(0, [pickle.dumps(tuple(event)), *news])
            if root is not None:
                bell.ring(root)
