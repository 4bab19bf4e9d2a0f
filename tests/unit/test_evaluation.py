"""Batches in a worker: each task is begun, or given back, never both."""

import asyncio
import sys
import threading
import time

import pytest

from mpipar.pool.evaluation import DONE, Batch, Evaluation, Items


class Kept:
    """A mailbox that keeps what is sent."""

    def __init__(self):
        self.values, self.failed, self.returned, self.ended = [], [], 0, False

    def send_outcomes(self, batch, values, failed, seconds, *, what, returned):
        assert not self.ended, "nothing is taken in after the end"
        self.failed += [len(self.values) + index for index in failed]
        self.values += values
        self.returned += returned
        self.ended = what == DONE


class Nobody:
    """An overseer that looks after nothing."""

    def __init__(self, mailbox):
        self.mailbox = mailbox

    def look_after(self, evaluation):
        pass


@pytest.fixture
def eager_threads():
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def batch(count):
    return Batch(1, 1, "map", range(count), [], 0, [])


def over(function):
    """Return what evaluates a function over items."""

    def evaluate(source, take):
        for item in source:
            take(function(item))

    return evaluate


def evaluated(items, function, seed=None, give_back_after=()):
    kept = Kept()
    evaluation = Evaluation(batch(len(items)), Items(list(items)), over(function), seed)

    def interfere():
        for seconds in give_back_after:
            time.sleep(seconds)
            evaluation.give_back(kept)

    thread = threading.Thread(target=interfere)
    thread.start()
    evaluation.run(Nobody(kept))
    thread.join()
    assert kept.ended
    return kept


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_tasks_are_evaluated(count, seed):
    kept = evaluated(range(count), lambda x: x + 1, seed)
    assert kept.values == list(range(1, count + 1))
    assert (kept.failed, kept.returned) == ([], 0)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("bad", [{0}, {49}, {0, 1, 2}, {7, 8, 30}, set(range(50))])
@pytest.mark.parametrize(
    "kind", [ValueError, StopIteration, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
def test_exceptions_come_at_their_places(kind, bad, seed):
    def strict(x):
        if x in bad:
            raise kind(x)
        return x

    kept = evaluated(range(50), strict, seed)
    assert kept.failed == sorted(bad)
    assert [type(value) for value in kept.values] == [kind if x in bad else int for x in range(50)]
    assert all(kept.values[x].args == (x,) for x in bad)


@pytest.mark.parametrize("takes_exit", [True, False])
def test_an_exit_is_an_outcome_or_the_end(takes_exit):
    kept = Kept()
    evaluation = Evaluation(batch(3), Items([1, 2, 3]), over(sys.exit), None, takes_exit=takes_exit)
    if takes_exit:
        evaluation.run(Nobody(kept))
        assert [value.code for value in kept.values] == [1, 2, 3]
    else:
        with pytest.raises(SystemExit):
            evaluation.run(Nobody(kept))


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("trial", range(20))
def test_a_task_is_begun_or_given_back(trial, seed, eager_threads):
    for _ in range(25):
        begun = []
        times = (trial * 1e-5, 1e-4)
        kept = evaluated(range(1500), lambda x, begun=begun: begun.append(x) or x, seed, times)
        assert kept.values == begun == list(range(len(begun)))
        assert len(begun) + kept.returned == 1500


class Unhurried:
    """A lock that lets others go first, and something happen then."""

    def __init__(self, happens):
        self.lock, self.happens = threading.Lock(), happens

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()
        self.happens()
        time.sleep(0.05)


def test_what_is_given_back_is_told_before_the_end():
    """Though the task that was long may end meanwhile."""
    begun, go_on, kept = threading.Event(), threading.Event(), Kept()

    def long_task(x):
        begun.set()
        return go_on.wait(30)

    evaluation = Evaluation(batch(5), Items(list(range(5))), over(long_task), None)
    evaluation._lock = Unhurried(go_on.set)
    thread = threading.Thread(target=evaluation.run, args=(Nobody(kept),))
    thread.start()
    begun.wait(30)
    evaluation.give_back(kept)
    thread.join()
    assert (kept.values, kept.returned, kept.ended) == ([True], 4, True)


def test_the_rest_is_given_back_while_a_task_takes_long():
    go_on = threading.Event()
    kept = Kept()
    evaluation = Evaluation(
        batch(10), Items(list(range(10))), over(lambda x: x < 3 or go_on.wait(30)), None
    )
    thread = threading.Thread(target=evaluation.run, args=(Nobody(kept),))
    thread.start()
    while evaluation._items.begun < 4:
        time.sleep(1e-3)
    evaluation.give_back(kept)
    assert (kept.values, kept.returned, kept.ended) == ([True] * 3, 6, False)
    go_on.set()
    thread.join()
    assert (kept.values, kept.returned, kept.ended) == ([True] * 4, 6, True)
