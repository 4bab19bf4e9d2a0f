import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import stream

MODERATE = settings(max_examples=40, deadline=None)

keys = st.tuples(st.integers(0, 2**64), st.integers(0, 2**64))


@MODERATE
@given(key=keys)
def test_stream_of_a_block_is_the_same_every_time(key):
    np.testing.assert_array_equal(stream(*key).random(20), stream(*key).random(20))


def test_stream_is_the_same_in_every_version():
    assert stream(0, 0).integers(2**32, size=3).tolist() == stream(0, 0).integers(2**32, size=3).tolist()
    assert stream(1, 2).random(4).tobytes() == stream(1, 2).random(4).tobytes()


@MODERATE
@given(one=keys, other=keys)
def test_streams_of_other_blocks_or_seeds_differ(one, other):
    same = np.array_equal(stream(*one).random(4), stream(*other).random(4))
    assert same == (one == other)
