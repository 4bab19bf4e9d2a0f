"""The thread of the root that hands out tasks. Imports mpipar.runtime and the modules beside it, but for the faces.

::

    script's threads                  engine's thread
    Session.submit(job) ──post──▶ jobs ─▶ batches ─▶ slots: one for each worker process of each rank
    result.get()  ◀──── sinks ◀── outcomes ◀──────── events of stations, the root's own and those of relays
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined]
from queue import SimpleQueue
from typing import Any

from mpipar.core.errors import PoolTerminated, RunFailed, WorkerLost
from mpipar.pool import by_value, worker
from mpipar.pool.jobs import CallsJob, FedJob, Job, Raised, size_of
from mpipar.pool.meeting import Patience, drain, meet
from mpipar.pool.station import BROKE, CLOSE, KILL, LEAVE, LOST, OPEN, RETIRE, SEND, Event, Order, Station
from mpipar.runtime.channel import Frames
from mpipar.runtime.comm import Comm
from mpipar.runtime.doorbell import Doorbell
from mpipar.runtime.interfaces import LOOPBACK, shared_address
from mpipar.runtime.launcher import is_launchers
from mpipar.runtime.node import pinning_advice

_environment_at_start = dict(os.environ)

_FAREWELL_SECONDS = 2.0  # that last messages to other ranks are given


class _Batch:
    """Tasks that a worker has: those of them that it hasn't sent the outcome of."""

    __slots__ = ("indices", "is_short", "job", "number")

    def __init__(self, number: int, job: Job, indices: Any, *, is_short: bool) -> None:
        self.number, self.job, self.indices, self.is_short = number, job, indices, is_short


class _Slot:
    """A place for a worker process, as the engine sees it: the process there may change."""

    def __init__(self, rank: int, number: int, names: dict[str, int], units: float) -> None:
        self.rank, self.number = rank, number
        self.batches: deque[_Batch] = deque()
        self.begin(names, units)

    def begin(self, names: dict[str, int], units: float) -> None:
        """Note that there is a new process."""
        self.pid: int | None = None  # until it is ready
        self.names = dict(names)  # {name of the main script: version of what it has been told}
        self.jobs: set[int] = set()  # whose functions it has
        self.forget: list[int] = []
        self.units = units  # what it will still do before it is replaced


class Session:
    """What the engine knows of a pool; what it says of itself is for the script's threads.

    Parameters
    ----------
    engine : Engine
    number : int
        Of the pool.
    retries : int
        How often a task is tried again after its worker has died.
    max_tasks : int, optional
        After so many tasks (or chunks of them) a worker process is replaced.

    Attributes
    ----------
    size : int
        Number of worker processes in all ranks.
    ended : threading.Event
        Whether all is over.
    """

    def __init__(self, engine: Engine, number: int, retries: int, max_tasks: int | None) -> None:
        self._engine = engine
        self.number, self.retries = number, retries
        self.units = float("inf") if max_tasks is None else max_tasks
        self.definitions = by_value.Definitions()  # of its own: a new pool sees what has been changed in place
        self.names: dict[str, int] = {}
        self.slots: dict[tuple[int, int], _Slot] = {}
        self.free: deque[_Slot] = deque()  # that have nothing to do
        self.almost_free: deque[_Slot] = deque()  # that have one short batch
        self.jobs: dict[int, Job] = {}
        self.calls = CallsJob()
        self.calls.number = engine.new_job_number()
        self.ready: deque[Job] = deque()  # jobs that have tasks to hand out
        self.size = 0
        self.is_closing = False
        self.error: BaseException | None = None  # why nothing can be done any more
        self.ended = threading.Event()

    def submit(self, job: Job) -> None:
        """Have a job done."""
        job.number = self._engine.new_job_number()
        job.start()
        self._engine.post(self, lambda: self._engine.add(self, job))

    def call(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], sink: Any) -> None:
        """Have a single task done."""
        self._engine.post(self, lambda: self._engine.add_call(self, function, arguments, keywords, sink))

    def later(self, action: Callable[[], None]) -> None:
        """Call back, in a thread for that alone: it may take long, or hand in more."""
        self._engine.later(action)

    def wake(self) -> None:
        """Have the engine look whether there are new tasks."""
        self._engine.post(self, _nothing)

    def close(self) -> None:
        """End the workers when all is done."""
        self._engine.post(self, lambda: self._engine.close(self))

    def hurry(self) -> None:
        """Don't wait for values to be fetched."""
        for job in list(self.jobs.values()):
            if isinstance(job, FedJob):
                job.hurry()

    def abandon(self, job: Job) -> None:
        """Have a job ended that nobody waits for any more."""
        self._engine.post(self, lambda: self._engine.abandon(self, job))

    def cancel_waiting(self) -> None:
        """Cancel all single tasks that no worker has, and what is left of all other jobs."""
        self._engine.post(self, lambda: self._engine.cancel_waiting(self))

    def terminate(self) -> None:
        """End the workers at once, and wait for that."""
        self._engine.post(self, lambda: self._engine.terminate(self))
        self.wait()

    def wait(self) -> None:
        """Wait until all is over."""
        if threading.current_thread() is not self._engine:  # else this is a callback of what is not over
            self.ended.wait()


