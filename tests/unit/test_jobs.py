"""Jobs: whatever batches are handed out, lost or come back in parts, each outcome comes once and in
its place.
"""

import itertools
import math
import random
import threading
import time
from multiprocessing import TimeoutError as PoolTimeoutError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar.pool.calls_job import CallsJob
from mpipar.pool.jobs import BATCH_SECONDS, Raised
from mpipar.pool.list_job import ListJob
from mpipar.pool.streaming_job import FedJob

MODERATE = settings(max_examples=80, deadline=None)
LIMIT = 5  # seconds; a job that takes longer hangs


def nothing() -> None:
    pass


def fed(items, **options) -> FedJob:
    are_kept = type(items) in (list, range)
    job = FedJob(
        abs, "map", items, wake=nothing, snapshot=None if are_kept else lambda item: item, **options
    )
    job.start()
    return job


def fetched(job) -> list:
    """Return all values and exceptions, in the order in which they come."""
    found = []
    while True:
        try:
            found.append(job.next(LIMIT))
        except StopIteration:
            return found
        except PoolTimeoutError:
            raise
        except BaseException as error:
            found.append(repr(error))


def wait_until(condition) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1e-4)


def hand_over(job, count) -> None:
    """Do some tasks, each as fast as can be."""
    indices, items = job.take(count)
    if len(indices):
        job.note(len(indices), 1e-9)
        job.put(indices, list(items), all_well=True)


class Workers:
    """Workers that take batches, lose some, and send the rest back in parts and in any order."""

    def __init__(self, job, order, *, outcome=lambda item: -item) -> None:
        self.job, self.order, self.outcome = job, order, outcome
        self.batches = []
        self.begun = []

    def take(self) -> None:
        if self.job.again and self.order.random() < 0.7:
            indices = [self.job.again.popleft()]
            items = self.job.items(indices)
        else:
            indices, items = self.job.take(self.order.randint(1, 7))
        assert len(indices) == len(items)
        if len(indices):
            self.batches.append((indices, items))
            self.begun += indices

    def act(self) -> None:
        """Let one worker do something: send a part of its batch, all of it, or die."""
        position = self.order.randrange(len(self.batches))
        indices, items = self.batches.pop(position)
        what = self.order.random()
        if what < 0.15:
            self.job.again.extend(indices)
            return
        done = len(indices) if what < 0.6 else self.order.randint(1, len(indices))
        outcomes = list(map(self.outcome, items[:done]))
        self.job.put(
            indices[:done], outcomes, all_well=not any(type(value) is Raised for value in outcomes)
        )
        if indices[done:]:
            self.batches.append((indices[done:], items[done:]))

    def work(self) -> None:
        deadline = time.monotonic() + LIMIT
        while not self.job.is_done:
            assert time.monotonic() < deadline
            for _ in range(self.order.randint(1, 3)):
                self.take()
            if self.batches:
                self.act()
            else:
                time.sleep(1e-5)


def fetched_while_working(job, workers) -> list:
    """Return what comes of a job that workers do meanwhile."""
    found = []
    thread = threading.Thread(target=lambda: found.extend(fetched(job)), daemon=True)
    thread.start()
    workers.work()
    thread.join(LIMIT)
    return found


def odd_ones_raise(item):
    return Raised(ValueError(item)) if item % 2 else item


randoms = st.integers(0, 2**32).map(random.Random)
counts = st.integers(1, 120)


@MODERATE
@given(n=counts, order=randoms)
def test_all_values_of_a_list_come_in_order(n, order):
    done = []
    workers = Workers(ListJob(abs, "map", range(n), done.append), order)
    workers.work()
    assert done == [[-item for item in range(n)]]
    assert set(workers.begun) == set(range(n))


@MODERATE
@given(n=counts, order=randoms)
def test_of_several_exceptions_the_first_in_the_list_is_raised_after_all_is_done(n, order):
    done = []
    workers = Workers(
        ListJob(abs, "map", list(range(n)), done.append), order, outcome=odd_ones_raise
    )
    workers.work()
    assert len(done) == 1
    assert done[0] == list(range(n)) if n == 1 else done[0].error.args == (1,)
    assert set(workers.begun) == set(range(n))


