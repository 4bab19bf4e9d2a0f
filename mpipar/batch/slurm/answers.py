"""What Slurm's programs say when something is wrong."""

from __future__ import annotations

import re
import subprocess

from mpipar.batch.scheduler import SchedulerUnavailable

LONGEST = 500
"""Characters of a message."""

NOT_THERE = "Invalid job id specified"
"""What is said of a job that the controller doesn't know."""

_AWAY = (
    "Unable to contact slurm controller",
    "Unable to establish",
    "Connection refused",
    "Connection timed out",
    "Socket timed out",
    "Communication connection failure",
    "No route to host",
    "Zero Bytes were transmitted",
    "Transport endpoint is not connected",
    "backup controller in standby",
    "shutdown in progress",
    "temporarily unable",
    "Protocol authentication error",
    "Munge encode failed",
    "Unexpected message received",  # of a controller that is being started, or was away
)
_REFUSALS = (
    "Access/permission denied",
    "Operation not permitted",
    "Requested operation is presently disabled",
    NOT_THERE,
    "already completing or completed",
    "Batch jobs only",
)
_NO_ACCOUNTS = "accounting storage is disabled"
_NAME = re.compile(r"^(\w+: )?((error|fatal): )?")


def is_away(problem: str) -> bool:
    """Return whether a program has failed as the controller could not be asked, by what it says."""
    return any(text in problem for text in _AWAY)


def is_refusal(problem: str) -> bool:
    """Return whether the controller has refused something for good, by what a program says."""
    return any(text in problem for text in _REFUSALS)


def has_no_accounts(problem: str) -> bool:
    """Return whether a program has failed as there are no accounts, by what it says."""
    return _NO_ACCOUNTS in problem


def message(ended: subprocess.CompletedProcess[str]) -> str:
    """Return one line of what a program said: all its errors, without its name before each."""
    said = [_NAME.sub("", line.strip()) for line in ended.stderr.splitlines()]
    told = "; ".join(line for line in said if line)[:LONGEST]
    return told or f"exit code {ended.returncode}, without a message"


def unavailable(program: str, ended: subprocess.CompletedProcess[str]) -> SchedulerUnavailable:
    """Return the error of a program that has failed."""
    return SchedulerUnavailable(f"{program}: {message(ended)}")


def all_of(text: str, known: tuple[str, ...]) -> bool:
    """Return whether there is a line, and each has one of some texts in it."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(any(part in line for part in known) for line in lines)
