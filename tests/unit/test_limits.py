import pytest
from suite import limits
from suite.limits import Limit


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, on a machine that is quiet."""
    clock = [0.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(limits, "slowness", lambda: 1.0)
    return clock


def ends_after(limit, clock):
    """Return when a limit is over, which is asked as its users do."""
    while not limit.is_over:
        clock[0] += max(limit.left, 0.1)
    return clock[0]


def test_what_does_nothing_hangs(clock):
    assert ends_after(Limit(60), clock) == 60
    clock[0] = 0.0
    assert ends_after(Limit(60, lambda: 7.0), clock) == 75, "once more after a quarter"


def test_what_gets_on_may_take_three_times_as_long(clock):
    assert ends_after(Limit(60, lambda: clock[0] / 10), clock) == 195


def test_what_ceases_to_get_on_hangs(clock):
    assert ends_after(Limit(60, lambda: min(clock[0], 80) / 10), clock) == 105


def test_a_slow_machine_has_longer_limits(clock, monkeypatch):
    monkeypatch.setattr(limits, "slowness", lambda: 5.0)
    limit = Limit(60)
    assert ends_after(limit, clock) == 300
    assert str(limit) == "300 s (limit 60 s, 5.0 times slower than when quiet)"
