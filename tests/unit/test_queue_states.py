"""Which of a scheduler's jobs is a submission's."""

from pathlib import Path

import pytest

from mpipar.batch.job_state import JobState, Meaning
from mpipar.batch.queue_states import is_of
from mpipar.batch.record import Submission

THEN = 1_700_000_000.0
ONE = Submission("12", "pi", "c", str(Path("runs")), {}, "", [], [], THEN)


def state(name: str, submitted: float | None) -> JobState:
    running = Meaning("running", "running")
    return JobState("12", name, "R", "", "", 0.0, None, 0, None, submitted, None, None, running)


@pytest.mark.parametrize(
    ("name", "submitted", "is_own"),
    [
        ("pi", None, True),
        ("other", None, False),
        ("pi", THEN, True),
        ("pi", THEN - 60, True),  # clocks differ, or it took long
        ("pi", THEN + 10**6, True),  # it was requeued
        ("pi", THEN - 1000, False),  # of a Slurm before that was set up anew
        ("renamed", THEN - 1, True),
        ("renamed", THEN + 30, True),
        ("other", THEN + 10**6, False),
        ("other", THEN - 1000, False),
    ],
)
def test_a_job_is_known_by_its_name_or_its_time(name, submitted, is_own):
    assert is_of(state(name, submitted), ONE) == is_own


def test_nothing_is_nobodys():
    assert not is_of(None, ONE)
    assert not is_of(state("pi", THEN), None)
