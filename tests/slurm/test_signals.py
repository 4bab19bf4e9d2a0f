"""Signals as Slurm sends them: early, to some processes alone, to stopped ones; jobs lose nothing
by them.
"""

import pytest
from suite.limits import Limit, until
from suite.rings import in_ci

from slurm.conftest import ON_SITE
from slurm.jobs import ROOT, User, harmonic, value_of

OWN = """
import sys, time
from pathlib import Path
with open("starts", "a") as file:
    file.write("x")
while not Path("go").exists():
    time.sleep(0.1)
print("all of it")
"""


def starts(user: User) -> int:
    path = user.place / "starts"
    return len(path.read_text()) if path.exists() else 0


def wait_for_starts(user: User, count: int) -> None:
    for _ in until(f"{count} starts", 90):
        if starts(user) >= count:
            return


@ON_SITE
@pytest.mark.ci
@pytest.mark.each_mpi
def test_a_script_that_makes_room_is_requeued_by_slurm(user, cluster):
    """For a grace, Slurm sends SIGTERM to the ranks alone, of which the script dies: the job must
    not end by that.
    """
    (user.place / "own.py").write_text(OWN)
    spread = ("--partition=spare", "--nodes=4", "--ntasks=4", "--exclusive", "--mem=0")
    number = user.sbatch(*spread, ROOT / "slurm" / "mpi.sbatch", "own.py")
    wait_for_starts(user, 4)
    urgent = user.sbatch(
        "--partition=urgent", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=true"
    )
    assert cluster.wait(urgent, timeout=120)["JobState"] == "COMPLETED"
    (user.place / "go").touch()
    found = cluster.wait(number, timeout=60)
    log = (user.place / f"mpi-{number}.out").read_text()
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), log
    assert "ended to make room for another job; waiting for Slurm" in log
    assert log.count("all of it") == 4


# Until the trap at the script's top has told of the warning; the next run goes on at once.
PROLOGUE = """
prologue = '''
touch begun
until [ -n "${MPIPAR_WARNED:-}" ] || [ -e warned ]; do sleep 0.1; done
touch warned
'''
"""


def test_a_warning_in_the_prologue_is_not_lost(user, cluster):
    (user.place / "site.toml").write_text(PROLOGUE)
    number = user.submit(user.slow_job(items=40), "--site", "site.toml")
    for _ in until("the prologue runs", 30):
        if (user.place / "begun").exists():
            break
    cluster.ask("scancel", "--batch", "--signal=USR1", number)
    for _ in until("the job is to be requeued", 60):
        if any(event["event"] == "next" for event in user.events(number)):
            break
    user.hurry()
    found = cluster.wait(number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), user.log(number)
    assert value_of(user.place / "out" / "slow.h5") == harmonic(40)


@pytest.mark.ci
def test_a_warning_that_is_longer_than_the_limit_is_no_end(user, cluster):
    """Of a minute, Slurm warns two minutes before its end: at once."""
    user.slow_job(items=200)
    words = (
        "-m",
        "mpipar",
        "run",
        "slow.py:slow",
        "--items=200",
        "--seconds=0.1",
        "--marks=marks",
        "--output=slow.h5",
    )
    number = user.sbatch("--time=1", ROOT / "slurm" / "serial.sbatch", *words)
    found = cluster.wait(number, timeout=120)
    log = (user.place / f"serial-{number}.out").read_text()
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "0"), log
    told = [line for line in log.splitlines() if "warned at its start" in line]
    assert (
        not told or "until 15 s before its end" in told[0]
    )  # the warning comes within 30 s, if the job takes as long
    assert value_of(user.place / "slow.h5") == harmonic(200)


@pytest.mark.parametrize("workers", [*in_ci(1), 2])
def test_cancel_now_is_now(user, cluster, workers):
    """Slurm ends jobs in two steps, the first of which would let it finish blocks, and commit."""
    resources = f"nodes = 2\nranks_per_node = 1\nworkers = {workers}"
    output = 'folder = "out"\ncheckpoint = 1000'
    number = user.submit(user.slow_job(items=500, seconds=20.0, resources=resources, output=output))
    for _ in until("the ranks are at work", 60):
        if any(event["event"] == "output" for event in user.events(number)):
            break
    limit = Limit(15.0)
    ended = user.mpipar("cancel", "--now", number)
    assert (ended.code, ended.stdout) == (0, f"job {number} cancelled; nothing of it is done\n"), (
        ended.stderr
    )
    assert not limit.is_over, limit
    assert cluster.job(number)["JobState"] == "CANCELLED"
    assert "ended" not in [event["event"] for event in user.events(number)], user.log(number)


@pytest.mark.ci
def test_a_suspended_job_is_cancelled(user, cluster):
    number = user.submit(user.slow_job(items=500))
    user.wait_for_marks(10)
    cluster.ask("scontrol", "suspend", number)
    cluster.wait(number, {"SUSPENDED"})
    ended = user.mpipar("cancel", number, timeout=60)
    assert ended.code == 0, ended.stderr
    assert f"job {number} is suspended, and can't commit" in ended.stderr
    assert "did not stop within" not in ended.stderr
    assert cluster.job(number)["JobState"] == "CANCELLED"
