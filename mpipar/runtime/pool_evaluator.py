"""The pool of worker processes inside a rank.

::

    rank ──────────────┐   one pipe a worker: a chunk of block numbers there,
      share.take()     │   the combined partials of the chunk back
                       ├──▶ worker 0     evaluator = Evaluator(task)
      tally.add(…)  ◀──┤    worker 1     evaluator.evaluate(chunk)
                       └──▶ …

A pipe for each worker, and no shared queue, means that a worker that dies can't take a lock with
it: it is replaced, and the blocks that it had are evaluated again, one by one, so that a block that
kills its workers becomes known.
"""

from __future__ import annotations

import contextlib
import errno
from collections import Counter
from multiprocessing import connection
from types import TracebackType
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.core.blocks import Blocks
from mpipar.runtime import child
from mpipar.runtime.between_blocks import Watch
from mpipar.runtime.evaluate import POLL_SECONDS, Task
from mpipar.runtime.failure import Failure, Skipped, items_of, one_line
from mpipar.runtime.outlets import warn
from mpipar.runtime.pool_worker import Worker, prepare, task_as_bytes
from mpipar.runtime.progress_state import Record, Tally
from mpipar.runtime.schedule import Share
from mpipar.runtime.stopwatch import Stopwatch

MOST_DEATHS = 3
"""A block has failed when so many workers have died of it."""


