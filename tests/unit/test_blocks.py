import itertools
import pickle

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpipar.core.blocks import Blocks, missing, united

MODERATE = settings(max_examples=100, deadline=None)
HUGE = 2**63

short_ranges = st.builds(
    lambda start, length, step: range(start, start + length * step, step),
    st.integers(0, 60),
    st.integers(0, 12),
    st.integers(1, 7),
)
overlapping = st.lists(short_ranges, max_size=12)
origins = st.sampled_from([0, 0, 5, HUGE - 7, HUGE, 2**100])


@st.composite
def disjoint(draw):
    """Return disjoint ranges: some one after the other, in any order, some of them interlocking."""
    found, start = [], draw(origins)
    for gap, length, step in draw(
        st.lists(st.tuples(*[st.integers(0, 9)] * 2, st.integers(1, 5)), max_size=8)
    ):
        start += gap
        teeth = draw(st.integers(1, step))
        found += [
            range(start + tooth, start + tooth + length * step, step) for tooth in range(teeth)
        ]
        start += length * step
    return draw(st.permutations(found))


def shifted(ranges, by):
    return [range(r.start + by, r.stop + by, r.step) for r in ranges]


def elements(ranges):
    return set(itertools.chain.from_iterable(ranges))


@MODERATE
@given(ranges=disjoint())
def test_it_is_a_sequence_of_all_numbers_in_the_ranges(ranges):
    blocks = Blocks(ranges)
    assert list(blocks) == list(itertools.chain.from_iterable(ranges))
    assert blocks.count == sum(map(len, ranges))
    assert all(blocks.ranges), "no empty ones"


@MODERATE
@given(ranges=disjoint(), start=st.integers(0, 120), stop=st.integers(0, 120))
@example(ranges=[], start=0, stop=3)
def test_slices_are_those_of_a_list(ranges, start, stop):
    piece = Blocks(ranges)[start:stop]
    assert list(piece) == list(Blocks(ranges))[start:stop]
    assert piece.count == len(list(piece))


@MODERATE
@given(ranges=disjoint(), cuts=st.lists(st.integers(0, 120), max_size=6))
def test_consecutive_slices_are_the_whole(ranges, cuts):
    blocks = Blocks(ranges)
    ends = [0, *sorted(cuts), max([*cuts, blocks.count])]
    pieces = [blocks[start:stop] for start, stop in itertools.pairwise(ends)]
    assert [number for piece in pieces for number in piece] == list(blocks)


@MODERATE
@given(ranges=disjoint(), size=st.integers(1, 9), data=st.data())
def test_every_is_a_slice_with_a_step(ranges, size, data):
    rank = data.draw(st.integers(0, size - 1))
    assert list(Blocks(ranges).every(rank, size)) == list(Blocks(ranges))[rank::size]


@MODERATE
@given(ranges=disjoint(), size=st.integers(1, 9))
def test_cyclic_shares_are_united_to_the_whole_again(ranges, size):
    blocks = Blocks(ranges)
    shares = [blocks.every(rank, size) for rank in range(size)]
    assert sum(share.count for share in shares) == blocks.count
    assert elements(united(r for share in shares for r in share.ranges)) == set(blocks)


@MODERATE
@given(ranges=disjoint())
def test_a_copy_that_was_sent_is_equal(ranges):
    blocks = Blocks(ranges)
    copy = pickle.loads(pickle.dumps(blocks))
    assert copy == blocks
    assert hash(copy) == hash(blocks)
    assert (copy.count, list(copy), repr(copy)) == (blocks.count, list(blocks), repr(blocks))
    assert copy[1:3] == blocks[1:3]
    assert blocks != Blocks([*ranges, range(2**101, 2**101 + 1)])
    assert blocks != ranges


@MODERATE
@given(ranges=overlapping, origin=origins)
@example(ranges=[range(0, 10, 2), range(1, 10, 2)], origin=HUGE)
def test_united_is_the_union_in_order(ranges, origin):
    joined = united(iter(shifted(ranges, origin)))
    assert elements(joined) == elements(shifted(ranges, origin))
    assert all(r.step == 1 and len(r) > 0 for r in joined)
    assert all(left.stop < right.start for left, right in itertools.pairwise(joined)), (
        "as few as can be"
    )


@MODERATE
@given(ranges=overlapping, n=st.integers(0, 200))
@example(ranges=[range(5, 10)], n=3)
@example(ranges=[range(3)], n=3)
def test_missing_is_the_rest(ranges, n):
    rest = missing(iter(ranges), n)
    assert list(rest) == [number for number in range(n) if number not in elements(ranges)]


def test_ranges_beyond_64_bits_take_no_time():
    whole = Blocks([range(2**70), range(2**71, 2**72, 3)])
    assert whole.count == 2**70 + -(-(2**71) // 3)
    assert list(whole[2**70 - 1 : 2**70 + 2]) == [2**70 - 1, 2**71, 2**71 + 3]
    assert whole[2**80 : 2**81].count == 0
    share = whole.every(2**66, 2**67)
    assert share.ranges[0] == range(2**66, 2**70, 2**67)
    assert next(iter(share[8:9])) == 2**71 + 3 * ((2**66 - 2**70) % 2**67)
    with pytest.raises(OverflowError):
        len(range(2**70))  # which is why there is a count


def test_missing_beyond_64_bits():
    n = 2**70
    assert missing([range(0, n, 1)], n).count == 0
    assert missing([range(HUGE, HUGE + 10), range(5)], n).ranges == (
        range(5, HUGE),
        range(HUGE + 10, n),
    )
    assert united([range(2**80, 2**90), range(2**85, 2**95)]) == [range(2**80, 2**95)]


def test_shares_of_a_dynamic_run_are_taken_off_a_whole():
    # Chunks of several counters, one for each of three cyclic shares, are done; the rest is what
    # the shares still have.
    whole = Blocks([range(1000)])
    shares = [whole.every(rank, 3) for rank in range(3)]
    done = [share[0 : 50 * (rank + 1)] for rank, share in enumerate(shares)]
    rest = missing((r for blocks in done for r in blocks.ranges), 1000)
    assert set(rest) == set(range(1000)) - {number for blocks in done for number in blocks}
    assert rest.count == 1000 - 300
