"""Which cluster this is, and a job's wish to be run again."""

from __future__ import annotations

import functools
import os
import re
import subprocess

from mpipar.batch.scheduler import Answer, SchedulerUnavailable
from mpipar.batch.slurm.answers import is_away, is_refusal
from mpipar.batch.slurm.calls import PATIENCE, ask

_ANSWER_SECONDS = 120.0  # that a program is given which ends this job
_IN_TIME = "it has not answered in time"
_WHICH = ("SLURM_CONF", "SLURM_CLUSTERS", "PATH")


def cluster() -> str:
    """Return which Slurm is in use: its name, or where it can't be asked its configuration file,
    empty if not set.

    It is asked once.
    """
    return _cluster(*(os.environ.get(name, "") for name in _WHICH))


@functools.cache
def _cluster(configuration: str, clusters: str, path: str) -> str:
    return setting("ClusterName") or configuration


def setting(name: str) -> str:
    """Return what Slurm's configuration has under a name; empty if it can't be asked."""
    try:
        said = ask("scontrol", "show", "config", timeout=PATIENCE / 2).stdout
    except SchedulerUnavailable:
        return ""
    found = re.search(rf"^{name}\s*=\s*([^\s/]+)\s*$", said, re.MULTILINE)
    return found[1] if found else ""


def requeue(id: str) -> Answer:
    """Ask, once, that this job be ended and run again."""
    return _ask("scontrol", "requeue", id)


def end(id: str) -> Answer:
    """Ask, once, that this job be ended as cancelled."""
    return _ask("scancel", id)


def _ask(*command: str) -> Answer:
    """Run a program with this job's own environment."""
    words = " ".join(command)
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_ANSWER_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Answer(words, _IN_TIME, is_away=True)
    except OSError as error:
        return _answer(words, str(error))
    if ended.returncode == 0:
        return Answer(words)
    said = "; ".join(ended.stderr.split("\n")).strip("; ")
    problem = said or f"exit code {ended.returncode}"
    return _answer(words, problem)


def _answer(command: str, problem: str) -> Answer:
    return Answer(command, problem, is_away(problem), is_refusal(problem))
