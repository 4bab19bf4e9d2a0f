"""Time limits that know the machine: they are for one that is quiet, and longer by as much as this
one is slower.

How slow it is tells a start of Python, which is measured when a limit is reached, and not before:
whatever ends in time costs nothing, and a machine that got busy meanwhile is noticed. A hang is a
hang on any machine: the limit grows with the time that a start takes, and no further.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

QUIET_START = 0.02  # seconds that `python -S -I -c pass` takes at most on a quiet machine
LONGEST = 100.0  # times a limit, however slow the machine is


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
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._began = time.monotonic()
        self._factor = 1.0

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds until it has to be asked again."""
        return max(self.seconds * self._factor - self.elapsed, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the limit is reached, on this machine and at its present speed."""
        if self.left > 0:
            return False
        self._factor = max(self._factor, slowness())
        return self.left <= 0

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


def stacks_of(leader: int) -> str:
    """Return the stacks of all processes of a session, for what hangs: Python's where py-spy is
    there.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            if session == leader:
                found.append(_stack_of(entry))
    return "\n".join(found)


def _stack_of(entry: Path) -> str:
    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
    waits = (entry / "wchan").read_text()
    text = f"process {entry.name} ({state}, in {waits}): {command}"
    if spy := shutil.which("py-spy"):
        dumped = subprocess.run(
            [spy, "dump", "--pid", entry.name], capture_output=True, text=True, timeout=30
        )
        text += f"\n{dumped.stdout}"
    return text
