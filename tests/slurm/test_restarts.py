"""Jobs that are stopped: by their time, by signals, by dying nodes; they end with the same bits."""

import os
import random
import time

import pytest
from conftest import BIN
from suite.limits import until

from slurm.conftest import ON_BOTH
from slurm.jobs import LAUNCHERS, VENDOR, User, harmonic, value_of

NODES_KILLED = int(
    os.environ.get("MPIPAR_TEST_NODES_KILLED", "1")
)  # of either kind; make faults kills five
PATIENCE = 120  # seconds: Slurm looks at time limits every 30 s


def wait_for(user: User, number: str, event: str, count: int = 1) -> None:
    try:
        for _ in until(f"{event!r} in the journal, {count} times", PATIENCE):
            if sum(one["event"] == event for one in user.events(number)) >= count:
                return
    except TimeoutError as error:
        at_its_end = user.cluster.job(number), user.cluster.node_states(), user.log(number)
        raise AssertionError(*at_its_end) from error


def check(user: User, items: int, repeats: int = 0) -> None:
    """Check that all blocks were evaluated, few of them twice, and that the value is right to the
    last bit.
    """
    marks = user.marks()
    assert set(marks) == set(range(items))
    assert len(marks) <= items + repeats
    assert value_of(user.place / "out" / "slow.h5") == harmonic(items)


def nexts(user: User, number: str) -> list[str]:
    return [event["what"] for event in user.events(number) if event["event"] == "next"]


TWO_NODES = "nodes = 2\nranks_per_node = 1\ntime = 10"


def let_end(user: User, number: str, when: str) -> None:
    """Make the time limit of a job come soon."""
    user.cluster.ask("scontrol", "update", f"JobId={number}", f"EndTime={when}")


def test_jobs_whose_time_is_up(somebody, cluster):
    """Slurm looks at limits every 30 s, so two jobs wait for that at once: one is warned, the other
    has no warning.
    """
    warned, killed = somebody("warned"), somebody("killed")
    first = warned.submit(warned.slow_job(items=3000, resources=TWO_NODES, restart="warn = 40"))
    job = killed.slow_job(items=3000, resources=TWO_NODES, restart="requeue = false")
    second = killed.submit(job)
    wait_for(warned, first, "output")
    killed.wait_for_marks(20)
    let_end(warned, first, "now+40seconds")
    let_end(killed, second, "now")
    # The one without warning: the same submission goes on.
    found = cluster.wait(second, timeout=PATIENCE)
    assert found["JobState"] == "TIMEOUT", killed.log(second)
    assert len(killed.marks()) < 3000
    killed.hurry()
    again = killed.submit(job)
    # The other is requeued.
    wait_for(warned, first, "next")
    warned.hurry()
    found = cluster.wait(first, timeout=PATIENCE)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), warned.log(first)
    assert nexts(warned, first) == ["requeue", "exit"]
    check(warned, 3000)
    assert cluster.wait(again)["JobState"] == "COMPLETED", killed.log(again)
    check(
        killed, 3000, 2 * 2
    )  # a rank may be killed between a block's mark and the commit of it and the one before


@pytest.mark.ci
def test_a_job_that_needs_three_allocations_gets_them(user, cluster):
    """Slurm itself warns of the time limit, which is made to come soon: it looks every 30 s, so
    this takes a while.
    """
    number = user.submit(user.slow_job(items=3000, resources=TWO_NODES, restart="warn = 40"))
    for start in (1, 2):
        wait_for(user, number, "output", start)
        let_end(user, number, "now+40seconds")
        wait_for(user, number, "next", start)
    user.hurry()
    found = cluster.wait(number, timeout=PATIENCE)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "2"), user.log(number)
    assert nexts(user, number) == ["requeue", "requeue", "exit"]
    check(user, 3000)


@pytest.mark.ci
@pytest.mark.each_mpi
@pytest.mark.parametrize(
    "launcher",
    ["mpirun", pytest.param(LAUNCHERS[VENDOR], marks=[pytest.mark.ci, pytest.mark.each_mpi])],
)
def test_usr1_by_hand_is_the_same(user, cluster, launcher):
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    number = user.submit(user.slow_job(items=60), "--site", "site.toml")
    user.wait_for_marks(10)
    cluster.run("scancel", "--batch", "--signal=USR1", number)
    found = cluster.wait(number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), user.log(number)
    assert nexts(user, number) == ["requeue", "exit"]
    check(user, 60)


