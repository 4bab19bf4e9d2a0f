"""The processes that a rank has started: each in a berth, where another one follows it if it dies.

::

    to a process     a greeting                     the first message
                     anything
                     no frames                      it is to end
    from it          (READY, …) or (BROKEN, …)      the first message
                     anything
                     (LINGER,)                      it can't end before somebody reads what it sent

What is in the messages, and what becomes of the work of a process that was lost, is the affair of
who has a crew: the evaluator of a run, and the worker manager of pools.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from mpipar.runtime import child
from mpipar.runtime.channel import Channel, Frames
from mpipar.runtime.doorbell import Doorbell

READY = b"ready"
BROKEN = b"broken"
LINGER = b"linger"
END: Frames = ()

FAREWELL_SECONDS = 2.0  # that processes are given to end by themselves

_LOOK_SECONDS = 0.01  # between looks at processes that are to end


class Process(Protocol):
    """What a crew needs of a process of multiprocessing."""

    @property
    def pid(self) -> int | None:
        """Its number."""

    @property
    def exitcode(self) -> int | None:
        """None as long as it runs."""

    @property
    def sentinel(self) -> int | None:
        """A descriptor that can be read from once it has ended, if there is one."""

    def kill(self) -> None:
        """Have it end at once."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""


class Berth:
    """Where one process works at a time; who has a crew derives its own from this.

    Attributes
    ----------
    generation : int
        How many processes have been here before.
    stillborn : int
        How many of them, in a row, died before they were ready.
    is_ready : bool
        Whether its process has said so.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.stillborn = 0
        self.is_ready = False
        self._member: _Member | None = None

    @property
    def pid(self) -> int | None:
        """The number of its process, if it has one."""
        return None if self._member is None else self._member.process.pid


P = TypeVar("P", bound=Berth)

Start: TypeAlias = Callable[[socket.socket], Process]
"""Starts a process, which gets the socket; it is closed here, unless the two share it."""


class Ready(NamedTuple, Generic[P]):
    """A process is ready, and says what the frames say."""

    berth: P
    frames: Frames


class Broken(NamedTuple, Generic[P]):
    """A process can't get ready, and says why."""

    berth: P
    frames: Frames


class Message(NamedTuple, Generic[P]):
    """A process that is ready has sent something."""

    berth: P
    frames: Frames


class Lost(NamedTuple, Generic[P]):
    """A process has died, for a reason; its berth is empty."""

    berth: P
    reason: str
    was_ready: bool


Event: TypeAlias = Ready[P] | Broken[P] | Message[P] | Lost[P]


def in_process(target: Callable[[socket.socket], None]) -> Start:
    """Return what starts a process that calls ``target`` with its socket."""

    def start(sock: socket.socket) -> Process:
        with sock:
            return child.start(target, sock)

    return start


class _Member:
    """A process, and this end of its socket."""

    def __init__(self, process: Process, channel: Channel) -> None:
        self.process = process
        self.channel = channel
        self.waits_for_room = False
        self._lingers = False
        self._is_struck = False

    def ears(self) -> Iterator[Channel | int]:
        """Yield what can be read from when it has sent something or has ended."""
        yield self.channel
        if self.process.sentinel is not None:
            yield self.process.sentinel

    def lingers(self) -> bool:
        """Return whether it has said that it can't end yet."""
        with contextlib.suppress(EOFError):
            for frames in self.channel.receive():
                self._lingers = self._lingers or frames == [LINGER]
        return self._lingers

    def strike(self) -> None:
        """Begin to end it: several end at the same time."""
        if not self._is_struck:
            self._is_struck = True
            self.process.kill()

    def kill(self) -> None:
        """End it, and wait for that."""
        self.strike()
        self.channel.close()
        self.process.join()

    def how_it_ended(self) -> str:
        """Return what became of it."""
        if self.process.sentinel is None:  # a thread
            return "the worker has ended"
        self.process.join(FAREWELL_SECONDS)
        code = self.process.exitcode
        if code is None:
            return "the worker closed its pipe"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the worker was killed by {signal.Signals(-code).name}"
        return f"the worker ended with exit code {code}"


class _Leaving(NamedTuple):
    """A process that was told to end."""

    member: _Member
    deadline: float

    def is_over(self, *, may_linger: bool) -> bool:
        """Return whether it has ended, or the time for that is over."""
        self.member.channel.flush()
        self.member.process.join(0)
        if self.member.process.exitcode is not None:
            return True
        if time.monotonic() <= self.deadline:
            return False
        return not (may_linger and self.member.lingers())


