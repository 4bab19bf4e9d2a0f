"""All primes below a limit: each process tests an interval."""

import math
import time
from concurrent import futures


def is_prime(n):
    if n < 2:
        return False
    return all(n % d for d in range(2, math.isqrt(n) + 1))


def primes_in(interval):
    return [n for n in range(*interval) if is_prime(n)]


def main(limit=5000, pieces=10):
    start = time.perf_counter()
    step = limit // pieces
    intervals = [(low, low + step) for low in range(0, limit, step)]
    with futures.ProcessPoolExecutor(max_workers=3) as executor:
        primes = [p for part in executor.map(primes_in, intervals) for p in part]
    print(f"{len(primes)} primes, the last ones {primes[-3:]}")
    assert time.perf_counter() > start


if __name__ == "__main__":
    main()
