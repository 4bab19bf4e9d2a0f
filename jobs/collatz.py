"""The longest Collatz sequence from a number below N: plain multiprocessing, which pool.toml runs
on several nodes.
"""

import sys
from multiprocessing import Pool


def steps(n: int) -> tuple[int, int]:
    """Return how many steps it takes from n to 1, and n."""
    start, count = n, 0
    while n != 1:
        n, count = (n // 2 if n % 2 == 0 else 3 * n + 1), count + 1
    return count, start


if __name__ == "__main__":
    with Pool() as pool:
        print(max(pool.imap_unordered(steps, range(1, int(sys.argv[1])), chunksize=100)))
