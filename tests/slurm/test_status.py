"""``mpipar status`` and ``logs`` of real jobs: waiting, running, requeued, ended, and forgotten by
Slurm.
"""

import json

import pytest
from conftest import start
from suite.limits import until

from slurm.cluster import Cluster
from slurm.jobs import User


def status(user: User, *words: str) -> str:
    ended = user.mpipar("status", *words)
    assert ended.code == 0, ended.stderr
    return ended.stdout


def test_a_job_is_told_of_from_the_queue_to_its_end(user, cluster):
    number = user.submit(user.slow_job(items=100))
    user.wait_for_marks(30)
    told = status(user, number)
    assert "running" in told
    assert "of 100 blocks" in told
    assert "done in about" in told
    cluster.run("scancel", "--batch", "--signal=USR1", number)
    for _ in until("the job waits again", 30):
        if cluster.job(number)["JobState"] == "PENDING":
            break
    told = status(user, "out")
    assert "waiting" in told, told
    assert "requeued 1 time" in told, told
    user.hurry()
    assert cluster.wait(number)["JobState"] == "COMPLETED"
    told = status(user, number)
    assert "completed" in told, told
    assert "finished, 100 blocks" in told
    facts = json.loads(user.mpipar("status", "--json", number).stdout)
    assert str(facts).count(number) >= 1
    log = user.mpipar("logs", number)
    assert "slow = " in log.stdout
    assert "2 ranks on n1, n2; " in log.stdout or cluster.mode != "namespaces"


def test_a_job_that_is_submitted_twice_is_refused(user, cluster):
    job = user.slow_job(items=1000)
    number = user.submit(job)
    again = user.mpipar("submit", job)
    assert again.code == 2
    assert number in again.stderr
    assert "--force" in again.stderr
    user.cluster.run("scancel", number)


def test_a_job_that_slurm_refuses_leaves_nothing(user):
    job = user.slow_job(items=10, resources='nodes = 99\npartition = "nowhere"')
    ended = user.mpipar("submit", job)
    assert ended.code == 2
    assert "partition" in ended.stderr.lower()
    assert ended.stdout == ""
    assert not (user.place / "out").exists()
    checked = user.mpipar("submit", job, "--check", "--partition", "main", "--nodes", "99")
    assert checked.code == 2, checked
    assert user.mpipar("submit", job, "--check", "--partition", "main", "--nodes", "2").code == 0
    assert not (user.place / "out").exists()


@pytest.mark.ci
def test_a_job_waits_for_another(user, cluster):
    first = user.submit(user.slow_job(items=80))
    second = user.submit(
        user.place / "slow.toml", "--set", "output.folder=second", "--after", first
    )
    assert "waits for another job" in status(user, second)
    user.hurry()
    assert cluster.wait(second)["JobState"] == "COMPLETED"


@pytest.mark.ci
def test_a_job_that_slurm_has_forgotten(place):
    """There is no accounting, and the controller forgets ended jobs at once: journal and result
    tell.
    """
    with Cluster(nodes=2, extra={"MinJobAge": "2"}) as cluster:
        user = User(cluster, place)
        number = user.submit(user.slow_job(items=20))
        for _ in until("Slurm forgets the job", 90):
            command = ["scontrol", "show", "job", number]
            if start(command, env=user.environment).code != 0:
                break
        told = status(user, number)
        assert "done" in told
        assert "forgotten" in told
        assert "20" in told
        assert "done" in status(user, "out")
        ended = user.mpipar("cancel", number)
        assert ended.code == 0
        assert "ended already" in ended.stderr
        assert user.mpipar("logs", number).stdout.count("slow = ") == 1
