"""Which worker gets which tasks of a pool.

All is called by the engine's thread.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from typing import Any

from mpipar.base.errors import PoolTerminated, WorkerLost
from mpipar.pool import by_value
from mpipar.pool.calls import Calls
from mpipar.pool.definitions import Definitions
from mpipar.pool.evaluation import BATCH, DONE, READY, Batch, Part
from mpipar.pool.expectations import Expectations
from mpipar.pool.jobs import CallsJob, Job, Raised
from mpipar.pool.main_names import Definition
from mpipar.pool.outcomes import outcomes_of
from mpipar.pool.plain import are_plain
from mpipar.pool.slot import Handed, Slot
from mpipar.pool.snapshot import packed
from mpipar.pool.streaming_job import FedJob
from mpipar.pool.worker_manager import BROKE, CLOSE, KILL, LOST, OPEN, RETIRE, SEND, Event, Order
from mpipar.runtime.channel import Frames


class Dispatch:
    """What is known of a pool, its workers and its jobs.

    Parameters
    ----------
    number : int
        Of the pool.
    calls_number : int
        Of the job that single tasks belong to.
    order : callable
        ``order(rank, order, frames)``: have something done by the station of a rank.
    hosts : list of str
        The nodes of all ranks.
    retries : int
        How often a task is tried again after its worker has died.
    max_tasks : int, optional
        After so many tasks (or chunks of them) a worker process is replaced.

    Attributes
    ----------
    size : int
        Number of worker processes in all ranks.
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
    ) -> None:
        self.number, self.retries = number, retries
        self._order, self._hosts = order, hosts
        self.units = float("inf") if max_tasks is None else max_tasks
        self.definitions = (
            Definitions()
        )  # of its own: a new pool sees what has been changed in place
        self._reused: by_value.Reused | None = None
        self._expectations = Expectations()
        self.names: dict[
            str, int
        ] = {}  # {name of the main script: version of what all workers begin with}
        self.slots: dict[tuple[int, int], Slot] = {}
        self.free: deque[Slot] = deque()  # that have nothing to do
        self.almost_free: deque[Slot] = deque()  # that have one short batch
        self.jobs: dict[int, Job] = {}
        self.calls = CallsJob()
        self.calls.number = calls_number
        self.ready: dict[int, Job] = {}  # jobs that have tasks to hand out, in this order
        self.size = 0
        self.is_closing = False
        self.error: BaseException | None = None  # why nothing can be done any more
        self.broken_by: BaseException | None = None
        self.ended = threading.Event()
        self._ranks: list[int] = []  # that live
        self._batch_numbers = itertools.count()

    def open(self, workers: dict[int, int], setup: bytes, script: bytes) -> None:
        """Start so many workers in each rank."""
        self._ranks = list(workers)
        first = 0
        for rank, count in workers.items():
            numbers = f"{count} {first} {sum(workers.values())}".encode()
            self._order(rank, Order(OPEN, self.number), [numbers, setup, script])
            first += count
        for number in range(max(workers.values())):  # few tasks go to different ranks
            for rank, count in workers.items():
                if number < count:
                    slot = self.slots[rank, number] = Slot(rank, number, self.names, self.units)
                    self.free.append(slot)

    def add(self, job: Job) -> None:
        """Take in a job."""
        if self.error is not None or self.ended.is_set():
            job.cancel(self.error or _over())
            return
        if job.error is not None:
            job.cancel(job.error)
            return
        self.jobs[job.number] = job
        self.ready[job.number] = job
        if type(job) is FedJob:
            job.narrow(self.size)
        else:
            job.expected = self._expectations.of(job)

    def add_call(self, name: str, call: Any, sink: Any) -> None:
        """Take in a single task: the name of its function, and (function, arguments, keywords) or a
        snapshot of these.

        A Raised in their place is what comes out of it.
        """
        if self.error is not None or self.ended.is_set():
            if sink.start():
                sink.put(Raised(self.error or _over()))
            return
        if type(call) is not Raised:
            self.calls.add(name, call, sink)
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
            self._end_workers(KILL)
            self._cancel(_over())
            self._end()

    def _end_workers(self, how: str) -> None:
        for rank in self._ranks:
            self._order(rank, Order(how, self.number), ())

    def _cancel(self, error: BaseException) -> None:
        for job in [*self.jobs.values(), self.calls]:
            job.cancel(error)
        self.jobs.clear()
        self.ready.clear()

    def _end(self) -> None:
        self._drop_slots()
        self.definitions.release()
        self.ended.set()

    def is_here(self, rank: int) -> bool:
        """Return whether a rank is on the root's node."""
        return self._hosts[rank] == self._hosts[0]

    def _drop_slots(self) -> None:
        for slot in self.slots.values():
            slot.is_over = True
        self.slots.clear()
        self.free.clear()
        self.almost_free.clear()

    def fail(self, error: BaseException) -> None:
        """Let all that there is to come be an error, whatever state this is in."""
        self.error = error
        with contextlib.suppress(Exception):
            self._cancel(error)
        self._end()

    # Handing out.

    def assign(self) -> None:
        """Give tasks to workers that have none, or soon will have none."""
        while self.free and self._give(self.free[0]):
            slot = self.free.popleft()
            if slot.batches[0].is_short and self.retries and slot.units > 0:
                self.almost_free.append(slot)
        while not self.free and self.almost_free and self._give(self.almost_free[0]):
            self.almost_free.popleft()
        if self.is_closing and not self.jobs and not self.calls.unfinished:
            if not self.ended.is_set():
                self._end_workers(CLOSE)
            self._end()

    def _give(self, slot: Slot) -> bool:
        """Give a worker some tasks; return whether there were any."""
        if (self.calls.waiting or self.calls.again or self.calls.returned) and self._give_of(
            self.calls, slot
        ):
            return True
        for _ in range(len(self.ready)):
            if not self.ready:
                break
            job = next(iter(self.ready.values()))
            if self._give_of(job, slot):
                return True
            if self.ready.pop(job.number, None) is None:
                continue  # it was cancelled
            if type(job) is FedJob and not job.is_done:
                self.ready[job.number] = job  # it may have more later
            elif job.is_done:
                self._end_job(job)
        return False

    def _give_of(self, job: Job, slot: Slot) -> bool:
        while True:
            if job.again:
                indices: Any = [job.again.popleft()]
                items = job.items(indices)
            else:
                count = job.batch_size(self.size) if self.retries else 1
                if slot.units != float("inf"):
                    count = min(count, max(1, int(slot.units)) * job.unit)
                indices, items = job.take_again(count) if job.returned else job.take(count)
            if not len(indices):
                return False
            if self._send(job, slot, indices, items):
                return True
            if job.is_done:
                self._end_job(job)
                return False

    def _send(self, job: Job, slot: Slot, indices: Any, items: Any) -> bool:
        """Send tasks to a worker; return False if that can't be done, and they have been dealt with
        otherwise.
        """
        function = job.function_frames if job.number not in slot.jobs else ()
        try:
            pickled = self._pickled(items)
            stamp = self._stamp(job, pickled)
        except Exception as error:  # some of these can't
            stamp, problem = None, error
        else:
            problem = CancelledError()
        if stamp is None:
            if len(indices) == 1:
                job.put(indices, [Raised(problem)])
            else:
                job.again.extend(indices)
            return False
        definitions = (
            [each for each in stamp.values() if slot.names.get(each.name) != each.version]
            if stamp
            else []
        )
        batch = Handed(
            next(self._batch_numbers), job, indices, is_short=job.is_short(len(indices), self.size)
        )
        batch.lent = pickled.lent
        told = Batch(
            batch.number,
            job.number,
            job.kind,
            indices,
            [each._replace(pickled=b"") for each in definitions],
            len(function),
            slot.forget,
        )
        slot.forget = []
        slot.names.update((each.name, each.version) for each in definitions)
        if function:
            slot.jobs.add(job.number)
        slot.units -= -(-len(indices) // job.unit)
        slot.batches.append(batch)
        head = pickle.dumps((BATCH, tuple(told)))
        frames = [head, *(each.pickled for each in definitions), *function, *pickled.frames]
        self._order(slot.rank, Order(SEND, self.number, slot.number), frames)
        return True

    def _pickled(self, items: Any) -> by_value.Pickled:
        if are_plain(items):
            return by_value.Pickled([pickle.dumps(items)], set(), [], [])
        calls = Calls.pickled(items)
        if calls is not None:
            return calls
        if self._reused is None:
            self._reused = self.definitions.reused()
        together = packed(items)
        return self._reused.dumps(together) or self.definitions.dumps(together)

    def _stamp(self, job: Job, pickled: by_value.Pickled) -> Mapping[str, Definition] | None:
        """Return what names of the script stand for in some tasks; None if that isn't the same in
        all of them.
        """
        if not pickled.needed and not pickled.stamps:
            return job.stamp
        if not pickled.needed and not job.stamp and len(pickled.stamps) == 1:
            return pickled.stamps[0]  # type: ignore[no-any-return]
        found = dict(job.stamp)
        for stamp in pickled.stamps:
            for name, definition in stamp.items():
                if found.setdefault(name, definition) is not definition:
                    return None
        return self.definitions.stamp(pickled.needed) | found

    # Taking in.

    def take_in(self, rank: int, event: Event, frames: Frames) -> None:
        """Take in what happened at the station of a rank."""
        if event.what == BROKE:
            try:
                self.error = by_value.loads(frames)
            except Exception as error:
                self.error = RuntimeError(
                    f"an initializer raised what can't be unpickled: {error!r}"
                )
            assert self.error is not None
            self.broken_by = self.error
            self._end_workers(KILL)
            self._cancel(self.error)
            self._drop_slots()
        elif (slot := self.slots.get((rank, event.slot))) is not None:
            if event.what == LOST:
                reason = bytes(frames[0]).decode()
                self._tell_of_loss(slot, reason)
                self._requeue(slot, reason)
                self._set_free(slot)
            else:
                self._hear(slot, frames)

    def _hear(self, slot: Slot, frames: Frames) -> None:
        """Take in a message from a worker."""
        what, told = pickle.loads(frames[0])
        if what == READY:
            slot.pid = told
            return
        told = Part(*told)
        batch = next((batch for batch in slot.batches if batch.number == told.number), None)
        if batch is None:
            return
        job = batch.job
        outcomes, all_well = outcomes_of(frames[1:], told.tasks, told.failed, self._explained)
        indices, batch.indices = batch.indices[: told.tasks], batch.indices[told.tasks :]
        if told.seconds:
            job.note(told.tasks or 1, told.seconds)
        if type(job) is FedJob:
            job.note_size(told.tasks, frames)
            job.narrow(self.size)
        if told.tasks and not job.is_done:  # else it was cancelled
            job.put(indices, outcomes, all_well=all_well)
        if what != DONE:  # it takes longer than it should
            self._lighten(slot, batch, told.returned)
        if what == DONE:
            slot.batches.remove(batch)
            self._set_free(slot)
        if job.is_done:
            self._end_job(job)

    def _lighten(self, slot: Slot, batch: Handed, returned: int) -> None:
        """Take back the last tasks of a batch, which others may do; give its worker no more
        meanwhile.
        """
        batch.is_short = False
        with contextlib.suppress(ValueError):
            self.almost_free.remove(slot)
        if returned:
            job = batch.job
            if not job.is_done:
                job.returned.extend(batch.indices[-returned:])
                if job is not self.calls:
                    self.ready.setdefault(job.number, job)
            batch.indices = batch.indices[:-returned]
            slot.units += returned // job.unit

    def _set_free(self, slot: Slot) -> None:
        """Note that a worker has less to do, or nothing."""
        with contextlib.suppress(ValueError):
            self.almost_free.remove(slot)
        if not slot.batches:
            if slot.units <= 0:
                self._order(slot.rank, Order(RETIRE, self.number, slot.number), ())
                slot.begin(self.names, self.units)
            self.free.append(slot)
        elif len(slot.batches) == 1 and slot.batches[0].is_short and slot.units > 0:
            self.almost_free.append(slot)

    def _end_job(self, job: Job) -> None:
        if self.jobs.pop(job.number, None) is None:
            return
        self.ready.pop(job.number, None)
        self._expectations.learn(job)
        for slot in self.slots.values():
            if job.number in slot.jobs:
                slot.jobs.remove(job.number)
                slot.forget.append(job.number)

    def _explained(self, error: Any) -> BaseException:
        """Return an exception, with a note if it comes from what could not be sent."""
        if isinstance(error, NameError):
            name = re.search(
                r"name '(\w+)' is not defined", str(error)
            )  # error.name doesn't travel
            reason = name and self.definitions.unsendable(name[1])
            if name and reason:
                error.add_note(f"{name[1]!r} of the script could not be sent to workers: {reason}")
        return error  # type: ignore[no-any-return]

    # Losses.

    def lose(self, rank: int) -> None:
        """Go on without a rank."""
        self._ranks.remove(rank)
        for key, slot in list(self.slots.items()):
            if slot.rank == rank:
                del self.slots[key]
                slot.is_over = True
                for queue in (self.free, self.almost_free):
                    with contextlib.suppress(ValueError):
                        queue.remove(slot)
                self._requeue(slot, "its rank was lost")
        self.size = max(1, len(self.slots))

    def _tell_of_loss(self, slot: Slot, reason: str) -> None:
        host = self._hosts[slot.rank]
        with contextlib.suppress(Exception):  # whatever sys.stderr is now
            print(
                f"mpipar: rank {slot.rank} on host {host}: {reason}; it is replaced",
                file=sys.stderr,
                flush=True,
            )

    def _requeue(self, slot: Slot, reason: str) -> None:
        """Have the tasks done again that a worker had."""
        was_ready = slot.pid is not None
        batches, slot.batches = slot.batches, deque()
        slot.begin(self.names, self.units)
        for position, batch in enumerate(batches):
            job, indices = batch.job, list(batch.indices)
            if job.is_done:
                continue
            if position == 0 and was_ready and len(indices) == 1:  # it alone can be to blame
                task = indices[0]
                job.deaths[task] += 1
                if job.deaths[task] > self.retries:
                    self._give_up(
                        job, task, f"{reason}, rank {slot.rank} on host {self._hosts[slot.rank]}"
                    )
                    continue
            job.again.extend(indices)
            if job is not self.calls:
                self.ready.setdefault(job.number, job)

    def _give_up(self, job: Job, task: int, reason: str) -> None:
        """Let a task fail, as it ends every worker that has it."""
        deaths = job.deaths[task]
        last = f", the last of {deaths} workers that had it" if deaths > 1 else ""
        job.put(
            [task],
            [
                Raised(
                    WorkerLost(f"task {task} of {job.describe(task)} was given up: {reason}{last}")
                )
            ],
        )
        if job.is_done:
            self._end_job(job)


def _over() -> PoolTerminated:
    return PoolTerminated("the pool was terminated")
