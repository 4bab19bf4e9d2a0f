"""Where the engine is: on the root; the other ranks serve it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from mpipar.pool import imported_state, rank_agent, sharing, watched, worker_manager
from mpipar.pool.engine import Engine
from mpipar.pool.session import Session
from mpipar.runtime import child
from mpipar.runtime.comm import end, world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.launcher import launch
from mpipar.runtime.node import one_thread, usable_cores

if TYPE_CHECKING:
    from mpipar.pool.recall import MakeRecall

_FOR_EACH_WORKER = ("mpipar.runtime.child", "mpipar.pool.calls", "multiprocessing.popen_forkserver")
"""What each would import by itself otherwise."""


class PoolRuntime:
    """What pools, executors and managers of a process have in common: the engine, and what a script
    has asked of it.

    Attributes
    ----------
    is_ending : bool
        Whether all pools are being ended, as the script is over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._workers: int | str | None = None
        self._seed: int | None = None
        self._stand_in: Callable[[], None] | None = None
        self._is_patient = False
        self._recall: MakeRecall | None = None
        self.is_ending = False
        self._before_end: list[Callable[[], None]] = []

    def configure(
        self,
        workers: int | str | None,
        seed: int | None,
        stand_in: Callable[[], None],
        *,
        is_patient: bool = False,
    ) -> None:
        """Prepare for a script as it is.

        Parameters
        ----------
        workers : int or "auto", optional
            Worker processes in each rank.
        seed : int, optional
            Of random numbers in tasks.
        stand_in : callable
            Called in each worker: lets the names that scripts use stand for mpipar's.
        is_patient : bool
            Whether no worker may be wanted, as all tasks may be known.
        """
        self._is_patient = is_patient
        self._workers = workers
        self._seed = seed
        self._stand_in = stand_in

    def recall(self, make: MakeRecall) -> None:
        """Have what each pool recalls of earlier runs made by this; before the engine is there."""
        self._recall = make

    @property
    def is_recalling(self) -> bool:
        """Whether outcomes of tasks are kept, or known."""
        return self._recall is not None

    def attend(self) -> Engine:
        """Return the engine, on the root; other ranks serve it, and end with the root: there this
        does not return.

        Collective over all ranks that the launcher started, at the first call.

        Raises
        ------
        BadInput
            If the launcher started several copies, but MPI can't be loaded or sees one rank alone.
        """
        watched.refuse("a pool or a manager is opened outside of the main part")
        with self._lock:
            if self._engine is None or not self._engine.is_alive():
                self._engine = self._new_engine()
                self._engine.start()
            return self._engine

    def _new_engine(self) -> Engine:
        # in a worker, or in a process of the script's own
        if not worker_manager.may_have_children():
            return Engine(Comm())
        comm = self.enter()
        if not comm.is_root:
            rank_agent.serve(comm, self._workers or 1)
            end(0)
        engine = Engine(
            comm,
            self._workers or 1,
            seed=self._seed,
            stand_in=self._stand_in,
            recall=self._recall,
        )
        if comm.size > 1:
            comm.is_lent = True
        atexit.register(self.finish)
        return engine

    def enter(self) -> Comm:
        """Return all ranks, with the fork server running. Collective over them. Raises BadInput as
        :meth:`attend`.
        """
        preload = ["mpipar.pool.worker", *_FOR_EACH_WORKER]
        if self._stand_in is not None:
            preload.append(self._stand_in.__module__)
        # ranks other than the root don't run the script
        if "numpy" in sys.modules or launch() is not None:
            preload.append("numpy")  # else it would cost as long as all the rest of the start
        if "numpy.random" in sys.modules:
            preload.append("numpy.random")
        with one_thread():
            child.prepare(*preload, is_patient=self._is_patient)
        return world()

    def before_end(self, action: Callable[[], None]) -> None:
        """Have something done before the engine ends."""
        self._before_end.append(action)

    def finish(self) -> None:
        """End the engine, and the service of other ranks, if there is one."""
        if self._engine is not None and self._engine.is_alive():
            for action in self._before_end:
                action()
            self.is_ending = True
            self._engine.finish()

    def dismiss(self) -> None:
        """End the service of other ranks at once, whatever pools still do."""
        if self._engine is not None and self._engine.is_alive() and self._engine.size > 1:
            self._engine.dismiss()

    def open_pool(
        self,
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
            How many in all the script asks for: see :meth:`workers_of_pool`.
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
            As :meth:`attend`.
        """
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if retries < 0:
            raise ValueError(f"retries must be 0 or more, got {retries}")
        engine = self.attend()
        return engine.session(
            workers=self.workers_of_pool(engine, workers),
            initializer=None if initializer is None else (initializer, tuple(initargs)),
            retries=retries,
            max_tasks=max_tasks,
            takes_exit=takes_exit,
        )

    def workers_of_pool(self, engine: Engine, processes: int | None) -> list[int]:
        """Return how many workers each rank has for a pool that was asked to have so many in all.

        Under a launcher that is the launcher's affair, and the number that a script names counts
        only without one.
        """
        if not worker_manager.may_have_children():
            return [1]
        if launch() is not None or self._workers is not None:
            return engine.workers
        return [processes or usable_cores()]

    def forget_engine(self) -> None:
        """Forget the engine in a forked child: its thread is the parent's."""
        self._engine, self._lock = None, threading.Lock()


process_runtime = PoolRuntime()
"""The one of this process."""

os.register_at_fork(after_in_child=process_runtime.forget_engine)
sharing.install()
imported_state.note_imports()
