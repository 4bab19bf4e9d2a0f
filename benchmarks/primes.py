"""Counting primes on 2 ranks against primesieve on 2 threads, and against a plain loop."""

from __future__ import annotations

import re
import shutil
import time

from common import ENVIRONMENT, Effort, Row, Table, driver, over, pair, run, shown

TEXT = """primesieve is the fastest sieve there is, in C++ for each processor's own instructions; mpipar's is NumPy.
The plain loop is trial division, as one writes it at first."""

_RESOLUTION = 1e-3  # of primesieve's clock, in seconds


def by_primesieve(below: int) -> float:
    """Return the seconds that primesieve reports; it rounds them to thousandths, and few primes
    take less.
    """
    found = re.search(
        r"Seconds: ([0-9.]+)", run("primesieve", str(below), "-t2", "--time", "--count")
    )
    assert found is not None
    return max(float(found[1]), _RESOLUTION)


def by_trial_division(below: int, expected: int) -> float:
    """Return the seconds of a plain loop."""
    began = time.perf_counter()
    count = 0
    for n in range(2, below):
        divisor = 2
        while divisor * divisor <= n and n % divisor:
            divisor += 1
        count += divisor * divisor > n
    assert count == expected
    return time.perf_counter() - began


def by_mpipar(ranks: int, below: int) -> float:
    """Return the seconds of mpipar, without start-up."""
    return float(driver(ranks, "mpipar.primes", "--below", str(below))["elapsed"])


def measure(effort: Effort) -> Table:
    """Measure in turn."""
    table = Table("primes", "Primes against primesieve", TEXT)
    many = effort.pick(10**9, 10**6)
    few, found = effort.pick((200_000, 17_984), (10_000, 1_229))
    for what, other, ranks, below, theirs in (
        (f"primes below {many:,}, np 2", "primesieve -t2", 2, many, lambda: by_primesieve(many)),
        (
            f"primes below {few:,}, np 1",
            "trial division",
            1,
            few,
            lambda: by_trial_division(few, found),
        ),
    ):
        command = shown(
            over(ranks, "python", "-m", "mpipar.primes", "--below", str(below), "--json")
        )
        if other.startswith("primesieve") and not shutil.which(
            "primesieve", path=ENVIRONMENT["PATH"]
        ):
            row = Row(
                what,
                other,
                failed="primesieve is not installed (Debian's package primesieve)",
                command=command,
            )
        else:
            row = pair(
                effort, what, other, lambda: by_mpipar(ranks, below), theirs, command=command
            )
        table.rows.append(row)
    return table
