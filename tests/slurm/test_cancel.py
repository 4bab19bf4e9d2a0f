"""Tasks of arrays are cancelled one by one, jobs before they can handle that, and never a job of
another cluster.
"""

import pytest
from suite.limits import until

from slurm.jobs import User

ARRAY = {"resources": "ranks = 1", "array": "tasks = 6\nat_once = 2"}


def wait_for_output(user: User, number: str) -> None:
    for _ in until(f"job {number} has its output", 60):
        if any(event["event"] == "output" for event in user.events(number)):
            return


def states(user: User, number: str, tasks: str) -> list[str]:
    return [user.cluster.wait(f"{number}_{task}", timeout=120)["JobState"] for task in tasks]


def test_tasks_while_others_wait_and_run(user):
    """One that runs, and the last one, which waits; the others go on."""
    number = user.submit(user.slow_job(items=60, **ARRAY))
    wait_for_output(user, f"{number}_2")
    ended = user.mpipar("cancel", f"{number}_2")
    assert ended.code == 0, ended.stderr
    assert f"job {number}_2 cancelled; " in ended.stdout
    assert user.cluster.job(f"{number}_2")["JobState"] == "CANCELLED", user.log(f"{number}_2")
    assert [event["event"] for event in user.events(f"{number}_2")].count("signal") == 1
    ended = user.mpipar("cancel", f"{number}_6")
    assert (ended.code, ended.stdout) == (
        0,
        f"job {number}_6 cancelled; nothing of it is done\n",
    ), ended.stderr
    user.hurry()
    assert states(user, number, "12345") == [
        "COMPLETED",
        "CANCELLED",
        *["COMPLETED"] * 3,
    ]  # of 6 Slurm knows nothing
    told = user.mpipar("status", "out").stdout
    assert "an array of 6 tasks: 4 done; 2 cancelled: 2, 6" in told


@pytest.mark.ci
def test_the_last_task_alone_while_it_runs(user):
    number = user.submit(user.slow_job(items=80, resources="ranks = 1", array="tasks = 2"))
    wait_for_output(user, f"{number}_2")
    ended = user.mpipar("cancel", f"{number}_2")
    assert ended.code == 0, ended.stderr
    assert f"job {number}_2 cancelled; " in ended.stdout
    user.hurry()
    assert states(user, number, "12") == ["COMPLETED", "CANCELLED"]


@pytest.mark.ci
def test_a_whole_array_while_tasks_wait(user):
    number = user.submit(user.slow_job(items=500, **ARRAY))
    wait_for_output(user, f"{number}_2")
    ended = user.mpipar("cancel", "out")
    assert ended.code == 0, ended.stderr
    assert f"job {number} cancelled; 2 tasks have committed some blocks" in ended.stdout
    assert states(user, number, "12") == ["CANCELLED"] * 2


@pytest.mark.ci
def test_a_job_that_is_cancelled_in_its_prologue(user, cluster):
    """No one handles the signal there: Slurm has it that the job failed."""
    (user.place / "site.toml").write_text("prologue = '''\ntouch begun\nsleep 60\n'''\n")
    number = user.submit(user.slow_job(items=20), "--site", "site.toml")
    for _ in until("the prologue runs", 30):
        if (user.place / "begun").exists():
            break
    ended = user.mpipar("cancel", number)
    assert (ended.code, ended.stdout) == (0, f"job {number} cancelled; nothing of it is done\n"), (
        ended.stderr
    )
    told = user.mpipar("status", number).stdout
    assert f"job {number} (slow): cancelled" in told
    assert "exit code" not in told


def test_a_job_that_was_renamed_is_cancelled(user, cluster):
    """It is known by the time at which it was submitted."""
    number = user.submit(user.slow_job(items=500))
    name = cluster.run("scontrol", "show", "config").stdout.partition("ClusterName")[2].split()[1]
    assert f'"cluster": "{name}"' in (user.place / "out/submissions.jsonl").read_text()
    cluster.run("scontrol", "update", f"JobId={number}", "JobName=another")
    assert number in user.mpipar("submit", "slow.toml").stderr, "it has the output still"
    ended = user.mpipar("cancel", "--now", number)
    assert (ended.code, "has ended already" in ended.stderr) == (0, False), ended
    assert cluster.wait(number)["JobState"] == "CANCELLED"


@pytest.mark.ci
def test_a_job_whose_folder_is_removed(user, cluster):
    """Slurm can't open its log, and says that by a signal that no one sent."""
    first = user.submit(user.slow_job(items=80))
    second = user.submit("slow.toml", "--set", "output.folder=second", "--after", first)
    for path in sorted((user.place / "second").iterdir()):
        path.unlink()
    (user.place / "second").rmdir()
    told = user.mpipar("status").stdout
    assert f"job {second} (slow): waiting" in told
    assert "its folder is gone" in told
    user.hurry()
    assert cluster.wait(second)["JobState"] == "FAILED"
    told = user.mpipar("status", second).stdout
    assert "Slurm could not open its log" in told
    assert "exit code" not in told
