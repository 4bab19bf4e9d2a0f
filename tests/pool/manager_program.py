"""What a manager shares with the workers of all ranks; prints {case: what came of it}, as JSON."""

import json
import multiprocessing
import os
import stat
import threading
import time
from multiprocessing.managers import BaseManager, SyncManager

from mpipar import Executor, Manager, Pool


class Reading:
    def __init__(self, value):
        self.value = value

    def doubled(self):
        return 2 * self.value


def append(shared, n):
    shared.append(n)


def enter(shared, n):
    shared[n] = n * n


def count(lock, value, _):
    with lock:
        value.value += 1


def pass_on(source, target, _):
    target.put(source.get(timeout=20) + 1)


def set_attribute(space, n):
    setattr(space, f"n{n}", n)


def wait_for(event):
    return event.wait(20)


def meet(barrier):
    return barrier.wait(20)


def read(shared):
    return shared[0].doubled(), type(shared[0]) is Reading


def nested(shared):
    shared["list"].append(1)
    return len(shared["list"])


def of_array(array, n):
    array[n] = n


def guarded(semaphore, condition, _):
    with semaphore, condition:
        return True


def in_a_closure(shared):
    return lambda n: shared.append(n)


def times_called(shared, n):
    shared.append(Reading(n))
    return n


def main():
    found = {}
    with Manager() as manager, Pool(2) as pool, Executor(2) as executor:
        workers = pool._processes
        items, table = manager.list(), manager.dict()
        pool.starmap(append, [(items, n) for n in range(20)])
        pool.starmap(enter, [(table, n) for n in range(20)])
        found["list"], found["dict"] = (
            sorted(items) == list(range(20)),
            dict(table) == {n: n * n for n in range(20)},
        )
        lock, value = manager.Lock(), manager.Value("i", 0)
        pool.starmap(count, [(lock, value, n) for n in range(8)], chunksize=1)
        found["lock_and_value"] = value.value == 8
        source, target = manager.Queue(), manager.JoinableQueue()
        results = pool.starmap_async(pass_on, [(source, target, n) for n in range(10)], 1)
        for n in range(10):
            source.put(n)
        results.get(20)
        found["queues"] = sorted(target.get(timeout=20) for _ in range(10)) == list(range(1, 11))
        space = manager.Namespace()
        pool.starmap(set_attribute, [(space, n) for n in range(4)])
        found["namespace"] = (space.n0, space.n3) == (0, 3)
        event = manager.Event()
        waiting = pool.apply_async(wait_for, (event,))
        time.sleep(0.1)
        found["event"] = not waiting.ready()
        event.set()
        found["event"] &= waiting.get(20)
        barrier = manager.Barrier(workers)
        found["barrier"] = sorted(pool.map(meet, [barrier] * workers, 1)) == list(range(workers))
        objects = manager.list([Reading(4)])
        found["class_of_the_script"] = [
            objects[0].doubled(),
            pool.apply(read, (objects,)),
            type(objects[0]) is Reading,
        ]
        found["class_of_the_script"] = found["class_of_the_script"] == [8, (8, True), True]
        both = manager.dict(list=manager.list())
        found["proxies_in_proxies"] = max(pool.map(nested, [both] * 3)) == 3
        array = manager.Array("d", [0.0] * 4)
        pool.starmap(of_array, [(array, n) for n in range(4)])
        found["array"] = list(array) == [0, 1, 2, 3]
        found["semaphore_and_condition"] = all(
            pool.starmap(
                guarded,
                [(manager.Semaphore(1), manager.Condition(manager.RLock()), n) for n in range(4)],
            )
        )
        kept = manager.list()
        pool.map(in_a_closure(kept), range(5))
        found["closure"] = sorted(kept) == list(range(5))
        list(executor.map(kept.append, range(5, 8)))
        executor.submit(kept.append, 8).result()
        found["executor"] = sorted(kept) == list(range(9))
        made = manager.list()
        pool.starmap(times_called, [(made, n) for n in range(3)])
        found["objects_of_workers"] = sorted(reading.doubled() for reading in made) == [0, 2, 4]
        found["threads"] = in_threads(manager.list())
        found["type"] = isinstance(manager, SyncManager)
        folder = os.stat(os.path.dirname(manager.address))
        found["private"] = (stat.S_IMODE(folder.st_mode), folder.st_uid) == (0o700, os.geteuid())
        found["wrong_key"] = refused(manager.address)
        with manager.Pool(2) as inner:
            found["pool"] = inner.map(abs, [-1]) == [1]
        address = manager.address
        with Manager() as other:
            found["two_managers"] = other.address != address and list(other.list([1])) == [1]
    found["ends"] = connection_fails(address)
    print(json.dumps(found))


def in_threads(shared):
    threads = [threading.Thread(target=shared.append, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(shared) == list(range(4))


def refused(address):
    try:
        BaseManager(address, authkey=b"guess").connect()
    except multiprocessing.AuthenticationError:
        return True
    return False


def connection_fails(address):
    try:
        BaseManager(address, authkey=bytes(multiprocessing.current_process().authkey)).connect()
    except OSError:
        return True
    return False


main()
