"""The cluster that is as sites have it: with accounts, a partition that makes room, and a
controller that goes away.
"""

import pytest
from suite.limits import Limit, until

from slurm.conftest import ON_SITE

pytestmark = [ON_SITE, pytest.mark.ci]


def sbatch(cluster, *words):
    return cluster.ask("sbatch", "--parsable", "--output=/dev/null", *words).strip()


@pytest.mark.usefixtures("accounts")
def test_accounts_remember_jobs(cluster, place):
    number = sbatch(cluster, "--wrap=exit 3")
    cluster.wait(number)
    for _ in until("the accounts know", 30):
        told = cluster.ask(
            "sacct",
            "--noheader",
            "--parsable2",
            "--allocations",
            f"--jobs={number}",
            "--format=state",
        )
        if told.strip() == "FAILED":
            break


def test_a_job_makes_room_for_another(cluster):
    spare = sbatch(
        cluster, "--partition=spare", "--nodes=4", "--exclusive", "--requeue", "--wrap=sleep 300"
    )
    cluster.wait(spare, {"RUNNING"})
    urgent = sbatch(cluster, "--partition=urgent", "--nodes=4", "--exclusive", "--wrap=true")
    assert cluster.wait(urgent, timeout=120)["JobState"] == "COMPLETED"
    assert cluster.job(spare)["Restarts"] == "1"


def test_jobs_go_on_without_a_controller(cluster, place):
    script = f"touch {place}/begun; until [ -e {place}/go ]; do sleep 0.1; done; touch {place}/done"
    number = sbatch(cluster, f"--wrap={script}")
    for _ in until("the job has begun", 30):
        if (place / "begun").exists():
            break
    with cluster.controller_away():
        assert cluster.node_states() == {}
        (place / "go").touch()
        for _ in until("the job has ended", 30):
            if (place / "done").exists():
                break
    assert cluster.wait(number)["JobState"] == "COMPLETED"


@pytest.mark.parametrize("how", ["away", "frozen"])
def test_a_controller_that_is_gone_is_not_waited_for(user, cluster, how):
    number = user.submit(user.slow_job(items=40))
    user.hurry()
    assert cluster.wait(number)["JobState"] == "COMPLETED", user.log(number)
    with cluster.controller_away() if how == "away" else cluster.controller_frozen():
        limit = Limit(5.0)
        told = user.mpipar("status", number)
        is_late = limit.is_over
        refused = user.mpipar("submit", "slow.toml", "--set", "output.folder=other")
    assert told.code == 0, told
    assert "finished, 40 blocks" in told.stdout
    first = told.stdout.splitlines()[0]
    assert any(word in first for word in ("completed", "done", "running")), (
        first
    )  # accounts may know, or not yet
    assert not is_late, limit
    assert (refused.code, refused.stdout, len(refused.stderr.splitlines())) == (1, "", 1), (
        refused.stderr
    )
    assert not (user.place / "other").exists()


def test_what_the_configuration_means_is_said_before_a_job_is_submitted(user):
    job = user.slow_job(items=10, resources='nodes = 2\npartition = "short"\ntime = 20')
    for option in ("--check", "--dry-run"):
        told = user.mpipar("submit", job, option, "--time=5").stderr.splitlines()
        assert len(told) == 2, told
        assert "the job asks for no memory, and gets all of its nodes'" in told[0]
        assert "scancel leaves the job 2 s to commit (KillWait)" in told[1]
    told = user.mpipar("submit", job, "--dry-run", "--partition=spare").stderr
    assert "it is requeued, 15 s after it is told (GraceTime)" in told
    told = user.mpipar("submit", job, "--dry-run").stderr
    assert "beyond MaxTime=00:10:00 of partition short: it would wait for ever" in told
    page = user.mpipar("doctor").stdout
    assert "jobs are held to their cores (TaskPlugin=task/affinity)" in page
    assert "short 00:10:00" in page
