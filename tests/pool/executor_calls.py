"""What one can do with an executor; as a program, it does so with mpipar's, over ranks, and prints
it as JSON.
"""

import concurrent.futures
import functools
import itertools
import json
import threading

from pool_calls import (
    WAIT,
    add,
    begin,
    begun,
    fail_at_three,
    gate,
    outcome,
    pass_gate,
    process_id,
    rest,
    square,
    wait_for,
)

CALLS = {}


def call(function):
    CALLS[function.__name__] = function
    return function


def result_of(name, make):
    return outcome(lambda: CALLS[name](make))


def busy(executor, opened):
    """Give all workers something to do until a file is there, and let one begin; return the
    futures.
    """
    futures = [executor.submit(pass_gate, opened, 5) for _ in range(2 * executor._max_workers)]
    wait_for(opened.with_name("begun"))
    return futures


def touch(path):
    path.touch()


@call
def submit(make):
    with make(2) as executor:
        futures = [
            executor.submit(add, 1, 2),
            executor.submit(add, 1, z=3),
            executor.submit(fail_at_three, 3),
        ]
        values = [outcome(lambda f=f: f.result(WAIT)) for f in futures]
        raised = repr(futures[2].exception(WAIT)), futures[0].exception(WAIT)
        return (
            values,
            raised,
            [future.done() for future in futures],
            futures[0].cancelled(),
            futures[0].cancel(),
        )


@call
def submit_of_what_cannot_be_called(make):
    with make(1) as executor:
        return outcome(executor.submit(None).result), outcome(executor.submit).partition(":")[0]


@call
def results_that_are_not_there_yet(make):
    with gate() as opened, make(1) as executor:
        future = executor.submit(pass_gate, opened, 5)
        early = (
            outcome(lambda: future.result(0.05)),
            outcome(lambda: future.exception(timeout=0)),
            future.done(),
        )
        opened.touch()
        return early, future.result(WAIT)


@call
def a_remote_traceback_is_the_cause(make):
    with make(1) as executor:
        error = executor.submit(fail_at_three, 3).exception(WAIT)
        return type(error).__name__, "in fail_at_three" in str(error.__cause__)


@call
def map_(make):
    with make(2) as executor:
        lengths = [
            sum(executor.map(square, range(500), chunksize=chunksize)) for chunksize in (1, 7, 1000)
        ]
        several = (
            list(executor.map(add, [1, 2, 3], (4, 5))),
            list(executor.map(add, [])),
            list(executor.map(begin)),
        )
        generated = executor.map(square, (n for n in range(5)), timeout=WAIT)
        return lengths, several, next(generated), list(generated), list(generated)


@call
def map_that_raises(make):
    with make(2) as executor:
        values = executor.map(fail_at_three, range(6))
        return (
            [next(values) for _ in range(3)],
            outcome(lambda: next(values)),
            outcome(lambda: next(values)),
        )


@call
def map_takes_all_items_at_once(make):
    taken = []
    with make(1) as executor:
        values = executor.map(square, (taken.append(n) or n for n in range(300)))
        return len(taken), sum(values)


@call
def map_with_a_timeout(make):
    for seconds in (0.2, 1, 5, 25):  # the first value may take its time on a busy machine
        with gate() as there, gate() as opened, make(1) as executor:
            there.touch()
            values = executor.map(pass_gate, [there, opened], [1, 2], timeout=seconds)
            first, second = (
                outcome(lambda values=values: next(values)),
                outcome(lambda values=values: next(values)),
            )
            opened.touch()
        if first == "1":
            break
    return first, second


@call
def map_with_bad_arguments(make):
    with make(1) as executor:
        return [
            outcome(lambda size=size: executor.map(square, [1], chunksize=size)) for size in (0, -1)
        ], outcome(lambda: executor.map(square, 5))


@call
def an_exception_in_the_iterator(make):
    def items():
        yield 1
        raise OSError("no more")

    with make(1) as executor:
        return outcome(lambda: list(executor.map(square, items())))


@call
def as_completed(make):
    with gate() as opened, make(2) as executor:
        futures = {executor.submit(square, n): n for n in range(20)}
        found = {
            futures[future]: future.result()
            for future in concurrent.futures.as_completed(futures, timeout=WAIT)
        }
        slow = executor.submit(pass_gate, opened)
        early = outcome(lambda: list(concurrent.futures.as_completed([slow], timeout=0.05)))
        opened.touch()
        return sorted(found.items()), early


@call
def wait(make):
    with gate() as opened, make(1) as executor:
        futures = [executor.submit(square, 1), executor.submit(pass_gate, opened)]
        first = concurrent.futures.wait(
            futures, return_when=concurrent.futures.FIRST_COMPLETED, timeout=WAIT
        )
        early = concurrent.futures.wait(futures[1:], timeout=0.01)
        opened.touch()
        every = concurrent.futures.wait(futures, timeout=WAIT)
        raising = [executor.submit(fail_at_three, n) for n in (3, 1)]
        failed = concurrent.futures.wait(
            raising, return_when=concurrent.futures.FIRST_EXCEPTION, timeout=WAIT
        )
        return [len(first.done), len(early.not_done), len(every.done), raising[0] in failed.done]


