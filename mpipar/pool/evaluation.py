"""Batches of tasks in a worker: evaluated in turn, and looked after if they take long.

A batch is to take some milliseconds, as its tasks did so far. If one of them takes longer, a thread
of the worker sends what is done, and gives back what has not been begun, so that no task waits for
a long one while others are idle.
"""

from __future__ import annotations

import contextlib
import pickle
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from multiprocessing.pool import ExceptionWithTraceback, MaybeEncodingError  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from mpipar.pool import by_value, main_names, sharing
from mpipar.pool.plain import are_plain
from mpipar.pool.salvage import checked
from mpipar.runtime.channel import Message, Receiver, send

DONE = "done"
PART = "part"

_OVERDUE_SECONDS = 0.02  # a batch that takes longer is looked after


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
        Of names of the main script that the worker hasn't; what they are pickled as is in frames of
        its own.
    function_frames : int
        How many frames the job's function has; 0 if the worker has it.
    forget : list of int
        Jobs that are over.
    unit : int
        How many tasks of the job make a chunk.
    is_chunked : bool
        Whether each chunk is unpickled by itself, and stays whole.
    """

    number: int
    job: int
    kind: str
    indices: Any
    definitions: list[Any]
    function_frames: int
    forget: list[int]
    unit: int = 1
    is_chunked: bool = False


class Part(NamedTuple):
    """What came out of some tasks of a batch.

    Attributes
    ----------
    number : int
        Of the batch.
    tasks : int
        How many: the next ones of it.
    seconds : float
        How long they took.
    failed : list of int
        Those of them whose value is an exception that was raised.
    returned : int
        How many of its last tasks will not be begun.
    """

    number: int
    tasks: int
    seconds: float
    failed: list[int]
    returned: int = 0


class Mailbox:
    """A worker's end of its socket, for two threads.

    Parameters
    ----------
    sock : socket

    Attributes
    ----------
    is_executors : bool
        Whether it is of an Executor, where pickling a value raises what it raises.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.is_executors = False
        self._socket, self._receiver = sock, Receiver(sock)
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._read: deque[Message] = deque()  # before its time
        self._returned: set[int] = set()  # batches among these that will not be begun

    def receive(self) -> Message:
        """Return the next message, waiting for it."""
        with self._reading:
            return self._read.popleft() if self._read else self._receiver.receive()

    def send(self, *frames: Any) -> None:
        """Send a message."""
        with self._writing:
            send(self._socket, frames)

    def _send_part(self, what: str, part: Part, *frames: Any) -> None:
        self.send(pickle.dumps((what, tuple(part))), *frames)

    def return_unread(self) -> None:
        """Give back the batches that wait behind the one that is being evaluated."""
        with self._reading:
            while self._receiver.has_begun or select.select([self._socket], [], [], 0)[0]:
                message = self._receiver.receive()
                self._read.append(message)
                if message:  # else it is to end then
                    told = Batch(*pickle.loads(message[0]))
                    self._returned.add(told.number)
                    part = Part(told.number, 0, 0.0, [], len(told.indices))
                    self._send_part(PART, part, pickle.dumps([]))

    def has_returned(self, batch: Batch) -> bool:
        """Return whether a batch was given back, and forget that."""
        was_returned = batch.number in self._returned
        self._returned.discard(batch.number)
        return was_returned

    def send_outcomes(
        self,
        batch: Batch,
        values: list[Any],
        failed: Iterable[int],
        seconds: float = 0.0,
        *,
        what: str = DONE,
        returned: int = 0,
    ) -> None:
        """Send what came out of tasks; what can't be pickled is replaced by an exception that tells
        so.
        """
        flush()
        part = Part(batch.number, len(values), seconds, list(failed), returned)
        for index in part.failed:
            values[index] = portable(values[index])
        if are_plain(values):
            self._send_part(what, part, pickle.dumps(values))
            return
        try:
            frames = by_value.dumps(values).frames
        except Exception:
            for index, value in enumerate(values):
                try:
                    by_value.dumps(value)
                except Exception as error:
                    values[index] = self._not_pickled(error, value)
                    if index not in part.failed:
                        part.failed.append(index)
            frames = by_value.dumps(values).frames
        self._send_part(what, part, *frames)

    def _not_pickled(self, error: Exception, value: Any) -> Any:
        if self.is_executors:
            return portable(error)
        return MaybeEncodingError(error, value)


class Items:
    """Items of tasks that haven't been begun; two threads take from their ends.

    Parameters
    ----------
    items : list
    """

    def __init__(self, items: list[Any]) -> None:
        self._waiting = deque(items)
        self._kept = len(items)  # tasks that have not been given back

    def __iter__(self) -> Iterator[Any]:
        # raises IndexError at an early end
        return map(deque.popleft, repeat(self._waiting, self._kept))

    @property
    def begun(self) -> int:
        """Return how many tasks have been begun."""
        return self._kept - len(self._waiting)

    def take_back(self) -> int:
        """Take away what hasn't been begun; return how many tasks."""
        before = self._kept
        with contextlib.suppress(IndexError):  # none is left
            while True:
                self._waiting.pop()
                self._kept -= 1
        return before - self._kept

    @staticmethod
    def complete(done: int) -> int:
        """Return how many of the tasks that are done can be told."""
        return done


