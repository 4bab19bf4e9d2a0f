"""What is said of jobs in each state that Slurm gives them: while it remembers them, and after.

The states are brought about, none is made up; docs/slurm.md has the table.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Finished
from suite.limits import until

from slurm.cluster import ENDED, NAP, Cluster
from slurm.conftest import PARTITIONS, SITE
from slurm.jobs import ROOT, User
from slurm.machine import missing_accounts

pytestmark = [pytest.mark.campaign, pytest.mark.usefixtures("separate_nodes")]

PATIENCE = 180  # seconds: Slurm looks at time limits every 30 s
ONE = "ranks = 1\nmemory = '500M'\ntime = 5"
HELD = {"TaskPlugin": "task/affinity,task/cgroup"}
BY_CGROUP = ("ConstrainRAMSpace=yes", "ConstrainCores=no")
SCRIPTS = {
    "failed": "raise SystemExit(3)\n",
    "memory": "held = bytearray(b'1' * 900_000_000)\n",
}


class Case(NamedTuple):
    """A job, and how it is brought into a state.

    Attributes
    ----------
    state : str
        Slurm's name of it.
    outcome : str
        What it comes to while Slurm remembers it, or its accounts do.
    forgotten : str
        What it comes to once nobody does: one, or one "or" another.
    act : callable
        What is done to the job.
    keys : tuple of str
        Changes of the job file.
    """

    state: str
    outcome: str
    forgotten: str = ""
    act: Callable[[Job], object] = lambda job: None
    keys: tuple[str, ...] = ()


def status(user: User, *words: str) -> Finished:
    """Run ``mpipar status`` until Slurm can be asked: on a busy machine it may not answer in
    time.
    """
    for _ in until("Slurm answers", PATIENCE):
        told = user.mpipar("status", *words)
        if "can't be asked" not in told.stderr:
            return told
    raise AssertionError  # not reached


class Job:
    """A job that somebody waits for: ``mpipar submit --wait``."""

    def __init__(self, user: User, name: str, case: Case) -> None:
        self.user, self.name, self.case = user, name, case
        changes = [f"output.folder={name}", "restart.requeue=false", *case.keys]
        job = "slow.toml"
        if name in SCRIPTS:
            (user.place / f"{name}.py").write_text(SCRIPTS[name])
            job = f"{name}.toml"
            (user.place / job).write_text(f"run.script = '{name}.py'\n[resources]\n{ONE}\n")
        else:
            changes.append(f"run.options.marks=marks-{name}")
        words = [word for change in changes for word in ("--set", change)]
        self.waiting = subprocess.Popen(
            [sys.executable, "-m", "mpipar", "submit", job, *words, "--wait"],
            cwd=user.place,
            env=user.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.waiting.stdout
        self.number = self.waiting.stdout.readline().strip()
        assert self.number

    @property
    def state(self) -> str:
        return self.user.cluster.job(self.number)["JobState"]

    def control(self, *words: str) -> None:
        self.user.cluster.ask("scontrol", *words)

    def await_work(self) -> None:
        for _ in until(f"job {self.name} is at work", PATIENCE):
            if (self.user.place / f"marks-{self.name}").exists():
                return

    def await_state(self) -> None:
        for _ in until(f"job {self.name} is {self.case.state}", PATIENCE, NAP):
            state = self.state
            if state == self.case.state:
                return
            assert state not in ENDED, (self.name, state)

    def check(self, outcome: str, *, is_remembered: bool) -> None:
        """Check what is said of it: by status, for people and programs, and by --after."""
        told = status(self.user, self.number)
        facts = json.loads(status(self.user, "--json", self.number).stdout)
        assert facts["outcome"] in outcome.split(" or "), (self.name, facts)
        assert facts["state"] == (self.case.state if is_remembered else None), (self.name, facts)
        assert (facts["exit_code"] == 0) == (outcome == "done"), (self.name, facts)
        assert facts["words"].split(",")[0] in told.stdout, (told, facts)
        assert ("has forgotten it" in told.stdout) != is_remembered, told
        after = self.user.mpipar(
            *("submit", "slow.toml", "--check", "--set", "output.folder=next", "--after"),
            self.number,
        )
        is_hopeful = outcome in ("done", "waiting", "running")
        assert after.code == (0 if is_hopeful and is_remembered else 2), after
        if not is_hopeful and is_remembered:
            assert f"has not ended well: {self.case.state}" in after.stderr

    def end_waiting(self) -> int:
        """Return the exit code of the submission that waits."""
        self.waiting.communicate(timeout=PATIENCE)
        return self.waiting.returncode


def warn(job: Job) -> None:
    job.await_work()
    job.user.cluster.ask("scancel", "--batch", "--signal=USR1", job.number)


def cancel(job: Job) -> None:
    job.await_work()
    assert job.user.mpipar("cancel", job.number).code == 0


def scancel(job: Job) -> None:
    job.await_work()
    scancel_waiting(job)


def scancel_waiting(job: Job) -> None:
    job.user.cluster.ask("scancel", job.number)


def end_its_time(job: Job) -> None:
    job.await_work()
    job.control("update", f"JobId={job.number}", "EndTime=now")


def pass_deadline(job: Job) -> None:
    job.control("update", f"JobId={job.number}", "Deadline=now+1")


def suspend(job: Job) -> None:
    job.await_work()
    job.control("suspend", job.number)


def take_its_room(job: Job) -> None:
    job.await_work()
    job.user.cluster.ask(
        *("sbatch", "--partition=urgent", "--nodelist=n3", "--exclusive", "--output=/dev/null"),
        "--wrap=true",
    )


def kill_its_node(job: Job) -> None:
    job.await_work()
    job.user.cluster.kill_node("n4")


ON = "resources.sbatch={{nodelist='{}'}}"
LATER = "resources.sbatch={begin='now+1hour'}"
ALL_NODES = ("resources.nodes=4", "resources.ranks=4", "resources.sbatch={exclusive=true}")
STOPPED = "stopped early"
SILENT = "ended without a word"
ENDINGS = {
    "completed": Case("COMPLETED", "done", "done", keys=("run.options.seconds=0",)),
    "failed": Case("FAILED", "failed", "failed"),
    "stopped": Case("FAILED", STOPPED, STOPPED, warn),
    "cancelled": Case("CANCELLED", "cancelled", "cancelled", cancel),
    "scancelled": Case("CANCELLED", "cancelled", STOPPED, scancel),
    "never-begun": Case("CANCELLED", "cancelled", "unknown", scancel_waiting, (LATER,)),
    "timeout": Case("TIMEOUT", "failed", STOPPED, end_its_time),
    "memory": Case("OUT_OF_MEMORY", "failed", "failed"),
    "preempted": Case(
        "PREEMPTED",
        *("failed", f"{STOPPED} or {SILENT}", take_its_room),  # it may be killed at once
        ("resources.partition=spare", ON.format("n3")),
    ),
    "node": Case("NODE_FAIL", "failed", SILENT, kill_its_node, (ON.format("n4"),)),
    "deadline": Case("DEADLINE", "failed", "unknown", pass_deadline, ALL_NODES),
}
LIVE = {
    "running": Case("RUNNING", "running", act=Job.await_work),
    "suspended": Case("SUSPENDED", "running", act=suspend),
    "waiting": Case("PENDING", "waiting", keys=(LATER,)),
    "requeued": Case("PENDING", "waiting", act=warn, keys=("restart.requeue=true",)),
}


@pytest.fixture(params=[True, False], ids=["accounts", "no accounts"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster that can be told to forget, and kills what takes too much memory."""
    if request.param and missing_accounts():
        pytest.skip("no accounts here")
    with Cluster(
        cpus=8,
        kill_wait=15,  # in which a driver commits, on a busy machine, too
        extra={**SITE, **HELD},
        partitions=PARTITIONS,
        has_accounts=request.param,
        cgroup=BY_CGROUP,
    ) as cluster:
        yield cluster


