"""The thread of the root that hands out tasks.

::

    script's threads                  engine's thread
    Session.submit(job) ──post──▶ jobs ─▶ batches ─▶ slots: one for each worker process of each rank
    result.get()  ◀──── sinks ◀── outcomes ◀──────── events of managers, the root's own and those of relays
"""  # noqa: E501

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mpipar.base.errors import PoolTerminated, RunFailed
from mpipar.pool import (
    importing,
    inheritance,
    library_calls,
    module_changes,
    module_files,
    module_sharing,
    sharing,
    twins,
    worker,
)
from mpipar.pool.dispatch import Dispatch
from mpipar.pool.node_memory import Held
from mpipar.pool.rendezvous import Patience, address_for, drain, meet
from mpipar.pool.session import Session
from mpipar.pool.worker_manager import LEAVE, Event, Order, WorkerManager
from mpipar.runtime.channel import Frames
from mpipar.runtime.communicator import Comm
from mpipar.runtime.doorbell import Doorbell
from mpipar.runtime.launcher import NO_INIT, is_launchers
from mpipar.runtime.outlets import warn
from mpipar.runtime.pinning import advice

if TYPE_CHECKING:
    from mpipar.pool.recall import MakeRecall

_environment_at_start = dict(os.environ)

_FAREWELL_SECONDS = 2.0  # that last messages to other ranks are given


def _changed_environment() -> dict[str, str | None]:
    """Return what the script has changed in its environment; None is a variable that it has
    removed.
    """
    changed: dict[str, str | None] = {}
    for name, value in os.environ.items():
        if _environment_at_start.get(name) != value and not is_launchers(name):
            changed[name] = value
    for name in _environment_at_start:
        if name not in os.environ:
            changed[name] = None
    changed[NO_INIT] = os.environ.get(NO_INIT)  # tasks may use MPI, and see a world of one
    return changed