@MODERATE
@given(
    n=counts, order=randoms, ordered=st.booleans(), window=st.sampled_from([None, 1, 3, math.inf])
)
def test_values_of_an_iterator_come_once_each(n, order, ordered, window):
    job = fed(iter(range(n)), ordered=ordered, window=window)
    workers = Workers(job, order)
    found = fetched_while_working(job, workers)
    assert (found if ordered else sorted(found, reverse=True)) == [-item for item in range(n)]
    assert set(workers.begun) == set(range(n))
    with pytest.raises(StopIteration):
        next(job)


@MODERATE
@given(n=counts, order=randoms)
def test_exceptions_come_where_their_values_would_have(n, order):
    job = fed(range(n))
    found = fetched_while_working(job, Workers(job, order, outcome=odd_ones_raise))
    assert found == [repr(ValueError(item)) if item % 2 else item for item in range(n)]


@MODERATE
@given(
    n=st.integers(0, 50),
    order=randoms,
    ordered=st.booleans(),
    error=st.sampled_from([OSError("x"), SystemExit(3)]),
)
def test_an_exception_in_the_iterator_comes_at_its_place(n, order, ordered, error):
    def items():
        yield from range(n)
        raise error

    job = fed(items(), ordered=ordered)
    found = fetched_while_working(job, Workers(job, order))
    assert found.count(repr(error)) == 1
    if ordered:
        assert found == [*(-item for item in range(n)), repr(error)]
    else:
        assert {*found} == {*(-item for item in range(n)), repr(error)}


def test_an_empty_list_and_an_empty_iterator_are_done():
    job = fed([])
    wait_until(lambda: job.is_done)
    assert fetched(job) == []
    assert ListJob(abs, "map", [], nothing).is_done


@pytest.mark.parametrize("window", [1, 5, 100])
def test_no_more_items_are_taken_than_the_window_has(window):
    taken = itertools.count()
    job = fed((next(taken) for _ in itertools.count()), window=window)
    for turn in range(20):
        wait_until(lambda turn=turn: job._fed == turn + window)
        time.sleep(1e-3)
        assert job._fed == turn + window
        hand_over(job, 1)
        assert job.next(LIMIT) == turn
    job.cancel(RuntimeError())


def test_an_endless_iterator_is_not_taken_from_without_end():
    job = fed(itertools.count())
    wait_until(lambda: job._fed >= 64)
    for _ in range(200):
        hand_over(job, 1000)
    time.sleep(0.05)
    assert job._fed <= 2 * FedJob.LARGEST_WINDOW
    job.cancel(RuntimeError("enough"))
    fed_so_far = job._fed
    time.sleep(0.02)
    assert job._fed <= fed_so_far + 1


def test_large_values_make_the_window_narrow():
    job = fed(itertools.count())
    job.note(1000, 1e-6)
    assert job._window > 1000
    job.note_size(1, [b"", memoryview(bytes(2**25))])
    job.narrow(2)
    assert job._window == 8
    job.cancel(RuntimeError())


def test_who_hurries_does_not_wait_for_values_to_be_fetched():
    job = fed(range(100_000))
    wait_until(lambda: job._fed >= 64)
    assert job._fed < 100_000
    job.hurry()
    wait_until(lambda: job._fed == 100_000)
    while not job.is_done:
        hand_over(job, 10_000)
    assert fetched(job) == list(range(100_000))


def test_what_was_cancelled_raises_after_what_had_come():
    job = fed(range(10))
    wait_until(lambda: job._fed == 10)
    first, second = job.take(3), job.take(3)
    job.put(*first)
    job.cancel(OSError("over"))
    assert job.is_done
    assert [job.next(LIMIT) for _ in range(3)] == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(OSError, match="over"):
            job.next(LIMIT)
    job.put(*second)
    done = []
    job = ListJob(abs, "map", range(10), done.append)
    job.take(5)
    job.cancel(OSError("over"))
    job.cancel(OSError("again"))
    assert job.is_done
    assert [outcome.error.args for outcome in done] == [("over",)]
    assert len(job.take(5)[0]) == 0


def test_a_value_that_does_not_come_in_time():
    job = fed(range(3))
    with pytest.raises(PoolTimeoutError):
        job.next(0.01)
    with pytest.raises(PoolTimeoutError):
        job.next(0)
    wait_until(lambda: job._fed == 3)
    job.put(*job.take(3))
    assert fetched(job) == [0, 1, 2]