class Evaluation:
    """A batch that is being evaluated.

    Parameters
    ----------
    batch : Batch
    items : Items or Chunks
        Of its tasks; what is not begun may be taken from their end. One that is Broken fails.
    call : callable
        ``call(source, take)`` evaluates what the iterator ``source`` yields, and hands the values
        to ``take``.
    seed : int or None
        Of random numbers.
    begin_chunk : callable, optional
        Called with the number of a task's chunk before it begins.
    takes_exit : bool
        Whether a SystemExit is an outcome as other exceptions are, or ends the worker.
    has_broken : bool
        Whether an item may be Broken.
    """

    def __init__(
        self,
        batch: Batch,
        items: Any,
        call: Callable[[Iterator[Any], Callable[[Any], None]], None],
        seed: int | None,
        *,
        begin_chunk: Callable[[int], None] | None = None,
        takes_exit: bool = False,
        has_broken: bool = False,
    ) -> None:
        self.batch = batch
        self._call = call
        self._takes_exit = takes_exit
        self._items = items
        self._source: Iterator[Any] = iter(items)
        if seed is not None:
            self._source = self._seeded(self._source, seed)
        if begin_chunk is not None:
            self._source = self._in_chunks(self._source, begin_chunk)
        if has_broken:
            self._source = map(checked, self._source)
        self._lock = threading.Lock()  # of what follows
        self._values: list[Any] = []
        self._failed: list[int] = []
        self._sent = 0
        self._last_sent = time.perf_counter()

    def run(self, overseer: Overseer) -> None:
        """Evaluate all tasks that are not given back meanwhile, and send what comes out."""
        overseer.look_after(self)
        while True:
            error: BaseException | None = None
            try:
                self._call(self._source, self._values.append)
            except BaseException as raised:
                if isinstance(raised, SystemExit) and not self._takes_exit:
                    raise
                error = raised
            with self._lock:
                if error is None or len(self._values) == self._items.begun:
                    break
                self._failed.append(len(self._values))
                self._values.append(error)
        error = None  # with its traceback it would keep the tasks' arguments
        overseer.look_after(None)
        with self._lock:
            self._send(overseer.mailbox, DONE)

    def give_back(self, mailbox: Mailbox) -> None:
        """Take away the tasks that haven't been begun, and send how many, with what is done; in any
        thread.
        """
        with self._lock:  # held until it is sent: nothing may follow what says that all is done
            self._send(mailbox, PART, self._items.take_back())

    def _send(self, mailbox: Mailbox, what: str, returned: int = 0) -> None:
        """Send the outcomes that haven't been sent, if there is anything to tell."""
        count = len(self._values)
        if what == PART:
            count = self._items.complete(count)
        values = self._values[self._sent : count]
        if what == DONE or values or returned:
            now = time.perf_counter()
            failed = [index - self._sent for index in self._failed if self._sent <= index < count]
            mailbox.send_outcomes(
                self.batch, values, failed, now - self._last_sent, what=what, returned=returned
            )
            self._sent += len(values)
            self._last_sent = now

    def _seeded(self, items: Iterator[Any], seed: int) -> Iterator[Any]:
        from mpipar.pool import seeds

        for index, item in zip(self.batch.indices, items, strict=False):
            seeds.seed((seed, self.batch.job, index))
            yield item

    def _in_chunks(
        self,
        items: Iterator[Any],
        begin_chunk: Callable[[int], None],
    ) -> Iterator[Any]:
        for index, item in zip(self.batch.indices, items, strict=False):
            begin_chunk(index // self.batch.unit)
            yield item


class Overseer(threading.Thread):
    """The thread that looks after batches that take long.

    Parameters
    ----------
    mailbox : Mailbox
    """

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(name="mpipar overseer", daemon=True)
        self.mailbox = mailbox
        self._evaluation: Evaluation | None = None
        self._is_asleep = True
        self._is_needed = threading.Event()
        self.start()

    def look_after(self, evaluation: Evaluation | None) -> None:
        """Look after a batch from now on; None if there is none."""
        self._evaluation = evaluation
        if evaluation is not None and self._is_asleep:
            self._is_needed.set()

    def run(self) -> None:  # noqa: D102
        with contextlib.suppress(OSError, EOFError):  # the rank is gone
            while True:
                evaluation = self._evaluation
                time.sleep(_OVERDUE_SECONDS)
                if evaluation is not self._evaluation:
                    continue
                if evaluation is None:
                    self._sleep()
                else:
                    evaluation.give_back(self.mailbox)
                    self.mailbox.return_unread()

    def _sleep(self) -> None:
        """Sleep until there is something to look after. Short batches one after the other don't
        wake it each.
        """
        self._is_asleep = True
        if self._evaluation is None:  # not just given
            self._is_needed.wait()
        self._is_asleep = False
        self._is_needed.clear()


def portable(error: BaseException) -> Any:
    """Return an exception with its traceback as cause, such that it can be sent; or another one
    that tells of it.
    """
    if isinstance(error, NameError) and error.name:
        reason = main_names.current().why_missing(error.name)
        if reason is not None:
            error.add_note(
                f"{error.name!r} of the script could not be unpickled in the worker: {reason!r}"
            )
    with_traceback = ExceptionWithTraceback(error, error.__traceback__)
    try:
        by_value.loads(by_value.dumps(with_traceback).frames)
    except Exception as problem:
        return ExceptionWithTraceback(MaybeEncodingError(problem, error), error.__traceback__)
    return with_traceback


def flush() -> None:
    """Write out what tasks have printed or put into queues, before their results are known."""
    sharing.flush_queues()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or replaced by something odd
            stream.flush()