class Engine(threading.Thread):
    """The thread that hands out tasks.

    Parameters
    ----------
    comm : Comm
        The ranks; those other than the root serve. Making an engine is collective over comm.
    workers : int or "auto"
        Worker processes in each rank.
    seed : int, optional
        Of random numbers in tasks.
    stand_in : callable, optional
        Called in each worker at its start.
    recall : callable, optional
        ``recall(initializer, seed, calls_number)`` returns what a pool recalls of earlier runs;
        None if it can't.

    Attributes
    ----------
    workers : list of int
        Worker processes in each rank.
    hosts : list of str
        The node of each.
    """

    def __init__(
        self,
        comm: Comm,
        workers: int | str = 1,
        *,
        seed: int | None = None,
        stand_in: Callable[[], None] | None = None,
        recall: MakeRecall | None = None,
    ) -> None:
        super().__init__(name="mpipar engine", daemon=True)
        self._comm = comm
        self._seed = seed
        self._stand_in = stand_in
        self._recall = recall
        self._bell = Doorbell()
        self._link, self._peers = meet(comm, self._bell, workers)
        self.workers = [peer.workers for peer in self._peers]
        self.hosts = [peer.host for peer in self._peers]
        self._advise()
        self._offer_what_is_shared()
        rung = all(peer.bell is not None for peer in self._peers)
        self._worker_manager = WorkerManager(self._bell)
        self._patience = Patience(self._link, rung=rung)
        self._pools: dict[int, Dispatch] = {}
        self._numbers, self._job_numbers = itertools.count(), itertools.count()
        self._lost: set[int] = set()
        self._actions: deque[tuple[Dispatch, Callable[[], None]]] = deque()
        self._is_sleeping = False
        self._is_ending = self._is_dismissed = False
        self._rest = threading.Lock()
        self._error: BaseException | None = None  # why this has ended
        inheritance.note_start()  # MPI, too, may have changed something until now

    @property
    def size(self) -> int:
        """Number of ranks."""
        return self._comm.size

    def _advise(self) -> None:
        """Tell how to mend it where ranks, or their workers, have too few cores."""
        told = advice([peer.place for peer in self._peers])
        if told is not None:
            warn(told)

    def _offer_what_is_shared(self) -> None:
        """Let workers on other nodes reach locks, values and queues of the script."""
        with contextlib.suppress(RunFailed):  # they can't, and say so where they are used
            sharing.offer_at(self.address())

    # What the script's threads call.

    def session(
        self,
        *,
        workers: list[int],
        initializer: tuple[Any, tuple[Any, ...]] | None = None,
        retries: int = 1,
        max_tasks: int | None = None,
        takes_exit: bool = False,
    ) -> Session:
        """Open a pool, with so many workers in each rank. Raises whatever pickling the initializer
        raises.

        ``takes_exit`` is whether a SystemExit of a task is raised where its value is wanted, or
        ends its worker.
        """
        calls_number = self.new_job_number()
        recall = None
        if self._recall is not None:
            recall = self._recall(initializer, self._seed, calls_number)
        dispatch = Dispatch(
            next(self._numbers), calls_number, self._order, self.hosts, retries, max_tasks, recall
        )
        dispatch.size = sum(workers)
        # an initializer may do what can be seen, or fail
        may_start_late = recall is not None and recall.knows_tasks and initializer is None
        environment = _changed_environment()
        script = self._script(environment, dispatch)
        setup, large = self._setup(dispatch, initializer, environment, takes_exit=takes_exit)

        def begin(rank: int) -> Frames:
            return [setup, script, *large.message(is_on_this_node=dispatch.is_here(rank))]

        def open_pool() -> None:
            if self._error is not None:
                return
            self._pools[dispatch.number] = dispatch
            in_ranks = {rank: workers[rank] for rank in self._ranks()}
            dispatch.open(in_ranks, begin)
            if not may_start_late:
                dispatch.staff.start()

        self.post(dispatch, open_pool)
        return Session(self, dispatch)

    def new_job_number(self) -> int:
        """Return a number that no job has."""
        return next(self._job_numbers)

    def is_current(self) -> bool:
        """Return whether the thread that asks is this."""
        return threading.current_thread() is self

    def post(self, dispatch: Dispatch, action: Callable[[], None]) -> None:
        """Have the engine do something for a pool."""
        self._actions.append((dispatch, action))
        if self._error is not None:
            self._answer_rest()
        elif self._is_sleeping:
            self._bell.ring(self._bell.name)

    def _answer_rest(self) -> None:
        """Let all that is still handed in fail, once this has ended."""
        assert self._error is not None
        with self._rest:
            while self._actions:
                dispatch, action = self._actions.popleft()
                if not dispatch.ended.is_set():
                    dispatch.fail(self._error)
                action()

    def finish(self) -> None:
        """End all pools at once, all workers, and the service of other ranks; wait for that."""
        if not self.is_alive():
            return
        for dispatch in list(self._pools.values()):
            Session(self, dispatch).terminate()
        self._is_ending = True
        self._bell.ring(self._bell.name)
        self.join()

    def dismiss(self) -> None:
        """End all workers, and the service of other ranks, as this process ends now: who waits for
        tasks is told nothing.
        """
        if self.is_alive():
            self._is_dismissed = self._is_ending = True
            self._bell.ring(self._bell.name)
            self.join()

    def address(self) -> str | None:
        """Return an address of this node that all ranks can connect to; None if all are on it.
        Raises RunFailed if there is none.
        """
        return address_for(self._peers)

    # What the engine's own thread does.

    def run(self) -> None:  # noqa: D102
        try:
            while not self._is_ending:
                self._turn()
            self._leave()
        except BaseException as error:  # a bug; nobody may wait for ever
            with contextlib.suppress(Exception):
                traceback.print_exc()
            if self._link is not None:
                self._comm.abort(1)
            self._error = error
        finally:
            if not self._is_dismissed:
                self._end_pools()

    def _end_pools(self) -> None:
        """Let all that is still to come be an error."""
        self._error = self._error or PoolTerminated("the script has ended")
        for dispatch in list(self._pools.values()):
            dispatch.fail(self._error)
        self._answer_rest()

    def _turn(self) -> None:
        self._is_sleeping = True
        seconds = 0.0
        if not self._actions and not self._is_ending:
            seconds = self._patience.seconds()
        self._worker_manager.wait(seconds)
        self._is_sleeping = False
        for _ in range(len(self._actions)):
            dispatch, action = self._actions.popleft()
            action()
            self._look_at(dispatch)
        for event, frames in self._worker_manager.events():
            self._take_in(0, event, frames)
        if self._link is not None:
            for rank, (head, *frames) in self._link.receive():
                self._patience.note()
                self._take_in(rank, Event(*pickle.loads(head)), frames)
            for rank in self._link.lost - self._lost:
                self._lose(rank)

    def _take_in(self, rank: int, event: Event, frames: Frames) -> None:
        dispatch = self._pools.get(event.pool)
        if dispatch is not None:
            dispatch.take_in(rank, event, frames)
            self._look_at(dispatch)

    def _look_at(self, dispatch: Dispatch) -> None:
        """Hand out what there is to hand out, and forget a pool that is over."""
        dispatch.assign()
        if dispatch.ended.is_set():
            self._pools.pop(dispatch.number, None)

    def _order(self, rank: int, order: Order, frames: Frames = ()) -> None:
        """Have something done by the worker manager of a rank."""
        if rank == 0:
            self._worker_manager.obey(order, frames)
            return
        assert self._link is not None
        self._patience.note()
        self._link.send(rank, [pickle.dumps(tuple(order)), *frames])
        bell = self._peers[rank].bell
        if bell is not None:
            self._bell.ring(bell)

    def _ranks(self) -> list[int]:
        return [rank for rank in range(self._comm.size) if rank not in self._lost]

    def _script(self, environment: dict[str, str | None], dispatch: Dispatch) -> bytes:
        """Return the script that workers are to import, if they are to."""
        script, complaint = importing.script_of_main(
            environment,
            self._stand_in,
            sum(self.workers),
        )
        if complaint is not None:
            warn(complaint)
        if script:
            dispatch.definitions.describe = twins.describe
        return script

    def _setup(
        self,
        dispatch: Dispatch,
        initializer: tuple[Any, tuple[Any, ...]] | None,
        environment: dict[str, str | None],
        *,
        takes_exit: bool,
    ) -> tuple[bytes, Held]:
        shared = module_sharing.shared_in_modules(dispatch.definitions.dumps_global)
        changes = module_changes.changes_in_modules(shared.within)
        large = Held(changes.frames)  # now: the script may change it at once
        dispatch.definitions.keep([*changes.lent, large])
        dispatch.definitions.note_homes(each.home for each in changes.values)
        pickled = dispatch.definitions.dumps(initializer)
        dispatch.definitions.keep(pickled.lent)
        dispatch.definitions.share()
        settings, needed = inheritance.inherited(dispatch.definitions.dumps)
        calls, needed_by_calls = library_calls.library_calls(dispatch.definitions.dumps_global)
        needed |= needed_by_calls | shared.needed | changes.needed
        definitions = dispatch.definitions.missing(pickled.needed, {}, needed)
        known = {each.name for each in definitions}
        small = dispatch.definitions.small(importing.rebound_names())
        rest = [each for each in small if each.name not in known]
        if importing.is_to_be_imported():  # what its main part has set since
            definitions += rest
        dispatch.names = {each.name: each.version for each in definitions}
        setup = worker.Setup(
            importing.identity_of_main(),
            definitions,
            rest,
            [bytes(frame) for frame in pickled.frames],
            list(sys.path),
            list(sys.argv),
            os.getcwd(),
            environment,
            settings,
            calls,
            shared.values,
            changes.values,
            module_files.files_of_modules(),
            self._seed,
            self._stand_in,
            takes_exit,
        )
        return pickle.dumps(setup), large

    def _leave(self) -> None:
        for rank in self._ranks():
            if rank:
                self._order(rank, Order(LEAVE), [b"lost"] if self._lost else [])
        self._worker_manager.end()
        if self._link is not None:
            drain(self._link, _FAREWELL_SECONDS)

    def _lose(self, rank: int) -> None:
        """Go on without a rank."""
        self._lost.add(rank)
        self._comm.lost_ranks += 1
        host = self._peers[rank].host
        warn(f"rank {rank} on host {host} was lost; the others go on")
        for dispatch in list(self._pools.values()):
            dispatch.lose(rank)
            self._look_at(dispatch)