def forget(cluster: Cluster) -> None:
    """Have the controller forget jobs that have ended."""
    configuration = cluster.folder / "slurm.conf"
    configuration.write_text(configuration.read_text().replace("MinJobAge=3600", "MinJobAge=2"))
    cluster.ask("scontrol", "reconfigure")
    for _ in until("the controller forgets", PATIENCE, NAP):
        if not cluster.ask("squeue", "--noheader", "--states=all"):
            return


@pytest.fixture
def has_accounts(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.callspec.params["cluster"])


def test_each_state_that_jobs_end_in(user: User, cluster: Cluster, has_accounts: bool) -> None:
    user.slow_job(items=5000, resources=ONE)
    jobs = [Job(user, name, case) for name, case in ENDINGS.items()]
    for job in jobs:
        job.case.act(job)
    for job in jobs:
        job.await_state()
        job.check(job.case.outcome, is_remembered=True)
        assert job.end_waiting() == (0 if job.name == "completed" else 1), job.name
    forget(cluster)
    for job in jobs:
        outcome = job.case.outcome if has_accounts else job.case.forgotten
        job.check(outcome, is_remembered=has_accounts)


def test_each_state_of_jobs_that_go_on(user: User, cluster: Cluster) -> None:
    user.slow_job(items=5000, resources=ONE)
    jobs = [Job(user, name, case) for name, case in LIVE.items()]
    for job in jobs:
        job.case.act(job)
    for job in reversed(jobs):  # what is requeued, the last, soon runs again
        job.await_state()
        job.check(job.case.outcome, is_remembered=True)
        cluster.ask("scancel", job.number)
        assert job.end_waiting() == 1, job.name


