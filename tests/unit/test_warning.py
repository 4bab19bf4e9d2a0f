"""When a warning is believed that a job's time is nearly up."""

import pytest

from mpipar.batch.warning import kept_until, was_early

MINUTE = 60.0


@pytest.mark.parametrize(
    ("came", "limit", "before", "kept"),
    [
        # Two minutes before the end, as it should be.
        (58 * MINUTE, 60 * MINUTE, False, None),
        (3 * MINUTE, 5 * MINUTE, True, None),
        # At the start, by hand, or as --signal is longer than the limit: the second time it is no
        # hand.
        (20, 60 * MINUTE, False, None),
        (20, 60 * MINUTE, True, 58 * MINUTE),
        (20, 5 * MINUTE, True, 5 * MINUTE - 75),
        # A warning of two minutes can't be meant for these.
        (0, MINUTE, False, 45),
        (30, MINUTE, False, 45),
        (30, 2 * MINUTE, False, 90),
        (50, MINUTE, False, None),  # it is nearly up
        # There is no limit, or nobody knows.
        (20, None, True, None),
    ],
)
def test_a_warning_at_the_start_is_no_end(came, limit, before, kept):
    start = 1700000000.0
    end = None if limit is None else start + limit
    found = kept_until(start + came, start, end, warned_before=before)
    assert found == (None if kept is None else start + kept)


@pytest.mark.parametrize(
    ("times", "early"),
    [
        ([("step", 0), ("signal", 20)], True),
        ([("step", 0), ("signal", 3000)], False),
        ([("signal", 5)], False),
        ([("step", 0), ("signal", 3000), ("step", 3100), ("signal", 3101)], True),
        ([], False),
    ],
)
def test_early_warnings_are_in_the_journal(times, early):
    events = [{"event": kind, "time": float(at), "name": "SIGUSR1"} for kind, at in times]
    assert was_early([*events, {"event": "signal", "time": "garbage"}]) == early
