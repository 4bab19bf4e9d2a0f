"""A worker process: takes batches of tasks, sends what comes out of them. Imports mpipar.runtime and by_value.

Messages to a worker, frames of pickles::

    Setup, a number                              the first one
    (BATCH, Batch), definitions, the job's function if the worker hasn't it, the items
    (END,)

and from it::

    (READY, pid) or (BROKEN, error)              the first one
    (DONE | PART, Part), values
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.pool import ExceptionWithTraceback, MaybeEncodingError  # type: ignore[attr-defined]
from typing import Any, NamedTuple, TypeAlias

from mpipar.pool import by_value
from mpipar.runtime.channel import Message, receive, send
from mpipar.runtime.interfaces import connect_without_delay

BATCH, END = "batch", "end"
READY, BROKEN, DONE, PART = "ready", "broken", "done", "part"

_SLICE_SECONDS = 2e-3  # a slice of a batch is to take, between looks at the clock
_FLUSH_SECONDS = 0.02  # what is done of a batch that takes longer is sent before its end

inside = False
"""Whether this process is a worker."""


class Setup(NamedTuple):
    """What a worker begins with.

    Attributes
    ----------
    definitions : list
        Of names of the main script.
    initializer : list
        Frames of (function, arguments), or of None.
    path, argv : list of str
        The script's ``sys.path`` and ``sys.argv``.
    folder : str
        Its working folder.
    environment : dict
        What it has changed in its environment; None is a variable that it has removed.
    seed : int or None
        Of the random numbers in tasks.
    stand_in : callable or None
        Lets the names of multiprocessing stand for mpipar's.
    """

    definitions: list[Any]
    initializer: list[bytes]
    path: list[str]
    argv: list[str]
    folder: str
    environment: dict[str, str | None]
    seed: int | None
    stand_in: Callable[[], None] | None


SetUp: TypeAlias = Callable[[Setup, int], None]


class Batch(NamedTuple):
    """Some tasks of a job.

    Attributes
    ----------
    number : int
        Of the batch.
    job : int
        Number of the job.
    kind : str
        How the function is called: a name in :data:`_CALLS`.
    indices : range or list of int
        Of the tasks within the job; for random numbers.
    definitions : list
        Of names of the main script that the worker hasn't; what they are pickled as is in frames of its own.
    function_frames : int
        How many frames the job's function has; 0 if the worker has it.
    forget : list of int
        Jobs that are over.
    """

    number: int
    job: int
    kind: str
    indices: Any
    definitions: list[Any]
    function_frames: int
    forget: list[int]


class Part(NamedTuple):
    """What came out of some tasks of a batch.

    Attributes
    ----------
    number : int
        Of the batch.
    first, tasks : int
        Which tasks of it: from which on, and how many.
    seconds : float
        How long they took.
    failed : list of int
        Those of them whose value is an exception that was raised.
    """

    number: int
    first: int
    tasks: int
    seconds: float
    failed: list[int]


def _call(task: Any) -> Any:
    function, arguments, keywords = task
    return function(*arguments, **keywords)


_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "map": map,
    "star": itertools.starmap,
    "calls": lambda _, items: map(_call, items),  # each item has a function of its own
}


def work(sock: socket.socket) -> None:
    """Do what comes through ``sock``, until it is told to end: the life of a worker process."""
    global inside
    inside = True
    by_value.become_worker()
    _work(sock, _set_up_process, by_value.define)


def work_in_thread(sock: socket.socket) -> None:
    """Do the same in a thread of a process that is a worker already, or otherwise may have no children."""
    _work(sock, lambda setup, number: None, by_value.define_given)


def _work(sock: socket.socket, set_up: SetUp, define: Callable[[Any], None]) -> None:
    try:
        with contextlib.suppress(EOFError, ConnectionError), sock:  # the rank is gone
            _Worker(sock, set_up, define).work()
    finally:
        flush()


def _set_up_process(setup: Setup, number: int) -> None:
    """Make this process like the script's, as far as tasks can see, and give it a number that no other worker has."""
    process = multiprocessing.current_process()
    process._identity = (number,)
    process.name = f"ForkPoolWorker-{number}"
    connect_without_delay()
    sys.path[:] = setup.path
    sys.argv[:] = setup.argv
    with contextlib.suppress(OSError):  # a folder that only the root's node has
        os.chdir(setup.folder)
    for name, value in setup.environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if setup.stand_in is not None:
        setup.stand_in()
    if setup.seed is not None:
        from mpipar.pool import seeds

        seeds.install()
    elif "numpy" in sys.modules:  # else the numbers would be the fork server's, the same in all workers
        sys.modules["numpy"].random.seed()