class Workers:
    """A pool that evaluates chunks of blocks; a context manager.

    Parameters
    ----------
    task : Task
        What is evaluated.
    count : int
        Number of worker processes.
    rank : int
        Rank of this process, for the records.
    host : str
        Its node.
    block_timeout : float, optional
        Seconds after which a block has failed, but for those that the job was suspended.

    Attributes
    ----------
    records : list of Record
        One for each worker, also of those that have died.
    """

    def __init__(
        self,
        task: Task,
        count: int,
        *,
        rank: int,
        host: str,
        block_timeout: float | None = None,
    ) -> None:
        try:
            self._pickled, self._main = task_as_bytes(task)
        except Exception as error:
            raise BadInput(
                f"workers: the kernel can't be sent to workers ({one_line(error)})"
            ) from None
        prepare()
        self._task, self._rank, self._host = task, rank, host
        self._timeout = float("inf") if block_timeout is None else block_timeout
        self._spent = Stopwatch(POLL_SECONDS)  # a job may be suspended
        self._again: list[Blocks] = []  # single blocks of workers that have died
        self._failures: Counter[int] = Counter()  # {block: how often it failed that way}
        self.records: list[Record] = []
        self._workers: list[Worker] = []
        self._problem: Failure | None = None  # why there aren't all
        while len(self._workers) < count and self._problem is None:
            worker = self._new_worker()
            if isinstance(worker, Failure):
                self._problem = worker
            else:
                self._workers.append(worker)

    def _new_worker(self) -> Worker | Failure:
        """Return a worker that has just been started, or why there is none."""
        try:
            worker = Worker(self._pickled, self._main, self._rank, self._host)
        except (OSError, EOFError) as error:
            reason = one_line(error)
            if getattr(error, "errno", 0) == errno.EMFILE:
                reason += " (ulimit -n: the limit of open files)"
            return Failure("starting a worker", reason)
        self.records.append(worker.record)
        return worker

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            if worker.chunk is None:
                with contextlib.suppress(OSError):
                    worker.connection.send_bytes(b"")
        for worker in self._workers:
            if worker.chunk is None:  # else its block is no longer wanted
                worker.process.join(child.FAREWELL_SECONDS)
            worker.end()

    def wait_until_ready(self) -> Failure | None:
        """Wait until all workers have loaded the kernel; return why one can't. Those that die are
        replaced.
        """
        for place in range(len(self._workers)):
            while self._problem is None and not self._workers[place].cores:
                worker = self._workers[place]
                self._problem = self._meet(worker, worker.receive())
        return self._problem

    @property
    def cores(self) -> int:
        """How many cores a worker may run on."""
        return min(worker.cores for worker in self._workers)

    def evaluate(self, share: Share, tally: Tally, watch: Watch) -> Failure | None:
        """Evaluate this rank's share, until nothing is left, a block fails or the watch says stop.

        Blocks in flight are finished in any case but a failure.
        """
        self._again.clear()
        while True:
            stopping = watch.stop()
            if not stopping:
                self._hand_out(share)
            if self._is_idle() and (stopping or self._has_ready()):
                return None
            failure = (
                self._take_in(share, tally)
                or self._replace_overdue(tally)
                or watch.chunk_done(share.fraction_taken)
            )
            if failure is not None:
                return failure

    def _hand_out(self, share: Share) -> None:
        """Give a chunk to each worker that is ready and has none, as far as there are any."""
        for worker in self._workers:
            if worker.chunk is None and worker.cores:
                chunk = self._again.pop() if self._again else share.take()
                if chunk is not None:
                    worker.give(chunk, self._spent())

    def _is_idle(self) -> bool:
        return all(worker.chunk is None for worker in self._workers)

    def _has_ready(self) -> bool:
        """Return whether a worker has looked for a chunk: those that have just been replaced
        haven't.
        """
        return any(worker.cores for worker in self._workers)

    def _take_in(self, share: Share, tally: Tally) -> Failure | None:
        """Wait a moment, and take in what workers have sent; return why the run can't go on."""
        for worker in self._heard_of():
            failure = self._take_from(worker, share, tally)
            if failure is not None:
                return failure
        return None

    def _heard_of(self) -> list[Worker]:
        """Wait a moment; return the workers that have sent something or have died."""
        ears: dict[Any, Worker] = {}
        for worker in self._workers:
            if worker.chunk is not None or not worker.cores:
                ears[worker.connection] = ears[worker.process.sentinel] = worker
        ready = connection.wait(list(ears), POLL_SECONDS)
        return list(dict.fromkeys(ears[ear] for ear in ready))

    def _take_from(self, worker: Worker, share: Share, tally: Tally) -> Failure | None:
        message = worker.receive()
        if not worker.cores:
            return self._meet(worker, message)
        if message is None:
            reason = child.how_it_ended(worker.process)
            return self._replace_lost(worker, tally, reason, MOST_DEATHS)
        chunk, worker.chunk = worker.chunk, None
        assert chunk is not None
        share.note(message.handled, message.seconds)
        failure = tally.add(chunk, message, worker.record)
        return failure and failure._replace(where=f"worker {worker.record.pid}, {failure.where}")

    def _meet(self, worker: Worker, hello: Any) -> Failure | None:
        """Take the first message of a worker, None if it has died; return why the run can't go on."""
        if hello is None:
            return self._replace_stillborn(worker)
        if isinstance(hello, Failure):
            return hello
        worker.cores = hello
        return None

    def _replace_stillborn(self, worker: Worker) -> Failure | None:
        """Replace a worker that died before its first block; return why the run can't go on."""
        reason, deaths = child.how_it_ended(worker.process), worker.stillborn + 1
        if deaths == MOST_DEATHS:
            return Failure(
                f"worker {worker.record.pid}, before its first block", f"{reason}, {deaths} times"
            )
        self._tell(worker, f"before its first block: {reason}")
        replaced = self._replace(worker)
        if isinstance(replaced, Failure):
            return replaced
        replaced.stillborn = deaths
        return None

    def _tell(self, worker: Worker, what: str) -> None:
        where = f"rank {self._rank} on host {self._host}, worker {worker.record.pid}"
        warn(f"{where}, {what}; it is replaced")

    def _replace_lost(self, worker: Worker, tally: Tally, reason: str, most: int) -> Failure | None:
        """Replace a worker that has died or hangs, and have its blocks evaluated again; return why
        the run can't go on.

        Parameters
        ----------
        worker : Worker
        tally : Tally
        reason : str
            What became of it.
        most : int
            A block has failed when this has happened to it so often.
        """
        chunk = worker.chunk
        assert chunk is not None
        first, last = chunk.ranges[0][0], chunk.ranges[-1][-1]
        blocks = f"block {first}" if chunk.count == 1 else f"one of blocks {first} to {last}"
        self._tell(worker, f"{blocks}: {reason}")
        replaced = self._replace(worker)
        if isinstance(replaced, Failure):
            return replaced
        tally.lost_workers += 1
        if chunk.count > 1:
            self._again += [chunk[position : position + 1] for position in range(chunk.count)]
            return None
        self._failures[first] += 1
        if self._failures[first] < most:
            tally.retried += 1
            self._again.append(chunk)
            return None
        block = self._task.bound.plan[first]
        if self._task.on_error.skip:
            tally.new.skipped.append(Skipped.of(block, reason))
            return None
        times = f", {most} times" if most > 1 else ""
        return Failure(f"worker {worker.record.pid}, {items_of(block)}", f"{reason}{times}")

    def _replace_overdue(self, tally: Tally) -> Failure | None:
        """Replace workers that have been in their chunk for too long; return why the run can't go
        on.
        """
        now = self._spent()
        for worker in list(self._workers):
            if (
                worker.chunk is not None
                and now - worker.since > self._timeout
                and not worker.connection.poll()
            ):
                reason = f"took more than {self._timeout:g} s"
                failure = self._replace_lost(worker, tally, reason, 1 + self._task.on_error.retries)
                if failure is not None:
                    return failure
        return None

    def _replace(self, worker: Worker) -> Worker | Failure:
        """End a worker, and return the one in its place, or why there is none."""
        worker.end()
        new = self._new_worker()
        if isinstance(new, Worker):
            self._workers[self._workers.index(worker)] = new
        return new
