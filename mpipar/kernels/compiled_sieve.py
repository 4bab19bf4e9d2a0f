"""The number of primes in a range of the integers, in compiled code: a segmented sieve of
Eratosthenes with a bit for each number that 2, 3 and 5 don't divide.

A byte has the eight of thirty integers. The multiples of a prime p by 30 k + r lie p bytes apart,
all in the same bit, for each of the eight residues r: eight loops strike them out with one mask
each.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from mpipar.core.plan import Block

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes: TypeAlias = npt.NDArray[np.uint8]
    Words: TypeAlias = npt.NDArray[np.uint64]

Word: TypeAlias = Any
"""A whole number of 64 bits without a sign."""

RESIDUES = np.array([1, 7, 11, 13, 17, 19, 23, 29], np.uint64)
WHEEL = np.uint64(30)

MASKS = np.full(30, 0xFF, np.uint8)
"""By residue, the mask that clears its bit."""
for _bit, _residue in enumerate(RESIDUES):
    MASKS[_residue] ^= 1 << _bit

FIRST = np.array([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41], np.uint64)
"""Primes that are not struck out by: the wheel has three, and patterns the others."""

GROUPS = np.array([3, 7, 10, 13])  # the patterns' primes, as places among those
FIRST_STRUCK = 43
SEGMENT = 2**15
"""Bytes at a time, which stay in the first-level cache."""

MOST_BYTES = 2**21
"""Bytes of bits in all: longer ranges are cut."""

SMALL = 2**18
"""Larger primes strike out few multiples in a segment, and do so in all bytes at once."""

_1 = np.uint64(1)
_2 = np.uint64(2)
_4 = np.uint64(4)
_M1, _M2, _M4 = map(np.uint64, (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
_H1 = np.uint64(0x0101010101010101)
_56 = np.uint64(56)


def count_primes(block: Block, *, below: int | None) -> int:
    """Return the number of primes in a block."""
    start = max(block.start, FIRST_STRUCK)
    found = 0
    for p in FIRST:
        if block.start <= np.int64(p) < block.stop:
            found += 1
    patterns = made_pattern(0), made_pattern(1), made_pattern(2)
    small = odd_primes(min(root_of(block.stop), SMALL))
    step = MOST_BYTES * 30
    for low in range(start, block.stop, step):
        found += count_in(low, min(block.stop - low, step), patterns, small)
    return found


def root_of(n: int) -> int:
    """Return the whole part of a square root."""
    root = int(math.sqrt(n))
    while root * root > n or root > 3037000499:
        root -= 1
    while root < 3037000499 and (root + 1) * (root + 1) <= n:
        root += 1
    return root


def odd_primes(most: int) -> Words:
    """Return the primes from FIRST_STRUCK to a number, by a plain sieve."""
    flags = np.ones(most // 2 + 1, np.uint8)  # flag i is of 2 i + 1
    for i in range(1, (root_of(most) + 1) // 2):
        if flags[i]:
            for multiple in range(2 * i * (i + 1), flags.size, 2 * i + 1):
                flags[multiple] = 0
    return numbers_of(flags, np.uint64(1), _2)


def numbers_of(flags: Bytes, first: Word, step: Word) -> Words:
    """Return the numbers that have flags, from FIRST_STRUCK on; flag i is of first + i step."""
    count = 0
    for flag in flags:
        count += flag
    numbers = np.empty(count, np.uint64)
    kept = 0
    for i in range(flags.size):
        number = first + np.uint64(i) * step
        if flags[i] and number >= np.uint64(FIRST_STRUCK):
            numbers[kept] = number
            kept += 1
    return numbers[:kept]


def made_pattern(group: int) -> Bytes:
    """Return the bits of the numbers that the primes of a group leave, for one period."""
    primes = FIRST[GROUPS[group] : GROUPS[group + 1]]
    period = _1
    for p in primes:
        period *= p
    bits = np.full(period, 0xFF, np.uint8)
    for p in primes:
        for r in RESIDUES:
            multiple = p * r
            strike(bits, period, multiple // WHEEL, p, MASKS[multiple % WHEEL])
    return bits


def count_in(
    low: int,
    size: int,
    patterns: tuple[Bytes, Bytes, Bytes],
    small: Words,
) -> int:
    """Return the number of primes in a range that begins at FIRST_STRUCK or later."""
    high = low + (size - 1)  # the last one
    base = np.uint64(low) // WHEEL
    n_bytes = np.uint64(high) // WHEEL - base + _1
    bits = np.empty((n_bytes + np.uint64(7)) // np.uint64(8) * np.uint64(8), np.uint8)
    bits[n_bytes:] = 0
    root = np.uint64(root_of(high))
    count = small.size
    while count and small[count - 1] > root:
        count -= 1
    used = small[:count]
    places, masks = first_multiples(used, np.uint64(low))
    for first in range(0, n_bytes, SEGMENT):
        part = bits[first : min(first + SEGMENT, n_bytes)]
        place = base + np.uint64(first)
        lay(part, patterns[0], place, True)
        lay(part, patterns[1], place, False)
        lay(part, patterns[2], place, False)
        strike_all(part, used, places, masks)
    if root > SMALL:
        strike_large(bits[:n_bytes], np.uint64(low), root, small)
    clear_outside(bits, np.uint64(low), np.uint64(high))
    return ones_in(bits.view(np.uint64))


def lay(part: Bytes, pattern: Bytes, place: Word, is_first: bool) -> None:
    """Put a pattern into bytes that begin at a place, or leave those of its bits that are there."""
    begin = place % np.uint64(pattern.size)
    done = 0
    while done < part.size:
        count = min(part.size - done, pattern.size - begin)
        source = pattern[begin : begin + count]
        target = part[done : done + count]
        if is_first:
            for i in range(count):
                target[i] = source[i]
        else:
            for i in range(count):
                target[i] &= source[i]
        done += count
        begin = np.uint64(0)


def first_multiples(primes: Words, low: Word) -> tuple[Words, Bytes]:
    """Return where the multiples of primes begin, by residue, in bytes from that of ``low``, and
    their masks.
    """
    places = np.empty(8 * primes.size, np.uint64)
    masks = np.empty(8 * primes.size, np.uint8)
    for i in range(primes.size):
        p = primes[i]
        least = max(p, low // p)  # others have been struck out by a smaller prime
        for j in range(8):
            r = RESIDUES[j]
            k = np.uint64(0)
            if least > r:
                k = (least - r + WHEEL - _1) // WHEEL
            place = p * k + p * r // WHEEL
            base = low // WHEEL
            if place < base:  # low // p was rounded down
                place += p
            places[8 * i + j] = place - base
            masks[8 * i + j] = MASKS[p * r % WHEEL]
    return places, masks


def strike_all(
    part: Bytes,
    primes: Words,
    places: Words,
    masks: Bytes,
) -> None:
    """Strike the multiples of primes out of a segment, and move to the next one."""
    size = np.uint64(part.size)
    for i in range(8 * primes.size):
        p = primes[i >> 3]
        places[i] = strike(part, size, places[i], p, masks[i])


def strike(
    part: Bytes,
    size: Word,
    place: Word,
    p: Word,
    mask: Any,
) -> Word:
    """Clear a bit in each p-th byte; return the place of the next one, from the end."""
    turn = _4 * p
    if size > turn:
        last = size - turn + p
        while place < last:
            part[place] &= mask
            part[place + p] &= mask
            part[place + _2 * p] &= mask
            part[place + _2 * p + p] &= mask
            place += turn
    while place < size:
        part[place] &= mask
        place += p
    return place - size


def strike_large(bits: Bytes, low: Word, root: Word, small: Words) -> None:
    """Strike out the multiples of the primes from SMALL to a root, some at a time."""
    size = np.uint64(bits.size)
    first = np.uint64(SMALL + 1)
    while first <= root:
        last = min(root, first + np.uint64(2**24))
        primes = primes_between(first, last, small)
        for i in range(primes.size):
            places, masks = first_multiples(primes[i : i + 1], low)
            for j in range(8):
                strike(bits, size, places[j], primes[i], masks[j])
        first = last + _1


def primes_between(first: Word, last: Word, small: Words) -> Words:
    """Return the primes in a range whose square root is at most SMALL."""
    flags = np.ones(last - first + _1, np.uint8)
    for p in FIRST:
        clear_multiples(flags, first, p)
    for p in small:
        if p * p > last:
            break
        clear_multiples(flags, first, p)
    return numbers_of(flags, first, _1)


def clear_multiples(flags: Bytes, first: Word, p: Word) -> None:
    """Clear the flags of the multiples of p, where flag 0 is of first > p."""
    place = (first + p - _1) // p * p - first
    while place < np.uint64(flags.size):
        flags[place] = 0
        place += p


def clear_outside(bits: Bytes, low: Word, high: Word) -> None:
    """Clear the bits of numbers under ``low`` and over ``high`` in the first and last byte."""
    last = high // WHEEL - low // WHEEL
    for r in RESIDUES:
        if r < low % WHEEL:
            bits[0] &= MASKS[r]
        if r > high % WHEEL:
            bits[last] &= MASKS[r]


def ones_in(words: Words) -> int:
    """Return the number of ones; compilers know these lines as one instruction."""
    count = np.uint64(0)
    for word in words:
        x = word - ((word >> _1) & _M1)
        x = (x & _M2) + ((x >> _2) & _M2)
        x = (x + (x >> _4)) & _M4
        count += (x * _H1) >> _56
    return int(count)
