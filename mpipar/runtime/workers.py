"""The pool of worker processes inside a rank. Imports mpipar.core and the runtime modules beside it but run.

::

    rank ──────────────┐   one pipe a worker: a chunk of block numbers there,
      share.take()     │   the combined partials of the chunk back
                       ├──▶ worker 0     function = bound.evaluator()
      tally.add(…)  ◀──┤    worker 1     evaluate(chunk)
                       └──▶ …

Workers are forked by multiprocessing's fork server, a clean process that is started before MPI is initialised and that
never sees the launcher's variables: no worker is a copy of a process with MPI in it, nor takes itself for a rank.
A pipe for each worker, and no shared queue, means that a worker that dies can't take a lock with it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing import connection, forkserver
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any

from mpipar.core.errors import BadInput
from mpipar.core.kernel import BoundKernel
from mpipar.runtime import node
from mpipar.runtime.evaluate import POLL_SECONDS, Failure, Outcome, Record, Tally, evaluate, one_line
from mpipar.runtime.launcher import hidden_from_children
from mpipar.runtime.schedule import Share

_context = multiprocessing.get_context("forkserver")

_FAREWELL_SECONDS = 2.0  # that workers are given to end by themselves


def prepare() -> None:
    """Start the fork server, unless it runs. To be called before MPI is initialised.

    What all workers import, it imports once.
    """
    _context.set_forkserver_preload(["numpy", __name__])
    with hidden_from_children():
        forkserver.ensure_running()


class Worker:
    """One worker process, and the rank's end of its pipe."""

    def __init__(self, bound: bytes, keep_partials: bool) -> None:
        self.connection, theirs = _context.Pipe()
        # The other end must be closed here, or the death of the worker could not be seen.
        with theirs:
            self.process = _context.Process(target=_serve, args=(theirs, bound, keep_partials), daemon=True)
            self.process.start()
        self.chunk: range | None = None
        self.cores = 0

    @property
    def pid(self) -> int:
        """Process number."""
        pid: int | None = self.process.pid
        assert pid is not None
        return pid

    def receive(self) -> Any:
        """Return what the worker sent, or the Failure that it is."""
        try:
            return pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.process.join(_FAREWELL_SECONDS)
            return Failure(self._where(), _how_it_ended(self.process.exitcode))

    def _where(self) -> str:
        if self.chunk is None:
            return f"worker {self.pid}, before its first block"
        blocks = f"block {self.chunk[0]}" if len(self.chunk) == 1 else f"blocks {self.chunk[0]} to {self.chunk[-1]}"
        return f"worker {self.pid}, {blocks}"


class Workers:
    """A pool that evaluates chunks of blocks; a context manager.

    Parameters
    ----------
    bound : BoundKernel
        What is evaluated.
    count : int
        Number of worker processes.
    rank : int
        Rank of this process, for the records.
    host : str
        Its node.
    keep_partials : bool
        Whether workers return the partial of each block.
    """

    def __init__(self, bound: BoundKernel, count: int, *, rank: int, host: str, keep_partials: bool) -> None:
        try:
            pickled = bytes(ForkingPickler.dumps(bound))
        except Exception as error:
            raise BadInput(f"workers: the kernel can't be sent to workers ({one_line(error)})") from None
        prepare()
        self._workers: list[Worker] = []
        self.records: list[Record] = []
        for _ in range(count):
            worker = Worker(pickled, keep_partials)
            self._workers.append(worker)
            self.records.append(Record(rank, host, worker.pid))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            if worker.chunk is None:
                with contextlib.suppress(OSError):
                    worker.connection.send_bytes(b"")
            else:
                worker.process.terminate()  # its block is no longer wanted
        for worker in self._workers:
            worker.process.join(_FAREWELL_SECONDS)
            worker.process.kill()
            worker.process.join()
            worker.connection.close()

    def wait_until_ready(self) -> Failure | None:
        """Wait until all workers have loaded the kernel; return why one can't."""
        for worker in self._workers:
            hello = worker.receive()
            if isinstance(hello, Failure):
                return hello
            worker.cores = hello
        return None

    @property
    def cores(self) -> int:
        """How many cores a worker may run on."""
        return min(worker.cores for worker in self._workers)

    def evaluate(
        self, share: Share, tally: Tally, stop: Callable[[], bool], progress: Callable[[float], None]
    ) -> Failure | None:
        """Evaluate this rank's share, until nothing is left, a block fails or ``stop`` says so."""
        records = dict(zip(self._workers, self.records, strict=True))
        busy = {worker.connection: worker for worker in self._workers if self._give(worker, share)}
        while busy:
            for ready in connection.wait(list(busy), POLL_SECONDS):
                assert isinstance(ready, Connection)
                worker = busy.pop(ready)
                outcome = worker.receive()
                if isinstance(outcome, Failure):
                    return outcome
                worker.chunk = None
                failure = tally.add(outcome, records[worker])
                if failure is not None:
                    return failure._replace(where=f"worker {worker.pid}, {failure.where}")
                share.note(outcome.blocks, outcome.seconds)
                if self._give(worker, share):
                    busy[ready] = worker
            if stop():
                return None
            progress(share.fraction_taken)
        return None

    @staticmethod
    def _give(worker: Worker, share: Share) -> bool:
        """Hand the next chunk to ``worker``; return whether there was one."""
        worker.chunk = share.take()
        if worker.chunk is not None:
            # A worker that has died is noticed by what can be received from it.
            with contextlib.suppress(OSError):
                worker.connection.send_bytes(pickle.dumps(worker.chunk))
        return worker.chunk is not None


def _serve(pipe: Connection, bound_bytes: bytes, keep_partials: bool) -> None:
    """Evaluate the chunks that come through ``pipe``, until an empty message: the life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the rank decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    bound: BoundKernel = pickle.loads(bound_bytes)
    function = bound.evaluator()
    pipe.send(len(node.affinity()))
    while message := pipe.recv_bytes():
        chunk: range = pickle.loads(message)
        pipe.send_bytes(_dumps(evaluate(bound, function, chunk, keep_partials=keep_partials)))


def _dumps(outcome: Outcome) -> bytes:
    """Return the outcome as bytes; if the kernel's partials can't be sent, that as a failure."""
    try:
        return bytes(ForkingPickler.dumps(outcome))
    except Exception as error:
        reason = f"the kernel's partial can't be sent to the rank: {one_line(error)}"
        return pickle.dumps(Outcome(None, 0, 0.0, {}, Failure("sending partials", reason)))


def _die_with_parent() -> None:
    """End this process when its rank does, even in the midst of a long block."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "the worker closed its pipe"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"the worker was killed by {signal.Signals(-code).name}"
    return f"the worker ended with exit code {code}"
