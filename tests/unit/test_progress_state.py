import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import Concatenate, Count, Each, ExactSum, InOrder
from mpipar.core.blocks import Blocks, united
from mpipar.runtime.evaluate import Outcome
from mpipar.runtime.failure import Failure, Skipped
from mpipar.runtime.progress_state import Done, ProgressState, Record

MODERATE = settings(max_examples=80, deadline=None)
COMBINING = ("combining the partials of blocks", "ZeroDivisionError: division by zero")


def skipped(index: int) -> Skipped:
    return Skipped(index, 10 * index, 10 * index + 10, "ValueError", "")


def of(*indices: int) -> Blocks:
    return Blocks([range(index, index + 1) for index in indices])


def record() -> Record:
    return Record(1, "node", 5)


def test_it_sums_up_the_chunks_of_a_process():
    mine, tally = record(), ProgressState(Count())
    first = Outcome(3, 2, 0.5, 0.4, partials={0: 1, 1: 2}, rows={0: {"y": np.zeros(1)}})
    assert tally.add(Blocks([range(2)]), first, mine) is None
    second = Outcome(
        4, 1, 0.25, 0.25, partials={2: 4}, rows={2: {}}, skipped=[skipped(4)], retried=3
    )
    assert tally.add(of(2, 4), second, mine) is None
    assert (tally.new.total, tally.new.count, tally.new.skipped) == (7, 3, [skipped(4)])
    assert (tally.partials, tally.rows.keys(), tally.retried) == ({0: 1, 1: 2, 2: 4}, {0, 2}, 3)
    assert mine == Record(1, "node", 5, blocks=3, seconds=0.75, longest=0.4)
    assert (tally.kept.total, tally.kept.count) == (0, 0)


def test_records_of_several_processes_are_apart():
    tally, records = ProgressState(Count()), [record(), record()]
    for index in range(4):
        tally.add(of(index), Outcome(1, 1, 1.0, 1.0), records[index % 2])
    assert [each.blocks for each in records] == [2, 2]
    assert tally.new.total == 4


@pytest.mark.parametrize("step", [1, 3])
def test_chunks_that_follow_each_other_become_one_range(step):
    share, tally = Blocks([range(100 * step)]).every(step - 1, step), ProgressState(Count())
    for position in range(0, 100, 7):
        chunk = share[position : position + 7]
        tally.add(chunk, Outcome(chunk.count, chunk.count), record())
    assert tally.new.ranges == [range(step - 1, 100 * step, step)]


def test_chunks_with_gaps_between_them_stay_apart():
    tally = ProgressState(Count())
    for chunk in (
        Blocks([range(3)]),
        Blocks([range(4, 6), range(9, 12)]),
        Blocks([range(12, 13)]),
        Blocks([range(3, 4)]),
    ):
        tally.add(chunk, Outcome(1, chunk.count), record())
    assert tally.new.ranges == [range(3), range(4, 6), range(9, 13), range(3, 4)]
    assert united(tally.new.ranges) == [range(6), range(9, 13)]


def test_skipped_blocks_are_left_out():
    tally = ProgressState(Count())
    chunk = Blocks([range(0, 20, 2)])
    assert tally.add(chunk, Outcome(8, 8, skipped=[skipped(4), skipped(18)]), record()) is None
    assert sorted(Blocks(tally.new.ranges)) == [0, 2, 6, 8, 10, 12, 14, 16]
    assert tally.new.skipped == [skipped(4), skipped(18)]


@pytest.mark.parametrize("left_out", [(), (3,), (0, 1)])
def test_of_a_chunk_that_ended_early_the_first_blocks_are_done(left_out):
    tally, failure = ProgressState(Count()), Failure("block 7", "ValueError")
    outcome = Outcome(
        5, 5 - len(left_out), 0.5, 0.5, skipped=[skipped(k) for k in left_out], failure=failure
    )
    mine = record()
    assert tally.add(Blocks([range(10)]), outcome, mine) is failure
    assert set(Blocks(tally.new.ranges)) == set(range(5)) - set(left_out)
    assert tally.new.total == 5, "what was done before the failure counts"
    assert mine.blocks == 5 - len(left_out)


