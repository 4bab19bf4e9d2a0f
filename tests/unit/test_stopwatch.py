"""A stopwatch doesn't count what a process doesn't spend."""

import pytest

from mpipar.runtime import stopwatch
from mpipar.runtime.stopwatch import Stopwatch


@pytest.mark.parametrize(
    ("looks", "spent"),
    [
        ([0.05] * 40, 2.0),
        ([0.9] * 10, 9.0),  # a busy machine
        ([0.05, 3600.0, 0.05], 0.15),  # suspended for an hour
        ([30.0] * 4, 0.2),  # again and again, by turns
    ],
)
def test_time_that_is_not_spent_is_not_counted(monkeypatch, looks, spent):
    now = 0.0
    monkeypatch.setattr(stopwatch.time, "monotonic", lambda: now)
    watch = Stopwatch(0.05)
    told = 0.0
    for seconds in looks:
        now += seconds
        told = watch()
    assert told == pytest.approx(spent)
