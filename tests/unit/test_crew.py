"""Processes of a rank: started in berths, greeted, heard, replaced and ended. Here threads are the
processes, each doing what its greeting says.
"""

import contextlib
import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar.runtime import crew
from mpipar.runtime.channel import Receiver, send
from mpipar.runtime.crew import BROKEN, LINGER, READY, Berth, Broken, Crew, Lost, Message, Ready
from mpipar.runtime.doorbell import Doorbell

LARGE = bytes(5_000_000)  # more than a socket takes
SECONDS = 20


class Member(threading.Thread):
    """A thread that looks like a process of multiprocessing: it does what its greeting says."""

    pid = 1

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.exitcode = None
        self.sentinel, self._ending = os.pipe()
        self._socket, self._receiver = sock, Receiver(sock)
        self._is_free = threading.Event()
        self.start()

    def run(self):
        code = None
        with contextlib.suppress(EOFError, OSError):  # nobody listens any more
            greeting, *rest = self._receiver.receive()
            code = getattr(self, greeting.decode())(*rest)
        self.exitcode = code or 0
        self._socket.close()
        os.close(self._ending)

    def echo(self, *_):
        send(self._socket, [READY, b"here"])
        while message := self._receiver.receive():
            send(self._socket, message)

    def count(self, *rest):
        send(self._socket, [READY, str(sum(map(len, rest))).encode()])

    def fail(self):
        send(self._socket, [BROKEN, b"why"])
        return 1

    def die(self):
        return -9

    def talk_and_die(self):
        for message in ([READY], [b"1"], [b"2"]):
            send(self._socket, message)
        return 3

    def linger(self):
        send(self._socket, [READY])
        self._receiver.receive()
        send(self._socket, [LINGER])
        self._is_free.wait(SECONDS)

    def stay(self):
        send(self._socket, [READY])
        self._is_free.wait(SECONDS)

    def kill(self):
        self._is_free.set()


class Room:
    """Berths with a crew, whose members do what is said for each berth, in turn."""

    def __init__(self, *says, bell=None):
        self.crew = Crew(self._start, self._greeting, bell)
        self.berths = []
        self.says = {}
        self.members = []
        for each in says:
            berth = Berth()
            self.berths.append(berth)
            self.says[berth] = list(each)
            self.crew.start(berth)

    def _start(self, sock):
        self.members.append(Member(sock))
        return self.members[-1]

    def _greeting(self, berth):
        says = self.says[berth]
        return says[min(berth.generation, len(says) - 1)]

    def happens(self, count):
        """Return the next events, waiting for them."""
        found, end = [], time.monotonic() + SECONDS
        while len(found) < count:
            assert time.monotonic() < end, found
            for event in self.crew.wait(0.1):
                found.append(event)
                if len(found) == count:
                    break  # the others are still there next time
        return found


@pytest.fixture
def room():
    """Return how to make a room, which is emptied in the end."""
    made = []

    def make(*says, **options):
        made.append(Room(*says, **options))
        return made[-1]

    yield make
    for each in made:
        each.crew.kill(*each.berths)
        each.crew.end()


@pytest.fixture
def hasty(monkeypatch):
    """Let members have no time to end by themselves."""
    monkeypatch.setattr(crew, "FAREWELL_SECONDS", 0.05)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=3), max_size=6))
def test_messages_come_back_in_order_after_the_first_one(messages):
    its = Room([[b"echo"]])
    [berth] = its.berths
    for message in messages:
        its.crew.send(berth, message)
    first, *rest = its.happens(1 + len(messages))
    assert first == Ready(berth, [b"here"])
    assert berth.is_ready
    assert rest == [Message(berth, message) for message in messages]
    its.crew.retire(berth)
    its.crew.end()
    assert [member.exitcode for member in its.members] == [0]


def test_a_greeting_and_messages_that_a_socket_does_not_take_at_once_arrive(room):
    its = room([[b"count", LARGE, LARGE]], [[b"echo"]])
    counting, echoing = its.berths
    its.crew.send(echoing, [LARGE])
    events = its.happens(4)
    assert Ready(counting, [str(2 * len(LARGE)).encode()]) in events
    assert Message(echoing, [LARGE]) in events
    assert Lost(counting, "the worker ended with exit code 0", was_ready=True) in events


