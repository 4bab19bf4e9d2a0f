import time

import numpy as np
import pytest

from mpipar import (
    Concatenate,
    Count,
    Dataset,
    Each,
    ExactSum,
    InOrder,
    Plan,
    PositiveInt,
    driver,
    stream,
)
from mpipar.core.blocks import Blocks
from mpipar.runtime.evaluate import MOST_KEPT_NUMBERS, POLL_SECONDS, Evaluator, Task
from mpipar.runtime.failure import STOP, Failure, OnError

SKIP = OnError(skip=True)
ALL_ACTIONS = pytest.mark.parametrize("on_error", [STOP, SKIP, OnError(retries=2)])


def evaluator_of(function, reduction=ExactSum, *, n=100, block=10, **task) -> Evaluator:
    def kernel(block, *, items: PositiveInt):
        return function(block)

    bound = driver(n="items", reduction=reduction)(kernel).bind({"items": n}, block=block)
    return Evaluator(Task(bound, **task))


def finished(reduction, outcome):
    return (reduction() if isinstance(reduction, type) else reduction).finish(outcome.total)


def unless(*bad, value=lambda block: float(block.size)):
    """Return a kernel that raises in these blocks, and the list of all blocks that it was called
    for.
    """
    called = []

    def function(block):
        called.append(block.index)
        if block.index in bad:
            raise ValueError(f"block {block.index}")
        return value(block)

    return function, called


class FailingTimes:
    """A kernel that raises at the first so many calls for each block."""

    def __init__(self, times: int, blocks=(3,)) -> None:
        self.left = dict.fromkeys(blocks, times)

    def __call__(self, block) -> float:
        if self.left.get(block.index, 0) > 0:
            self.left[block.index] -= 1
            raise RuntimeError("not yet")
        return float(block.start)


@ALL_ACTIONS
def test_a_chunk_is_evaluated_in_order(on_error):
    function, called = unless(value=lambda block: float(block.start))
    outcome = evaluator_of(function, on_error=on_error).evaluate(Blocks([range(1, 8, 2)]))
    assert called == [1, 3, 5, 7]
    assert finished(ExactSum, outcome) == 10.0 + 30.0 + 50.0 + 70.0
    assert (outcome.blocks, outcome.handled, outcome.skipped, outcome.retried, outcome.failure) == (
        4,
        4,
        [],
        0,
        None,
    )
    assert 0 < outcome.longest <= outcome.seconds


def test_stop_ends_at_the_first_failure():
    function, called = unless(3, 5)
    outcome = evaluator_of(function).evaluate(Blocks([range(10)]))
    assert called == [0, 1, 2, 3]
    assert outcome.blocks == 3
    assert outcome.failure.where == "block 3 (items 30 to 39)"
    assert outcome.failure.reason == "ValueError: block 3"
    assert "in function\n" in outcome.failure.details


def test_skip_goes_on_without_the_block():
    function, called = unless(3, 5, 9)
    outcome = evaluator_of(function, on_error=SKIP).evaluate(Blocks([range(10)]))
    assert called == list(range(10)), "each once"
    assert finished(ExactSum, outcome) == 70.0
    assert (outcome.blocks, outcome.handled, outcome.retried, outcome.failure) == (7, 10, 0, None)
    assert [block[:4] for block in outcome.skipped] == [
        (3, 30, 40, "ValueError: block 3"),
        (5, 50, 60, "ValueError: block 5"),
        (9, 90, 100, "ValueError: block 9"),
    ]
    assert all("in function\n" in block.details for block in outcome.skipped)


@pytest.mark.parametrize(
    "error", [SystemExit(3), MemoryError(), RecursionError("deep"), StopIteration()]
)
def test_skip_goes_on_after_any_exception_of_a_kernel(error):
    def function(block):
        if block.index == 1:
            raise error
        return 1.0

    outcome = evaluator_of(function, on_error=SKIP).evaluate(Blocks([range(3)]))
    assert (outcome.blocks, [block.block for block in outcome.skipped]) == (2, [1])


