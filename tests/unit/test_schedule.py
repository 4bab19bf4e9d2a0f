import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import BadInput
from mpipar.core.blocks import Blocks, missing
from mpipar.runtime.communicator import Comm
from mpipar.runtime.counter import Counter
from mpipar.runtime.schedule import SCHEDULES, Share, share

MODERATE = settings(max_examples=80, deadline=None)

EVERY_SCHEDULE = pytest.mark.parametrize("schedule", SCHEDULES)


class FakeComm(Comm):
    """One of several ranks, all in this process, whose shared counter is one object."""

    def __init__(self, rank: int, size: int, counter: Counter) -> None:
        super().__init__()
        self.rank = rank
        self.size = size
        self._counter = counter

    def shared_counter(self) -> Counter:
        return self._counter


def shares(schedule: str, blocks: int | Blocks, size: int, workers: int) -> list[Share]:
    counter = Counter()
    if isinstance(blocks, int):
        blocks = Blocks([range(blocks)])
    return [
        share(schedule, blocks, FakeComm(rank, size, counter), workers)[0] for rank in range(size)
    ]


def take_all(takers: list[Share], order: random.Random, block_seconds) -> list[list[Blocks]]:
    """Let the ranks take their chunks in a random order, until nothing is left; return the chunks
    of each rank.
    """
    taken = [[] for _ in takers]
    active = list(range(len(takers)))
    while active:
        rank = order.choice(active)
        chunk = takers[rank].take()
        if chunk is None:
            active.remove(rank)
            assert takers[rank].take() is None
            continue
        taken[rank].append(chunk)
        takers[rank].note(chunk.count, chunk.count * block_seconds(order))
    return taken


@EVERY_SCHEDULE
@MODERATE
@given(
    n_blocks=st.integers(0, 2000),
    size=st.integers(1, 9),
    workers=st.integers(1, 5),
    done=st.lists(
        st.builds(range, st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 4)), max_size=6
    ),
    longest=st.sampled_from([0.0, 1e-6, 1e-3, 1.0]),
    order=st.randoms(use_true_random=False),
)
def test_chunks_of_all_ranks_are_the_blocks(
    schedule, n_blocks, size, workers, done, longest, order
):
    takers = shares(schedule, missing(done, n_blocks), size, workers)
    taken = take_all(takers, order, lambda order: longest * order.random())
    todo = sorted(set(range(n_blocks)).difference(*done))
    assert sorted(index for chunks in taken for chunk in chunks for index in chunk) == todo
    assert all(chunk.count > 0 for chunks in taken for chunk in chunks)


@pytest.mark.parametrize("schedule", ["stride", "slice"])
@MODERATE
@given(
    n_blocks=st.integers(0, 500), size=st.integers(1, 9), order=st.randoms(use_true_random=False)
)
def test_static_schedules_give_a_rank_the_same_blocks_whatever_the_timing(
    schedule, n_blocks, size, order
):
    def blocks(seconds):
        taken = take_all(
            shares(schedule, n_blocks, size, 1), order, lambda order: seconds * order.random()
        )
        return [sorted(index for chunk in chunks for index in chunk) for chunks in taken]

    assert blocks(1e-7) == blocks(1.0)


def test_dynamic_schedule_leaves_the_work_to_the_free_ranks():
    stuck, free = shares("dynamic", 50, 2, 1)
    assert stuck.take() == Blocks([range(1)])
    free_blocks = [index for chunk in iter(free.take, None) for index in chunk]
    assert free_blocks == list(range(1, 50))
    assert stuck.take() is None


@EVERY_SCHEDULE
def test_first_chunk_is_one_block_as_its_time_is_unknown(schedule):
    assert shares(schedule, 10**6, 3, 1)[1].take().count == 1


@EVERY_SCHEDULE
@pytest.mark.parametrize("seconds", [1e-4, 1e-3, 5e-3, 0.1, 10.0])
def test_chunks_are_no_longer_than_a_fraction_of_a_second(schedule, seconds):
    taker = shares(schedule, 10**9, 4, 1)[0]
    for _ in range(20):
        chunk = taker.take()
        assert chunk.count == 1 or chunk.count * seconds <= 0.0201
        taker.note(chunk.count, chunk.count * seconds)
    assert chunk.count == max(1, int(0.02 / seconds + 1e-9)) or chunk.count * seconds > 0.0199


def test_chunk_time_adapts_to_blocks_that_become_slower():
    taker = Share(Blocks([range(10**9)]), Counter(), 1)
    taker.note(1, 1e-5)
    early = taker.take().count
    for _ in range(40):
        taker.note(1, 1e-2)
    late = taker.take().count
    assert early > 1000
    assert late <= 2


def test_chunks_grow_with_many_takers_to_spare_the_counter():
    few, many = (
        Share(Blocks([range(10**9)]), Counter(), 8),
        Share(Blocks([range(10**9)]), Counter(), 10_000),
    )
    for taker in (few, many):
        taker.note(1, 1e-4)
    assert many.take().count > 5 * few.take().count


def test_chunks_shrink_towards_the_end():
    taker = Share(Blocks([range(1000)]), Counter(), 4)
    taker.note(1, 1e-9)
    sizes = [chunk.count for chunk in iter(taker.take, None)]
    assert sum(sizes) == 1000
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 125  # 1000 / (2 · 4 takers)
    assert sizes[-1] == 1


@pytest.mark.parametrize("schedule", ["stride", "slice"])
@MODERATE
@given(n_blocks=st.integers(2**63, 2**80), size=st.integers(1, 100), data=st.data())
def test_plans_beyond_64_bits_are_shared_out(schedule, n_blocks, size, data):
    rank = data.draw(st.integers(0, size - 1))
    taker = shares(schedule, n_blocks, size, 2)[rank]
    first = rank if schedule == "stride" else rank * (n_blocks // size) + min(rank, n_blocks % size)
    step = size if schedule == "stride" else 1
    taken = []
    for _ in range(3):
        chunk = taker.take()
        taken += chunk
        taker.note(chunk.count, chunk.count * 1e-3)
    assert taken == [first + k * step for k in range(len(taken))]
    assert len(taken) > 3
    assert 0 <= taker.fraction_taken < 1e-9


def test_fraction_taken_goes_from_0_to_1():
    taker = Share(Blocks([range(4)]), Counter(), 1)
    seen = [taker.fraction_taken]
    while taker.take() is not None:
        seen.append(taker.fraction_taken)
    assert seen == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert Share(Blocks([range(0)]), Counter(), 1).fraction_taken == 1.0


def test_fraction_taken_counts_what_others_took_of_the_shared_counter():
    mine, other = shares("dynamic", 100, 2, 1)
    for _ in range(50):
        other.take()
    mine.take()
    assert mine.fraction_taken == 0.51


def test_unknown_schedule_is_refused():
    with pytest.raises(BadInput, match="schedule: expected stride, slice or dynamic, got 'static'"):
        share("static", Blocks([range(3)]), Comm(), 1)
