"""Primes in a range of the integers, by a segmented sieve of Eratosthenes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

WHEEL = 2 * 3 * 5
RESIDUES = np.array([1, 7, 11, 13, 17, 19, 23, 29])
"""All other integers, 30 i + s, are multiples of 2, 3 or 5."""

FIRST = 2, 3, 5, 7, 11, 13, 17
"""Are not sieved with: their multiples are left out, or known from a pattern."""

PERIOD = 7 * 11 * 13 * 17
SEGMENT = 5 * 10**7
"""Integers at a time, in rows of 1.7 MB; shorter ones fit the cache better, but take more calls."""

FEW = 64  # integers, which are sooner tested one by one
NO = np.array(False)  # assigning an array to a short slice takes 160 ns, and a bool 220
WITNESSES = 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37


@functools.lru_cache(maxsize=1)
def pattern() -> Flags:
    """Return which of 0, 1, 2, … are coprime to the period, for a row that begins anywhere in the
    first one.
    """
    flags = np.ones(PERIOD + SEGMENT // WHEEL + 2, bool)
    for p in FIRST[3:]:
        flags[::p] = False
    return flags


@functools.lru_cache(maxsize=2)
def base(bits: int) -> tuple[Integers, Integers]:
    """Return the primes from 19 to 2**bits, and the inverse of 30 modulo each."""
    primes = primes_in(FIRST[-1] + 1, 2**bits)
    k = -((primes % WHEEL) ** 3) % WHEEL  # k p ≡ -1 (mod 30), since p⁴ ≡ 1
    return primes, (k * primes + 1) // WHEEL


def sieve(start: int, stop: int) -> Iterator[Flags]:
    """Yield a row for each residue r: flag i says if 30 (start // 30 + i) + r is a prime of 17 <
    start ≤ … < stop.
    """
    root = math.isqrt(stop - 1)
    bound = min(root, max(2**20, 1000 * (stop - start)))
    primes, inverses = _base_up_to(bound)
    low = start // WHEEL
    high = -(-stop // WHEEL)
    # Multiples of p under its square have a smaller prime factor, too.
    begin = np.maximum(low, primes * primes // WHEEL)
    for r in RESIDUES.tolist():
        flags = _without_first_primes(low, high, r)
        first = begin - low + (-begin - r * inverses) % primes
        _strike_out(flags, first, primes)
        flags[0] &= WHEEL * low + r >= start
        flags[-1] &= WHEEL * (high - 1) + r < stop
        if bound < root:
            _test_what_is_left(flags, low, r)
        yield flags


def _base_up_to(bound: int) -> tuple[Integers, Integers]:
    primes, inverses = base(bound.bit_length())
    primes = primes[: np.searchsorted(primes, bound, "right")]
    return primes, inverses[: primes.size]


def _without_first_primes(low: int, high: int, r: int) -> Flags:
    """Return the flags of a row from which multiples of the first primes are struck out.

    Modulo p, 30 i + r is a multiple where i + r/30 is, so every row is a part of one pattern.
    """
    phase = (low + r * pow(WHEEL, -1, PERIOD)) % PERIOD
    return pattern()[phase : phase + high - low].copy()


def _strike_out(flags: Flags, first: Integers, primes: Integers) -> None:
    """Strike out every p-th flag, from the first on that p divides."""
    often = np.searchsorted(primes, flags.size)
    for i, p in zip(first[:often].tolist(), primes[:often].tolist(), strict=True):
        flags[i::p] = NO
    once = first[often:]
    flags[once[once < flags.size]] = False


def _test_what_is_left(flags: Flags, low: int, r: int) -> None:
    """Test numbers one by one: for a few large ones that is quicker than more primes."""
    for i in np.flatnonzero(flags).tolist():
        flags[i] = is_prime(WHEEL * (low + i) + r)


def segments(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of [start, stop) that are sieved at a time. Neither 1 nor FIRST are in
    them.
    """
    for low in range(max(start, FIRST[-1] + 1), stop, SEGMENT):
        yield low, min(low + SEGMENT, stop)


def count(start: int, stop: int) -> int:
    """Return the number of primes p with start ≤ p < stop."""
    if stop - start <= FEW:
        return sum(map(is_prime, range(start, stop)))
    found = len(_first_in(start, stop))
    for low, high in segments(start, stop):
        for flags in sieve(low, high):
            found += int(np.count_nonzero(flags))
    return found


def primes_in(start: int, stop: int) -> Integers:
    """Return the primes p with start ≤ p < stop, in order."""
    if stop - start <= FEW:
        return np.array([*filter(is_prime, range(start, stop))], np.int64)
    parts = [np.array(_first_in(start, stop), np.int64)]
    for low, high in segments(start, stop):
        flags = np.stack([*sieve(low, high)], axis=1)
        i = np.flatnonzero(flags)
        turns = i // 8 + low // WHEEL
        parts.append(turns * WHEEL + RESIDUES[i % 8])
    return np.concatenate(parts)


def _first_in(start: int, stop: int) -> list[int]:
    return [p for p in FIRST if start <= p < stop]


def is_prime(n: int) -> bool:
    """Return whether n < 2**64 is prime, by strong pseudoprime tests to the first 12 prime bases.

    Together they have no exception below 3.18 × 10²³: J. Sorenson and J. Webster, Math. Comp. 86
    (2017), 985-1003.
    """
    if n < 2 or any(n % p == 0 for p in WITNESSES):
        return n in WITNESSES
    twos = ((n - 1) & (1 - n)).bit_length() - 1
    return all(_may_be_prime(n, twos, a) for a in WITNESSES)


def _may_be_prime(n: int, twos: int, a: int) -> bool:
    """Return whether n is a prime or a strong pseudoprime to base a; 2**twos divides n − 1."""
    x = pow(a, n >> twos, n)
    if x == 1:
        return True
    return any(pow(x, 2**k, n) == n - 1 for k in range(twos))
