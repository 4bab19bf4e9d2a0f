"""Nodes that lose their power as a job begins, before it has an output: it isn't lost for that."""

import time

import pytest

from slurm.cluster import Cluster
from slurm.conftest import ON_SITE
from slurm.jobs import LAUNCHERS, VENDOR, User, harmonic, value_of

ITEMS = 60
PATIENCE = 180  # seconds: Slurm lets a requeued job wait, and the node must be noticed first
NODES = 'nodes = 3\nranks_per_node = 1\nmemory = "1G"\nsbatch = { nodelist = "n[1-3]" }'
pytestmark = [ON_SITE, pytest.mark.campaign, pytest.mark.usefixtures("separate_nodes")]


@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_a_node_that_dies_as_a_job_begins(somebody, cluster, launcher, seconds):
    """One job is to be requeued then, another to go on with the nodes that are left."""
    again, onward = somebody("again"), somebody("onward")
    first = submit(again, launcher, "")
    second = submit(onward, launcher, 'lost_nodes = "go-on"')
    for number in (first, second):
        cluster.wait(number, {"RUNNING"})
    time.sleep(seconds)  # how soon is the subject
    cluster.kill_node("n3")
    check_ended(cluster, onward, second)
    cluster.start_node("n3")  # the other must have it
    check_ended(cluster, again, first)


def submit(user: User, launcher: str, restart: str) -> str:
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\nstart_seconds = 60\n')
    job = user.slow_job(items=ITEMS, seconds=0.2, resources=NODES, restart=restart)
    return user.submit(job, "--site", "site.toml")


def check_ended(cluster: Cluster, user: User, number: str) -> None:
    """Check that a job has its result."""
    found = cluster.wait(number, timeout=PATIENCE)
    told = user.log(number)
    assert found["JobState"] == "COMPLETED", told
    assert value_of(user.place / "out" / "slow.h5") == harmonic(ITEMS)
