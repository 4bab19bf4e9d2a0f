import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mpipar.kernels import sieve
from mpipar.kernels.sieve import count, is_prime, primes_in

MODERATE = settings(max_examples=100, deadline=None)
LIMIT = 300_000


def naive_flags(n):
    flags = np.ones(n, bool)
    flags[:2] = False
    for i in range(2, math.isqrt(n) + 1):
        flags[i * i :: i] = False
    return flags


FLAGS = naive_flags(LIMIT)
PRIMES = np.flatnonzero(FLAGS)


def check(start, stop):
    """Compare both functions with the naive sieve."""
    first, end = np.searchsorted(PRIMES, [start, stop])
    found = primes_in(start, stop)
    assert found.dtype == np.int64
    assert np.array_equal(found, PRIMES[first:end]), (start, stop)
    assert count(start, stop) == end - first, (start, stop)


@pytest.fixture
def segment(monkeypatch):
    """Return a function that sets the length of a segment."""

    def forget():
        sieve.pattern.cache_clear()
        sieve.base.cache_clear()

    def set_length(length):
        monkeypatch.setattr(sieve, "SEGMENT", length)
        forget()

    yield set_length
    forget()


@pytest.mark.parametrize(
    ("power", "expected"), [(1, 4), (2, 25), (6, 78498), (7, 664579), (8, 5761455)]
)
def test_the_number_of_primes_below_powers_of_ten(power, expected):
    assert count(0, 10**power) == expected


def test_all_short_ranges_near_0():
    for start in range(40):
        for stop in range(start, start + 70):
            check(start, stop)


def test_single_integers():
    for start in range(2000):
        check(start, start + 1)


def test_ranges_that_end_around_squares():
    for root in range(2, 540):
        for before in (-1, 0, 1, 2):
            check(max(0, root * root - before), root * root + 1)


@MODERATE
@given(start=st.integers(0, LIMIT - 1), length=st.integers(0, LIMIT))
@example(start=0, length=0)
@example(start=LIMIT - 1, length=1)
def test_any_range(start, length):
    check(start, min(LIMIT, start + length))


@settings(max_examples=30, deadline=None)
@given(cuts=st.sets(st.integers(0, 100_000), max_size=100))
def test_the_primes_of_parts_are_those_of_the_whole(cuts):
    ends = sorted({0, *cuts, 100_000})
    parts = [primes_in(start, stop) for start, stop in itertools.pairwise(ends)]
    assert np.array_equal(np.concatenate(parts), primes_in(0, 100_000))


@pytest.mark.parametrize("length", [1, 7, 30, 31, 1000, 99_991])
def test_cutting_into_segments_changes_nothing(segment, length):
    segment(length)
    rng = random.Random(length)
    for _ in range(3):
        start = rng.randrange(20_000)
        check(start, start + rng.randrange(min(40 * length + 100, 200_000)))


@pytest.mark.parametrize(
    "center",
    [
        2**31,
        10**10,
        10**12,
        1_000_003**2,
        2**40,
        2**48,
        10**16,
        10**18,
        2**62,
        3_037_000_493**2,
        2**63 - 3000,
    ],
)
def test_large_integers_agree_with_the_test_of_single_ones(center):
    rng = random.Random(center)
    for _ in range(3):
        start = center + rng.randrange(-800, 800)
        stop = min(2**63 - 1, start + rng.randrange(1000))
        expected = [n for n in range(start, stop) if is_prime(n)]
        assert primes_in(start, stop).tolist() == expected
        assert count(start, stop) == len(expected)


def test_the_largest_primes_of_63_bits():
    assert primes_in(2**63 - 60, 2**63 - 1).tolist() == [2**63 - 25]
    assert primes_in(2**61 - 2, 2**61).tolist() == [2**61 - 1]


def test_is_prime_agrees_with_the_sieve():
    assert [n for n in range(100_000) if is_prime(n)] == PRIMES[PRIMES < 100_000].tolist()


@pytest.mark.parametrize("n", [-7, -1, 0, 1, 4])
def test_what_is_no_prime(n):
    assert is_prime(n) is False


# The smallest strong pseudoprimes to the first 1, 2, … prime bases (OEIS A014233); all others are
# above 2**64.
STRONG = [
    2047,
    1373653,
    25326001,
    3215031751,
    2152302898747,
    3474749660383,
    341550071728321,
    3825123056546413051,
]
CARMICHAEL = [
    561,
    1105,
    1729,
    41041,
    825265,
    321197185,
    5394826801,
    232250619601,
    9746347772161,
    1436697831295441,
]


@pytest.mark.parametrize(
    "n", [*STRONG, *CARMICHAEL, (2**31 - 1) ** 2, 2**64 - 1, (2**32 - 5) * (2**32 - 17)]
)
def test_composites_that_look_like_primes(n):
    assert not is_prime(n)


@pytest.mark.parametrize("n", [2**31 - 1, 2**32 - 5, 2**61 - 1, 2**63 - 25, 2**64 - 59])
def test_large_primes(n):
    assert is_prime(n)


@settings(max_examples=200, deadline=None)
@given(p=st.integers(2, 2**32 - 1), q=st.integers(2, 2**32 - 1))
def test_products_are_no_primes(p, q):
    assert not is_prime(p * q)


def test_short_ranges_that_are_tested_one_by_one_are_as_sieved_ones():
    primes = sieve.primes_in(0, 30_000)
    for length in (1, 7, sieve.FEW, sieve.FEW + 1):
        starts = range(0, 30_000 - length, length)
        assert np.concatenate(
            [sieve.primes_in(start, start + length) for start in starts]
        ).tolist() == [p for p in primes.tolist() if p < starts[-1] + length]
        assert sum(sieve.count(start, start + length) for start in starts) == np.sum(
            primes < starts[-1] + length
        )