def test_what_one_says_before_it_dies_is_heard_first(room):
    its = room([[b"talk_and_die"]])
    [berth] = its.berths
    reason = "the worker ended with exit code 3"
    expected = [Ready(berth, []), Message(berth, [b"1"]), Message(berth, [b"2"])]
    assert its.happens(4) == [*expected, Lost(berth, reason, was_ready=True)]
    its.crew.send(berth, [b"nobody is there"])
    assert (berth.pid, berth.is_ready, berth.generation, berth.stillborn) == (None, False, 1, 0)


def test_deaths_before_the_first_message_are_counted_until_one_is_ready(room):
    its = room([[b"die"], [b"die"], [b"echo"], [b"die"]])
    [berth] = its.berths
    for deaths in (1, 2):
        assert its.happens(1) == [Lost(berth, "the worker was killed by SIGKILL", was_ready=False)]
        assert (berth.stillborn, berth.generation) == (deaths, deaths)
        its.crew.start(berth)
    assert its.happens(1) == [Ready(berth, [b"here"])]
    assert berth.stillborn == 0
    its.crew.kill(berth)
    its.crew.start(berth)
    [lost] = its.happens(1)
    assert (lost.was_ready, berth.stillborn, berth.generation) == (False, 1, 4)


def test_one_that_can_not_get_ready_says_why(room):
    its = room([[b"fail"]])
    [berth] = its.berths
    assert its.happens(1) == [Broken(berth, [b"why"])]
    assert not berth.is_ready


def test_nothing_is_told_of_those_that_were_ended_on_purpose(room):
    its = room([[b"talk_and_die"], [b"echo"]], [[b"echo"]])
    berth, other = its.berths
    begun = its.happens(1)
    while Message(berth, [b"2"]) not in its.crew._news:  # what it said waits to be taken
        its.crew._news.extend(list(its.crew.wait(0.1)))
    its.crew.kill(berth)
    its.crew.kill(berth)  # an empty berth
    its.crew.start(berth)
    assert {*map(type, begun + its.happens(2 - (begun[0].berth is other)))} == {Ready}
    its.crew.retire(berth)
    its.crew.retire(other)
    its.crew.end()
    assert not list(its.crew._news)


def test_one_that_does_not_end_in_time_is_killed_but_for_those_that_must_linger(room, hasty):
    its = room([[b"linger"]], [[b"stay"]])
    lingering, staying = its.members
    its.happens(2)
    for berth in its.berths:
        its.crew.retire(berth)
    end = time.monotonic() + SECONDS
    while staying.is_alive():
        assert time.monotonic() < end
        assert not list(its.crew.wait(0.01))
    assert lingering.is_alive()
    its.crew.end()  # now it must, too
    assert not lingering.is_alive()


def test_a_bell_ends_a_wait(room):
    bell = Doorbell()
    its = room(bell=bell)
    bell.ring(bell.name)
    began = time.monotonic()
    assert not list(its.crew.wait(SECONDS))
    assert time.monotonic() - began < SECONDS / 2
    bell.close()


def test_it_is_known_whether_something_is_on_its_way(room):
    its = room([[b"echo"]])
    [berth] = its.berths
    end = time.monotonic() + SECONDS
    while not its.crew.has_sent(berth):
        assert time.monotonic() < end
    its.happens(1)
    assert not its.crew.has_sent(berth)
    its.crew.kill(berth)
    assert not its.crew.has_sent(berth)


def test_a_socket_is_closed_if_no_process_can_be_started():
    sockets = []

    def start(sock):
        sockets.append(sock)
        raise OSError("no more processes")

    berth, its = Berth(), Crew(start, lambda _: [b"never"])
    with pytest.raises(OSError, match="no more processes"):
        its.start(berth)
    assert sockets[0].fileno() == -1
    assert berth.pid is None
    its.end()


def test_a_thread_is_a_member_without_a_descriptor():
    def start(sock):
        member = Member(sock)
        member.sentinel = None
        return member

    berth, its = Berth(), Crew(start, lambda _: [b"talk_and_die"])
    its.start(berth)
    events, end = [], time.monotonic() + SECONDS
    while len(events) < 4 and time.monotonic() < end:
        events.extend(its.wait(0.1))
    assert events[-1] == Lost(berth, "the worker has ended", was_ready=True)
    its.end()
