"""What multiprocessing shares between processes: global, as arguments of an initializer, and as
arguments of tasks.
"""

import ctypes
import os
import socket
from multiprocessing import (
    Array,
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    JoinableQueue,
    Lock,
    Pipe,
    Pool,
    Queue,
    RLock,
    SimpleQueue,
    Value,
)
from multiprocessing.sharedctypes import RawArray

import numpy as np


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("n", ctypes.c_int))


main = os.getpid()
counter, histogram, last = Value("i"), Array("d", 10), RawArray("d", 4)
point, points = Value(Point, 1.5, 2), Array(Point, [(1, 2), (3, 4)])
queue, simple, joinable = Queue(), SimpleQueue(), JoinableQueue()
lock, recursive, semaphore, is_set, barrier = (
    Lock(),
    RLock(),
    BoundedSemaphore(2),
    Event(),
    Barrier(1),
)
condition = Condition(recursive)
pipes = [Pipe() for _ in range(3)]
reader, writer = Pipe(duplex=False)
near, far = socket.socketpair()


def count(i):
    with counter.get_lock():
        counter.value += 1
    with lock, recursive, condition, semaphore:  # condition has the same lock as recursive
        np.frombuffer(histogram.get_obj())[i % 10] += 1
        point.n += 1
        points[1].x += 0.5
        condition.notify_all()
    last[i % 4] = i % 4
    for each in (queue, simple, joinable):
        each.put(i)
    barrier.wait()
    return is_set.is_set()


def send(i):
    pipes[i][1].send(i * 10)
    return os.getpid() != main


def take(_):
    return simple.get()


def answer(connection, array):
    connection.send("who is there?")
    array[0] = 7
    return connection.recv(), array


def fill(sock):
    sock.sendall(b"x" * 5)


def write(i):
    writer.send(i)


def keep(*arguments):
    global kept_lock, kept_counter
    kept_lock, kept_counter = arguments


def count_kept(_):
    with kept_lock:
        kept_counter.value += 1


if __name__ == "__main__":
    is_set.set()
    pool = Pool(3)
    print(
        set(pool.map(count, range(100))), counter.value, histogram[:], last[:], point.n, points[1].x
    )
    print(
        *(sorted(each.get() for _ in range(100)) == list(range(100)) for each in (queue, joinable))
    )
    for _ in range(100):
        joinable.task_done()
    joinable.join()
    print(sorted(pool.map(take, range(100))) == list(range(100)))
    print(pool.map(send, range(3)), [end.recv() for end, _ in pipes])
    pool.close()
    pool.join()

    counter, lock = Value("i"), Lock()
    with Pool(3, initializer=keep, initargs=(lock, counter)) as pool:
        pool.map(count_kept, range(1000))
        print(counter.value)
        end, other = Pipe()
        result = pool.apply_async(answer, (other, np.zeros(2)))
        print(end.recv())
        end.send("me")
        print(result.get())
        other.close()
        try:
            print(end.recv())
        except EOFError:
            print("nobody has the other end")
        pool.map(fill, [far, far])
        print(near.recv(10, socket.MSG_WAITALL))

    with Pool(2) as pool:
        writer.close()  # the workers have it
        pool.map(write, "abc")
        print(sorted(reader.recv() for _ in range(3)))
