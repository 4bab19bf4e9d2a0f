"""Time limits that know the machine: they are for one that is quiet, and longer by as much as this
one is slower.

How slow it is tells a start of Python, which is measured when a limit is reached, and not before:
whatever ends in time costs nothing, and a machine that got busy meanwhile is noticed. What gets on,
by the processor seconds that it takes, is slow and may go on for some while; what doesn't, hangs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

QUIET_START = 0.02  # seconds that `python -S -I -c pass` takes at most on a quiet machine
LONGEST = 100.0  # times a limit, however slow the machine is
MOST_LOOKS = 8  # at what gets on though its limit is reached, each a quarter of that later
_BUSY = 0.02  # of a core; whatever takes less only looks whether it may go on


def slowness() -> float:
    """Return how many times slower than a quiet machine this one is at the moment, at least 1."""
    began = time.monotonic()
    for _ in range(3):
        subprocess.run([sys.executable, "-S", "-I", "-c", "pass"], check=True)
    took = (time.monotonic() - began) / 3
    return min(max(took / QUIET_START, 1.0), LONGEST)


class Limit:
    """A time limit, which begins when it is made.

    Parameters
    ----------
    seconds : float
        On a quiet machine.
    spent : callable, optional
        Returns the processor seconds of what is limited: what takes some goes on, up to three times
        the limit.
    """

    def __init__(self, seconds: float, spent: Callable[[], float] | None = None) -> None:
        self.seconds = seconds
        self._began = time.monotonic()
        self._factor = 1.0
        self._spent = spent
        self._looks: list[tuple[float, float]] = []  # when, and what was spent by then

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds until it has to be asked again."""
        longer = 1 + len(self._looks) / 4
        return max(self.seconds * self._factor * longer - self.elapsed, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the limit is reached, on this machine and at its present speed."""
        if self.left > 0:
            return False
        self._factor = max(self._factor, slowness())
        return self.left <= 0 and not self._gets_on()

    def _gets_on(self) -> bool:
        """Look whether what is limited has done something since the last look."""
        if self._spent is None or len(self._looks) > MOST_LOOKS:
            return False
        now, spent = time.monotonic(), self._spent()
        if self._looks:
            then, before = self._looks[-1]
            if spent - before < _BUSY * (now - then):
                return False
        self._looks.append((now, spent))
        return True

    def __str__(self) -> str:
        busy = f", {self._factor:.1f} times slower than when quiet" if self._factor > 1 else ""
        return f"{self.elapsed:.0f} s (limit {self.seconds:g} s{busy})"


def until(what: str, seconds: float, nap: float = 0.02) -> Iterator[None]:
    """Give the body of a for loop its turns, until the limit is reached; then raise
    TimeoutError.
    """
    limit = Limit(seconds)
    while not limit.is_over:
        yield
        time.sleep(nap)
    raise TimeoutError(f"not within {limit}: {what}")
