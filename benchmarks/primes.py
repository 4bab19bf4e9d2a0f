"""Counting the primes below 10⁹ on 2 ranks against primesieve on 2 threads.   python benchmarks/primes.py"""

from __future__ import annotations

import re
import shutil
import time

from common import driver, in_turn, report, run

BELOW = 10**9


def by_primesieve() -> float:
    """Return the seconds that primesieve reports."""
    found = re.search(r"Seconds: ([0-9.]+)", run("primesieve", str(BELOW), "-t2", "--time", "--count"))
    assert found is not None
    return float(found[1])


def by_trial_division(below: int) -> float:
    """Return the seconds of a plain loop."""
    began = time.perf_counter()
    count = 0
    for n in range(2, below):
        divisor = 2
        while divisor * divisor <= n and n % divisor:
            divisor += 1
        count += divisor * divisor > n
    assert count == 78_498
    return time.perf_counter() - began


def main() -> None:
    """Measure in turn, print the ratios."""
    if shutil.which("primesieve"):
        ours, theirs = in_turn(7, lambda: driver(2, "mpipar.primes", "--below", str(BELOW))["elapsed"], by_primesieve)
        report(f"primes below {BELOW:_}, np 2, against primesieve -t2", ours, theirs)
    else:
        print("primesieve is not installed: no comparison with it")
    ours, theirs = in_turn(
        1, lambda: by_trial_division(10**6), lambda: driver(1, "mpipar.primes", "--below", "1e6")["elapsed"]
    )
    report("primes below 1_000_000, trial division against np 1", ours, theirs)


if __name__ == "__main__":
    main()
