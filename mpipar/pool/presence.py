"""Where the engine is: on the root; the other ranks serve it. Imports mpipar.runtime and relay, engine, station."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

from mpipar.pool import relay, station
from mpipar.pool.engine import Engine
from mpipar.runtime import child
from mpipar.runtime.comm import Comm, end, world
from mpipar.runtime.launcher import launch
from mpipar.runtime.node import one_thread, usable_cores

_engine: Engine | None = None
_lock = threading.Lock()
_workers: int | str | None = None
_seed: int | None = None
_stands_in = False
_before_end: list[Callable[[], None]] = []


def configure(workers: int | str | None, seed: int | None) -> None:
    """Prepare for a script as it is, and choose what it doesn't: the workers of a rank, and the seed of its tasks."""
    global _workers, _seed, _stands_in
    _workers, _seed, _stands_in = workers, seed, True


def attend() -> Engine:
    """Return the engine, on the root; other ranks serve it, and end with the root: there this does not return.

    Collective over all ranks that the launcher started, at the first call.

    Raises
    ------
    BadInput
        If the launcher started several copies, but MPI can't be loaded or sees one rank alone.
    """
    global _engine
    with _lock:
        if _engine is not None and _engine.is_alive():
            return _engine
        if not station.may_have_children():  # in a worker, or in a process of the script's own
            _engine = Engine(Comm())
        else:
            comm = enter()
            if not comm.is_root:
                relay.serve(comm, _workers or 1)
                end(0)
            _engine = Engine(comm, _workers or 1, seed=_seed, stands_in=_stands_in)
            if comm.size > 1:
                comm.is_lent = True
            atexit.register(finish)
        _engine.start()
        return _engine


def enter() -> Comm:
    """Return all ranks, with the fork server running. Collective over them. Raises BadInput as :func:`attend`."""
    with one_thread():
        child.prepare("mpipar.pool.stand_in" if _stands_in else "mpipar.pool.worker")
    return world()


def before_end(action: Callable[[], None]) -> None:
    """Have something done before the engine ends."""
    _before_end.append(action)


def drain() -> None:
    """Have done what must be done before the end of the script."""
    for action in _before_end:
        action()


def finish() -> None:
    """End the engine, and the service of other ranks, if there is one."""
    if _engine is not None and _engine.is_alive():
        drain()
        _engine.finish()


def workers_of_pool(engine: Engine, processes: int | None) -> list[int]:
    """Return how many workers each rank has for a pool that was asked to have so many in all.

    Under a launcher that is the launcher's affair, and the number that a script names counts only without one.
    """
    if not station.may_have_children():
        return [1]
    if launch() is not None or _workers is not None:
        return engine.workers
    return [processes or usable_cores()]


def _forget() -> None:
    """Forget the engine in a forked child: its thread is the parent's."""
    global _engine, _lock
    _engine, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