def test_ctrl_c_is_no_failure_of_a_block():
    def function(block):
        raise KeyboardInterrupt

    for on_error in (STOP, SKIP, OnError(retries=3)):
        with pytest.raises(KeyboardInterrupt):
            evaluator_of(function, on_error=on_error).evaluate(Blocks([range(3)]))


@pytest.mark.parametrize("times", [1, 2])
def test_a_retry_may_help(times):
    outcome = evaluator_of(FailingTimes(times), on_error=OnError(retries=2)).evaluate(
        Blocks([range(5)])
    )
    assert (outcome.blocks, outcome.retried, outcome.skipped, outcome.failure) == (
        5,
        times,
        [],
        None,
    )
    assert finished(ExactSum, outcome) == 100.0


def test_retries_are_counted_for_each_block():
    outcome = evaluator_of(FailingTimes(2, (0, 1, 4)), on_error=OnError(retries=2)).evaluate(
        Blocks([range(5)])
    )
    assert (outcome.blocks, outcome.retried) == (5, 6)


def test_after_the_last_retry_the_run_stops():
    function, called = unless(3)
    outcome = evaluator_of(function, on_error=OnError(retries=2)).evaluate(Blocks([range(10)]))
    assert called == [0, 1, 2, 3, 3, 3]
    assert (outcome.blocks, outcome.retried, outcome.skipped) == (3, 2, [])
    assert outcome.failure.reason == "ValueError: block 3"


def test_a_retried_block_has_the_same_random_numbers():
    seen = []

    @driver(n="items", reduction=ExactSum, block=10)
    def kernel(block, rng, *, items: int = 30):
        seen.append(float(rng.random()))
        if len(seen) < 3:
            raise ValueError
        return seen[-1]

    Evaluator(Task(kernel.bind({}, seed=5), on_error=OnError(retries=5))).evaluate(
        Blocks([range(1)])
    )
    assert seen == [stream(5, 0).random()] * 3


REFUSING = {
    "second of each": (
        Each(first=ExactSum(), second=Count()),
        lambda block: {"first": 1.0, "second": "no number" if block.index == 1 else 1},
        {"first": 2.0, "second": 2},
    ),
    "dataset of each": (
        Each(first=ExactSum(), rows=Dataset("rows", float)),
        lambda block: {"first": 1.0, "rows": np.zeros(block.size + (block.index == 1))},
        {"first": 2.0, "rows": 20},
    ),
    "keys": (
        Each(first=ExactSum(), second=Count()),
        lambda block: {"first": 1.0} if block.index == 1 else {"first": 1.0, "second": 1},
        {"first": 2.0, "second": 2},
    ),
}


@pytest.mark.parametrize("case", REFUSING)
def test_a_partial_that_is_refused_half_way_leaves_no_trace(case):
    reduction, function, expected = REFUSING[case]
    outcome = evaluator_of(function, reduction, on_error=SKIP, keep_partials=True).evaluate(
        Blocks([range(3)])
    )
    assert [block.block for block in outcome.skipped] == [1]
    assert outcome.partials.keys() == {0, 2}
    assert outcome.rows.keys() == ({0, 2} if reduction.datasets() else set())
    value = finished(reduction, outcome)
    assert {name: np.asarray(item).tolist() for name, item in value.items()} == expected


MISMATCHED = {
    "arrays of several shapes": (
        Each(first=Concatenate(), second=ExactSum()),
        lambda block: {"first": [block.index], "second": np.ones(2 + (block.index == 1))},
    ),
    "an operation that fails": (
        Each(first=Concatenate(), second=InOrder(lambda left, right: left @ right)),
        lambda block: {"first": [block.index], "second": np.eye(2 + (block.index == 1))},
    ),
}


