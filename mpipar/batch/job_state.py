"""What Slurm says of a job: its states in words, and the numbers that its programs print."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["waiting", "running", "ended"]


class _Meaning(NamedTuple):
    kind: Kind
    words: str
    good: bool = False


STATES = {
    "PENDING": _Meaning("waiting", "waiting"),
    "REQUEUED": _Meaning("waiting", "being requeued"),
    "REQUEUE_FED": _Meaning("waiting", "being requeued"),
    "REQUEUE_HOLD": _Meaning("waiting", "requeued, and held"),
    "SPECIAL_EXIT": _Meaning("waiting", "requeued, and held, after an error"),
    "RESV_DEL_HOLD": _Meaning("waiting", "held, as its reservation is gone"),
    "CONFIGURING": _Meaning("running", "waiting for its nodes to boot"),
    "RUNNING": _Meaning("running", "running"),
    "COMPLETING": _Meaning("running", "ending"),
    "RESIZING": _Meaning("running", "being resized"),
    "SIGNALING": _Meaning("running", "running"),
    "STAGE_OUT": _Meaning("running", "ending"),
    "STOPPED": _Meaning("running", "stopped by a signal"),
    "SUSPENDED": _Meaning("running", "suspended"),
    "COMPLETED": _Meaning("ended", "completed", good=True),
    "BOOT_FAIL": _Meaning("ended", "failed, as a node did not boot"),
    "CANCELLED": _Meaning("ended", "cancelled"),
    "DEADLINE": _Meaning("ended", "ended by its deadline"),
    "FAILED": _Meaning("ended", "failed"),
    "LAUNCH_FAILED": _Meaning("ended", "failed, as it could not be started"),
    "NODE_FAIL": _Meaning("ended", "failed, as a node was lost"),
    "OUT_OF_MEMORY": _Meaning("ended", "killed, as it was out of memory"),
    "PREEMPTED": _Meaning("ended", "ended to make room for another job"),
    "RECONFIG_FAIL": _Meaning("ended", "failed, as a node could not be set up"),
    "REVOKED": _Meaning("ended", "taken over by another cluster"),
    "TIMEOUT": _Meaning("ended", "ended by its time limit"),
}
"""Slurm's names of the states of a job: whether it waits, runs or has ended; in words; whether it
ended well.
"""


class JobState(NamedTuple):
    """What Slurm says of a job, or of one task of an array.

    Attributes
    ----------
    id : str
        Its number; of a task such as "12_3".
    name : str
        Its name.
    state : str
        One of STATES, or what later versions add.
    reason : str
        Why it waits, in Slurm's word; empty if there is none.
    nodes : str
        The nodes it has or had, such as "n[1-4]".
    elapsed : float
        Seconds it has run, since it was last started.
    limit : float or None
        Seconds it may run; None if there is no limit.
    restarts : int or None
        How often it has been requeued; None if Slurm no longer knows.
    exit_code : int or None
        Of one that has ended; 128 + n for signal n, as shells have it.
    submitted, start, end : float or None
        When, in seconds since 1970; of one that waits or runs the last is what is expected.
    could_open : bool
        Whether Slurm could open its files; if not, it has failed before it began.
    """

    id: str
    name: str
    state: str
    reason: str
    nodes: str
    elapsed: float
    limit: float | None
    restarts: int | None
    exit_code: int | None
    submitted: float | None
    start: float | None
    end: float | None
    could_open: bool = True

    @property
    def kind(self) -> Kind:
        """Whether it waits, runs or has ended; what isn't known isn't taken for ended."""
        return STATES[self.state].kind if self.state in STATES else "running"

    @property
    def words(self) -> str:
        """The state in plain words."""
        if not self.could_open:
            return (
                "failed before it began, as Slurm could not open its log: its folder is gone, or"
                " can't be written to"
            )
        return (
            STATES[self.state].words
            if self.state in STATES
            else self.state.lower().replace("_", " ")
        )

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.kind == "ended"

    @property
    def good(self) -> bool:
        """Whether it has ended well."""
        return self.state in STATES and STATES[self.state].good


def seconds_of(text: str) -> float | None:
    """Return seconds from a time as Slurm has it; None if it isn't that, as "UNLIMITED".

    That is minutes, minutes:seconds, hours:minutes:seconds, days-hours, and what may follow these.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if found is None:
        return None
    days, *parts = found.groups()
    if days is None and parts[2] is None:
        parts = [None, *parts[:2]]
    hours, minutes, seconds = (float(part or 0) for part in parts)
    return ((float(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def time_of(text: str) -> float | None:
    """Return a time that was asked for as seconds since 1970; None if it isn't that, as "N/A"."""
    return float(text) if text.isdigit() else None


def could_open(state: str, text: str) -> bool:
    """Return whether Slurm could open a job's files: where not, it says that its batch script
    failed by signal 53.
    """
    found = re.fullmatch(r"\d+:53|(\d+)", text)
    return (
        state != "FAILED" or found is None or (found[1] is not None and int(found[1]) & 127 != 53)
    )


def exit_code_of(state: str, text: str) -> int | None:
    """Return an exit code from "code:signal", or from the number that has both, as in the system's
    calls.
    """
    found = re.fullmatch(r"(\d+)(?::(\d+))?", text)
    if found is None or state not in STATES or STATES[state].kind != "ended":
        return None
    code, signal = (
        (int(found[1]), int(found[2])) if found[2] else (int(found[1]) >> 8, int(found[1]) & 127)
    )
    if not could_open(state, text):
        return None
    return 128 + signal if signal else code
