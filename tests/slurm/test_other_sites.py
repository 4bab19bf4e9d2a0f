"""Clusters that are set up as some sites are: jobs are warned, requeued and told of there, too."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from suite.limits import until

from slurm.cluster import Cluster
from slurm.conftest import BY_CGROUP, PARTITIONS, SITE
from slurm.jobs import LAUNCHERS, VENDOR, User, harmonic, value_of
from slurm.machine import missing_accounts

pytestmark = [pytest.mark.campaign, pytest.mark.usefixtures("separate_nodes")]

ITEMS = 60
TWO = "nodes = 2\nranks_per_node = 1\nmemory = '300M'\ntime = 5"
PATIENCE = 120
TO_SPARE = """\
function slurm_job_submit(job, partitions, uid)
    job.partition = "spare"
    slurm.log_user("your job goes to the spare nodes")
    return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, uid)
    return slurm.SUCCESS
end
return slurm.SUCCESS
"""


class Setup(NamedTuple):
    """What is particular about a cluster.

    Attributes
    ----------
    settings : dict
        Lines of slurm.conf.
    cgroup : tuple of str
        Lines of cgroup.conf.
    files : dict
        Names and texts of more files beside them.
    accounts : tuple of str
        What sacctmgr is told, where there are to be accounts.
    """

    settings: dict[str, str]
    cgroup: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    accounts: tuple[str, ...] = ()


SETUPS = {
    "private": Setup({"PrivateData": "jobs,nodes,accounts"}),
    "lua": Setup({"JobSubmitPlugins": "lua"}, files=(("job_submit.lua", TO_SPARE),)),
    "cgroup": Setup(BY_CGROUP.settings, BY_CGROUP.lines),
    "qos": Setup(
        {"PreemptType": "preempt/qos"},
        accounts=(
            "add qos scavenger set PreemptMode=requeue GraceTime=15",
            "add qos high set Preempt=scavenger Priority=10",
            "modify user root set qos=normal,scavenger,high",
        ),
    ),
}


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    setup = SETUPS[request.param]
    if setup.accounts and missing_accounts():
        pytest.skip("no accounts here")
    folder = Path(tempfile.mkdtemp(prefix="mpipar-slurm-", dir="/tmp"))
    for name, text in setup.files:
        (folder / name).write_text(text)
    try:
        with Cluster(
            folder,
            extra={**SITE, **setup.settings},
            partitions=PARTITIONS,
            cgroup=setup.cgroup,
            has_accounts=bool(setup.accounts),
        ) as cluster:
            for words in setup.accounts:
                cluster.ask("sacctmgr", "--immediate", *words.split())
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
@pytest.mark.parametrize("cluster", ["private", "lua", "cgroup"], indirect=True)
def test_a_job_is_warned_requeued_and_told_of(user: User, cluster: Cluster, launcher: str) -> None:
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    number = user.submit(user.slow_job(items=ITEMS, resources=TWO), "--site", "site.toml")
    user.wait_for_marks(10)
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    for _ in until("the job is requeued", PATIENCE):
        if any(event["event"] == "next" for event in user.events(number)):
            break
    user.hurry()
    found = cluster.wait(number, timeout=PATIENCE)
    log = user.log(number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), log
    assert value_of(user.place / "out" / "slow.h5") == harmonic(ITEMS)
    assert " share " not in log
    assert "finished, 60 blocks" in user.mpipar("status", number).stdout


@pytest.mark.parametrize("cluster", ["qos"], indirect=True)
def test_a_qos_that_takes_the_place_of_another(user: User, cluster: Cluster) -> None:
    job = user.slow_job(items=ITEMS, resources=f"{TWO}\nsbatch = {{ qos = 'scavenger' }}")
    told = user.mpipar("submit", job, "--check").stderr
    assert "PreemptMode=REQUEUE): it is requeued, 15 s after it is told" in told
    number = user.submit(job)
    user.wait_for_marks(10)
    urgent = cluster.ask(
        *("sbatch", "--parsable", "--qos=high", "--nodes=4", "--exclusive", "--output=/dev/null"),
        "--wrap=true",
    ).strip()
    assert cluster.wait(urgent, timeout=PATIENCE)["JobState"] == "COMPLETED"
    user.hurry()
    found = cluster.wait(number, timeout=PATIENCE)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), user.log(number)
    assert value_of(user.place / "out" / "slow.h5") == harmonic(ITEMS)
