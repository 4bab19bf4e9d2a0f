"""The worker processes of one rank, for all pools.

The engine, on the root or through a relay, says what is to be done; the worker manager tells what
happened. Workers that die are replaced without being asked.
"""

from __future__ import annotations

import multiprocessing
import pickle
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple

from mpipar.pool.node_memory import Held
from mpipar.pool.worker import work, work_in_thread
from mpipar.runtime import child
from mpipar.runtime.channel import Frames
from mpipar.runtime.crew import Berth, Broken, Crew, Lost, Message, Process, in_process
from mpipar.runtime.crew import Event as CrewEvent
from mpipar.runtime.doorbell import Doorbell

OPEN = "open"
SEND = "send"
RETIRE = "retire"
CLOSE = "close"
KILL = "kill"
LEAVE = "leave"
STARTED = "started"
MESSAGE = "message"
LOST = "lost"
BROKE = "broke"

_NOT_STARTED = (OSError, EOFError, MemoryError, RuntimeError)  # of processes, descriptors, …

MOST_STILLBORN = 3
"""A pool is given up when so many workers in one berth, one after the other, die before they are
ready.
"""


def may_have_children() -> bool:
    """Return whether this process may start workers: one that is itself a child of multiprocessing
    has a thread.
    """
    return multiprocessing.parent_process() is None


class Order(NamedTuple):
    """What a worker manager is to do.

    Attributes
    ----------
    what : str
        OPEN: start the workers of a pool; frames: how many, how many lower ranks have and all have;
        their setup; the script that they are to import; where large data is, and that itself on
        other nodes. SEND: pass a message to a worker. RETIRE:
        replace a worker, which is idle. CLOSE: end the workers of a pool, which are idle. KILL: end
        them whatever they do. LEAVE: there will be no more orders.
    pool, slot : int
        Which pool, and which of its workers in this rank.
    """

    what: str
    pool: int = 0
    slot: int = 0


class Event(NamedTuple):
    """What happened at a worker manager.

    Attributes
    ----------
    what : str
        STARTED: a worker is ready; the frame is its process number. MESSAGE: it sent one. LOST: a
        worker has died, and a new one comes; the frame says how. BROKE: no worker of the pool can
        start; the frames are the pickled exception.
    pool, slot : int
        Which pool, and which of its workers in this rank.
    """

    what: str
    pool: int
    slot: int


class _Thread(threading.Thread):
    """A thread with the methods of a process, for where there may be no more processes."""

    pid = exitcode = sentinel = None

    def kill(self) -> None:
        """Do nothing: it ends when its socket is closed and its task is over."""

    def join(self, timeout: float | None = None) -> None:
        """Wait, but not for ever: nothing ends a task in a thread."""
        super().join(min(timeout or 0.0, 0.1))
        if not self.is_alive():
            self.exitcode = 0


def _start(sock: socket.socket) -> Process:
    if may_have_children():
        return in_process(work)(sock)
    thread = _Thread(target=work_in_thread, args=(sock,), daemon=True)
    thread.start()
    return thread


class _Slot(Berth):
    """The berth of a worker of a pool."""

    def __init__(self, pool: _Pool, number: int) -> None:
        super().__init__()
        self.pool = pool
        self.number = number


class _Pool:
    """The workers of a pool in this rank.

    Parameters
    ----------
    number : int
        Of the pool.
    setup : bytearray
        What a worker begins with.
    ticket : bytes
        Where the large data of that is.
    first, size : int
        How many workers lower ranks have, and all.
    """

    def __init__(
        self,
        number: int,
        setup: bytearray,
        ticket: bytes,
        first: int,
        size: int,
    ) -> None:
        self.number = number
        self._setup = setup
        self._ticket = ticket
        self._first = first
        self._size = size
        self.slots: dict[int, _Slot] = {}
        self.large: Held | None = None  # what is kept for its workers here

    def greeting(self, slot: _Slot) -> Frames:
        """Return what a worker begins with; its number, from 1, no other of the pool has had, in
        any rank.
        """
        number = self._first + slot.number + self._size * slot.generation + 1
        return [self._setup, str(number).encode(), self._ticket]


