"""One worker process of a pool inside a rank: the rank's end of its pipe, and what it does.

What is pickled here, the processes of one run alone read: the task once, then chunks and outcomes.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from mpipar.core.blocks import Blocks
from mpipar.core.kernel import Kernel
from mpipar.runtime import child, main_module, node
from mpipar.runtime.evaluate import Evaluator, Outcome, Task
from mpipar.runtime.failure import Failure, one_line
from mpipar.runtime.progress_state import Record


def prepare(*also: str) -> None:
    """Start the fork server for workers, unless it runs, with further modules loaded. To be called
    before MPI is initialised.
    """
    child.prepare("numpy", __name__, "mpipar.runtime.ignore_signals", *also)


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


def task_as_bytes(task: Task) -> tuple[bytes, dict[str, str]]:
    """Return a task as bytes, and which main module must be imported where they are read."""
    if main_module.may_be_imported():
        # which a lambda, or a function in a function, raises
        with contextlib.suppress(AttributeError, pickle.PicklingError):
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
    """Evaluate the chunks that come through ``pipe``, until an empty message: a worker's life."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):  # the rank has ended
        _evaluate_all(pipe, task, main)


def _evaluate_all(pipe: Connection, task: bytes, main: dict[str, str]) -> None:
    try:
        main_module.import_it(main)
        evaluator = Evaluator(pickle.loads(task))
    except (Exception, SystemExit) as error:
        where = f"worker {os.getpid()}, before its first block"
        pipe.send(Failure.of(where, error))
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