def counts(user: User, number: str) -> dict[str, Any]:
    found = json.loads(status(user, "--json", number).stdout)
    outcomes = [task["outcome"] for task in found["tasks"]]
    return {outcome: outcomes.count(outcome) for outcome in outcomes}


def test_an_array_with_holes(user: User, cluster: Cluster, has_accounts: bool) -> None:
    job = user.slow_job(items=5000, resources=ONE, array="tasks = 6")
    job.write_text(job.read_text().replace('"marks"', '"marks-{task}"'))
    first = user.submit(job)
    for task in (1, 3, 6):
        for _ in until(f"task {task} is at work", PATIENCE):
            if (user.place / f"marks-{task}").exists():
                break
        cluster.ask("scancel", f"{first}_{task}")
    user.hurry()
    user.wait_for_end(first, PATIENCE)
    second = user.submit(job)
    user.wait_for_end(second, PATIENCE)
    recorded = (user.place / "out" / "submissions.jsonl").read_text().splitlines()
    assert json.loads(recorded[1])["tasks"] == "1,3,6"
    live = counts(user, first), counts(user, second)
    assert live == ({"done": 3, "cancelled": 3}, {"done": 3})
    forget(cluster)
    by_journals = "cancelled" if has_accounts else STOPPED
    assert (counts(user, first), counts(user, second)) == ({"done": 3, by_journals: 3}, {"done": 3})


def test_a_heterogeneous_job_is_refused_in_a_line(user: User, cluster: Cluster) -> None:
    words = ("--nodes=1", ":", "--nodes=1", ROOT / "slurm" / "mpi.sbatch")
    number = user.sbatch(*words, "-m", "mpipar.pi", "--steps=1e6")
    assert cluster.wait(number)["ExitCode"] == "2:0"
    told = Path(user.place / f"mpi-{number}.out").read_text()
    assert told.count("heterogeneous job") == 1
    user.slow_job(items=10, resources=ONE)
    after = user.mpipar("submit", "slow.toml", "--check", "--after", number)
    assert (after.code, len(after.stderr.splitlines())) == (2, 1), after
