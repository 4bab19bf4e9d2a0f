"""Messages over a socket: whatever their frames, they come as they were sent; a dead other end is
noticed.
"""

import socket
import threading
import time
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar.runtime.channel import Channel, Receiver, send

MODERATE = settings(max_examples=60, deadline=None)
LARGE = 5_000_000  # bytes; more than a socket takes

frames = st.lists(st.one_of(st.binary(max_size=20), st.integers(0, 400_000).map(bytes)), max_size=6)
messages = st.lists(frames, max_size=5)

_threads = []


@pytest.fixture
def ends():
    """Return the two ends of a socket, the rank's as a channel."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(20)
    channel = Channel(ours)
    yield channel, theirs
    while _threads:
        _threads.pop().join(20)
    channel.close()
    theirs.close()


def received(channel, count):
    """Return the next messages, waiting for them."""
    found, deadline = [], time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += channel.receive()
    return found


def received_by(child, count):
    """Return the next messages at a child's end."""
    receiver = Receiver(child)
    return [receiver.receive() for _ in range(count)]


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    _threads.append(thread)
    return thread


def flush_all(channel):
    deadline = time.monotonic() + 20
    while channel.has_unsent and time.monotonic() < deadline:
        channel.flush()


@MODERATE
@given(sent=messages)
def test_a_channel_receives_what_a_child_sends(sent):
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        thread = in_thread(lambda: [send(theirs, message) for message in sent])
        assert received(channel, len(sent)) == sent
        thread.join(20)
        assert list(channel.receive()) == []
    channel.close()


@MODERATE
@given(sent=messages)
def test_a_child_receives_what_a_channel_sends(sent):
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    with theirs:
        for message in sent:
            channel.send(message)
        thread = in_thread(flush_all, channel)
        assert received_by(theirs, len(sent)) == sent
        thread.join(20)
        assert not channel.has_unsent
    channel.close()


def test_a_channel_that_cannot_send_now_does_not_wait(ends):
    channel, child = ends
    began = time.monotonic()
    for _ in range(3):
        channel.send([bytes(LARGE)])
    assert time.monotonic() - began < 5
    assert channel.has_unsent
    in_thread(flush_all, channel)
    assert [len(frames[0]) for frames in received_by(child, 3)] == [LARGE] * 3


def test_more_frames_than_a_system_call_takes(ends):
    channel, child = ends
    message = [bytes([number % 256]) * (number % 3) for number in range(5000)]
    in_thread(lambda: (channel.send(message), flush_all(channel)))
    assert Receiver(child).receive() == message
    in_thread(send, child, message)
    assert received(channel, 1) == [message]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.array])
def test_frames_are_any_buffers_and_arrive_writable(kind, ends):
    channel, child = ends
    frame = kind(b"\0\1" * 8)
    if kind is np.array:
        frame = np.arange(4.0).reshape(2, 2)
    channel.send([frame, b""])
    (frame_back, empty) = Receiver(child).receive()
    assert frame_back == memoryview(frame).tobytes()
    assert empty == b""
    frame_back[0] = 7
    send(child, [frame])
    assert received(channel, 1) == [[memoryview(frame).tobytes()]]


def test_a_message_that_comes_byte_by_byte(ends):
    channel, child = ends
    feeder, ear = socket.socketpair()
    with feeder, ear:
        send(feeder, [b"ab", b"", b"c"])
        data = ear.recv(1000)
    for position in range(len(data)):
        assert list(channel.receive()) == [], "a part of a message"
        child.sendall(data[position : position + 1])
    assert received(channel, 1) == [[b"ab", b"", b"c"]]


def test_others_have_their_turn_while_much_comes(ends):
    channel, child = ends
    thread = in_thread(lambda: [send(child, [bytes(2**20)]) for _ in range(40)])
    time.sleep(0.01)
    parts = []
    while sum(parts) < 40:
        parts.append(sum(1 for _ in channel.receive()))
    assert max(parts) <= 17
    thread.join(20)


def test_what_was_sent_before_the_end_is_received_before_the_end(ends):
    channel, child = ends
    send(child, [b"last"])
    child.close()
    messages = channel.receive()
    assert next(messages) == [b"last"]
    with pytest.raises(EOFError):
        next(messages)
    with pytest.raises(EOFError):
        list(channel.receive())


def test_a_child_that_ends_in_the_midst_of_a_message(ends):
    channel, child = ends
    child.sendall(b"\2\0\0\0" + bytes(9))
    child.close()
    with pytest.raises(EOFError):
        list(islice(channel.receive(), 1))


def test_what_a_dead_child_does_not_take_is_dropped(ends):
    channel, child = ends
    channel.send([bytes(LARGE)])
    assert channel.has_unsent
    child.close()
    channel.flush()
    assert not channel.has_unsent
    channel.send([b"more"])
    assert not channel.has_unsent


def test_a_rank_that_is_gone_is_noticed_by_its_child(ends):
    channel, child = ends
    channel.close()
    with pytest.raises((EOFError, ConnectionError)):
        Receiver(child).receive()
    with pytest.raises(OSError):
        send(child, [bytes(LARGE)] * 3)
