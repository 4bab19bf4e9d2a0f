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
import io
import os
import pickle
import traceback
from collections import Counter
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.core.blocks import Blocks
from mpipar.core.kernel import Kernel
from mpipar.runtime import child, main_module, node
from mpipar.runtime.between_blocks import Watch
from mpipar.runtime.evaluate import POLL_SECONDS, Evaluator, Outcome, Task
from mpipar.runtime.failure import Failure, Skipped, items_of, one_line
from mpipar.runtime.outlets import note
from mpipar.runtime.progress_state import Record, Tally
from mpipar.runtime.schedule import Share
from mpipar.runtime.stopwatch import Stopwatch

MOST_DEATHS = 3
"""A block has failed when so many workers have died of it."""


def prepare() -> None:
    """Start the fork server for workers, unless it runs. To be called before MPI is initialised."""
    child.prepare("numpy", __name__, "mpipar.runtime.ignore_signals")


class Worker:
    """One worker process, and the rank's end of its pipe.

    Attributes
    ----------
    chunk : Blocks or None
        What it evaluates.
    since : float
        When it got that, by the stopwatch of its rank.
    cores : int
        How many cores it may run on; 0 until it is ready.
    """

    def __init__(self, task: bytes, main: dict[str, str], rank: int, host: str) -> None:
        self.connection, theirs = child.context.Pipe()
        # The other end must be closed here, or the death of the worker could not be seen.
        with theirs:
            self.process = child.start(_serve, theirs, task, main)
        assert self.process.pid is not None
        self.stillborn = 0  # workers before it, in its place, that died before their first block
        self.record = Record(rank, host, self.process.pid)
        self.chunk: Blocks | None = None
        self.since = 0.0
        self.cores = 0

    def give(self, chunk: Blocks, now: float) -> None:
        """Send a chunk."""
        self.chunk, self.since = chunk, now
        # A worker that has died is noticed by what can be received from it.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(pickle.dumps(chunk))

    def receive(self) -> Any:
        """Return what the worker sent: its number of cores, an Outcome or a Failure; or None if it
        has died.
        """
        try:
            if self.process.exitcode is not None and not self.connection.poll():
                return None
            return pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def end(self) -> None:
        """End the process, whatever it does, and wait for that."""
        self.process.kill()
        self.process.join()
        self.connection.close()


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
        self, task: Task, count: int, *, rank: int, host: str, block_timeout: float | None = None
    ) -> None:
        try:
            self._pickled, self._main = _task_as_bytes(task)
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
            remedy = (
                " (ulimit -n: the limit of open files)"
                if getattr(error, "errno", 0) == errno.EMFILE
                else ""
            )
            return Failure("starting a worker", one_line(error) + remedy)
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
                hello = worker.receive()
                self._problem = (
                    self._replace_stillborn(worker) if hello is None else self._greet(worker, hello)
                )
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
            return (
                self._greet(worker, message)
                if message is not None
                else self._replace_stillborn(worker)
            )
        if message is None:
            return self._replace_lost(
                worker, tally, child.how_it_ended(worker.process), MOST_DEATHS
            )
        chunk, worker.chunk = worker.chunk, None
        assert chunk is not None
        share.note(message.handled, message.seconds)
        failure = tally.add(chunk, message, worker.record)
        return failure and failure._replace(where=f"worker {worker.record.pid}, {failure.where}")

    def _greet(self, worker: Worker, hello: Any) -> Failure | None:
        """Take the first message of a worker; return why it can't work."""
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
        note(f"mpipar: {where}, {what}; it is replaced")

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


def _task_as_bytes(task: Task) -> tuple[bytes, dict[str, str]]:
    """Return a task as bytes, and which main module must be imported where they are read."""
    if main_module.may_be_imported():
        with contextlib.suppress(
            AttributeError, pickle.PicklingError
        ):  # of a lambda, or a function in a function
            return bytes(ForkingPickler.dumps(task)), main_module.description()
    return _by_value(task), {}  # a notebook, or a script without a guard


def _by_value(task: Task) -> bytes:
    """Return a task as bytes, with all of the main module that it needs."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, thing: Any) -> Any:
            if isinstance(thing, Kernel) and thing.__module__ == "__main__":
                return thing.by_value()
            return super().reducer_override(thing)

    buffer = io.BytesIO()
    Pickler(buffer).dump(task)
    return buffer.getvalue()


def _serve(pipe: Connection, task: bytes, main: dict[str, str]) -> None:
    """Evaluate the chunks that come through ``pipe``, until an empty message: the life of a
    worker.
    """
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):  # the rank has ended
        _evaluate_all(pipe, task, main)


def _evaluate_all(pipe: Connection, task: bytes, main: dict[str, str]) -> None:
    try:
        main_module.import_it(main)
        evaluator = Evaluator(pickle.loads(task))
    except (Exception, SystemExit) as error:
        pipe.send(
            Failure(
                f"worker {os.getpid()}, before its first block",
                one_line(error),
                traceback.format_exc(),
            )
        )
        return
    pipe.send(len(node.affinity()))
    while message := pipe.recv_bytes():
        chunk: Blocks = pickle.loads(message)
        pipe.send_bytes(_dumps(evaluator.evaluate(chunk)))


def _dumps(outcome: Outcome) -> bytes:
    """Return the outcome as bytes; if the kernel's partials can't be sent, that as a failure."""
    try:
        return bytes(ForkingPickler.dumps(outcome))
    except Exception as error:
        reason = f"the kernel's partial can't be sent to the rank: {one_line(error)}"
        return pickle.dumps(Outcome(None, failure=Failure("sending partials", reason)))