def test_several_threads_fetch_each_value_once():
    job, found = fed(range(2000)), []
    threads = [
        threading.Thread(target=lambda: found.extend(fetched(job)), daemon=True) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while not job.is_done:
        hand_over(job, 7)
    for thread in threads:
        thread.join(LIMIT)
    assert sorted(found) == list(range(2000))


class Sink:
    def __init__(self, *, is_wanted=True) -> None:
        self.is_wanted, self.outcomes = is_wanted, []

    def start(self) -> bool:
        return self.is_wanted

    def put(self, outcome) -> None:
        self.outcomes.append(outcome)

    def cancel(self) -> None:
        self.is_wanted = False


@MODERATE
@given(n=counts, order=randoms)
def test_single_tasks_reach_their_sinks_but_for_those_cancelled(n, order):
    job, sinks = CallsJob(), [Sink(is_wanted=order.random() < 0.8) for _ in range(n)]
    for number, sink in enumerate(sinks):
        job.add("abs", (abs, (number,), {}), sink)
    workers = Workers(job, order, outcome=lambda item: item[1][0])
    while job.unfinished or workers.batches or job.again:
        workers.take()
        if workers.batches:
            workers.act()
    assert [sink.outcomes for sink in sinks] == [
        [k] if sink.is_wanted else [] for k, sink in enumerate(sinks)
    ]


def test_cancelled_single_tasks_raise_unless_they_were_given_up_before():
    job, sinks = CallsJob(), [Sink() for _ in range(6)]
    for number, sink in enumerate(sinks):
        job.add("abs", (abs, (number,), {}), sink)
    job.take(2)
    sinks[5].cancel()
    job.cancel(OSError("over"))
    assert [len(sink.outcomes) for sink in sinks] == [1, 1, 1, 1, 1, 0]
    assert {outcome.error.args for sink in sinks for outcome in sink.outcomes} == {("over",)}
    assert job.unfinished == 0


@pytest.mark.parametrize("seconds", [1e-7, 1e-4, 1e-3, 1.0])
@pytest.mark.parametrize("workers", [1, 4, 1000])
def test_batches_take_some_milliseconds(seconds, workers):
    n = 10**7
    job = ListJob(abs, "map", range(n), nothing)
    assert job.batch_size(workers) == 1, "it isn't known how long a task takes"
    for _ in range(30):
        size = job.batch_size(workers)
        job.note(size, size * seconds)
    wanted = job.target(workers) / seconds
    assert size == max(1, int(wanted)) or math.ceil(n / (2 * workers)) <= size <= math.ceil(
        n / workers
    )
    assert job.target(workers) >= BATCH_SECONDS
    assert job.is_short(1, workers) == (seconds < 1.5 * job.target(workers))


def test_few_tasks_are_shared_by_all_workers():
    job = ListJob(abs, "map", range(100), nothing)
    job.note(1000, 1e-6)
    sizes = []
    while job.waiting:
        sizes.append(job.batch_size(4))
        job.take(sizes[-1])
    assert sizes[0] == 25
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


@pytest.mark.parametrize("chunksize", [1, 10])
def test_a_batch_has_at_least_as_many_tasks_as_the_script_says(chunksize):
    job = ListJob(abs, "map", range(1000), nothing, chunksize=chunksize, unit=chunksize)
    assert job.batch_size(2) == chunksize
    job.note(chunksize, 100.0)
    assert job.batch_size(2) == chunksize


@pytest.mark.parametrize(
    ("count", "seconds", "batches"),
    [
        (2, None, [1, 1]),
        (1000, None, [62, 62, 62]),
        (2, 1e-6, [2]),  # not worth handing out to two
        (32, 5e-6, [16, 16]),
        (33, 5e-6, [17, 16]),
        (1000, 1e-6, [500, 500]),
        (1000, 1.0, [62, 62, 62]),
    ],
)
def test_tasks_that_are_known_to_be_short_are_handed_out_at_once(count, seconds, batches):
    job = ListJob(abs, "map", range(count), lambda values: None, unit=math.ceil(count / 8))
    job.expected = seconds
    assert [len(job.take(job.batch_size(2))[0]) for _ in batches] == batches


def test_a_chunksize_holds_for_tasks_that_are_known_to_be_short():
    job = ListJob(abs, "map", range(100), lambda values: None, chunksize=10, unit=10)
    job.expected = 1e-9
    assert job.batch_size(2) == 10
