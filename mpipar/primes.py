"""Prime numbers: count, list, test.   mpirun -np 4 python -m mpipar.primes --below 1e9"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mpipar import BadInput, Block, Count, Dataset, Each, NonNegativeInt, Reduction, driver
from mpipar.core.reduction import Array
from mpipar.inputs.numbers import read_numbers
from mpipar.kernels.compiled_sieve import count_primes
from mpipar.kernels.sieve import SEGMENT, count, is_prime, primes_in


@functools.lru_cache(maxsize=1)
def numbers_in(test: str) -> Array:
    """Return the numbers to test."""
    return read_numbers(test, int)


def items(below: int | None, test: str | None) -> int:
    """Return how many integers are looked at."""
    if test is not None:
        return len(numbers_in(test))
    return below or 0


def block_size(below: int | None, list: bool, test: str | None) -> int:
    """Return the default block size: large, as each block strikes out multiples of all primes up to
    a square root.
    """
    if test is not None:
        return 1000
    most = SEGMENT // 4 if list else SEGMENT
    return min(most, max(2**20, (below or 0) // 8))


def kept(list: bool, test: str | None) -> Reduction:
    """Return what is made of the blocks: a count, and a dataset if asked for."""
    if test is not None:
        return Each(
            primes=Count(),
            is_prime=Dataset("is_prime", bool, description="whether each number is prime"),
        )
    if list:
        return Dataset("primes", np.int64, one_each=False, description="primes in order")
    return Count()


@driver(n=items, reduction=kept, block=block_size)
def primes(
    block: Block,
    *,
    below: NonNegativeInt | None = None,
    list: bool = False,
    test: str | None = None,
) -> Any:
    """Count the prime numbers below a bound, list them, or test given numbers.

    Parameters
    ----------
    below : int
        The bound.
    list : bool
        Put the primes into the output file, too.
    test : str
        Test the whole numbers (of 64 bits at most) in this file instead: text, CSV with one column,
        or FILE.h5:/NAME.

    Examples
    --------
    mpirun -np 2 python -m mpipar.primes --below 1e8
    """
    if test is not None:
        numbers = numbers_in(test)[block.start : block.stop]
        flags = np.array([is_prime(number) for number in numbers.tolist()])
        return {"primes": np.count_nonzero(flags), "is_prime": flags}
    if list:
        return primes_in(block.start, block.stop)
    return count(block.start, block.stop)


def lists_or_tests(*, list: bool, test: str | None) -> str | None:
    """Return what compiled code can't do."""
    if list or test is not None:
        return "--list and --test run on the CPU"
    return None


primes.on("compiled", unless=lists_or_tests, strict=False, boundscheck=False, error_model="numpy")(
    count_primes
)


@primes.check
def check(*, below: int | None, list: bool, test: str | None) -> None:
    """Refuse two tasks at once, and none."""
    is_one_task = (below is None) != (test is None)
    if not is_one_task or (list and test is not None):
        raise BadInput("primes: expected --below N, with or without --list, or else --test FILE")
    if test is not None:
        numbers_in(test)


@primes.finish
def number(total: Any) -> int:
    """Return the number of primes."""
    return int(total["primes"] if isinstance(total, dict) else total)


if __name__ == "__main__":
    primes.main()
