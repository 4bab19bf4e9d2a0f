"""What one can do with a Pool; as a program, it does so with mpipar's, over ranks, and prints what
came out as JSON.
"""

import contextlib
import functools
import gc
import itertools
import json
import multiprocessing
import os
import pickle
import tempfile
import threading
import time
from pathlib import Path

CALLS = {}
WAIT = 60  # seconds; what takes longer hangs


def call(function):
    CALLS[function.__name__] = function
    return function


def outcome(function):
    """Return what a call returns or raises, as text."""
    try:
        return repr(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def result_of(name, pool, make):
    return outcome(lambda: CALLS[name](pool, make))


def square(x):
    return x * x


def add(x, y=0, *, z=0):
    return x + 10 * y + 100 * z


def fail_at_three(x):
    if x == 3:
        raise ValueError("three")
    return x


def fail_after_a_while(x):
    time.sleep(0.02 * (x < 3))
    if x in (2, 4):
        raise ValueError(x)
    return x


def rest(seconds):
    time.sleep(seconds)
    return seconds


@contextlib.contextmanager
def gate():
    """Give a file that isn't there yet, for tasks to wait for: what is under way until then doesn't
    depend on time.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "open")


def pass_gate(opened, value=None):
    """Tell that this has begun, and return the value as soon as a file is there."""
    with contextlib.suppress(FileNotFoundError):  # a task that nobody waited for
        opened.with_name("begun").touch()
    wait_for(opened)
    return value


def wait_for(path):
    deadline = time.monotonic() + WAIT
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} is not there")
        time.sleep(0.002)


def process_id(_=None):
    time.sleep(0.01)
    return os.getpid()


def process_id_at_once(_):
    return os.getpid()


def process_id_late_at_times(number):
    time.sleep(0.05 if number % 3 == 1 else 0.0)  # so long that the task behind it is taken back
    return os.getpid()


def lock_of(_):
    return threading.Lock()


def nothing():
    pass


def begin(*values):
    global BEGUN
    BEGUN = values


def begun(_=None):
    return BEGUN


@call
def apply(pool, _):
    return [
        pool.apply(add, (1,)),
        pool.apply(add, [1, 2]),
        pool.apply(add, (1,), {"z": 3}),
        pool.apply(nothing),
    ]


@call
def apply_that_raises(pool, _):
    return pool.apply(fail_at_three, (3,))


@call
def apply_with_wrong_arguments(pool, _):
    return outcome(lambda: pool.apply(square)), outcome(lambda: pool.apply(square, 5)).partition(
        ":"
    )[0]


@call
def apply_of_what_cannot_be_called(pool, _):
    return pool.apply(None)


@call
def apply_async(pool, _):
    results = [pool.apply_async(add, (n,), {"y": 1}) for n in range(30)]
    return (
        [result.get(WAIT) for result in results],
        results[0].ready(),
        results[0].successful(),
        results[0].wait(0),
    )


@call
def apply_async_that_raises(pool, _):
    result = pool.apply_async(fail_at_three, (3,))
    result.wait(WAIT)
    return (
        result.ready(),
        result.successful(),
        [outcome(lambda: result.get(WAIT)) for _ in range(2)],
    )


@call
def a_result_that_is_not_there_yet(pool, _):
    with gate() as opened:
        result = pool.apply_async(pass_gate, (opened, 5))
        early = (
            result.ready(),
            outcome(lambda: result.get(0.05)),
            outcome(lambda: result.get(timeout=0)),
        )
        unready = result.wait(0.01), outcome(result.successful).partition(":")[0]
        opened.touch()
        return early, unready, result.get(WAIT), result.get(0)


@call
def timeouts_have_the_type_of_multiprocessing(pool, _):
    with gate() as opened:
        result = pool.apply_async(pass_gate, (opened, 5))
        try:
            result.get(0.01)
        except multiprocessing.TimeoutError as error:
            opened.touch()
            return type(error).__module__, isinstance(error, TimeoutError), result.get(WAIT)


@call
def callbacks_before_get_returns(pool, _):
    heard, threads = [], set()

    def slow(value):
        time.sleep(0.02)
        threads.add(threading.current_thread() is threading.main_thread())
        heard.append(value)

    found = [
        pool.apply_async(square, (3,), callback=slow).get(WAIT),
        pool.map_async(square, range(3), callback=slow).get(WAIT),
        pool.starmap_async(add, [(1, 2)], None, slow).get(WAIT),
        outcome(lambda: pool.apply_async(fail_at_three, (3,), {}, slow, slow).get(WAIT)),
        outcome(lambda: pool.map_async(fail_at_three, range(5), 1, slow, slow).get(WAIT)),
        outcome(
            lambda: pool.starmap_async(add, [()], error_callback=lambda e: slow(type(e))).get(WAIT)
        ).split(":")[0],
        outcome(lambda: pool.apply_async(fail_at_three, (3,), callback=slow).get(WAIT)),
    ]
    return found, heard, threads


@call
def map_of_many(pool, _):
    return sum(pool.map(square, range(5000)))


@call
def map_of_any_iterable(pool, _):
    iterables = [4, 5], (4, 5), {4: 5}, "ab", iter([4, 5]), (n for n in (4, 5)), range(4, 10, 5)
    return [pool.map(str, items) for items in iterables]


@call
def map_of_nothing(pool, _):
    result = pool.map_async(square, [], callback=print)
    return (
        pool.map(square, []),
        pool.starmap(add, iter(())),
        result.get(WAIT),
        list(pool.imap(square, [])),
    )


@call
def a_map_of_nothing_is_successful(pool, _):
    result = pool.map_async(square, [])
    result.wait(WAIT)
    return (
        result.ready(),
        result.successful(),
        list(pool.imap_unordered(square, [])),
        pool.map(square, [], chunksize=3),
    )


@call
def map_with_chunksizes(pool, _):
    return [
        pool.map(square, range(10), chunksize) == [n * n for n in range(10)]
        for chunksize in (None, 1, 3, 99)
    ]


@call
def map_that_raises(pool, _):
    return pool.map(fail_at_three, range(10), 1)


@call
def a_failed_map_does_all_the_rest(pool, _):
    result = pool.map_async(fail_after_a_while, range(8), chunksize=1)
    result.wait(WAIT)
    return result.successful(), sorted(pool.map(square, range(3)))


@call
def map_of_what_is_not_iterable(pool, _):
    return [outcome(lambda f=f: f(square, 5)) for f in (pool.map, pool.map_async, pool.starmap)]


@call
def imap_of_what_is_not_iterable(pool, _):
    return [outcome(lambda f=f: list(f(square, 5))) for f in (pool.imap, pool.imap_unordered)]


@call
def starmap(pool, _):
    return pool.starmap(add, [(1, 2), [3], iter((4, 5))]), pool.starmap_async(
        max, zip("ad", "cb", strict=True)
    ).get(WAIT)


@call
def starmap_with_wrong_arguments(pool, _):
    return outcome(lambda: pool.starmap(square, [(1, 2)])), outcome(
        lambda: pool.starmap(square, [1])
    )[:9]


@call
def imap(pool, _):
    found = pool.imap(square, range(100))
    return (
        iter(found) is found,
        next(found),
        found.next(),
        found.next(WAIT),
        list(found),
        outcome(lambda: next(found)),
    )


@call
def imap_with_chunks(pool, _):
    return [list(pool.imap(square, range(10), chunksize)) for chunksize in (1, 3, 100)]


@call
def imap_unordered(pool, _):
    return [sorted(pool.imap_unordered(square, iter(range(50)), chunksize=size)) for size in (1, 7)]


@call
def imap_with_a_bad_chunksize(pool, _):
    return [
        outcome(lambda f=f, n=n: list(f(square, [1], n)))
        for f in (pool.imap, pool.imap_unordered)
        for n in (0, -2)
    ]


@call
def imap_goes_on_after_an_exception(pool, _):
    found, values = pool.imap(fail_at_three, range(6)), []
    while (value := outcome(lambda: found.next(WAIT))) != "StopIteration: ":
        values.append(value)
    return values


@call
def imap_with_a_timeout(pool, _):
    with gate() as opened:
        found = pool.imap(pass_gate, [opened, opened])
        try:
            early = found.next(timeout=0.05)
        except multiprocessing.TimeoutError:
            early = "too early"
        opened.touch()
        return early, found.next(WAIT), found.next(timeout=WAIT), outcome(lambda: found.next(0.1))


@call
def an_exception_in_the_iterator(pool, _):
    def items():
        yield 1
        yield 2
        raise OSError("no more")

    found = pool.imap(square, items())
    first = next(found), next(found), outcome(lambda: next(found)), outcome(lambda: next(found))
    unordered, values = pool.imap_unordered(square, items()), []
    while (value := outcome(lambda: unordered.next(WAIT))) != "StopIteration: ":
        values.append(value)
    return first, sorted(values), outcome(lambda: pool.map(square, items()))


@call
def causes_have_the_remote_traceback(pool, _):
    try:
        pool.apply(fail_at_three, (3,))
    except ValueError as error:
        return type(error.__cause__).__name__, "in fail_at_three" in str(error.__cause__)


@call
def what_cannot_be_pickled(pool, _):
    found = [
        outcome(lambda: pool.apply(threading.Lock)),
        outcome(lambda: pool.map(lock_of, [1, 2], 1)),
    ]
    return [text.partition(":")[0] for text in found]


@call
def a_pool_cannot_be_pickled(pool, _):
    return outcome(lambda: pickle.dumps(pool))


@call
def a_context_manager_terminates(_, make):
    with make(2) as pool:
        inside = pool.map(square, [2])
    return (
        inside,
        outcome(lambda: pool.map(square, [2])),
        outcome(lambda: pool.__enter__()),
        pool.join(),
    )


@call
def a_closed_pool_does_what_it_has(_, make):
    pool = make(2)
    results = [pool.apply_async(rest, (0.01,)) for _ in range(20)]
    lazy = pool.imap(square, range(100))
    pool.close()
    refused = [
        outcome(lambda f=f: f(square, [1]))
        for f in (pool.map, pool.apply_async, pool.imap, pool.starmap_async)
    ]
    pool.close()
    pool.join()
    pool.join()
    ready = all(result.ready() for result in results)
    pool.terminate()
    return refused, ready, [result.get(WAIT) for result in results][:1], list(lazy)[-1]


@call
def a_running_pool_cannot_be_joined(pool, _):
    return outcome(pool.join), pool.map(square, [2])


@call
def a_terminated_pool_stays_so(_, make):
    pool = make(2)
    pool.apply_async(rest, (60,))
    began = time.monotonic()
    pool.terminate()
    pool.terminate()
    pool.join()
    pool.close()
    took = time.monotonic() - began
    return (
        took < 50,
        outcome(lambda: pool.apply(square, (1,))),
        outcome(lambda: pool.imap(square, [1])),
    )


@call
def what_it_looks_like(_, make):
    pool = make(2)
    texts = [repr(pool)]
    pool.close()
    texts.append(repr(pool))
    pool.terminate()
    texts.append(repr(pool))
    return [text.partition(" ")[2].partition(" ")[0] for text in texts]


@call
def an_initializer(_, make):
    with make(2, begin, (1, 2)) as pool:
        first = pool.map(begun, range(6), 1)
    with make(processes=1, initializer=begin, initargs=iter([3])) as pool:
        return first, pool.apply(begun)


@call
def bad_arguments(_, make):
    wrong = [{"processes": 0}, {"processes": -1}, {"initializer": 3}, {"maxtasksperchild": 0}]
    wrong += [{"maxtasksperchild": -1}, {"maxtasksperchild": 1.5}, {"processes": 1, "wrong": 2}]
    return [outcome(lambda options=options: make(**options)).partition(":")[0] for options in wrong]


@call
def objects_that_are_called(pool, _):
    return (
        pool.map(functools.partial(add, y=2), [1, 2]),
        pool.map("-".join, ["ab", "cd"]),
        pool.map(complex, [1]),
    )


@call
def several_threads_use_a_pool(pool, _):
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(pool.map(square, [n] * 50)))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(values[0] for values in found), {len(values) for values in found}


@call
def an_abandoned_iterator_is_no_harm(pool, _):
    for _ in range(3):
        next(pool.imap(square, range(100)))
    gc.collect()
    return pool.map(square, [3])


if __name__ == "__main__":
    from mpipar import Pool

    with Pool(2) as shared:
        print(json.dumps({name: result_of(name, shared, Pool) for name in CALLS}))
        endless = shared.imap(square, itertools.count())
        assert [next(endless) for _ in range(3)] == [0, 1, 4]
