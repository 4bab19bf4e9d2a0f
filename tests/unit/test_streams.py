import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpipar import stream

MODERATE = settings(max_examples=40, deadline=None)

keys = st.tuples(st.integers(0, 2**64), st.integers(0, 2**64))

SAMPLES = 4096
STREAMS = 24

RAW = [
    (0, 0, [10116541783505607535, 7467812998635031247]),
    (7, 2**40, [16827845127938340949, 4928390207199729316]),
]


@MODERATE
@given(key=keys)
def test_stream_of_a_block_is_the_same_every_time(key):
    np.testing.assert_array_equal(stream(*key).random(20), stream(*key).random(20))


@pytest.mark.parametrize(("seed", "index", "raw"), RAW)
def test_raw_bits_of_a_stream_are_those_of_earlier_versions(seed, index, raw):
    assert stream(seed, index).bit_generator.random_raw(2).tolist() == raw


@MODERATE
@given(one=keys, other=keys)
def test_streams_of_other_blocks_or_seeds_differ(one, other):
    same = np.array_equal(stream(*one).random(4), stream(*other).random(4))
    assert same == (one == other)


def test_streams_of_neighbouring_blocks_and_seeds_have_no_number_in_common():
    streams = [stream(seed, index) for seed in range(20) for index in range(20)]
    numbers = np.concatenate([one.integers(2**63, size=50) for one in streams])
    assert len(np.unique(numbers)) == numbers.size


def test_seed_and_block_do_not_stand_in_for_each_other():
    drawn = {
        key: stream(*key).random()
        for key in [(0, 1), (1, 0), (0, 0), (1, 1), (2**32, 0), (0, 2**32)]
    }
    assert len(set(drawn.values())) == len(drawn)


@pytest.mark.parametrize(
    "keys", [[(3, k) for k in range(STREAMS)], [(k, 3) for k in range(STREAMS)]]
)
def test_streams_are_uncorrelated_and_uniform(keys):
    samples = np.array([stream(*key).random(SAMPLES) for key in keys])
    six_sigma = 6 / np.sqrt(SAMPLES)
    correlations = np.corrcoef(samples)[~np.eye(len(keys), dtype=bool)]
    assert np.abs(correlations).max() < six_sigma
    assert np.abs(samples.mean(axis=1) - 0.5).max() < six_sigma * np.sqrt(1 / 12)
    lagged = np.corrcoef(samples[:-1, 1:], samples[1:, :-1])[: len(keys) - 1, len(keys) - 1 :]
    assert np.abs(lagged).max() < six_sigma  # nor is one stream another one, a step later


def test_first_numbers_across_blocks_are_uniform():
    first = np.array([stream(11, index).random() for index in range(SAMPLES)])
    counts = np.histogram(first, 16, (0.0, 1.0))[0]
    expected = SAMPLES / 16
    chi_squared = np.sum((counts - expected) ** 2 / expected)
    assert 2.0 < chi_squared < 45.0  # 15 degrees of freedom: 1e-4 of either tail
