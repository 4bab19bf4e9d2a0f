"""Which worker gets which tasks of a pool.

All is called by the engine's thread.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import pickle
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from mpipar.base.errors import PoolTerminated
from mpipar.pool import worker_manager
from mpipar.pool.calls_job import CallsJob
from mpipar.pool.definitions import Definitions
from mpipar.pool.evaluation import DONE, Part
from mpipar.pool.expectations import Expectations
from mpipar.pool.jobs import Job, Raised
from mpipar.pool.losses import Losses
from mpipar.pool.outcomes import error_of_initializer, outcomes_of
from mpipar.pool.packing import Packing, message
from mpipar.pool.slot import Handed, Slot, Slots
from mpipar.pool.staff import Staff
from mpipar.pool.streaming_job import FedJob
from mpipar.pool.worker_manager import Event, Order
from mpipar.runtime.channel import Frames

if TYPE_CHECKING:
    from mpipar.pool.recall import Recall
    from mpipar.pool.recalled_tasks import Task


class Dispatch:
    """What is known of a pool, its workers and its jobs.

    Parameters
    ----------
    number : int
        Of the pool.
    calls_number : int
        Of the job that single tasks belong to.
    order : callable
        ``order(rank, order, frames)``: have something done by the worker manager of a rank.
    hosts : list of str
        The nodes of all ranks.
    retries : int
        How often a task is tried again after its worker has died.
    max_tasks : int, optional
        After so many tasks (or chunks of them) a worker process is replaced.
    recall : Recall, optional
        What need not be evaluated again.

    Attributes
    ----------
    staff : Staff
        The workers.
    size : int
        Number of worker processes in all ranks.
    names : dict
        {name of the main script: version of what all workers begin with}.
    broken_by : BaseException or None
        Why the workers can't start.
    ended : threading.Event
        Whether all is over.
    """

    def __init__(
        self,
        number: int,
        calls_number: int,
        order: Callable[[int, Order, Frames], None],
        hosts: list[str],
        retries: int,
        max_tasks: int | None,
        recall: Recall | None = None,
    ) -> None:
        self.number, self.retries, self.recall = number, retries, recall
        self.staff = Staff(number, order)
        self._hosts = hosts
        self.units = math.inf if max_tasks is None else max_tasks
        self.definitions = Definitions()  # its own: a new pool sees what was changed in place
        self._packing = Packing(self.definitions)
        self._losses = Losses(hosts, retries)
        self._expectations = Expectations()
        self.names: dict[str, int] = {}
        self.slots = Slots(self._renew)
        self.jobs: dict[int, Job] = {}
        self.calls = CallsJob(recall)
        self.calls.number = calls_number
        self.ready: dict[int, Job] = {}  # jobs that have tasks to hand out, in this order
        self.size = 0
        self.is_closing = False
        self.error: BaseException | None = None  # why nothing can be done any more
        self.broken_by: BaseException | None = None
        self.ended = threading.Event()
        self._batch_numbers = itertools.count()

    def open(self, workers: dict[int, int], begin: Callable[[int], Frames]) -> None:
        """Have so many workers in each rank, which begin with what that returns for it; they start
        when they get a task, or are to.
        """
        self.staff.open(workers, begin)
        self.slots.open(workers, self.names, self.units)

    def add(self, job: Job) -> None:
        """Take in a job."""
        if self.error is not None or self.ended.is_set():
            job.cancel(self.error or _over())
            return
        if job.error is not None:
            job.cancel(job.error)
            return
        job.put_known()
        if job.is_done:
            return
        self.jobs[job.number] = job
        self.ready[job.number] = job
        if type(job) is FedJob:
            job.narrow(self.size)
        else:
            job.expected = self._expectations.of(job)

    def add_call(self, name: str, call: Any, sink: Any, task: Task | None = None) -> None:
        """Take in a single task: its function's name, and (function, arguments, keywords), a
        snapshot of these, or the Raised that comes out of it; and what tells it from others, if its
        outcome may be known.
        """
        if self.error is not None or self.ended.is_set():
            if sink.start():
                sink.put(Raised(self.error or _over()))
            return
        if type(call) is not Raised:
            self.calls.add(name, call, sink, task)
        elif sink.start():
            sink.put(call)

    def abandon(self, job: Job) -> None:
        """End a job that nobody waits for any more."""
        job.cancel(_over())
        self._end_job(job)

    def cancel_waiting(self) -> None:
        """Cancel all single tasks that no worker has, and what is left of all other jobs."""
        self.calls.cancel_waiting()
        for job in list(self.jobs.values()):
            job.cancel(CancelledError())
            self._end_job(job)

    def close(self) -> None:
        """End the workers when all is done, and don't wait for values to be fetched."""
        self.is_closing = True
        for job in list(self.jobs.values()):
            if type(job) is FedJob:
                job.hurry()

    def terminate(self) -> None:
        """End the workers at once."""
        if not self.ended.is_set():
            self.staff.end()
            self._cancel(_over())
            self._end()

    def _cancel(self, error: BaseException) -> None:
        for job in [*self.jobs.values(), self.calls]:
            job.cancel(error)
        self.jobs.clear()
        self.ready.clear()

    def _end(self) -> None:
        self.slots.drop()
        self.definitions.release()
        self.ended.set()

    def is_here(self, rank: int) -> bool:
        """Return whether a rank is on the root's node."""
        return self._hosts[rank] == self._hosts[0]

    def fail(self, error: BaseException) -> None:
        """Let all that there is to come be an error, whatever state this is in."""
        self.error = error
        with contextlib.suppress(Exception):
            self._cancel(error)
        self._end()

    # Handing out.

    def assign(self) -> None:
        """Give tasks to workers that have none, or soon will have none."""
        free, almost_free = self.slots.free, self.slots.almost_free
        while free and self._give(free[0]):
            slot = free.popleft()
            if slot.batches[0].is_short and self.retries and slot.units > 0:
                almost_free.append(slot)
        while not free and almost_free and self._give(almost_free[0]):
            almost_free.popleft()
        if self.is_closing:
            self._end_if_done()

    def _end_if_done(self) -> None:
        if self.jobs or self.calls.unfinished:
            return
        if not self.ended.is_set():
            self.staff.end(worker_manager.CLOSE)
        self._end()

    def _give(self, slot: Slot) -> bool:
        """Give a worker some tasks; return whether there were any."""
        calls = self.calls
        has_calls = calls.waiting or calls.again or calls.returned
        if has_calls and self._give_of(calls, slot):
            return True
        for _ in range(len(self.ready)):
            if not self.ready:
                break
            job = next(iter(self.ready.values()))
            if self._give_of(job, slot):
                return True
            self._pass_over(job)
        return False

    def _pass_over(self, job: Job) -> None:
        """Look at the next job first from now on, as this one has nothing to hand out."""
        if self.ready.pop(job.number, None) is None:
            return  # it was cancelled
        if type(job) is FedJob and not job.is_done:
            self.ready[job.number] = job  # it may have more later
        elif job.is_done:
            self._end_job(job)

    def _give_of(self, job: Job, slot: Slot) -> bool:
        while True:
            indices, items = job.hand_out(self.size, slot.units, one_by_one=not self.retries)
            if not len(indices):
                return False
            if self._send(job, slot, indices, items):
                return True
            if job.is_done:
                self._end_job(job)
                return False

    def _send(self, job: Job, slot: Slot, indices: Any, items: Any) -> bool:
        """Send tasks to a worker; return False if they were dealt with otherwise."""
        is_chunked = job.is_chunked
        try:
            if is_chunked:
                pickled = self._packing.chunks(items, indices, job.unit)
            else:
                pickled = self._packing.pickled(items)
            stamp = self._packing.stamp(job, pickled)
        except Exception as error:  # some of these can't
            self._dont_send(job, indices, error)
            return False
        if stamp is None:
            self._dont_send(job, indices, CancelledError())
            return False
        is_short = job.is_short(len(indices), self.size)
        number = next(self._batch_numbers)
        batch = Handed(number, job, indices, pickled.lent, is_short=is_short, is_chunked=is_chunked)
        slot.units -= -(-len(indices) // job.unit)
        slot.batches.append(batch)
        self.staff.send(slot, message(batch, slot, stamp, pickled.frames))
        return True

    def _dont_send(self, job: Job, indices: Any, problem: BaseException) -> None:
        """Let a task fail that can't be sent; of several, try one by one."""
        if job.is_inseparable(indices):
            job.put(indices, [Raised(problem)] * len(indices))
        else:
            job.again.extend(indices)

    # Taking in.

    def take_in(self, rank: int, event: Event, frames: Frames) -> None:
        """Take in what happened at the worker manager of a rank."""
        if event.what == worker_manager.BROKE:
            self._break(frames)
            return
        slot = self.slots.by_place.get((rank, event.slot))
        if slot is None:
            return
        if event.what == worker_manager.LOST:
            reason = bytes(frames[0]).decode()
            self._losses.tell(slot, reason)
            self._requeue(slot, reason)
            self.slots.set_free(slot)
        elif event.what == worker_manager.STARTED:
            slot.pid = int(bytes(frames[0]))
        else:
            self._hear(slot, frames)

    def _break(self, frames: Frames) -> None:
        """End all, as workers can't start."""
        error = error_of_initializer(frames)
        self.error = self.broken_by = error
        self.staff.end()
        self._cancel(error)
        self.slots.drop()

    def _hear(self, slot: Slot, frames: Frames) -> None:
        """Take in a message from a worker."""
        what, part = pickle.loads(frames[0])
        told = Part(*part)
        batch = slot.batch(told.number)
        if batch is None:
            return
        job = batch.job
        outcomes, all_well = outcomes_of(
            frames[1:], told.tasks, told.failed, self._packing.explained
        )
        indices, batch.indices = batch.indices[: told.tasks], batch.indices[told.tasks :]
        if told.seconds:
            job.note(told.tasks or 1, told.seconds)
        if type(job) is FedJob:
            job.note_size(told.tasks, frames)
            job.narrow(self.size)
        if job.keeper is not None and told.tasks:
            job.keeper.note(indices, outcomes, (slot.rank, slot.number, told.seconds))
        if told.tasks and not job.is_done:  # else it was cancelled
            job.put(indices, outcomes, all_well=all_well)
        if what == DONE:
            slot.batches.remove(batch)
            self.slots.set_free(slot)
        else:  # it takes longer than it should
            self._lighten(slot, batch, told.returned)
        if job.is_done:
            self._end_job(job)

    def _lighten(self, slot: Slot, batch: Handed, returned: int) -> None:
        """Take back the last tasks of a batch for others; give its worker no more meanwhile."""
        batch.is_short = False
        self.slots.hold(slot)
        if not returned:
            return
        job = batch.job
        if not job.is_done:
            job.returned.extend(batch.indices[-returned:])
            self._set_ready(job)
        batch.indices = batch.indices[:-returned]
        slot.units += returned // job.unit

    def _set_ready(self, job: Job) -> None:
        """Note that a job has tasks to hand out again."""
        if job is not self.calls:
            self.ready.setdefault(job.number, job)

    def _renew(self, slot: Slot) -> None:
        """Have a worker replaced that has done as many tasks as it may."""
        self.staff.renew(slot)
        slot.begin(self.names, self.units)

    def _end_job(self, job: Job) -> None:
        if self.jobs.pop(job.number, None) is None:
            return
        self.ready.pop(job.number, None)
        self._expectations.learn(job)
        self.slots.forget(job.number)

    def lose(self, rank: int) -> None:
        """Go on without a rank."""
        self.staff.lose(rank)
        for slot in self.slots.lose(rank):
            self._requeue(slot, "its rank was lost")
        self.size = max(1, len(self.slots.by_place))

    def _requeue(self, slot: Slot, reason: str) -> None:
        """Have the tasks done again that a worker had."""
        was_ready = slot.pid is not None
        batches, slot.batches = slot.batches, deque()
        slot.begin(self.names, self.units)
        for position, batch in enumerate(batches):
            job, indices = batch.job, list(batch.indices)
            if job.is_done:
                continue
            is_alone = position == 0 and was_ready and job.is_inseparable(indices)
            if is_alone and self._is_given_up(job, indices, slot, reason):
                continue
            job.again.extend(indices)
            self._set_ready(job)

    def _is_given_up(self, job: Job, tasks: list[int], slot: Slot, reason: str) -> bool:
        """Let a task, or a chunk, fail if it ends every worker that has it; return whether it
        does.
        """
        outcome = self._losses.blame(job, tasks[0], slot, reason)
        if outcome is None:
            return False
        job.put(tasks, [outcome] * len(tasks))
        if job.is_done:
            self._end_job(job)
        return True


def _over() -> PoolTerminated:
    return PoolTerminated("the pool was terminated")
