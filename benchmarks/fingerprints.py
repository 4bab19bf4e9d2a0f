"""What fingerprints of functions and items cost, in time of the processor: a line for each.
python benchmarks/fingerprints.py
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.store.fingerprint import Fingerprints

REPEATS = 15
SECONDS = 0.05  # of each repeat, at least
FACTOR = 3
TABLE = {"a": 1, "b": [1, 2]}


@dataclasses.dataclass
class Point:
    """An item of the user's."""

    x: float
    y: float


def helper(x: float) -> float:
    """Use a global."""
    return FACTOR * x


def plain(x: float) -> float:
    """Use a helper, a constant and NumPy."""
    return helper(x) * np.sin(x) + math.pi


def with_data(x: float) -> float:
    """Use global data, too."""
    return plain(x) + TABLE["a"]


def seconds(function: Callable[[Any], Any], argument: Any) -> float:
    """Return the least time of a call."""
    calls, best = 1, math.inf
    for _ in range(REPEATS):
        used = 0.0
        while used < SECONDS:
            start = time.thread_time()
            for _ in range(calls):
                function(argument)
            used = time.thread_time() - start
            if used < SECONDS:
                calls *= 2
        best = min(best, used / calls)
    return best


def main() -> None:
    """Print all figures."""
    prints = Fingerprints()
    array = np.random.default_rng(1).random(2**22)
    floats = array[:4096].tolist()
    tuples = [(number, 1, 2.0) for number in floats]
    small = {
        "item: three numbers": (prints.item, (1, 2.0, 3)),
        "item: a number": (prints.item, 1.5),
        "item: a list in a tuple": (prints.item, (1, [2, 3])),
        "item: a scalar of NumPy": (prints.item, array[0]),
        "item: an array of 100": (prints.item, array[:100]),
        "item: a data class": (prints.item, Point(1.0, 2.0)),
        "function: nothing has changed": (prints.function, plain),
        "function: with global data": (prints.function, with_data),
        "function: looked at for the first time": (lambda f: Fingerprints().function(f), plain),
        "block: 4096 floats": (prints.block, floats),
        "block: 4096 scalars of NumPy": (prints.block, list(array[:4096])),
        "block: 4096 tuples of three": (prints.block, tuples),
        "4096 items: floats": (prints.items, floats),
    }
    for name, (function, argument) in small.items():
        print(f"{name:40} {1e6 * seconds(function, argument):10.2f} µs")
    speed = array.nbytes / seconds(prints.item, array)
    print(f"{'item: an array of 32 MiB':40} {speed / 1e9:10.2f} GB/s")


if __name__ == "__main__":
    main()