class WorkerManager:
    """The worker processes of one rank.

    Parameters
    ----------
    bell : Doorbell
        What else to wake up for.
    is_roots : bool
        Whether it tells what all worker managers could tell.
    """

    def __init__(self, bell: Doorbell, *, is_roots: bool = True) -> None:
        self._crew: Crew[_Slot] = Crew(
            _start,
            lambda slot: slot.pool.greeting(slot),
            bell,
        )
        self._pools: dict[int, _Pool] = {}
        self._happened: list[tuple[Event, Frames]] = []
        self._is_imported = False
        self._is_roots = is_roots

    def obey(self, order: Order, frames: Frames = ()) -> None:
        """Do what is ordered."""
        if order.what == OPEN:
            self._open(order.pool, frames)
            return
        pool = self._pools.get(order.pool)
        if pool is None:  # it has just been given up
            return
        if order.what in (CLOSE, KILL):
            self._close(pool, kill=order.what == KILL)
            return
        slot = pool.slots.get(order.slot)
        if slot is None:
            return
        if order.what == RETIRE:
            self._crew.retire(slot)
            self._start(slot)
        else:
            self._crew.send(slot, frames)

    def wait(self, seconds: float) -> None:
        """Wait until something happens, the bell rings or the time is over, and take in what
        happened.
        """
        for news in self._crew.wait(0.0 if self._happened else seconds):
            self._take_in(news)

    def events(self) -> Iterator[tuple[Event, Frames]]:
        """Yield what happened, once."""
        happened = self._happened
        self._happened = []
        yield from happened

    def end(self) -> None:
        """End all workers, and wait for that."""
        for pool in list(self._pools.values()):
            self._close(pool, kill=True)
        self._crew.end()

    def _open(self, number: int, frames: Frames) -> None:
        """Start the workers of a pool."""
        count, first, size = map(int, bytes(frames[0]).split())
        ticket, large = bytes(frames[3]), Held(frames[4:])
        setup = bytearray(frames[1])
        pool = _Pool(
            number,
            setup,
            large.ticket or ticket,
            first,
            size,
        )
        pool.large = large
        self._pools[number] = pool
        self._have_imported(bytes(frames[2]))
        for slot_number in range(count):
            if number in self._pools:  # else it has just been given up
                slot = pool.slots[slot_number] = _Slot(pool, slot_number)
                self._start(slot)

    def _have_imported(self, script: bytes) -> None:
        """Have the main script imported where workers come from, once, if it may be."""
        if script and not self._is_imported and may_have_children():
            self._is_imported = True
            function = "import_script_silently"
            if self._is_roots:
                function = "import_script"
            child.send_on_errand("mpipar.pool.importing", function, script)

    def _start(self, slot: _Slot) -> None:
        try:
            self._crew.start(slot)
        except _NOT_STARTED as error:
            problem = RuntimeError(f"a worker can't be started: {error!r}")
            self._give_up(slot, [pickle.dumps(problem)])

    def _take_in(self, news: CrewEvent[_Slot]) -> None:
        slot = news.berth
        match news:
            case Message():
                self._tell(MESSAGE, slot, news.frames)
            case Lost():
                self._replace(slot, news)
            case Broken():
                self._give_up(slot, news.frames)
            case _:
                self._tell(STARTED, slot, news.frames)

    def _replace(self, slot: _Slot, lost: Lost[_Slot]) -> None:
        if slot.stillborn >= MOST_STILLBORN:
            error = RuntimeError(f"{lost.reason} before its first task, {MOST_STILLBORN} times")
            self._give_up(slot, [pickle.dumps(error)])
            return
        self._start(slot)
        self._tell(LOST, slot, [lost.reason.encode()])

    def _give_up(self, slot: _Slot, error: Frames) -> None:
        self._close(slot.pool, kill=True)
        self._tell(BROKE, slot, error)

    def _tell(self, what: str, slot: _Slot, frames: Frames) -> None:
        self._happened.append((Event(what, slot.pool.number, slot.number), frames))

    def _close(self, pool: _Pool, *, kill: bool) -> None:
        """End the workers of a pool: at once, or when they have read that."""
        self._pools.pop(pool.number, None)
        slots = list(pool.slots.values())
        if kill:
            self._crew.kill(*slots)
            return
        for slot in slots:
            self._crew.retire(slot)
