"""An uneven load, to see what a schedule does.   mpirun -np 8 python -m mpipar.load --tasks 400
--schedule stride
"""

from __future__ import annotations

import functools
import time
from typing import Annotated, Literal

import numpy as np

from mpipar import AtLeast, BadInput, Block, ExactSum, PositiveInt, driver
from mpipar.inputs.numbers import read_numbers

Seconds = Annotated[float, AtLeast(0)]
Distribution = Literal["lognormal", "exponential", "uniform", "constant"]


@functools.lru_cache(maxsize=1)
def column_of(csv: str, column: str | None) -> list[float]:
    """Return the times in a file."""
    return [float(seconds) for seconds in read_numbers(csv, float, column)]


def draw(rng: np.random.Generator, distribution: Distribution, mean: float, sigma: float) -> float:
    """Return a random time with this mean."""
    match distribution:
        case "lognormal":
            return float(mean * rng.lognormal(-sigma * sigma / 2, sigma))
        case "exponential":
            return float(rng.exponential(mean))
        case "uniform":
            return float(rng.uniform(0.0, 2.0 * mean))
    return mean


def times_given(times: list[float], csv: str | None, column: str | None) -> list[float] | None:
    """Return the times, if they aren't to be drawn."""
    if times:
        return times
    if csv is not None:
        return column_of(csv, column)
    return None


def tasks_in_all(tasks: int, times: list[float], csv: str | None, column: str | None) -> int:
    """Return the number of tasks."""
    given = times_given(times, csv, column)
    return tasks if given is None else len(given)


@driver(n=tasks_in_all, reduction=ExactSum, block=1)
def load(  # noqa: PLR0913 (each is an option)
    block: Block,
    rng: np.random.Generator,
    *,
    times: list[Seconds] = [],  # noqa: B006
    csv: str | None = None,
    column: str | None = None,
    distribution: Distribution = "lognormal",
    tasks: PositiveInt = 400,
    mean: Seconds = 0.01,
    sigma: Seconds = 1.2,
    spin: bool = False,
) -> float:
    """Sleep or spin for given times; the value is their sum. The report tells what the schedule
    made of them.

    Parameters
    ----------
    times : list of float
        The times, in seconds.
    csv : str
        Take the times from a column of this CSV file.
    column : str
        Its name, if it isn't the only one.
    distribution : str
        Draw the times at random, keyed by the seed.
    tasks : int
        How many to draw.
    mean : float
        Their mean, in seconds.
    sigma : float
        Standard deviation of the logarithm of lognormal times.
    spin : bool
        Keep the core busy rather than sleep.

    Examples
    --------
    mpirun -np 8 python -m mpipar.load --tasks 200 --mean 0.005 --schedule stride
    """
    given = times_given(times, csv, column)
    seconds = 0.0
    for item in block:
        duration = draw(rng, distribution, mean, sigma) if given is None else given[item]
        end = time.perf_counter() + duration
        if not spin:
            time.sleep(duration)
        while spin and time.perf_counter() < end:
            pass
        seconds += duration
    return seconds


@load.check
def check(*, times: list[float], csv: str | None, column: str | None) -> None:
    """Refuse times from two sources, and negative ones."""
    if times and csv is not None:
        raise BadInput("times: expected --times or --csv, got both")
    if column is not None and csv is None:
        raise BadInput("column: expected --csv with it")
    if csv is None:
        return
    are_times = all(0 <= seconds < float("inf") for seconds in column_of(csv, column))
    if not are_times:
        raise BadInput(f"csv: expected times from 0 s on in {csv!r}")


if __name__ == "__main__":
    load.main()