@pytest.mark.ci
@pytest.mark.parametrize(
    "launcher", ["mpirun", pytest.param(LAUNCHERS[VENDOR], marks=pytest.mark.ci)]
)
def test_cancelled_and_submitted_again(user, cluster, launcher):
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    job = user.slow_job(items=80)
    number = user.submit(job, "--site", "site.toml")
    user.wait_for_marks(10)
    ended = user.mpipar("cancel", number)
    assert ended.code == 0, ended.stderr
    assert cluster.job(number)["JobState"] == "CANCELLED", user.log(number)
    done = len(user.marks())
    assert f"{done} of 80 blocks" in ended.stdout, ended.stdout
    again = user.submit(job, "--site", "site.toml")
    assert cluster.wait(again)["JobState"] == "COMPLETED", user.log(again)
    check(user, 80)


@ON_BOTH
@pytest.mark.each_mpi
def test_a_killed_rank_costs_its_blocks_in_flight_alone(user, cluster):
    """The ranks are started again in the same allocation, without a requeue."""
    number = user.submit(user.slow_job(items=80))
    user.wait_for_marks(20)
    cluster.run("pkill", "-KILL", "-f", "slow.py:slow.*--output", node="n2", check=False)
    found = cluster.wait(number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "0"), user.log(number)
    assert nexts(user, number) == ["again", "exit"]
    check(user, 80, 2 * 4)


@pytest.mark.each_mpi
@pytest.mark.skipif(VENDOR != "openmpi", reason="other MPIs have no ulfm")
def test_a_killed_rank_is_survived_without_a_new_start(user, cluster):
    (user.place / "site.toml").write_text('launcher = "mpirun --with-ft ulfm"\n')
    number = user.submit(user.slow_job(items=80), "--site", "site.toml")
    user.wait_for_marks(20)
    cluster.run("pkill", "-KILL", "-f", "slow.py:slow.*--output", node="n2", check=False)
    found = cluster.wait(number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "0"), user.log(number)
    assert nexts(user, number) == ["exit"]
    check(user, 80, 2 * 4)


THREE_NODES = 'nodes = 3\nranks_per_node = 1\nmemory = "1G"\n'


@pytest.mark.ci
@pytest.mark.each_mpi
@pytest.mark.usefixtures("separate_nodes")
@pytest.mark.parametrize("trial", range(NODES_KILLED))
def test_a_killed_node_that_is_the_first_is_survived_by_a_requeue(user, cluster, trial):
    """The power of the node where the batch script runs fails at a random moment."""
    number = user.submit(user.slow_job(items=1000, resources=THREE_NODES))
    user.wait_for_marks(a_moment(f"{trial} first"))
    cluster.kill_node("n1")
    check_requeued(user, number)


@ON_BOTH
@pytest.mark.each_mpi
@pytest.mark.usefixtures("separate_nodes")
@pytest.mark.parametrize("trial", range(NODES_KILLED))
@pytest.mark.parametrize(
    "launcher",
    ["mpirun", pytest.param(LAUNCHERS[VENDOR], marks=[pytest.mark.ci, pytest.mark.each_mpi])],
)
def test_a_killed_node_that_is_not_the_first_is_survived(somebody, cluster, launcher, trial):
    """By a requeue, or with the nodes that are left, as the job wants it: two jobs lose the same
    node.
    """
    nodes = 'sbatch = { nodelist = "n[1-3]" }'
    again, onward = somebody("again"), somebody("onward")
    for user in (again, onward):
        (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    words = ("--site", "site.toml")
    first = again.submit(again.slow_job(items=1000, resources=THREE_NODES), *words)
    going_on = onward.slow_job(
        items=1000, resources=THREE_NODES + nodes, restart='lost_nodes = "go-on"'
    )
    second = onward.submit(going_on, *words)
    again.wait_for_marks(a_moment(f"{trial} other"))
    onward.wait_for_marks(30)
    assert nodes_of_starts(again, first) == nodes_of_starts(onward, second) == [["n1", "n2", "n3"]]
    cluster.kill_node("n3")
    hurry_once_started_again(onward, second)
    check_requeued(again, first)
    found = cluster.wait(second, timeout=PATIENCE)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "0"), onward.log(second)
    starts = nodes_of_starts(onward, second)
    assert (starts[0], starts[-1]) == (["n1", "n2", "n3"], ["n1", "n2"])
    check(onward, 1000, 3 * 4)


DEAF = """#!/bin/bash
{mpirun} "$@" && exit
echo "never ends" >&2
sleep 1000
"""


@pytest.mark.campaign
@pytest.mark.usefixtures("separate_nodes")
def test_a_launcher_that_hangs_when_a_node_is_lost_is_ended(user, cluster):
    """As mpirun may, once Slurm has ended its step."""
    launcher = user.place / "mpirun"
    launcher.write_text(DEAF.format(mpirun=BIN / "mpirun"))
    launcher.chmod(0o755)
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    nodes = THREE_NODES + 'sbatch = { nodelist = "n[1-3]" }'
    job = user.slow_job(items=1000, resources=nodes, restart='lost_nodes = "go-on"')
    number = user.submit(job, "--site", "site.toml")
    user.wait_for_marks(30)
    cluster.kill_node("n3")
    hurry_once_started_again(user, number)
    found = cluster.wait(number, timeout=PATIENCE)
    log = user.log(number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "0"), log
    assert "never ends" in log
    assert nodes_of_starts(user, number) == [["n1", "n2", "n3"], ["n1", "n2"]]
    check(user, 1000, 3 * 4)