class _Worker:
    def __init__(self, sock: socket.socket, set_up: SetUp, define: Callable[[Any], None]) -> None:
        self._socket, self._set_up, self._define = sock, set_up, define
        self._functions: dict[int, Any] = {}  # {number of a job: its function}
        self._seed: int | None = None

    def work(self) -> None:
        packed, number = receive(self._socket)
        setup = pickle.loads(packed)
        try:
            self._seed = setup.seed
            self._set_up(setup, int(bytes(number)))
            self._define(setup.definitions)
            initializer = by_value.loads(setup.initializer)
            if initializer is not None:
                function, arguments = initializer
                function(*arguments)
                flush()
        except Exception as error:
            self._send((BROKEN,), *by_value.dumps(_portable(error)).frames)
            return
        self._send((READY, os.getpid()))
        while True:
            head, *frames = receive(self._socket)
            what, *batch = pickle.loads(head)
            if what == END:
                return
            self._do(batch[0], frames)

    def _send(self, head: tuple[Any, ...], *frames: Any) -> None:
        send(self._socket, [pickle.dumps(head), *frames])

    def _do(self, batch: Batch, frames: Message) -> None:
        for job in batch.forget:
            self._functions.pop(job, None)
        failure = None
        try:
            count = len(batch.definitions)
            pairs = zip(batch.definitions, frames[:count], strict=True)
            self._define([each._replace(pickled=bytes(frame)) for each, frame in pairs])
            frames = frames[count:]
            if batch.function_frames:
                self._functions[batch.job] = _loaded(frames[: batch.function_frames])
            function = self._functions.get(batch.job)
            if isinstance(function, _Unloadable):
                raise function.error
            items = by_value.loads(frames[batch.function_frames :])
        except Exception as error:  # none of the tasks can be begun
            failure = error
        if failure is not None:
            items = [failure] * len(batch.indices)
            self._evaluate(batch, _raise_first, items)
        else:
            call = _CALLS[batch.kind]
            self._evaluate(batch, lambda some: call(function, some), items)

    def _evaluate(self, batch: Batch, call: Callable[[Any], Any], items: Any) -> None:
        """Evaluate the tasks of a batch, and send what comes out: at its end, or some before if it takes long."""
        values: list[Any] = []
        failed: list[int] = []
        first = at = 0
        size = 1 if self._seed is None else 0
        began = last_sent = time.perf_counter()
        while at < len(items):
            if self._seed is not None:
                from mpipar.pool import seeds

                seeds.seed((self._seed, batch.job, batch.indices[at]))
            stop = at + max(1, size)
            error: Exception | None = None
            try:
                values.extend(call(items[at:stop]))
                if first + len(values) < min(stop, len(items)):
                    error = StopIteration()  # of a task; it looks like the end of them all
            except Exception as raised:
                error = raised
            if error is not None:
                failed.append(len(values))
                values.append(error)
                stop = first + len(values)
            now = time.perf_counter()
            if size and now - began < _SLICE_SECONDS:
                size *= 2
            at = stop
            if at < len(items) and now - last_sent > _FLUSH_SECONDS:
                self._send_values(PART, Part(batch.number, first, len(values), now - last_sent, failed), values)
                values, failed, first, last_sent = [], [], at, now
                size = min(size, 1)
        at = min(at, len(items))
        self._send_values(DONE, Part(batch.number, first, len(values), time.perf_counter() - last_sent, failed), values)

    def _send_values(self, what: str, part: Part, values: list[Any]) -> None:
        flush()
        for index in part.failed:
            values[index] = _portable(values[index])
        try:
            frames = by_value.dumps(values).frames
        except Exception:
            part, frames = self._one_by_one(part, values)
        self._send((what, part), *frames)

    def _one_by_one(self, part: Part, values: list[Any]) -> tuple[Part, Any]:
        """Replace the values that can't be pickled by exceptions that tell so."""
        for index, value in enumerate(values):
            try:
                by_value.dumps(value)
            except Exception as error:
                values[index] = MaybeEncodingError(error, value)
                if index not in part.failed:
                    part.failed.append(index)
        return part, by_value.dumps(values).frames


class _Unloadable(NamedTuple):
    """What a function is that can't be unpickled here."""

    error: Exception


def _loaded(frames: Message) -> Any:
    try:
        return by_value.loads(frames)
    except Exception as error:
        return _Unloadable(error)


def _raise_first(errors: list[Exception]) -> Any:
    raise errors[0]


def _portable(error: Exception) -> Any:
    """Return an exception with its traceback as cause, such that it can be sent; or another one that tells of it."""
    if isinstance(error, NameError) and error.name:
        reason = by_value.why_missing(error.name)
        if reason is not None:
            error.add_note(f"{error.name!r} of the script could not be unpickled in the worker: {reason!r}")
    with_traceback = ExceptionWithTraceback(error, error.__traceback__)
    try:
        by_value.loads(by_value.dumps(with_traceback).frames)
    except Exception as problem:
        return ExceptionWithTraceback(MaybeEncodingError(problem, error), error.__traceback__)
    return with_traceback


def flush() -> None:
    """Write out what tasks have printed, before their results are known."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or replaced by something odd
            stream.flush()