@call
def waiting_tasks_can_be_cancelled(make):
    with gate() as opened, make(1) as executor:
        running = busy(executor, opened)
        waiting = [executor.submit(rest, 0.01) for _ in range(20)]
        cancelled = [future.cancel() for future in waiting[-10:]]
        again, states = waiting[-1].cancel(), [future.cancelled() for future in waiting[-10:]]
        done = outcome(lambda: waiting[-1].result(WAIT))
        first = running[0].cancel()
        opened.touch()
        for future in waiting:
            future.cancel()
        last = running[0].result(WAIT), executor.submit(square, 2).result(WAIT)
        return cancelled, again, states, done, first, last


@call
def done_callbacks(make):
    heard = []
    with make(1) as executor:
        future = executor.submit(square, 3)
        future.add_done_callback(lambda done: heard.append(done.result()))
        future.result(WAIT)
        raising = executor.submit(fail_at_three, 3)
        raising.add_done_callback(lambda done: heard.append(repr(done.exception())))
    future.add_done_callback(lambda done: heard.append("late"))
    return heard


@call
def shutdown_waits_for_all(make):
    executor = make(2)
    futures = [executor.submit(rest, 0.01) for _ in range(30)]
    executor.shutdown()
    executor.shutdown()
    refused = (
        outcome(lambda: executor.submit(square, 1)),
        outcome(lambda: executor.map(square, [1])),
    )
    return all(future.done() for future in futures), refused


@call
def shutdown_without_waiting(make):
    executor = make(1)
    with gate() as opened:
        futures = busy(executor, opened)
        executor.shutdown(wait=False)
        soon = any(future.done() for future in futures), outcome(lambda: executor.submit(square, 1))
        opened.touch()
        return soon, {future.result(WAIT) for future in futures}


@call
def shutdown_that_cancels(make):
    executor = make(1)
    with gate() as opened:
        running = busy(executor, opened)
        waiting = [executor.submit(touch, opened.with_name(f"{n}")) for n in range(20)]
        threading.Timer(0.05, opened.touch).start()
        executor.shutdown(cancel_futures=True)
        begun = [opened.with_name(f"{n}").exists() for n in range(10, 20)]
        return running[0].result(0), [future.cancelled() for future in waiting[-10:]], begun


@call
def shutdown_from_a_done_callback(make):
    executor = make(1)
    over = threading.Event()
    with gate() as opened:
        future = executor.submit(pass_gate, opened, 5)
        future.add_done_callback(lambda _: (executor.shutdown(wait=False), over.set()))
        opened.touch()
        future.result(WAIT)
    return (
        future.result(WAIT),
        over.wait(WAIT),
        outcome(lambda: executor.submit(square, 1)),
        executor.shutdown(),
    )


@call
def submit_from_a_done_callback(make):
    found = []
    over = threading.Event()
    with gate() as opened, make(1) as executor:
        future = executor.submit(pass_gate, opened)
        future.add_done_callback(lambda _: (found.append(executor.submit(square, 4)), over.set()))
        opened.touch()
        return over.wait(WAIT), found[0].result(WAIT)


@call
def an_iterator_that_is_left_before_the_end(make):
    with make(1) as executor:
        values = executor.map(square, range(1000))
        first = next(values), next(values)
        values.close()
        return first, executor.submit(square, 5).result(WAIT)


@call
def an_iterator_outlives_the_executor(make):
    with make(2) as executor:
        values = executor.map(square, range(100))
    return sum(values)


@call
def an_initializer(make):
    with make(2, initializer=begin, initargs=(1, 2)) as executor:
        return list(executor.map(begun, range(4)))


@call
def workers_are_replaced(make):
    with make(1, max_tasks_per_child=1) as executor:
        return (
            len({future.result(WAIT) for future in [executor.submit(process_id) for _ in range(3)]})
            >= 3
        )


@call
def bad_arguments(make):
    wrong = [{"max_workers": 0}, {"max_workers": -1}, {"initializer": 3}, {"wrong": 1}]
    return [outcome(lambda options=options: make(**options)).partition(":")[0] for options in wrong]


@call
def objects_that_are_called(make):
    with make(1) as executor:
        return executor.submit(functools.partial(add, y=2), 1).result(WAIT), list(
            executor.map("-".join, ["ab", "cd"])
        )


if __name__ == "__main__":
    from mpipar import Executor

    print(json.dumps({name: result_of(name, Executor) for name in CALLS}))
    with Executor(2) as shared:
        taken = []
        values = shared.map(square, (taken.append(n) or n for n in itertools.count()), buffersize=5)
        assert [next(values) for _ in range(3)] == [0, 1, 4]
        assert len(taken) <= 9
