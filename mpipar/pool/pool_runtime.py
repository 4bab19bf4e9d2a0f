"""Where the engine is: on the root; the other ranks serve it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from mpipar.pool import rank_agent, sharing, watched, worker_manager
from mpipar.pool.engine import Engine
from mpipar.pool.session import Session
from mpipar.runtime import child
from mpipar.runtime.comm import end, world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.launcher import launch
from mpipar.runtime.node import one_thread, usable_cores

_FOR_EACH_WORKER = ("mpipar.runtime.child", "mpipar.pool.calls", "multiprocessing.popen_forkserver")
"""What each would import by itself otherwise."""

_engine: Engine | None = None
_lock = threading.Lock()
_workers: int | str | None = None
_seed: int | None = None
_stand_in: Callable[[], None] | None = None
_is_ending = False
_before_end: list[Callable[[], None]] = []


def configure(workers: int | str | None, seed: int | None, stand_in: Callable[[], None]) -> None:
    """Prepare for a script as it is.

    Parameters
    ----------
    workers : int or "auto", optional
        Worker processes in each rank.
    seed : int, optional
        Of random numbers in tasks.
    stand_in : callable
        Called in each worker: lets the names that scripts use stand for mpipar's.
    """
    global _workers, _seed, _stand_in
    _workers, _seed, _stand_in = workers, seed, stand_in


def attend() -> Engine:
    """Return the engine, on the root; other ranks serve it, and end with the root: there this does
    not return.

    Collective over all ranks that the launcher started, at the first call.

    Raises
    ------
    BadInput
        If the launcher started several copies, but MPI can't be loaded or sees one rank alone.
    """
    global _engine
    watched.refuse("a pool or a manager is opened outside of the main part")
    with _lock:
        if _engine is not None and _engine.is_alive():
            return _engine
        if (
            not worker_manager.may_have_children()
        ):  # in a worker, or in a process of the script's own
            _engine = Engine(Comm())
        else:
            comm = enter()
            if not comm.is_root:
                rank_agent.serve(comm, _workers or 1)
                end(0)
            _engine = Engine(comm, _workers or 1, seed=_seed, stand_in=_stand_in)
            if comm.size > 1:
                comm.is_lent = True
            atexit.register(finish)
        _engine.start()
        return _engine


def enter() -> Comm:
    """Return all ranks, with the fork server running. Collective over them. Raises BadInput as
    :func:`attend`.
    """
    preload = [
        "mpipar.pool.worker",
        *_FOR_EACH_WORKER,
        *([] if _stand_in is None else [_stand_in.__module__]),
    ]
    if (
        "numpy" in sys.modules or launch() is not None
    ):  # ranks other than the root don't run the script
        preload.append("numpy")  # else it would cost as long as all the rest of the start
    with one_thread():
        child.prepare(*preload)
    return world()


def before_end(action: Callable[[], None]) -> None:
    """Have something done before the engine ends."""
    _before_end.append(action)


def finish() -> None:
    """End the engine, and the service of other ranks, if there is one."""
    global _is_ending
    if _engine is not None and _engine.is_alive():
        for action in _before_end:
            action()
        _is_ending = True
        _engine.finish()


def dismiss() -> None:
    """End the service of other ranks at once, whatever pools still do."""
    if _engine is not None and _engine.is_alive() and _engine.size > 1:
        _engine.finish()


def is_ending() -> bool:
    """Return whether all pools are being ended, as the script is over."""
    return _is_ending


def open_pool(
    workers: int | None,
    initializer: Callable[..., object] | None,
    initargs: Iterable[Any],
    max_tasks: int | None,
    retries: int,
    *,
    takes_exit: bool = False,
) -> Session:
    """Open a pool, with workers in all ranks. Collective over them, at the first call.

    Parameters
    ----------
    workers : int, optional
        How many in all the script asks for: see :func:`workers_of_pool`.
    initializer : callable, optional
        Called in each worker at its start.
    initargs : iterable
        Its arguments.
    max_tasks : int, optional
        After so many tasks (or chunks of them) a worker process is replaced.
    retries : int
        How often a task is tried again after its worker has died.
    takes_exit : bool
        Whether a SystemExit of a task is raised where its value is wanted, or ends its worker.

    Raises
    ------
    TypeError, ValueError
        If the initializer can't be called, or there can't be so many retries.
    BadInput
        As :func:`attend`.
    """
    if initializer is not None and not callable(initializer):
        raise TypeError("initializer must be a callable")
    if retries < 0:
        raise ValueError(f"retries must be 0 or more, got {retries}")
    engine = attend()
    return engine.session(
        workers=workers_of_pool(engine, workers),
        initializer=None if initializer is None else (initializer, tuple(initargs)),
        retries=retries,
        max_tasks=max_tasks,
        takes_exit=takes_exit,
    )


def workers_of_pool(engine: Engine, processes: int | None) -> list[int]:
    """Return how many workers each rank has for a pool that was asked to have so many in all.

    Under a launcher that is the launcher's affair, and the number that a script names counts only
    without one.
    """
    if not worker_manager.may_have_children():
        return [1]
    if launch() is not None or _workers is not None:
        return engine.workers
    return [processes or usable_cores()]


def _forget() -> None:
    """Forget the engine in a forked child: its thread is the parent's."""
    global _engine, _lock
    _engine, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
sharing.install()
