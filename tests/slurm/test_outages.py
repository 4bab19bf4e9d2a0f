"""A controller that goes away for some seconds at the worst moments: nothing is lost."""

import time
from collections.abc import Callable

import pytest
from suite.limits import until

from slurm.cluster import Cluster
from slurm.jobs import User, harmonic, value_of

ITEMS = 60
LENGTHS = [pytest.param(seconds, marks=pytest.mark.campaign) for seconds in (5, 30, 120)]
PATIENCE = 180  # seconds: slurmd reports again some time after the controller is back


def away(cluster: Cluster, seconds: float, during: Callable[[], None]) -> None:
    """Have no controller for so long, in which something happens."""
    with cluster.controller_away():
        until_back = time.monotonic() + seconds
        during()
        time.sleep(max(0.0, until_back - time.monotonic()))  # how long is the subject


def wait_for(user: User, number: str, event: str) -> None:
    for _ in until(f"{event!r} in the journal", PATIENCE):
        if any(one["event"] == event for one in user.events(number)):
            return


def warn(cluster: Cluster) -> None:
    """Send the warning as slurmd does, whoever is there to ask for it."""
    cluster.run("pkill", "-USR1", "-f", "mpipar.batch.step", node="n1")


def check(user: User, number: str, restarts: str) -> None:
    found = user.cluster.wait(number, timeout=PATIENCE)
    told = user.log(number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", restarts), told
    assert set(user.marks()) == set(range(ITEMS))
    assert value_of(user.place / "out" / "slow.h5") == harmonic(ITEMS)


@pytest.mark.parametrize("seconds", LENGTHS)
def test_when_a_job_is_submitted(user, cluster, seconds):
    job = user.slow_job(items=ITEMS, seconds=0.01)
    refused = []
    away(cluster, seconds, lambda: refused.append(user.mpipar("submit", job)))
    assert (refused[0].code, refused[0].stdout) == (1, "")
    assert len(refused[0].stderr.splitlines()) == 1, refused[0].stderr
    check(user, user.submit(job), "0")


@pytest.mark.parametrize("seconds", LENGTHS)
def test_when_a_job_is_warned(user, cluster, seconds):
    number = user.submit(user.slow_job(items=ITEMS))
    user.wait_for_marks(5)
    away(cluster, seconds, lambda: warn(cluster))
    check(user, number, "1")
    assert user.log(number).count("; requeued") == 1


@pytest.mark.parametrize("seconds", [pytest.param(12, marks=pytest.mark.ci), *LENGTHS])
def test_when_a_job_is_requeued(user, cluster, seconds):
    """It is told to stop while there is a controller, which is away when it has."""
    number = user.submit(user.slow_job(items=ITEMS, seconds=1.0))
    user.wait_for_marks(2)
    warn(cluster)
    user.hurry()
    away(cluster, seconds, lambda: wait_for(user, number, "ended"))
    check(user, number, "1")


@pytest.mark.parametrize("seconds", LENGTHS)
def test_when_a_job_ends(user, cluster, seconds):
    number = user.submit(user.slow_job(items=ITEMS))
    user.wait_for_marks(5)

    def end() -> None:
        user.hurry()
        wait_for(user, number, "ended")

    away(cluster, seconds, end)
    check(user, number, "0")
    told = user.mpipar("status", number)
    assert "finished, 60 blocks" in told.stdout, told