@ALL_ACTIONS
@pytest.mark.parametrize("case", MISMATCHED)
def test_partials_that_do_not_go_together_end_the_run(case, on_error):
    # Which of the blocks is at fault depends on who evaluates them, and when: none may be skipped
    # for it.
    reduction, function = MISMATCHED[case]
    outcome = evaluator_of(function, reduction, on_error=on_error).evaluate(Blocks([range(2)]))
    assert outcome.failure is not None
    assert outcome.skipped == []
    assert outcome.handled == 0, "what the total has of the block in it must not be committed"
    assert outcome.total == reduction.start()


@pytest.mark.parametrize("case", REFUSING)
def test_a_partial_that_is_refused_half_way_spoils_the_chunk(case):
    reduction, function, _ = REFUSING[case]
    outcome = evaluator_of(function, reduction, keep_partials=True).evaluate(Blocks([range(3)]))
    assert outcome.failure.where == "block 1 (items 10 to 19)"
    assert (outcome.handled, outcome.partials, outcome.rows) == (0, {}, {})
    assert outcome.total == reduction.start()


class Uncopyable(dict):
    """A partial that can't be copied at the first attempt."""

    attempts = 0

    def __copy__(self):
        Uncopyable.attempts += 1
        if Uncopyable.attempts == 1:
            raise TypeError("can't be copied")
        return dict(self)


@pytest.mark.parametrize("on_error", [SKIP, OnError(retries=1)])
def test_a_partial_that_cannot_be_kept_leaves_no_trace(on_error, monkeypatch):
    monkeypatch.setattr(Uncopyable, "attempts", 0)
    reduction = Each(joined=Concatenate(), count=Count())
    evaluator = evaluator_of(
        lambda block: Uncopyable(joined=[block.index], count=1),
        reduction,
        on_error=on_error,
        keep_partials=True,
    )
    outcome = evaluator.evaluate(Blocks([range(3)]))
    assert outcome.blocks + len(outcome.skipped) == 3
    assert finished(reduction, outcome)["count"] == outcome.blocks


@ALL_ACTIONS
def test_partials_and_rows_are_copies_of_a_buffer_that_the_kernel_uses_again(on_error):
    buffer = np.empty(10)

    def function(block):
        buffer[:] = block.index
        return {"sum": buffer, "rows": buffer}

    reduction = Each(sum=ExactSum(), rows=Dataset("rows", float))
    outcome = evaluator_of(function, reduction, on_error=on_error).evaluate(Blocks([range(3)]))
    assert [outcome.rows[k]["rows"][0] for k in range(3)] == [0.0, 1.0, 2.0]
    outcome = evaluator_of(
        lambda block: function(block)["sum"], on_error=on_error, keep_partials=True
    ).evaluate(Blocks([range(3)]))
    assert [outcome.partials[k][0] for k in range(3)] == [0.0, 1.0, 2.0]


def test_partials_are_kept_on_request_alone():
    assert evaluator_of(unless()[0]).evaluate(Blocks([range(3)])).partials == {}
    outcome = evaluator_of(unless(1)[0], keep_partials=True, on_error=SKIP).evaluate(
        Blocks([range(3)])
    )
    assert outcome.partials == {0: 10.0, 2: 10.0}


@pytest.mark.parametrize(
    ("partial", "kept"),
    [
        (np.zeros(MOST_KEPT_NUMBERS), True),
        (np.zeros(MOST_KEPT_NUMBERS + 1), False),
        ([1.0] * (MOST_KEPT_NUMBERS + 1), False),
        ([[1], [1, 2]], False),  # no array
        ({"a": 1}, True),
        ("text", True),
    ],
)
def test_small_partials_alone_are_kept(partial, kept):
    evaluator = evaluator_of(
        lambda block: partial, InOrder(lambda left, right: left), keep_partials=True
    )
    outcome = evaluator.evaluate(Blocks([range(2)]))
    assert (outcome.blocks, outcome.failure) == (2, None)
    assert list(outcome.partials) == ([0, 1] if kept else [])


class Memory:
    """An output that keeps what is written, and refuses a block."""

    def __init__(self, refused=None) -> None:
        self.refused, self.rows, self.closed = refused, {}, False

    def writer(self):
        return self

    def flush(self):
        pass

    def close(self):
        self.closed = True

    def __call__(self, block, rows):
        if block.index == self.refused:
            raise OSError("no space left")
        self.rows[block.index] = rows["rows"].tolist()


