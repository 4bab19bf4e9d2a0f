"""Locks, values, queues and pipes as a worker on another node has them, against the real ones."""

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import queue
import signal
import threading
from multiprocessing.connection import wait

import numpy as np
import pytest

from mpipar.pool import by_value, pool_runtime, sharing

CONTEXT = multiprocessing.get_context("fork")
SECONDS = 60
assert pool_runtime  # semaphores have names from here on


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_double))


class Segment(ctypes.Structure):
    _fields_ = (("begin", Point), ("end", Point))


@pytest.fixture(autouse=True)
def other_nodes(monkeypatch):
    monkeypatch.setattr(sharing, "_address", "127.0.0.1")


@contextlib.contextmanager
def elsewhere(function, *values):
    """Call a function with values in a process on another node; yield it, and where its outcome
    comes.
    """
    pickled = [by_value.dumps(value, lends=True) for value in values]
    ours, theirs = CONTEXT.Pipe()

    def child():
        sharing._here.clear()
        sharing._is_near = lambda address: False
        try:
            arguments = [by_value.loads(each.frames) for each in pickled]
            outcome = function(*arguments), None
        except Exception as error:
            outcome = None, error
        theirs.send(outcome)
        os._exit(0)

    process = CONTEXT.Process(target=child)
    process.start()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()


def outcome(ours):
    """Return or raise what came of a function."""
    assert ours.poll(SECONDS)
    result, error = ours.recv()
    if error is not None:
        raise error
    return result


def do(function, *values):
    with elsewhere(function, *values) as (_, ours):
        return outcome(ours)


def count(counter):
    with counter.get_lock():
        counter.value += 1  # the lock is one that a thread may take twice
    with counter:
        counter.value += 1
    return counter.value


def test_a_value_and_its_lock():
    counter = CONTEXT.Value("i", 3)
    assert do(count, counter) == 5
    assert counter.value == 5
    assert counter.acquire(timeout=0)


def test_one_counts_at_a_time():
    counter = CONTEXT.Value("i", 0)

    def count_often(counter):
        for _ in range(100):
            with counter.get_lock():
                counter.value += 1

    with elsewhere(count_often, counter) as (_, one), elsewhere(count_often, counter) as (_, other):
        count_often(counter)
        outcome(one)
        outcome(other)
    assert counter.value == 300


def test_an_array():
    array = CONTEXT.Array("d", [1.0, 2.0, 3.0])

    def change(array):
        array[0] = 10.0
        array[1:] = [20.0, 30.0]
        with array.get_lock():
            return len(array), list(array), array[1:3], sum(array)

    assert do(change, array) == (3, [10.0, 20.0, 30.0], [20.0, 30.0], 60.0)
    assert array[:] == [10.0, 20.0, 30.0]


def test_a_text_and_a_structure():
    text = CONTEXT.Array("c", b"hello")
    point = CONTEXT.Value(Point, 1.0, 2.0)

    def change(text, point):
        text.value = text.value.upper()
        point.x += point.y
        return text.value, text.raw, (point.x, point.y)

    assert do(change, text, point) == (b"HELLO", b"HELLO", (3.0, 2.0))
    assert (text.value, point.x) == (b"HELLO", 3.0)


def test_numbers_without_a_lock():
    number = CONTEXT.RawValue("i", 3)
    array = CONTEXT.RawArray("d", [1.0, 2.0, 3.0])
    point = CONTEXT.RawValue(Point, 1.0, 2.0)
    text = CONTEXT.RawArray("c", b"hello")

    def change(number, array, point, text):
        number.value += 1
        array[1:] = [20.0, 30.0]
        point.x += point.y
        text.value = b"h"
        return list(array), len(array), text.value, text.raw

    assert do(change, number, array, point, text) == ([1.0, 20.0, 30.0], 3, b"h", b"h\0llo")
    assert (number.value, array[:], point.x, text.value) == (4, [1.0, 20.0, 30.0], 3.0, b"h")


def test_memory_is_not_there_and_nothing_is_taken_for_it():
    array = CONTEXT.Array("d", 3)
    with pytest.raises(OSError, match=r"that is on the script's node, and this worker on another"):
        do(lambda array: array.get_obj(), array)
    raw = CONTEXT.RawArray("d", 3)
    for view in (np.asarray, np.ctypeslib.as_array, bytes):
        with pytest.raises(OSError, match="that is on the script's node"):
            do(view, raw)
    for view in (np.frombuffer, memoryview, ctypes.addressof):
        with pytest.raises(TypeError):
            do(view, raw)


def test_a_copy_of_an_array_with_a_lock():
    assert do(lambda array: np.array(array).sum(), CONTEXT.Array("i", [1, 2, 3])) == 6


@pytest.mark.parametrize("make", [CONTEXT.RawArray, CONTEXT.Array])
def test_no_copies_of_structures_are_changed_in_place_of_them(make):
    points = make(Point, 3)
    segment = CONTEXT.RawValue(Segment)
    with pytest.raises(OSError, match="that is on the script's node"):
        do(lambda points: setattr(points[0], "x", 1.0), points)
    with pytest.raises(OSError, match="that is on the script's node"):
        do(lambda segment: setattr(segment.begin, "x", 1.0), segment)


def test_it_has_no_more_than_the_real_one():
    lock = CONTEXT.Lock()
    with pytest.raises(AttributeError, match="has no attribute 'value'"):
        do(lambda lock: lock.value, lock)
    with pytest.raises(RuntimeError, match="only be shared between processes through inheritance"):
        do(pickle.dumps, lock)


