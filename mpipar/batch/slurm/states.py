"""Slurm's states of jobs, and how their ends are coded."""

from __future__ import annotations

import re

from mpipar.batch.job_state import Meaning

STATES = {
    "PENDING": Meaning("waiting", "waiting"),
    "REQUEUED": Meaning("waiting", "being requeued"),
    "REQUEUE_FED": Meaning("waiting", "being requeued"),
    "REQUEUE_HOLD": Meaning("waiting", "requeued, and held"),
    "SPECIAL_EXIT": Meaning("waiting", "requeued, and held, after an error"),
    "RESV_DEL_HOLD": Meaning("waiting", "held, as its reservation is gone"),
    "CONFIGURING": Meaning("busy", "waiting for its nodes to boot"),
    "RUNNING": Meaning("running", "running"),
    "COMPLETING": Meaning("busy", "ending"),
    "RESIZING": Meaning("busy", "being resized"),
    "SIGNALING": Meaning("busy", "running"),
    "STAGE_OUT": Meaning("busy", "ending"),
    "STOPPED": Meaning("suspended", "stopped by a signal"),
    "SUSPENDED": Meaning("suspended", "suspended"),
    "COMPLETED": Meaning("completed", "completed"),
    "BOOT_FAIL": Meaning("killed", "failed, as a node did not boot"),
    "CANCELLED": Meaning("cancelled", "cancelled"),
    "DEADLINE": Meaning("killed", "ended by its deadline"),
    "FAILED": Meaning("failed", "failed"),
    "LAUNCH_FAILED": Meaning("killed", "failed, as it could not be started"),
    "NODE_FAIL": Meaning("killed", "failed, as a node was lost"),
    "OUT_OF_MEMORY": Meaning("killed", "killed, as it was out of memory"),
    "PREEMPTED": Meaning("killed", "ended to make room for another job"),
    "RECONFIG_FAIL": Meaning("killed", "failed, as a node could not be set up"),
    "REVOKED": Meaning("elsewhere", "taken over by another cluster of the federation"),
    "TIMEOUT": Meaning("killed", "ended by its time limit"),
}
"""Slurm's names of the states of a job, and what they mean."""

_NO_LOG = Meaning(
    "killed",
    "failed before it began, as Slurm could not open its log: its folder is gone, or can't be"
    " written to",
)
_NO_LOG_SIGNAL = 53
_CODE = re.compile(r"(\d+)(?::(\d+))?")


def meaning_of(state: str, code: str = "") -> Meaning:
    """Return what a state means, with the code of its end; a new one isn't taken for ended."""
    if _could_not_open(state, code):
        return _NO_LOG
    return STATES.get(state) or Meaning("busy", state.lower().replace("_", " "))


def exit_code_of(state: str, text: str) -> int | None:
    """Return an exit code from the code of an end; None if it hasn't ended, or never began."""
    has_ended = state in STATES and STATES[state].kind == "ended"
    if not has_ended or _could_not_open(state, text):
        return None
    found = _code_and_signal(text)
    if found is None:
        return None
    code, signal = found
    if signal:
        return 128 + signal
    return code


def number_of(text: str) -> int | None:
    """Return a whole number; None if it isn't that, as "UNLIMITED"."""
    if not text.isdigit():
        return None
    return int(text)


def time_of(text: str) -> float | None:
    """Return a time that was asked for as seconds since 1970; None if it isn't that, as "N/A"."""
    if not text.isdigit():
        return None
    return float(text)


def _code_and_signal(text: str) -> tuple[int, int] | None:
    """Return exit code and signal from "code:signal", or from the number that has both, as in the
    system's calls; None from anything else.
    """
    found = _CODE.fullmatch(text)
    if found is None:
        return None
    if found[2]:
        return int(found[1]), int(found[2])
    return int(found[1]) >> 8, int(found[1]) & 127


def _could_not_open(state: str, text: str) -> bool:
    """Return whether Slurm could not open a job's files: it says then that its batch script failed
    by signal 53.
    """
    if state != "FAILED":
        return False
    found = _code_and_signal(text)
    return found is not None and found[1] == _NO_LOG_SIGNAL