class Crew(Generic[P]):
    """Processes, each in a berth.

    Parameters
    ----------
    start : callable
        Starts a process, which gets the other end of a socket.
    greet : callable
        Returns the first message to the process that has just been started in a berth.
    bell : Doorbell, optional
        What else to wake up for.
    """

    def __init__(
        self,
        start: Start,
        greet: Callable[[P], Frames],
        bell: Doorbell | None = None,
    ) -> None:
        self._start = start
        self._greet = greet
        self._bell = bell
        self._selector = selectors.DefaultSelector()
        self._news: deque[Event[P]] = deque()
        self._leaving: list[_Leaving] = []
        if bell is not None:
            self._selector.register(bell, selectors.EVENT_READ)

    def start(self, berth: P) -> None:
        """Start a process in an empty berth. Raises OSError or EOFError if there can't be one."""
        ours, theirs = socket.socketpair()
        try:
            member = _Member(self._start(theirs), Channel(ours))
        except BaseException:  # Ctrl-C even as it has just started: it ends when its socket does
            ours.close()
            theirs.close()
            raise
        berth._member = member
        for ear in member.ears():
            self._selector.register(ear, selectors.EVENT_READ, berth)
        self.send(berth, self._greet(berth))

    def send(self, berth: P, frames: Frames) -> None:
        """Send a message, without waiting; what one that has died doesn't take is dropped."""
        if berth._member is not None:
            berth._member.channel.send(frames)
            self._watch(berth, berth._member)

    def has_sent(self, berth: P) -> bool:
        """Return whether something is on its way from a process."""
        return berth._member is not None and berth._member.channel.has_begun

    def wait(self, seconds: float) -> Iterator[Event[P]]:
        """Wait until something happens, the bell rings or the time is over; return what happened,
        to be taken one by one. What isn't taken is still there next time.
        """
        if self._news:
            seconds = 0.0
        if self._leaving:
            seconds = min(seconds, _LOOK_SECONDS)
            self._look_after_leaving(may_linger=True)
        for key, mask in self._selector.select(seconds):
            berth = key.data
            if berth is None:
                assert self._bell is not None
                self._bell.quiet()
            elif berth._member is not None:  # else it was lost a moment ago
                self._attend(berth, berth._member, mask, key.fileobj)
        return self._taken()

    def retire(self, berth: P) -> None:
        """Tell a process, which is idle, to end; its berth is empty at once."""
        member = self._vacate(berth)
        if member is not None:
            member.channel.send(END)
            self._leaving.append(_Leaving(member, time.monotonic() + FAREWELL_SECONDS))

    def kill(self, *berths: P) -> None:
        """End processes, whatever they do, and wait for that; their berths are empty."""
        members = [member for berth in berths if (member := self._vacate(berth))]
        for member in members:
            member.strike()
        for member in members:
            member.kill()

    def end(self) -> None:
        """Wait for all that have been told to end; kill those that don't in time. There must be no
        others, and nothing can be started any more.
        """
        while self._leaving:
            self._look_after_leaving(may_linger=False)
            time.sleep(1e-3)
        self._selector.close()

    def _taken(self) -> Iterator[Event[P]]:
        while self._news:
            yield self._news.popleft()

    def _attend(
        self,
        berth: P,
        member: _Member,
        mask: int,
        ear: object,
    ) -> None:
        """Go on sending to a process, and take in what it has sent."""
        if mask & selectors.EVENT_WRITE:
            member.channel.flush()
            self._watch(berth, member)
        if mask & selectors.EVENT_READ:
            self._listen(berth, member, has_ended=ear is not member.channel)

    def _watch(self, berth: P, member: _Member) -> None:
        """Wait for room in the socket of a process, if there is more to send."""
        wants_room = member.channel.has_unsent
        if member.waits_for_room == wants_room:
            return
        member.waits_for_room = wants_room
        events = selectors.EVENT_READ
        if wants_room:
            events |= selectors.EVENT_WRITE
        self._selector.modify(member.channel, events, berth)

    def _listen(
        self,
        berth: P,
        member: _Member,
        *,
        has_ended: bool,
    ) -> None:
        try:
            while self._take_in(berth, member) and has_ended:
                pass
        except EOFError:
            has_ended = True
        if has_ended:
            self._lose(berth, member)

    def _take_in(self, berth: P, member: _Member) -> bool:
        """Take in what a process has sent; return whether it was anything. Raises EOFError when it
        has closed its end.
        """
        was_heard = False
        for frames in member.channel.receive():
            was_heard = True
            if berth.is_ready:
                self._news.append(Message(berth, frames))
            else:
                self._meet(berth, frames)
        return was_heard

    def _meet(self, berth: P, first: Frames) -> None:
        """Take in the first message of a process."""
        what, *rest = first
        if what == BROKEN:
            self._news.append(Broken(berth, rest))
            return
        berth.is_ready = True
        berth.stillborn = 0
        self._news.append(Ready(berth, rest))

    def _lose(self, berth: P, member: _Member) -> None:
        reason = member.how_it_ended()
        if not berth.is_ready:
            berth.stillborn += 1
        self._news.append(Lost(berth, reason, berth.is_ready))
        self._empty(berth, member)
        member.kill()

    def _vacate(self, berth: P) -> _Member | None:
        """Take the process from its berth, and whatever it has sent."""
        self._news = deque(news for news in self._news if news.berth is not berth)
        member = berth._member
        if member is not None:
            self._empty(berth, member)
        return member

    def _empty(self, berth: P, member: _Member) -> None:
        for ear in member.ears():
            self._selector.unregister(ear)
        berth._member = None
        berth.is_ready = False
        berth.generation += 1

    def _look_after_leaving(self, *, may_linger: bool) -> None:
        for leaving in list(self._leaving):
            if leaving.is_over(may_linger=may_linger):
                leaving.member.kill()
                self._leaving.remove(leaving)
