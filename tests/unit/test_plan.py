import itertools
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import Block, Plan
from mpipar.core.blocks import Blocks
from mpipar.core.devices.cpu import DEFAULT_BLOCKS, LARGEST_DEFAULT_BLOCK
from mpipar.core.plan import slice_share

MODERATE = settings(max_examples=80, deadline=None)


def stride_share(n: int, rank: int, size: int) -> range:
    """Return the share of a rank of the stride schedule."""
    ranges = Blocks([range(n)]).every(rank, size).ranges
    return ranges[0] if ranges else range(0)


SHARES = pytest.mark.parametrize("share", [stride_share, slice_share])
small = st.integers(0, 300)
huge = st.integers(2**63, 2**80)
any_n = small | huge


def length(positions: range) -> int:
    """Return the length of a range, of any magnitude: len() stops at 2⁶³."""
    return max(0, -((positions.start - positions.stop) // positions.step))


@MODERATE
@given(n=small, block=st.integers(1, 320))
def test_blocks_cover_all_items_once_and_in_order(n, block):
    plan = Plan(n, block)
    blocks = [plan[index] for index in range(plan.n_blocks)]
    assert [item for one in blocks for item in one] == list(range(n))
    assert [one.index for one in blocks] == list(range(plan.n_blocks))
    assert all(len(one) == one.size == block for one in blocks[:-1])
    assert all(0 < one.size <= block for one in blocks)


@MODERATE
@given(n=huge, block=st.integers(1, 2**70), data=st.data())
def test_blocks_of_a_plan_beyond_64_bits_are_neighbours_from_0_to_n(n, block, data):
    plan = Plan(n, block)
    assert plan[0].start == 0
    assert plan[plan.n_blocks - 1].stop == n
    index = data.draw(st.integers(0, plan.n_blocks - 1))
    assert plan[index].start == index * block
    assert 1 <= plan[index].size <= block
    if index + 1 < plan.n_blocks:
        assert plan[index].size == block
        assert plan[index].stop == plan[index + 1].start


def test_plan_of_nothing_has_no_blocks():
    assert Plan(0, 5).n_blocks == 0
    assert Plan.by_default(0).n_blocks == 0


@pytest.mark.parametrize(("n", "block"), [(0, 4), (10, 4), (2**70, 2**33)])
def test_block_outside_of_the_plan_raises(n, block):
    plan = Plan(n, block)
    for index in (-1, plan.n_blocks, plan.n_blocks + 1):
        with pytest.raises(IndexError, match=str(index)):
            plan[index]


def test_plain_iteration_over_a_plan_gives_its_blocks():
    assert list(Plan(10, 4)) == [Block(0, 0, 4), Block(1, 4, 8), Block(2, 8, 10)]


@pytest.mark.parametrize(("n", "block", "named"), [(-1, 4, "-1"), (10, 0, "0"), (10, -3, "-3")])
def test_bad_plan_raises_and_says_what_was_got(n, block, named):
    with pytest.raises(ValueError, match=f"got {named}$"):
        Plan(n, block)


@MODERATE
@given(n=any_n)
def test_default_plan_has_usable_blocks(n):
    plan = Plan.by_default(n)
    assert 1 <= plan.block <= LARGEST_DEFAULT_BLOCK
    assert plan.n_blocks >= min(n, DEFAULT_BLOCKS)
    assert (plan.n_blocks - 1) * plan.block < n or n == 0


def test_default_block_size_grows_with_n_up_to_its_limit():
    sizes = [Plan.by_default(n).block for n in (0, 1, 4096, 8192, 4096 * 1000, 10**9, 2**70)]
    assert sizes == [1, 1, 1, 2, 1000, LARGEST_DEFAULT_BLOCK, LARGEST_DEFAULT_BLOCK]


def test_block_is_its_items():
    block = Block(3, 12, 16)
    assert list(block) == [12, 13, 14, 15]
    assert len(block) == block.size == 4
    assert block == Block(3, 12, 16)
    assert hash(block) == hash(Block(3, 12, 16))
    assert repr(block) == "Block(index=3, start=12, stop=16)"
    for other in (Block(2, 12, 16), Block(3, 11, 16), Block(3, 12, 17), (3, 12, 16)):
        assert block != other


def test_block_and_plan_can_be_sent():
    for thing in (Block(3, 12, 16), Plan(2**70, 2**33)):
        assert pickle.loads(pickle.dumps(thing)) == thing


@SHARES
@MODERATE
@given(n=small, size=st.integers(1, 40))
def test_shares_of_all_ranks_partition_the_range(share, n, size):
    shares = [share(n, rank, size) for rank in range(size)]
    assert sorted(index for one in shares for index in one) == list(range(n))
    lengths = [len(one) for one in shares]
    assert max(lengths) - min(lengths) <= 1


@SHARES
@MODERATE
@given(n=huge, size=st.integers(1, 2000), data=st.data())
def test_shares_beyond_64_bits_are_near_equal_and_in_range(share, n, size, data):
    one = share(n, data.draw(st.integers(0, size - 1)), size)
    assert length(one) in (n // size, n // size + 1)
    assert 0 <= one[0] <= one[-1] < n
    assert sum(length(share(n, rank, size)) for rank in range(size)) == n


@MODERATE
@given(n=any_n, size=st.integers(1, 50))
def test_slices_are_contiguous_and_in_rank_order(n, size):
    shares = [slice_share(n, rank, size) for rank in range(size)]
    assert shares[0].start == 0
    assert shares[-1].stop == n
    for left, right in itertools.pairwise(shares):
        assert left.stop == right.start
        assert left.step == 1


@MODERATE
@given(n=any_n, size=st.integers(2, 50), data=st.data())
def test_stride_takes_every_size_th_block(n, size, data):
    rank = data.draw(st.integers(0, size - 1))
    one = stride_share(n, rank, size)
    assert one == range(rank, n, size)


@SHARES
def test_ranks_beyond_the_blocks_get_nothing(share):
    assert [list(share(2, rank, 4)) for rank in range(4)] == [[0], [1], [], []]
    assert [list(share(0, rank, 3)) for rank in range(3)] == [[], [], []]


@MODERATE
@given(
    n=st.integers(1, 300),
    block=st.integers(1, 50),
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=4),
)
def test_block_boundaries_do_not_depend_on_the_number_of_ranks(n, block, sizes):
    def boundaries(size):
        plan = Plan(n, block)
        return {
            (b.start, b.stop)
            for rank in range(size)
            for b in map(plan.__getitem__, slice_share(plan.n_blocks, rank, size))
        }

    assert len({frozenset(boundaries(size)) for size in sizes}) == 1
