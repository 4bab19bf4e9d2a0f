"""Random numbers for GPUs: the published answers, the same bits with each array library, what a
stream promises.
"""

import math
import types

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpipar.core.philox import PhiloxStream, philox4x32
from mpipar.core.streams import words

ONES = 0xFFFFFFFF


# The vectors for philox4x32-10 that the authors publish with Random123 (kat_vectors): counter, key,
# answer.
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_published_answers(xp, counter, key, answer):
    counters = [xp.asarray([word, word], dtype=xp.uint64) for word in counter]
    for got, expected in zip(philox4x32(counters, key), answer, strict=True):
        assert [int(got[0]), int(got[1])] == [expected, expected]


def one_by_one(seed: int, index: int, count: int) -> list[float]:
    """Return doubles made from words of Python's integers, as the notes of the class say."""
    k0, k1, c2, c3 = words(seed, index)
    pairs = []
    for number in range((count + 1) // 2):
        state, key = [number & ONES, number >> 32, c2, c3], [k0, k1]
        for _ in range(10):
            first, second = 0xD2511F53 * state[0], 0xCD9E8D57 * state[2]
            state = [
                (second >> 32) ^ state[1] ^ key[0],
                second & ONES,
                (first >> 32) ^ state[3] ^ key[1],
                first & ONES,
            ]
            key = [(key[0] + 0x9E3779B9) & ONES, (key[1] + 0xBB67AE85) & ONES]
        pairs.append([((high << 32 | low) >> 11) / 2**53 for low, high in (state[:2], state[2:])])
    return [*(pair[0] for pair in pairs), *(pair[1] for pair in pairs)][:count]


@given(
    seed=st.integers(0, 2**70),
    index=st.integers(0, 2**40),
    shapes=st.lists(
        st.one_of(st.none(), st.integers(0, 9), st.tuples(st.integers(0, 4), st.integers(0, 5))),
        max_size=3,
    ),
)
def test_the_same_bits_with_each_library_and_by_hand(seed, index, shapes):
    streams = [PhiloxStream(xp, seed, index) for xp in (np, array_api_strict)]
    drawn = 0
    for shape in shapes:
        one, other = (np.asarray(stream.random(shape)) for stream in streams)
        assert one.shape == other.shape == (() if shape is None else np.empty(shape).shape)
        assert one.dtype == np.float64
        assert one.tobytes() == other.tobytes()
        drawn += (one.size + 1) // 2
    assert [stream.take(0) for stream in streams] == [drawn, drawn]
    first = PhiloxStream(np, seed, index).random(7)
    assert first.tolist() == one_by_one(seed, index, 7)


@pytest.mark.parametrize("name", ["concat", "concatenate"])
def test_one_name_of_concatenation_will_do(name):
    """NumPy 1.26 has no concat, the array API no concatenate."""
    library = types.SimpleNamespace(**vars(np))
    del library.concatenate
    vars(library).pop("concat", None)
    setattr(library, name, np.concatenate)
    expected = PhiloxStream(np, 5, 6).random((2, 9))
    assert PhiloxStream(library, 5, 6).random((2, 9)).tobytes() == expected.tobytes()


def test_calls_don_t_repeat_numbers_and_rows_share_counters():
    stream = PhiloxStream(np, 5, 6)
    drawn = np.concatenate([stream.random(size) for size in (3, 4, 1, 1000)])
    assert len(set(drawn.tolist())) == len(drawn)
    points = PhiloxStream(np, 5, 6).random((2, 501))
    again = PhiloxStream(np, 5, 6)
    again.take(500)
    assert again.random(2).tolist() == points[:, 500].tolist()


def test_streams_differ_by_seed_and_block():
    firsts = {
        float(PhiloxStream(np, seed, index).random()) for seed in range(30) for index in range(30)
    }
    assert len(firsts) == 900


def test_numbers_are_uniform():
    numbers = PhiloxStream(np, 1, 2).random(2**20)
    assert 0.0 <= numbers.min() < 1e-5
    assert 1.0 - 1e-5 < numbers.max() < 1.0
    counts = np.histogram(numbers, 256, (0.0, 1.0))[0]
    chi2 = ((counts - 2**12) ** 2 / 2**12).sum()
    assert abs(chi2 - 255) < 5 * math.sqrt(2 * 255)
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 5 / 2**10
    assert (
        abs(np.corrcoef(numbers[: 2**19], numbers[2**19 :])[0, 1]) < 7 / 2**10
    )  # words of one counter


@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_normal_numbers_are(xp):
    numbers = np.asarray(PhiloxStream(xp, 3, 4).normal(2.0, 3.0, (2, 2**17)))
    assert numbers.shape == (2, 2**17)
    standard = (numbers.ravel() - 2.0) / 3.0
    for power, moment, spread in (
        (1, 0, 1),
        (2, 1, math.sqrt(2)),
        (3, 0, math.sqrt(15)),
        (4, 3, math.sqrt(96)),
    ):
        assert abs((standard**power).mean() - moment) < 5 * spread / 2**9
    share = (np.abs(standard) < 1.0).mean()
    assert abs(share - math.erf(1 / math.sqrt(2))) < 5 * 0.47 / 2**9
    assert np.isfinite(numbers).all()


def test_uniform_numbers_of_an_interval():
    numbers = np.asarray(PhiloxStream(np, 3, 4).uniform(-2.0, 6.0, 1000))
    assert numbers.tolist() == (-2.0 + 8.0 * PhiloxStream(np, 3, 4).random(1000)).tolist()


def test_what_there_is_not_is_told_with_what_there_is():
    with pytest.raises(
        AttributeError, match="rng on a GPU has no 'gamma': it has random, uniform, standard_normal"
    ):
        PhiloxStream(np, 1, 1).gamma(3.0)
