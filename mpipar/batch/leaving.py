"""How a job is run again, or ended: it asks for as long as there is nobody who could refuse."""

from __future__ import annotations

import time
from collections.abc import Callable

from mpipar.batch.scheduler import Answer

_PAUSE_SECONDS = 5.0  # between two attempts
_DOUBTS = 60  # attempts after which an unknown problem is taken for a refusal


def insist(
    ask: Callable[[], Answer],
    *,
    is_told: Callable[[], bool],
    say: Callable[[str], None],
) -> Answer | None:
    """Ask the scheduler for something, as often as it takes while it is away; for some minutes,
    where it isn't clear whether it is.

    Parameters
    ----------
    ask : callable
        Asks once.
    is_told : callable
        Whether the scheduler is ending this job already.
    say : callable
        Tells the user something.

    Returns
    -------
    Answer or None
        The last answer; None if it is ending this job already.
    """
    has_said = False
    doubts = 0
    while True:
        answer = ask()
        if is_told():
            return None
        if not answer.is_away:
            doubts += 1
        is_settled = not answer.problem or answer.is_refused
        if is_settled or doubts > _DOUBTS:
            return answer
        if not has_said:
            say(
                f"{answer.command}: {answer.problem}; this is tried again until the allocation ends"
            )
            has_said = True
        for _ in range(int(_PAUSE_SECONDS)):
            time.sleep(1.0)
            if is_told():
                return None