def test_locks_are_held_by_those_who_have_taken_them():
    lock = CONTEXT.Lock()
    again = CONTEXT.RLock()
    few = CONTEXT.BoundedSemaphore(2)

    def take(lock, again, few):
        return (
            lock.acquire(False),
            lock.acquire(timeout=0.1),
            again.acquire(),
            again.acquire(),
            again.release(),
            few.acquire(),
            few.get_value(),
        )

    lock.acquire()
    assert do(take, lock, again, few) == (False, False, True, True, None, True, 1)
    lock.release()
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        do(lambda few: [few.release() for _ in range(3)], few)


def test_a_lock_is_not_for_a_worker_that_was_killed_while_it_waited():
    lock = CONTEXT.Lock()
    waits = CONTEXT.Event()

    def wait_for(lock, waits):
        waits.set()
        lock.acquire()

    with lock, elsewhere(wait_for, lock, waits) as (process, _):
        assert waits.wait(SECONDS)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    for _ in range(20):
        assert lock.acquire(timeout=SECONDS)
        lock.release()


def test_the_same_object_is_the_same_there():
    lock = CONTEXT.Lock()
    assert do(lambda one, other: one is other, lock, lock)
    assert do(lambda all: all[0] is all[1]["a"], [lock, {"a": lock}])


def test_queues():
    full = CONTEXT.Queue(2)
    simple = CONTEXT.SimpleQueue()
    joinable = CONTEXT.JoinableQueue()
    joinable.put("task")
    simple.put("first")

    def use(full, simple, joinable):
        full.put(["a"])
        full.put_nowait(("b", 2))
        try:
            full.put("c", timeout=0.1)
        except queue.Full:
            pass
        else:
            raise AssertionError
        simple.put(simple.get() + ", second")
        joinable.get()
        joinable.task_done()
        joinable.close()
        joinable.join_thread()

    do(use, full, simple, joinable)
    joinable.join()
    assert simple.get() == "first, second"
    assert [full.get(timeout=SECONDS), full.get(timeout=SECONDS)] == [["a"], ("b", 2)]
    with pytest.raises(queue.Empty):
        do(lambda full: full.get(timeout=0.1), full)
    with pytest.raises(queue.Empty):
        do(lambda full: full.get_nowait(), full)


def test_an_item_is_not_for_a_worker_that_was_killed_while_it_waited():
    items = CONTEXT.Queue()
    waits = CONTEXT.Event()

    def wait_for(items, waits):
        waits.set()
        items.get()

    with elsewhere(wait_for, items, waits) as (process, _):
        assert waits.wait(SECONDS)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        threading.Event().wait(0.2)  # longer than between looks whether the worker is there
    items.put("item")
    assert items.get(timeout=SECONDS) == "item"


def test_events_and_conditions():
    event = CONTEXT.Event()
    condition = CONTEXT.Condition()
    ready = CONTEXT.Value("i", 0)

    def answer(event, condition, ready):
        was_set = event.wait(timeout=0.1), event.is_set()
        event.set()
        with condition:
            is_ready = condition.wait_for(lambda: ready.value == 1, timeout=60)
            ready.value = 2
            condition.notify_all()
            return was_set, is_ready, condition.wait(timeout=0.1)

    with elsewhere(answer, event, condition, ready) as (_, ours):
        assert event.wait(SECONDS)
        with condition:
            ready.value = 1
            condition.notify()
            assert condition.wait_for(lambda: ready.value == 2, SECONDS)
        assert outcome(ours) == ((False, False), True, False)


def test_a_barrier():
    barrier = CONTEXT.Barrier(2)

    def meet(barrier):
        return barrier.wait(60), barrier.parties, barrier.broken

    with elsewhere(meet, barrier) as (_, ours):
        place = barrier.wait(SECONDS)
        assert outcome(ours) == (1 - place, 2, False)
    with pytest.raises(threading.BrokenBarrierError):
        do(lambda barrier: barrier.wait(0.1), barrier)


def test_pipes():
    ours, theirs = CONTEXT.Pipe()

    def answer(pipe):
        with pipe:
            pipe.send(pipe.recv() + 1)
            pipe.send_bytes(pipe.recv_bytes() * 2)
            return pipe.poll(), pipe.poll(0.1), pipe.closed

    ours.send(41)
    ours.send_bytes(b"ab")
    assert do(answer, theirs) == (False, False, False)
    assert (ours.recv(), ours.recv_bytes()) == (42, b"abab")
    ours.close()
    with pytest.raises(EOFError):
        do(lambda pipe: pipe.recv(), theirs)
    with pytest.raises(OSError, match="on the script's node, and this worker on another"):
        do(lambda pipe: wait([pipe]), theirs)


def test_threads_hold_locks_of_their_own():
    again = CONTEXT.RLock()

    def take(again):
        took = []
        again.acquire()
        other = threading.Thread(target=lambda: took.append(again.acquire(timeout=0.1)))
        other.start()
        other.join()
        again.release()
        return took

    assert do(take, again) == [False]


def test_what_cant_be_unpickled_is_an_error_of_who_sent_it():
    items = CONTEXT.Queue()

    def put(items):
        class Local:
            pass

        items.put(Local())

    with pytest.raises((AttributeError, TypeError), match="Local"):
        do(put, items)


def test_what_the_script_has_no_longer_is_an_error():
    lock = CONTEXT.Lock()

    def late(lock, gone):
        assert gone.wait(60)
        return lock.acquire()

    gone = CONTEXT.Event()
    pickled = by_value.dumps(lock, lends=True)
    frames = [bytes(frame) for frame in pickled.frames]
    with elsewhere(lambda gone: late(by_value.loads(frames), gone), gone) as (_, ours):
        del lock, pickled
        gone.set()
        with pytest.raises(OSError, match="the script has it no longer"):
            outcome(ours)
