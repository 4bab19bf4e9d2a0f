"""Jobs are cancelled, or sent a signal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from mpipar.batch.slurm.answers import NOT_THERE, all_of, unavailable
from mpipar.batch.slurm.calls import NoAnswer, run

# That scancel is given to signal: if Slurm isn't content, it signals again after 5 s.
_SIGNAL_SECONDS = 4.0
_AT_ONCE = 10  # jobs that it signals at once
_TOO_LATE = (
    NOT_THERE,
    "already completing or completed",
    "Job has already finished",
    "No active jobs match",
)
_SIGNALLED = ("try again later", "Transport/Job is in transition")
_SIGNALLED_CODES = (228, 229)  # without a word


def cancel(
    ids: Iterable[str],
    signal: str | None = None,
    batch: bool = False,
    only: Literal["PENDING"] | None = None,
) -> None:
    """Cancel jobs, or send those that run a signal, once; ones that have ended are no error.

    Parameters
    ----------
    ids : iterable of str
        Numbers of jobs, whole arrays or tasks.
    signal : str, optional
        What to send, such as "TERM"; if None, the jobs are cancelled.
    batch : bool
        Whether the batch script alone gets it, rather than all processes of the job.
    only : "PENDING", optional
        Leave jobs in other states alone; a task that is named ("12_3") is cancelled even if it has
        just started.

    Raises
    ------
    SchedulerUnavailable
        If the controller doesn't answer, or refuses.
    """
    wanted = list(dict.fromkeys(ids))
    if signal is not None:
        for first in range(0, len(wanted), _AT_ONCE):
            _signal(wanted[first : first + _AT_ONCE], signal, batch)
    elif only is None:
        _cancel(wanted)
    else:
        # With a state, scancel ends all tasks of an array that wait, rather than the named one.
        _cancel([id for id in wanted if "_" in id])
        _cancel([id for id in wanted if "_" not in id], f"--state={only}")


def _cancel(ids: list[str], *options: str) -> None:
    if not ids:
        return
    ended = run("scancel", *options, *ids)
    if ended.returncode and not all_of(ended.stderr, _TOO_LATE):
        raise unavailable("scancel", ended)


def _signal(ids: list[str], signal: str, batch: bool) -> None:
    """Send a signal to what runs: for a job that waits, scancel would try again for a minute, and
    signal the tasks that run each time.

    Of an array of which other tasks wait, Slurm delivers it, and says that it can't be done now.
    """
    options = [f"--signal={signal}", "--state=RUNNING"]
    if batch:
        options = ["--batch", *options]
    try:
        ended = run("scancel", *options, *ids, timeout=_SIGNAL_SECONDS)
    except NoAnswer:
        return
    is_silent = not ended.stderr.strip()
    if ended.returncode == 0 or (ended.returncode in _SIGNALLED_CODES and is_silent):
        return
    if not all_of(ended.stderr, (*_TOO_LATE, *_SIGNALLED)):
        raise unavailable("scancel", ended)
