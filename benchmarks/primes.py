"""Counting primes on 2 ranks against primesieve on 2 threads, and against a plain loop."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable

from common import ENVIRONMENT, Effort, Failed, Row, Table, driver, over, pair, run, shown
from pi import DEVICES

TEXT = """primesieve is the fastest sieve there is, in C++ for each processor's own instructions; mpipar's is NumPy,
or, with `--device compiled`, Python compiled by Numba. The plain loop is trial division, as one writes it at first."""

_RESOLUTION = 1e-3  # of primesieve's clock, in seconds


def by_primesieve(below: int) -> float:
    """Return the seconds that primesieve reports; it rounds them to thousandths, and few primes
    take less.
    """
    if not shutil.which("primesieve", path=ENVIRONMENT["PATH"]):
        raise Failed("primesieve is not installed (Debian's package primesieve)")
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


def against(
    effort: Effort, other: str, theirs: Callable[[], float], ranks: int, below: int, device: str
) -> Row:
    """Return the row of mpipar on a device against another way."""
    options = ("mpipar.primes", "--below", str(below), *DEVICES[device])
    what = f"primes below {below:,}, np {ranks}{device}"
    command = shown(over(ranks, "python", "-m", *options, "--json"))

    def ours() -> float:
        return float(driver(ranks, *options)["elapsed"])

    return pair(effort, what, other, ours, theirs, command=command)


def measure(effort: Effort) -> Table:
    """Measure in turn."""
    table = Table("primes", "Primes against primesieve", TEXT)
    many = effort.pick(10**9, 10**6)
    few, found = effort.pick((200_000, 17_984), (10_000, 1_229))
    for device in DEVICES:
        row = against(effort, "primesieve -t2", lambda: by_primesieve(many), 2, many, device)
        table.rows.append(row)
    row = against(effort, "trial division", lambda: by_trial_division(few, found), 1, few, "")
    table.rows.append(row)
    return table