def _nothing() -> None:
    """Do nothing."""


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
    stands_in : bool
        Whether in workers, too, the names of multiprocessing stand for mpipar's.

    Attributes
    ----------
    workers : list of int
        Worker processes in each rank.
    """

    def __init__(self, comm: Comm, workers: int | str = 1, *, seed: int | None = None, stands_in: bool = False) -> None:
        super().__init__(name="mpipar engine", daemon=True)
        self._comm, self._seed, self._stands_in = comm, seed, stands_in
        self._bell = Doorbell()
        self._link, self._peers = meet(comm, self._bell, workers)
        self.workers = [peer.workers for peer in self._peers]
        self._advise()
        rung = all(peer.bell is not None for peer in self._peers)
        self._station = Station(self._bell)
        self._patience = Patience(self._link, rung=rung)
        self._sessions: dict[int, Session] = {}
        self._numbers, self._job_numbers, self._batch_numbers = (itertools.count() for _ in range(3))
        self._lost: set[int] = set()
        self._actions: deque[tuple[Session, Callable[[], None]]] = deque()
        self._is_sleeping = False
        self._is_ending = False
        self._callbacks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._callback_thread = threading.Thread(target=self._call_back, name="mpipar callbacks", daemon=True)

    def _advise(self) -> None:
        """Tell how to mend it where a rank's workers have too few cores."""
        for rank, peer in enumerate(self._peers):
            advice = pinning_advice(peer.cores, peer.workers)
            if advice is not None:
                print(f"mpipar: rank {rank} on host {peer.host}: {advice}", file=sys.stderr, flush=True)
                return  # mostly it is the same everywhere

    # What the script's threads call.

    def start(self) -> None:
        """Begin."""
        self._callback_thread.start()
        super().start()

    def session(
        self,
        *,
        workers: list[int],
        initializer: tuple[Any, tuple[Any, ...]] | None = None,
        retries: int = 1,
        max_tasks: int | None = None,
    ) -> Session:
        """Open a pool, with so many workers in each rank. Raises whatever pickling the initializer raises."""
        session = Session(self, next(self._numbers), retries, max_tasks)
        session.size = sum(workers)
        setup = self._setup(session, initializer)
        self.post(session, lambda: self._open(session, workers, setup))
        return session

    def new_job_number(self) -> int:
        """Return a number that no job has."""
        return next(self._job_numbers)

    def post(self, session: Session, action: Callable[[], None]) -> None:
        """Have the engine do something for a session."""
        self._actions.append((session, action))
        if self._is_sleeping:
            self._bell.ring(self._bell.name)

    def later(self, action: Callable[[], None]) -> None:
        """Have something called by the thread for callbacks."""
        self._callbacks.put(action)

    def finish(self) -> None:
        """End all pools at once, all workers, and the service of other ranks; wait for that."""
        if not self.is_alive():
            return
        for session in list(self._sessions.values()):
            session.terminate()
        self._is_ending = True
        self._bell.ring(self._bell.name)
        self.join()
        self._callbacks.put(None)

    def address(self) -> str:
        """Return an address of this node that all ranks can connect to. Raises RunFailed if there is none."""
        own = self._peers[0]
        others = {peer.host: peer.networks for peer in self._peers if peer.host != own.host}
        if not others:
            return LOOPBACK
        address = shared_address(own.networks, list(others.values()))
        if address is None:
            told = "; ".join(f"{host}: {', '.join(found) or 'none'}" for host, found in others.items())
            raise RunFailed(f"the nodes share no network ({own.host}: {', '.join(own.networks) or 'none'}; {told})")
        return address

    # What the engine's own thread does.

    def run(self) -> None:  # noqa: D102
        try:
            while not self._is_ending:
                self._turn()
            self._leave()
        except BaseException as error:  # a bug; nobody may wait for ever
            traceback.print_exc()
            if self._link is not None:
                self._comm.abort(1)
            for session in list(self._sessions.values()):
                self._abandon(session, error)

    def _turn(self) -> None:
        self._is_sleeping = True
        self._station.wait(0.0 if self._actions or self._is_ending else self._patience.seconds())
        self._is_sleeping = False
        while self._actions:
            session, action = self._actions.popleft()
            action()
            self._assign(session)
        for event, frames in self._station.events():
            self._take_in(0, event, frames)
        if self._link is not None:
            for rank, (head, *frames) in self._link.receive():
                self._patience.note()
                self._take_in(rank, Event(*pickle.loads(head)), frames)
            for rank in self._link.lost - self._lost:
                self._lose(rank)

    def _order(self, rank: int, order: Order, frames: Frames = ()) -> None:
        """Have something done by the station of a rank."""
        if rank == 0:
            self._station.obey(order, frames)
            return
        assert self._link is not None
        self._patience.note()
        self._link.send(rank, [pickle.dumps(tuple(order)), *frames])
        bell = self._peers[rank].bell
        if bell is not None:
            self._bell.ring(bell)

    def _ranks(self) -> list[int]:
        return [rank for rank in range(self._comm.size) if rank not in self._lost]

    def _setup(self, session: Session, initializer: tuple[Any, tuple[Any, ...]] | None) -> bytes:
        pickled = session.definitions.dumps(initializer)
        definitions = session.definitions.missing(pickled.needed, {})
        session.names = {each.name: each.version for each in definitions}
        environment: dict[str, str | None] = {
            name: value
            for name, value in os.environ.items()
            if _environment_at_start.get(name) != value and not is_launchers(name)
        }
        environment |= {name: None for name in _environment_at_start if name not in os.environ}
        return pickle.dumps(
            worker.Setup(
                definitions,
                [bytes(frame) for frame in pickled.frames],
                list(sys.path),
                list(sys.argv),
                os.getcwd(),
                environment,
                self._seed,
                self._stands_in,
            )
        )

    def _open(self, session: Session, workers: list[int], setup: bytes) -> None:
        self._sessions[session.number] = session
        for rank in self._ranks():
            self._order(rank, Order(OPEN, session.number), [str(workers[rank]).encode(), setup])
        for number in range(max(workers)):  # few tasks go to different ranks
            for rank in self._ranks():
                if number < workers[rank]:
                    slot = session.slots[rank, number] = _Slot(rank, number, session.names, session.units)
                    session.free.append(slot)

    def add(self, session: Session, job: Job) -> None:
        """Take in a job."""
        if session.error is not None or session.ended.is_set():
            job.cancel(session.error or _over())
            return
        session.definitions.remember(job.function)
        session.jobs[job.number] = job
        session.ready.append(job)
        if isinstance(job, FedJob):
            job.narrow(session.size)

    def add_call(
        self, session: Session, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], sink: Any
    ) -> None:
        """Take in a single task."""
        if session.error is not None or session.ended.is_set():
            if sink.start():
                sink.put(Raised(session.error or _over()))
            return
        session.definitions.remember(function)
        session.calls.add(function, arguments, keywords, sink)

    def abandon(self, session: Session, job: Job) -> None:
        """End a job."""
        job.cancel(_over())
        self._end_job(session, job)

    def cancel_waiting(self, session: Session) -> None:
        """Cancel what no worker has."""
        session.calls.cancel_waiting()
        for job in list(session.jobs.values()):
            job.cancel(CancelledError())
            self._end_job(session, job)

    def close(self, session: Session) -> None:
        """End the workers when all is done."""
        session.is_closing = True
        session.hurry()

    def terminate(self, session: Session) -> None:
        """End the workers at once."""
        if not session.ended.is_set():
            self._end_workers(session, KILL)
            self._cancel(session, _over())
            self._forget(session)

    def _end_workers(self, session: Session, how: str) -> None:
        for rank in self._ranks():
            self._order(rank, Order(how, session.number))

    def _cancel(self, session: Session, error: BaseException) -> None:
        for job in [*session.jobs.values(), session.calls]:
            job.cancel(error)
        session.jobs.clear()
        session.ready.clear()

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.number, None)
        session.slots.clear()
        session.free.clear()
        session.almost_free.clear()
        session.ended.set()

    def _abandon(self, session: Session, error: BaseException) -> None:
        session.error = error
        with contextlib.suppress(Exception):
            self._cancel(session, error)
        self._forget(session)

    def _leave(self) -> None:
        for rank in self._ranks():
            if rank:
                self._order(rank, Order(LEAVE), [b"lost"] if self._lost else [])
        self._station.end()
        if self._link is not None:
            drain(self._link, _FAREWELL_SECONDS)

    # Handing out.

    def _assign(self, session: Session) -> None:
        """Give tasks to workers that have none, or soon will have none."""
        while session.free and self._give(session, session.free[0]):
            slot = session.free.popleft()
            if slot.batches[0].is_short and session.retries and slot.units > 0:
                session.almost_free.append(slot)
        while not session.free and session.almost_free and self._give(session, session.almost_free[0]):
            session.almost_free.popleft()
        if session.is_closing and not session.jobs and not session.calls.unfinished:
            if not session.ended.is_set():
                self._end_workers(session, CLOSE)
            self._forget(session)

    def _give(self, session: Session, slot: _Slot) -> bool:
        """Give a worker some tasks; return whether there were any."""
        if (session.calls.waiting or session.calls.again) and self._give_of(session, session.calls, slot):
            return True
        for _ in range(len(session.ready)):
            job = session.ready[0]
            if self._give_of(session, job, slot):
                return True
            if not session.ready or session.ready[0] is not job:
                continue  # it was cancelled
            if isinstance(job, FedJob) and not job.is_done:
                session.ready.rotate(-1)  # it may have more later
                continue
            session.ready.popleft()
            if job.is_done:
                self._end_job(session, job)
        return False

    def _give_of(self, session: Session, job: Job, slot: _Slot) -> bool:
        while True:
            if job.again:
                indices: Any = [job.again.popleft()]
                items = job.items(indices)
            else:
                count = job.batch_size(session.size) if session.retries else 1
                if slot.units != float("inf"):
                    count = min(count, max(1, int(slot.units)) * job.unit)
                indices, items = job.take(count)
            if not len(indices):
                return False
            if self._send(session, job, slot, indices, items):
                return True
            if job.is_done:
                self._end_job(session, job)
                return False

    def _send(self, session: Session, job: Job, slot: _Slot, indices: Any, items: Any) -> bool:
        """Send tasks to a worker; return False if that can't be done, and they have been dealt with otherwise."""
        definitions: list[by_value.Definition] = []
        if job.function is not None:
            try:
                if job.pickled is None:
                    job.pickled = session.definitions.dumps(job.function)
                definitions = session.definitions.missing(job.pickled.needed, slot.names)
            except Exception as error:  # the function can't be sent
                job.cancel(error)
                return False
        function = job.pickled.frames if job.function is not None and job.number not in slot.jobs else ()
        try:
            pickled = session.definitions.dumps(items)
            if pickled.needed:
                has = slot.names | {each.name: each.version for each in definitions}
                definitions += session.definitions.missing(pickled.needed, has)
        except Exception as error:  # some of these can't
            if len(indices) == 1:
                job.put(indices, [Raised(error)])
            else:
                job.again.extend(indices)
            return False
        batch = _Batch(next(self._batch_numbers), job, indices, is_short=job.is_short(len(indices), session.size))
        told = worker.Batch(
            batch.number,
            job.number,
            job.kind,
            indices,
            definitions,
            len(function),
            slot.forget,
        )
        slot.forget = []
        slot.names.update((each.name, each.version) for each in definitions)
        if function:
            slot.jobs.add(job.number)
        slot.units -= -(-len(indices) // job.unit)
        slot.batches.append(batch)
        head = pickle.dumps((worker.BATCH, told))
        self._order(slot.rank, Order(SEND, session.number, slot.number), [head, *function, *pickled.frames])
        return True

    # Taking in.

    def _take_in(self, rank: int, event: Event, frames: Frames) -> None:
        session = self._sessions.get(event.pool)
        if session is None:
            return
        if event.what == BROKE:
            session.error = by_value.loads(frames)
            self._end_workers(session, KILL)
            self._cancel(session, session.error)
            session.slots.clear()
            session.free.clear()
            session.almost_free.clear()
        else:
            slot = session.slots.get((rank, event.slot))
            if slot is None:
                return
            if event.what == LOST:
                self._tell_of_loss(slot, bytes(frames[0]).decode())
                self._requeue(session, slot, bytes(frames[0]).decode())
                self._set_free(session, slot)
            else:
                self._hear(session, slot, frames)
        self._assign(session)

    def _hear(self, session: Session, slot: _Slot, frames: Frames) -> None:
        """Take in a message from a worker."""
        what, told = pickle.loads(frames[0])
        if what == worker.READY:
            slot.pid = told
            return
        batch = next((batch for batch in slot.batches if batch.number == told.number), None)
        if batch is None:
            return
        job = batch.job
        all_well = not told.failed
        try:
            outcomes = by_value.loads(frames[1:])
        except Exception as error:
            outcomes = [Raised(MaybeEncodingError(error, "a result, which can't be unpickled"))] * told.tasks
            all_well = False
        else:
            for index in told.failed:
                outcomes[index] = Raised(self._explained(session, outcomes[index]))
        indices, batch.indices = batch.indices[: told.tasks], batch.indices[told.tasks :]
        job.note(told.tasks, told.seconds)
        if isinstance(job, FedJob):
            job.note_size(told.tasks, size_of(frames))
            job.narrow(session.size)
        if not job.is_done:  # else it was cancelled
            job.put(indices, outcomes, all_well=all_well)
        if what == worker.DONE:
            slot.batches.remove(batch)
            self._set_free(session, slot)
        if job.is_done:
            self._end_job(session, job)

    def _set_free(self, session: Session, slot: _Slot) -> None:
        """Note that a worker has less to do, or nothing."""
        with contextlib.suppress(ValueError):
            session.almost_free.remove(slot)
        if not slot.batches:
            if slot.units <= 0:
                self._order(slot.rank, Order(RETIRE, session.number, slot.number))
                slot.begin(session.names, session.units)
            session.free.append(slot)
        elif len(slot.batches) == 1 and slot.batches[0].is_short and slot.units > 0:
            session.almost_free.append(slot)

    def _end_job(self, session: Session, job: Job) -> None:
        if session.jobs.pop(job.number, None) is None:
            return
        with contextlib.suppress(ValueError):
            session.ready.remove(job)
        for slot in session.slots.values():
            if job.number in slot.jobs:
                slot.jobs.remove(job.number)
                slot.forget.append(job.number)

    def _explained(self, session: Session, error: Any) -> BaseException:
        """Return an exception, with a note if it comes from what could not be sent."""
        if isinstance(error, NameError):
            name = re.search(r"name '(\w+)' is not defined", str(error))  # error.name doesn't travel
            reason = name and session.definitions.unsendable(name[1])
            if name and reason:
                error.add_note(f"{name[1]!r} of the script could not be sent to workers: {reason}")
        return error  # type: ignore[no-any-return]

    # Losses.

    def _tell_of_loss(self, slot: _Slot, reason: str) -> None:
        host = self._peers[slot.rank].host
        print(f"mpipar: rank {slot.rank} on host {host}: {reason}; it is replaced", file=sys.stderr, flush=True)

    def _requeue(self, session: Session, slot: _Slot, reason: str) -> None:
        """Have the tasks done again that a worker had."""
        was_ready = slot.pid is not None
        batches, slot.batches = slot.batches, deque()
        slot.begin(session.names, session.units)
        for position, batch in enumerate(batches):
            job, indices = batch.job, list(batch.indices)
            if job.is_done:
                continue
            if position == 0 and was_ready and len(indices) == 1:  # it alone can be to blame
                task = indices[0]
                job.deaths[task] += 1
                if job.deaths[task] > session.retries:
                    self._give_up(
                        session, job, task, f"{reason}, rank {slot.rank} on host {self._peers[slot.rank].host}"
                    )
                    continue
            job.again.extend(indices)
            if job is not session.calls and job not in session.ready:
                session.ready.appendleft(job)

    def _give_up(self, session: Session, job: Job, task: int, reason: str) -> None:
        """Let a task fail, as it ends every worker that has it."""
        deaths = job.deaths[task]
        last = f", the last of {deaths} workers that had it" if deaths > 1 else ""
        job.put([task], [Raised(WorkerLost(f"task {task} of {job.describe(task)} was given up: {reason}{last}"))])
        if job.is_done:
            self._end_job(session, job)

    def _lose(self, rank: int) -> None:
        """Go on without a rank."""
        self._lost.add(rank)
        self._comm.lost_ranks += 1
        host = self._peers[rank].host
        print(f"mpipar: rank {rank} on host {host} was lost; the others go on", file=sys.stderr, flush=True)
        for session in list(self._sessions.values()):
            for key, slot in list(session.slots.items()):
                if slot.rank == rank:
                    del session.slots[key]
                    for queue in (session.free, session.almost_free):
                        with contextlib.suppress(ValueError):
                            queue.remove(slot)
                    self._requeue(session, slot, "its rank was lost")
            session.size = max(1, len(session.slots))
            self._assign(session)

    def _call_back(self) -> None:
        while (action := self._callbacks.get()) is not None:
            try:
                action()
            except BaseException:  # of the script's callback
                traceback.print_exc()


def _over() -> PoolTerminated:
    return PoolTerminated("the pool was terminated")