def a_moment(seed: str) -> int:
    """Return after how many blocks something is to happen."""
    return int(random.Random(seed).uniform(0.5, 4) * 20)


def nodes_of_starts(user: User, number: str) -> list[list[str]]:
    return [event["nodes"] for event in user.events(number) if event["event"] == "allocation"]


def hurry_once_started_again(user: User, number: str) -> None:
    wait_for(user, number, "allocation", 2)
    user.hurry()


def check_requeued(user: User, number: str) -> None:
    hurry_once_started_again(user, number)
    found = user.cluster.wait(number, timeout=PATIENCE)
    assert found["JobState"] == "COMPLETED", user.log(number)
    assert int(found["Restarts"]) >= 1
    assert user.events(number)[-1]["code"] == 0
    check(user, 1000, 3 * 4)


@pytest.mark.ci
def test_the_last_task_of_an_array_is_requeued_alone(user, cluster):
    """Its number is that of the whole array to Slurm."""
    job = user.slow_job(items=60, resources="ranks = 1\ntime = 5", array="tasks = 3")
    job.write_text(job.read_text().replace('marks = "marks"', 'marks = "marks-{task}"'))
    number = user.submit(job)
    for _ in until("the last task has begun", 60):
        if (user.place / "marks-3").exists():
            break
    cluster.run("scancel", "--batch", "--signal=USR1", f"{number}_3")
    for _ in until("the last task is to be requeued", 60):
        if any(event["event"] == "next" for event in user.events(f"{number}_3")):
            break
    user.hurry()
    user.wait_for_end(number)
    starts = {
        task: [event["event"] for event in user.events(f"{number}_{task}")].count("allocation")
        for task in (1, 2, 3)
    }
    assert starts == {1: 1, 2: 1, 3: 2}
    for task in (1, 2, 3):
        assert value_of(user.place / "out" / f"slow-{task}.h5") == harmonic(60)


POOL = """
import os, time
from multiprocessing import Pool

def half(x):
    time.sleep(float(os.environ["NAP"]))
    with open("marks", "a") as marks:
        marks.write(f"{x}\\n")
    return x / 2

if __name__ == "__main__":
    with Pool() as pool:
        print("first", sum(pool.map(half, range(100))), flush=True)
        print("then", sum(pool.imap_unordered(half, range(100, 200))))
"""


@pytest.mark.parametrize(
    ("requeues", "nap", "pause"),
    [
        pytest.param(1, 0.1, 0.0, marks=pytest.mark.ci),
        # A job that is warned within a minute of its start once more takes that for no end.
        pytest.param(4, 3.2, 62.0, marks=pytest.mark.campaign),
    ],
)
def test_a_script_goes_on_from_the_outcomes_of_its_tasks_at_each_requeue(
    user, cluster, requeues, nap, pause
):
    (user.place / "pool.py").write_text(POOL)
    (user.place / "pool.toml").write_text(
        "run.script = 'pool.py'\noutput = {folder = 'out', file = 'pool.h5', checkpoint = 0.1}\n"
        f"[resources]\n{TWO_NODES}\n"
    )
    user.environment["NAP"] = str(nap)
    number = user.submit(user.place / "pool.toml")

    def events(kind: str) -> list[dict]:
        return [one for one in user.events(number, "pool") if one["event"] == kind]

    for start in range(requeues):
        for _ in until("it has run for a while", PATIENCE + pause):
            begun = events("output")[start:]
            is_at_work = len(user.marks()) >= 20 * (start + 1)
            if begun and is_at_work and time.time() > begun[0]["time"] + pause:
                break
        cluster.run("scancel", "--batch", "--signal=USR1", number)
        for _ in until("the job is requeued", PATIENCE):
            if len(events("next")) > start:
                break
    found = cluster.wait(number, timeout=4 * PATIENCE)
    log = user.log(number, "pool")
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", str(requeues)), log
    marks = user.marks()
    assert set(marks) == set(range(200))
    assert len(marks) <= 200 + 2 * requeues, "those in flight alone are evaluated again"
    told = [line for line in log.splitlines() if line.startswith(("first", "then"))]
    assert told[-2:] == ["first 2475.0", "then 7475.0"]
    assert "finished, 200 tasks" in user.mpipar("status", number).stdout