def test_a_chunk_in_which_nothing_was_done():
    tally = ProgressState(Concatenate())
    failure = Failure("sending partials", "no way")
    assert tally.add(Blocks([range(3)]), Outcome(None, failure=failure), record()) is failure
    assert (tally.new.ranges, tally.new.total) == ([], {})


def dividing_tally() -> ProgressState:
    return ProgressState(Each(first=ExactSum(), second=InOrder(lambda left, right: 1 / 0)))


def partial_of(index: int) -> dict:
    """Return the total of one block: arrays, which are merged in place."""
    ones = ExactSum().add(None, np.ones(3), None)
    return {"first": ones, "second": {(0, index): 1}}


def test_partials_that_cannot_be_combined_leave_no_trace():
    tally, mine = dividing_tally(), record()
    assert tally.add(of(2), Outcome(partial_of(2), 1), mine) is None
    refused = tally.add(of(3), Outcome(partial_of(3), 1), mine)
    assert (refused.where, refused.reason) == COMBINING
    assert "ZeroDivisionError" in refused.details
    assert mine.blocks == 1
    # The sum of the first has been changed: it must not be committed as that of block 2.
    assert (tally.new.ranges, tally.new.total) == ([], {"first": None, "second": {}})


def test_fold_counts_what_is_new_among_what_is_kept():
    tally = ProgressState(Count())
    for index in range(3):
        tally.add(of(index), Outcome(10**index, 1, skipped=[]), record())
        assert tally.fold() is tally.kept
        assert (tally.kept.total, tally.kept.count) == (int("1" * (index + 1)), index + 1)
        assert (tally.new.total, tally.new.ranges, tally.new.skipped) == (0, [], [])
    tally.add(of(3, 4), Outcome(0, 1, skipped=[skipped(4)]), record())
    tally.fold()
    assert (tally.kept.count, tally.kept.skipped) == (4, [skipped(4)])


def test_a_fold_that_fails_is_not_tried_again():
    # The half of it that worked would count twice.
    tally = dividing_tally()
    for index in (2, 3):
        assert tally.add(of(index), Outcome(partial_of(index), 1), record()) is None
        failure = tally.fold()
    assert (failure.where, failure.reason) == COMBINING
    assert tally.fold() is failure


@MODERATE
@given(
    n=st.integers(0, 300),
    size=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
    folds=st.integers(1, 20),
)
def test_all_blocks_of_a_run_are_counted_once(n, size, order, folds):
    tallies = [ProgressState(Count()) for _ in range(size)]
    chunks = []
    for rank in range(size):
        share, position = Blocks([range(n)]).every(rank, size), 0
        while position < share.count:
            length = order.randint(1, 9)
            chunks.append((rank, share[position : position + length]))
            position += length
    order.shuffle(chunks)
    left_out = {index for index in range(n) if order.random() < 0.1}
    for number, (rank, chunk) in enumerate(chunks):
        gone = [skipped(index) for index in chunk if index in left_out]
        total = sum(index for index in chunk if index not in left_out)
        tallies[rank].add(chunk, Outcome(total, chunk.count - len(gone), skipped=gone), record())
        if number % folds == 0:
            tallies[rank].fold()
    whole = Done(0)
    for tally in tallies:
        whole = whole.merge(tally.fold(), Count())
    assert sorted(Blocks(united(whole.ranges))) == sorted(set(range(n)) - left_out)
    assert (whole.count, whole.total) == (n - len(left_out), sum(set(range(n)) - left_out))
    assert sorted(block.block for block in whole.skipped) == sorted(left_out)


@pytest.mark.ci
def test_many_ranges_are_united_when_they_are_merged():
    total = Done(0)
    for index in range(0, 10_000, 2):
        total = total.merge(Done(0, [range(index, index + 1)]), Count())
    for index in range(1, 10_000, 2):
        total = total.merge(Done(0, [range(index, index + 1)]), Count())
    assert total.count == 10_000
    assert len(total.ranges) < 1100
    assert united(total.ranges) == [range(10_000)]