def test_rows_go_to_the_output_and_not_to_the_rank():
    output = Memory()
    evaluator = evaluator_of(
        unless(1, value=lambda block: [block.index] * block.size)[0],
        Dataset("rows", int),
        block=2,
        on_error=SKIP,
        output=output,
    )
    outcome = evaluator.evaluate(Blocks([range(3)]))
    assert output.rows == {0: [0, 0], 2: [2, 2]}
    assert outcome.rows == {}
    assert not output.closed
    evaluator.close()
    assert output.closed


@ALL_ACTIONS
def test_rows_that_cannot_be_written_end_the_run_whatever_is_done_about_kernels(on_error):
    function, called = unless(value=lambda block: np.zeros(10))
    evaluator = evaluator_of(
        function, Dataset("rows", float), on_error=on_error, output=Memory(refused=1)
    )
    outcome = evaluator.evaluate(Blocks([range(3)]))
    assert called == [0, 1]
    assert outcome.failure == Failure(
        "writing the rows of block 1 (items 10 to 19)", "OSError: no space left"
    )
    assert (outcome.handled, outcome.total) == (0, 0), (
        "block 1 has been added to the total, but is not done"
    )


def test_an_output_without_datasets_is_left_alone():
    output = Memory()
    evaluator = evaluator_of(unless()[0], output=output)
    assert evaluator.evaluate(Blocks([range(2)])).failure is None
    evaluator.close()
    assert not output.closed


def test_the_longest_block_is_told():
    naps = [0.0, 0.3, 0.0, 0.1]

    def function(block):
        time.sleep(naps[block.index])
        return 1.0

    outcome = evaluator_of(function, n=40).evaluate(Blocks([range(4)]))
    assert 0.3 <= outcome.longest < outcome.seconds
    assert outcome.seconds >= sum(naps)
    outcome = evaluator_of(function, n=40).evaluate(Blocks([range(3, 4)]))
    assert 0.1 <= outcome.longest <= outcome.seconds


def test_retries_count_as_time_of_the_block():
    calls = []

    def function(block):
        calls.append(block.index)
        time.sleep(0.01)
        if block.index == 1 and calls.count(1) < 4:
            raise ValueError
        return 1.0

    retrying = evaluator_of(function, on_error=OnError(retries=3)).evaluate(Blocks([range(2)]))
    assert calls == [0, 1, 1, 1, 1]
    assert 0.04 <= retrying.longest <= retrying.seconds - 0.01
    calls.clear()
    skipping = evaluator_of(function, on_error=SKIP).evaluate(Blocks([range(1, 2)]))
    assert 0.01 <= skipping.longest <= skipping.seconds


def test_it_looks_now_and_then_whether_to_stop():
    asked = []

    def stop():
        asked.append(time.perf_counter())
        return len(asked) == 2

    def function(block):
        time.sleep(POLL_SECONDS / 5)
        return 1.0

    began = time.perf_counter()
    outcome = evaluator_of(function, n=10_000).evaluate(Blocks([range(1000)]), stop)
    assert outcome.failure is None
    assert len(asked) == 2
    assert asked[0] - began > POLL_SECONDS
    assert asked[1] - asked[0] > POLL_SECONDS
    assert 2 <= outcome.blocks <= 14, "no sleep is shorter than it should be"
    assert finished(ExactSum, outcome) == outcome.blocks


def test_a_plan_of_any_size_has_its_blocks():
    function, called = unless(value=lambda block: float(block.size))
    outcome = evaluator_of(function, n=2**62 + 5, block=2**40).evaluate(
        Blocks([range(2**22 - 1, 2**22 + 1)])
    )
    assert called == [2**22 - 1, 2**22]
    assert finished(ExactSum, outcome) == 2.0**40 + 5
    assert Plan(2**62 + 5, 2**40).n_blocks == 2**22 + 1
