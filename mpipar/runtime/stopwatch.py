"""Time that a process spends: neither stopped by a signal, as a suspended job is, nor asleep with
its machine.
"""

from __future__ import annotations

import time

_LONGEST_STEP = 1.0  # seconds between two looks of a process that goes on


class Stopwatch:
    """Called, tells how many seconds have been spent since it was made; it must be called often.

    Parameters
    ----------
    step : float
        Seconds between two calls, mostly; so much is counted where it was far more.
    """

    def __init__(self, step: float) -> None:
        self._step = step
        self._longest = max(_LONGEST_STEP, 2 * step)
        self._last = time.monotonic()
        self._spent = 0.0

    def __call__(self) -> float:
        """Return the seconds that were spent so far."""
        now = time.monotonic()
        passed = now - self._last
        self._last = now
        was_stopped = passed > self._longest
        self._spent += self._step if was_stopped else passed
        return self._spent
