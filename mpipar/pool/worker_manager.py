"""The worker processes of one rank, for all pools.

The engine, on the root or through a relay, says what is to be done; the station tells what
happened. Workers that die are replaced without being asked.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from mpipar.pool.evaluation import BROKEN, END, LINGER, READY
from mpipar.pool.worker import work, work_in_thread
from mpipar.runtime import child
from mpipar.runtime.channel import Channel, Frames
from mpipar.runtime.doorbell import Doorbell

OPEN, SEND, RETIRE, CLOSE, KILL, LEAVE = "open", "send", "retire", "close", "kill", "leave"
MESSAGE, LOST, BROKE = "message", "lost", "broke"

_NOT_STARTED = (OSError, EOFError, MemoryError, RuntimeError)  # of processes, descriptors, …

MOST_STILLBORN = 3
"""A pool is given up when so many workers in one place, one after the other, die before they are
ready.
"""

_LOOK_SECONDS = 0.01  # between looks at workers that are to end


def may_have_children() -> bool:
    """Return whether this process may start workers: one that is itself a child of multiprocessing
    has a thread.
    """
    return multiprocessing.parent_process() is None


class Order(NamedTuple):
    """What a station is to do.

    Attributes
    ----------
    what : str
        OPEN: start the workers of a pool; frames: how many, how many lower ranks have and all have;
        their setup; the script that they are to import. SEND: pass a message to a worker. RETIRE:
        replace a worker, which is idle. CLOSE: end the workers of a pool, which are idle. KILL: end
        them whatever they do. LEAVE: there will be no more orders.
    pool, slot : int
        Which pool, and which of its workers in this rank.
    """

    what: str
    pool: int = 0
    slot: int = 0


class Event(NamedTuple):
    """What happened at a station.

    Attributes
    ----------
    what : str
        MESSAGE: a worker sent one. LOST: a worker has died, and a new one comes; the frame says
        how. BROKE: no worker of the pool can start; the frames are the pickled exception.
    pool, slot : int
        Which pool, and which of its workers in this rank.
    """

    what: str
    pool: int
    slot: int


class _Thread(threading.Thread):
    """A thread with the methods of a process, for where there may be no more processes."""

    exitcode = None
    sentinel = None

    def kill(self) -> None:
        """Do nothing: it ends when its socket is closed and its task is over."""

    def join(self, timeout: float | None = None) -> None:
        """Wait, but not for ever: nothing ends a task in a thread."""
        super().join(min(timeout or 0.0, 0.1))
        if not self.is_alive():
            self.exitcode = 0


class _Worker:
    def __init__(self, crew: _Crew, slot: int) -> None:
        self.crew, self.slot = crew, slot
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.process: BaseProcess | _Thread
        if may_have_children():
            with theirs:
                self.process = child.start(work, theirs)
        else:
            self.process = _Thread(target=work_in_thread, args=(theirs,), daemon=True)
            self.process.start()
        self.ears = [ear for ear in (self.channel, self.process.sentinel) if ear is not None]
        self.is_ready = self._is_struck = self.lingers = self.waits_for_room = False
        self.channel.send([crew.setup, str(crew.next_number(slot)).encode()])

    def may_linger(self) -> bool:
        """Return whether it has said that it can't end yet."""
        with contextlib.suppress(EOFError):
            for frames in self.channel.receive():
                self.lingers = self.lingers or pickle.loads(frames[0])[0] == LINGER
        return self.lingers

    def strike(self) -> None:
        """Begin to end it: several end at the same time."""
        if not self._is_struck:
            self._is_struck = True
            self.process.kill()

    def kill(self) -> None:
        self.strike()
        self.channel.close()
        self.process.join()


class _Crew:
    """The workers of a pool in this rank."""

    def __init__(self, pool: int, setup: bytearray, first: int, size: int) -> None:
        self.pool, self.setup = pool, setup
        self._first, self._size = first, size
        self._generations: Counter[int] = Counter()
        self.workers: dict[int, _Worker] = {}
        self.stillborn: Counter[int] = (
            Counter()
        )  # {slot: workers that died there before their first task, in a row}

    def next_number(self, slot: int) -> int:
        """Return a number, from 1, that no worker of the pool has had, in any rank."""
        number = self._first + slot + self._size * self._generations[slot] + 1
        self._generations[slot] += 1
        return number


