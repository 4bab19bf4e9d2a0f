"""Jobs that are stopped before they are done: by their time, by signals, by dying nodes; they end with the same bits."""

import pytest

from slurm.cluster import Cluster
from slurm.jobs import User, harmonic, value_of
from slurm.machine import wait_until

RANKS = 2


@pytest.fixture
def user(cluster: Cluster, place) -> User:
    return User(cluster, place)


def wait_for_marks(user: User, count: int) -> None:
    for _ in wait_until(f"{count} blocks are evaluated", 60):
        if len(user.marks()) >= count:
            return


def check(user: User, items: int, repeats: int) -> None:
    """Check that all blocks were evaluated, few of them twice, and that the value is right to the last bit."""
    marks = user.marks()
    assert set(marks) == set(range(items))
    assert len(marks) <= items + repeats
    assert value_of(user.place / "out" / "slow.h5") == harmonic(items)


def nexts(user: User, number: str) -> list[str]:
    return [event["what"] for event in user.events(number) if event["event"] == "next"]


def test_a_job_that_needs_three_allocations_gets_them(user, cluster):
    number = user.submit(user.slow_job(items=120, resources="nodes = 2\nranks_per_node = 1\ntime = 1"))
    for start in range(2):
        wait_for_marks(user, 30 + 30 * start)
        cluster.run("scancel", "--batch", "--signal=USR1", number)
        for _ in wait_until("the job is requeued", 30):
            if len(nexts(user, number)) > start:
                break
    job = cluster.wait(number)
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "2"), user.log(number)
    assert nexts(user, number) == ["requeue", "requeue", "exit"]
    check(user, 120, 0)
