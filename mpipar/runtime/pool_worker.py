"""One worker process of a pool inside a rank: what it does, and the messages that go to and fro.

What is pickled here, the processes of one run alone read: the task once, then chunks and outcomes.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import socket
from multiprocessing.reduction import ForkingPickler
from typing import Any

from mpipar.core.kernel import Kernel
from mpipar.runtime import child, main_module, node
from mpipar.runtime.channel import Frames, Receiver, send
from mpipar.runtime.crew import BROKEN, READY
from mpipar.runtime.evaluate import Evaluator, Outcome, Task
from mpipar.runtime.failure import Failure, one_line
from mpipar.runtime.outlets import forgive


def prepare(*also: str) -> None:
    """Start the fork server for workers, unless it runs, with further modules loaded. To be called
    before MPI is initialised.
    """
    child.prepare("numpy", __name__, "mpipar.runtime.ignore_signals", *also)


def task_as_frames(task: Task) -> Frames:
    """Return a task as a message, which tells too which main module must be imported for it."""
    if main_module.may_be_imported():
        # which a lambda, or a function in a function, raises
        with contextlib.suppress(AttributeError, pickle.PicklingError):
            # No view of it: Python 3.13 complains of such views in cycles that it clears.
            pickled = bytes(ForkingPickler.dumps(task))
            return [pickled, pickle.dumps(main_module.description())]
    return [_by_value(task), pickle.dumps({})]  # a notebook, or a script without a guard


def packed(thing: Any) -> Frames:
    """Return a chunk, or a failure, as a message."""
    return [pickle.dumps(thing)]


def unpacked(frames: Frames) -> Any:
    """Return the chunk, outcome or failure in a message."""
    return pickle.loads(frames[0])


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


def serve(sock: socket.socket) -> None:
    """Evaluate the chunks that come through ``sock``, until there are no more: a worker's life.

    It is told the task first, and says on how many cores it may run.
    """
    sock.setblocking(True)  # the main module may set a default timeout
    with contextlib.suppress(EOFError, ConnectionError):  # the rank has ended
        _evaluate_all(sock, Receiver(sock))


def _evaluate_all(sock: socket.socket, receiver: Receiver) -> None:
    task, main = receiver.receive()
    forgive()
    try:
        main_module.import_it(pickle.loads(main))
        evaluator = Evaluator(pickle.loads(task))
    except (Exception, SystemExit) as error:
        where = f"worker {os.getpid()}, before its first block"
        send(sock, [BROKEN, *packed(Failure.of(where, error))])
        return
    del task
    send(sock, [READY, str(len(node.affinity())).encode()])
    while message := receiver.receive():
        send(sock, [_dumps(evaluator.evaluate(unpacked(message)))])


def _dumps(outcome: Outcome) -> memoryview | bytes:
    """Return the outcome as bytes; if the kernel's partials can't be sent, that as a failure."""
    try:
        return ForkingPickler.dumps(outcome)
    except Exception as error:
        reason = f"the kernel's partial can't be sent to the rank: {one_line(error)}"
        return pickle.dumps(Outcome(None, failure=Failure("sending partials", reason)))