class Station:
    """The worker processes of one rank.

    Parameters
    ----------
    bell : Doorbell
        What else to wake up for.
    is_roots : bool
        Whether it tells what all stations could tell.
    """

    def __init__(self, bell: Doorbell, *, is_roots: bool = True) -> None:
        self._bell = bell
        self._selector = selectors.DefaultSelector()
        self._selector.register(bell, selectors.EVENT_READ)
        self._crews: dict[int, _Crew] = {}
        self._leaving: list[tuple[_Worker, float]] = []
        self._happened: list[tuple[Event, Frames]] = []
        self._is_imported, self._is_roots, self._is_ending = False, is_roots, False

    def obey(self, order: Order, frames: Frames = ()) -> None:
        """Do what is ordered."""
        if order.what == OPEN:
            count, first, size = map(int, bytes(frames[0]).split())
            crew = self._crews[order.pool] = _Crew(order.pool, bytearray(frames[1]), first, size)
            self._have_imported(bytes(frames[2]))
            for slot in range(count):
                self._start(crew, slot)
            return
        crew_or_none = self._crews.get(order.pool)
        if crew_or_none is None:  # it has just been given up
            return
        crew = crew_or_none
        if order.what in (CLOSE, KILL):
            del self._crews[order.pool]
            self._let_all_go(crew, kill=order.what == KILL)
            return
        worker_or_none = crew.workers.get(order.slot)
        if worker_or_none is None:
            return
        if order.what == RETIRE:
            self._let_go(worker_or_none)
            self._start(crew, order.slot)
        else:
            worker_or_none.channel.send(frames)
            self._watch(worker_or_none)

    def wait(self, seconds: float) -> None:
        """Wait until something happens, the bell rings or the time is over, and take in what
        happened.
        """
        if self._leaving:
            seconds = min(seconds, _LOOK_SECONDS)
            self._look_after_leaving()
        for key, mask in self._selector.select(0 if self._happened else seconds):
            worker = key.data
            if worker is None:
                self._bell.quiet()
                continue
            if worker.crew.workers.get(worker.slot) is not worker:
                continue  # it was let go a moment ago
            if mask & selectors.EVENT_WRITE:
                worker.channel.flush()
                self._watch(worker)
            if mask & selectors.EVENT_READ:
                self._listen(worker, has_ended=key.fileobj is not worker.channel)

    def events(self) -> Iterator[tuple[Event, Frames]]:
        """Yield what happened, once."""
        happened, self._happened = self._happened, []
        yield from happened

    def end(self) -> None:
        """End all workers, and wait for that."""
        for crew in self._crews.values():
            self._let_all_go(crew, kill=True)
        self._crews.clear()
        self._is_ending = True
        while self._leaving:
            self._look_after_leaving()
            time.sleep(1e-3)

    def _have_imported(self, script: bytes) -> None:
        """Have the main script imported where workers come from, once, if it may be."""
        if script and not self._is_imported and may_have_children():
            self._is_imported = True
            function = "import_script_silently"
            if self._is_roots:
                function = "import_script"
            child.send_on_errand("mpipar.pool.importing", function, script)

    def _start(self, crew: _Crew, slot: int) -> None:
        if crew.pool not in self._crews:  # it has just been given up
            return
        try:
            worker = crew.workers[slot] = _Worker(crew, slot)
        except _NOT_STARTED as error:
            problem = RuntimeError(f"a worker can't be started: {error!r}")
            self._give_up(crew, slot, [pickle.dumps(problem)])
            return
        for ear in worker.ears:
            self._selector.register(ear, selectors.EVENT_READ, worker)
        self._watch(worker)

    def _watch(self, worker: _Worker) -> None:
        """Wait for room in the socket of a worker, if there is more to send."""
        wants_room = worker.channel.has_unsent
        if worker.waits_for_room != wants_room:
            worker.waits_for_room = wants_room
            events = selectors.EVENT_READ
            if wants_room:
                events |= selectors.EVENT_WRITE
            self._selector.modify(worker.channel, events, worker)

    def _listen(self, worker: _Worker, *, has_ended: bool) -> None:
        """Take in what a worker has sent."""
        try:
            while True:
                heard = False
                for frames in worker.channel.receive():
                    heard = True
                    self._take_in(worker, frames)
                if not heard or not has_ended:
                    break
        except EOFError:
            has_ended = True
        if has_ended and worker.crew.workers.get(worker.slot) is worker:
            self._replace(worker)

    def _take_in(self, worker: _Worker, frames: Frames) -> None:
        crew = worker.crew
        if not worker.is_ready:
            what = pickle.loads(frames[0])[0]
            worker.is_ready = what == READY
            if what == BROKEN:
                self._give_up(crew, worker.slot, frames[1:])
                return
            crew.stillborn[worker.slot] = 0
        self._happened.append((Event(MESSAGE, crew.pool, worker.slot), frames))

    def _replace(self, worker: _Worker) -> None:
        crew = worker.crew
        self._forget(worker)
        process = worker.process
        if isinstance(process, _Thread):
            reason = "the worker has ended"
        else:
            reason = child.how_it_ended(process)
        worker.kill()
        if not worker.is_ready:
            crew.stillborn[worker.slot] += 1
            if crew.stillborn[worker.slot] >= MOST_STILLBORN:
                error = RuntimeError(f"{reason} before its first task, {MOST_STILLBORN} times")
                self._give_up(crew, worker.slot, [pickle.dumps(error)])
                return
        self._start(crew, worker.slot)
        self._happened.append((Event(LOST, crew.pool, worker.slot), [reason.encode()]))

    def _give_up(self, crew: _Crew, slot: int, error: Frames) -> None:
        self._crews.pop(crew.pool, None)
        self._let_all_go(crew, kill=True)
        self._happened.append((Event(BROKE, crew.pool, slot), error))

    def _let_all_go(self, crew: _Crew, *, kill: bool) -> None:
        workers = list(crew.workers.values())
        if kill:
            for worker in workers:
                worker.strike()
        for worker in workers:
            self._let_go(worker, kill=kill)

    def _let_go(self, worker: _Worker, *, kill: bool = False) -> None:
        """End a worker: at once, or when it has read that."""
        self._forget(worker)
        if kill:
            worker.kill()
        else:
            worker.channel.send([pickle.dumps((END,))])
            self._leaving.append((worker, time.monotonic() + child.FAREWELL_SECONDS))

    def _forget(self, worker: _Worker) -> None:
        if worker.crew.workers.get(worker.slot) is worker:
            del worker.crew.workers[worker.slot]
            for ear in worker.ears:
                self._selector.unregister(ear)

    def _look_after_leaving(self) -> None:
        now = time.monotonic()
        for worker, deadline in list(self._leaving):
            worker.channel.flush()
            worker.process.join(0)
            if worker.process.exitcode is not None or (
                now > deadline and (self._is_ending or not worker.may_linger())
            ):
                worker.kill()
                self._leaving.remove((worker, deadline))
