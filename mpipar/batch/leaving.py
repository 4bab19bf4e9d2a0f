"""How a job has Slurm run it again, or cancel it: for as long as its controller is away."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from mpipar.batch import slurm

_ANSWER_SECONDS = 120.0  # that a program of Slurm is given
_PAUSE_SECONDS = 5.0  # between two attempts
_DEADLINE_EXCEEDED = "it has not answered in time"


def ask(
    command: Sequence[str], *, is_told: Callable[[], bool], say: Callable[[str], None]
) -> str | None:
    """Have Slurm do something with this job, as often as it takes while the controller is away.

    Parameters
    ----------
    command : sequence of str
    is_told : callable
        Whether Slurm is ending this job already.
    say : callable
        Tells the user something.

    Returns
    -------
    str or None
        Why it won't; empty if it will; None if it is ending this job already.
    """
    has_said = False
    while True:
        problem = _attempt(command)
        if is_told():
            return None
        if not problem or not (problem == _DEADLINE_EXCEEDED or slurm.is_away(problem)):
            return problem
        if not has_said:
            say(f"{' '.join(command)}: {problem}; this is tried again until the allocation ends")
            has_said = True
        for _ in range(int(_PAUSE_SECONDS)):
            time.sleep(1.0)
            if is_told():
                return None


def _attempt(command: Sequence[str]) -> str:
    """Run a program, and return what was wrong; empty if nothing."""
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_ANSWER_SECONDS
        )
    except subprocess.TimeoutExpired:
        return _DEADLINE_EXCEEDED
    except OSError as error:
        return str(error)
    if ended.returncode == 0:
        return ""
    return "; ".join(ended.stderr.split("\n")).strip("; ") or f"exit code {ended.returncode}"
