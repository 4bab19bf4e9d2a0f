import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pages
import pytest
from conftest import Finished, interpreter, mpirun
from fake_sbatch import FakeSlurm, job_environment
from suite.rings import in_ci

from mpipar.runtime import journal
from mpipar.store.progress import progress

TIME_LIMIT = 60

KERNELS = """
import os, signal, time
from pathlib import Path
from mpipar import ExactSum, driver

if os.environ.get("SLEEP"):  # seconds, before the ranks find each other; NAPS times
    for nap in range(int(os.environ.get("NAPS", "1"))):
        try:
            open(f"nap-{nap}", "x").close()
        except FileExistsError:
            continue
        time.sleep(float(os.environ["SLEEP"]))
        break

if os.environ.get("DIES") and not os.path.exists("died"):
    open("died", "x").close()
    os.kill(os.getpid(), signal.SIGKILL)

@driver(n="items", reduction=ExactSum, block=1)
def slow(block, *, items: int = 30, seconds: float = 0.02, kills: int = 0, at: int = 20, fail: bool = False) -> float:
    time.sleep(seconds)
    if fail:
        raise ZeroDivisionError
    for number in range(kills if block.start == at else 0):
        try:
            open(f"killed-{number}", "x").close()
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
    return sum(1.0 / (i + 1) for i in block)
"""
DRIVER = ("-m", "mpipar", "run", "kernels.py:slow", "--output=out.h5", "--checkpoint=0", "--json")

TASKS = """
import os, signal, sys
from multiprocessing import Pool

def half(x):
    with open("marks", "a") as marks:
        marks.write(f"{x}\\n")
    return x / 2

if __name__ == "__main__":
    with Pool(2) as pool:
        first = sum(pool.map(half, range(50)))
        if not os.path.exists("ended"):
            open("ended", "x").close()
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
            signal.pause()
        print(first, sum(pool.imap_unordered(half, range(50, 100))))
"""
SCRIPT = ("-m", "mpipar", "run", "--output", "out.h5", "--checkpoint=0", "tasks.py")


class Job:
    """A job that runs, or has run."""

    def __init__(
        self,
        slurm: FakeSlurm,
        options: tuple[str, ...],
        program: tuple[str, ...],
        env: dict[str, str],
    ) -> None:
        self.environment = {**os.environ, **slurm.environment, **job_environment(slurm.work), **env}
        self.id = self.environment["SLURM_JOB_ID"]
        task = self.environment.get("SLURM_ARRAY_TASK_ID")
        label = f"{self.environment['SLURM_ARRAY_JOB_ID']}_{task}" if task else self.id
        self.journal = slurm.work / f"job-{label}.journal"
        self.process = subprocess.Popen(
            interpreter(pages.with_warm_runs("mpipar.batch.step", *options, "--", *program)),
            cwd=slurm.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def events(self, kind: str) -> list[dict]:
        return [event for event in journal.read(self.journal) if event["event"] == kind]

    def wait_for(self, what: Callable[[], object]) -> None:
        until = time.monotonic() + TIME_LIMIT
        while not what():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until, "it takes too long"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> Finished:
        stdout, stderr = self.process.communicate(timeout=TIME_LIMIT)
        return Finished(self.process.returncode, stdout, stderr)

    @property
    def verdicts(self) -> list[tuple[str, int]]:
        return [(event["what"], event["code"]) for event in self.events(journal.NEXT)]

    def end(self) -> None:
        """Kill all that it has started, in whatever group."""
        mark = f"{journal.VARIABLE}={self.journal}".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    os.kill(int(path.parent.name), signal.SIGKILL)
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    slurm = FakeSlurm(tmp_path, monkeypatch)
    slurm.file("kernels.py", KERNELS)
    slurm.file("tasks.py", TASKS)
    return slurm


Begin = Callable[..., Job]


@pytest.fixture
def begin(slurm) -> Iterator[Begin]:
    """Return how to start the step of a job."""
    jobs: list[Job] = []

    def begin(
        *program: str, options: tuple[str, ...] = ("--serial",), ranks: int = 1, **env: str
    ) -> Job:
        of_ranks = {"SLURM_NTASKS": str(ranks), "SLURM_TASKS_PER_NODE": str(ranks)}
        jobs.append(
            Job(slurm, options if ranks == 1 else options[1:], program, {**of_ranks, **env})
        )
        return jobs[-1]

    yield begin
    for job in jobs:
        job.end()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> float:
    """The value that all runs of the driver must have."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "kernels.py").write_text(KERNELS)
    return mpirun(2, *DRIVER[:-1], "--seconds=0", "--json", cwd=folder).json["value"]


def said(log: str) -> list[str]:
    """Return what a job's log says of it, without numbers, and without the names of the job and of
    its nodes.
    """
    lines = re.findall(r"^mpipar: job \S+: (.*)$", log, re.MULTILINE)
    return [re.sub(r"\d+", "#", re.sub(r"(?<= ranks on )[^;]+", "…", line)) for line in lines]


def value(ended: Finished) -> float:
    assert ended.code == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])["value"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_job_that_nothing_happens_to(begin, slurm, undisturbed, ranks):
    job = begin(*DRIVER, ranks=ranks)
    ended = job.ended()
    assert value(ended) == undisturbed
    assert [line for line in ended.stderr.splitlines() if line.startswith("mpipar: ")] == [
        (
            f"mpipar: job job-{job.id}: {ranks} rank{'s' * (ranks > 1)} on"
            f" {job.environment['SLURM_JOB_NODELIST']}"
        ),
        f"mpipar: job job-{job.id}: done",
    ]
    kinds = [event["event"] for event in journal.read(job.journal)]
    assert kinds == ["step", "allocation", "started", "output", "ended", "next"]
    assert job.events("started")[0]["ranks"] == ranks
    assert job.events("output")[0]["path"] == str(slurm.work / "out.h5")
    assert job.verdicts == [("exit", 0)]
    assert slurm.calls("scontrol") == slurm.calls("scancel") == []


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("option", "code"), [("--fail", 1), ("--items=x", 2)])
def test_the_exit_code_of_the_program_is_that_of_the_job(begin, ranks, option, code):
    job = begin(*DRIVER, option, ranks=ranks)
    assert job.ended().code == code
    assert job.verdicts == [("exit", code)], "it isn't started again"


def test_the_exit_code_of_any_program_is_that_of_the_job(begin):
    assert begin("-c", "raise SystemExit(7)").ended().code == 7
    assert begin("-c", "import os; os.kill(os.getpid(), 9)").ended().code == 137


def test_a_script_with_a_pool_that_has_ended_with_0_is_done(begin, slurm):
    slurm.file("own.py", "from mpipar import Pool\nwith Pool(1) as pool: pool.map(abs, [-3])\n")
    job = begin("own.py", ranks=2)
    ended = job.ended()
    assert ended.code == 0, ended.stderr
    assert job.events("started")
    assert job.verdicts == [("exit", 0)]
    assert said(ended.stderr)[-1] == "done"


def test_a_warning_makes_it_commit_and_be_requeued_and_go_on_later(begin, slurm, undisturbed):
    job = begin(*DRIVER, "--items=30", "--seconds=0.1", ranks=2)
    job.wait_for(lambda: (found := progress(slurm.work / "out.h5")) and found.done)
    job.send(signal.SIGUSR1)
    ended = job.ended()
    assert ended.code == -signal.SIGTERM, "Slurm has ended it"
    assert [call.arguments for call in slurm.calls("scontrol")] == [["requeue", job.id]]
    assert slurm.calls("scancel") == []
    assert job.verdicts == [("requeue", 75)]
    assert [event["name"] for event in job.events("signal")] == ["SIGUSR1"]
    assert "stopped early, with its checkpoint committed; requeued" in ended.stderr

    again = begin(
        *DRIVER,
        "--items=30",
        "--seconds=0.1",
        ranks=2,
        SLURM_JOB_ID=job.id,
        SLURM_RESTART_COUNT="1",
    )
    went_on = again.ended()
    assert value(went_on) == undisturbed
    first, second = job.events("allocation")
    assert (first["restart"], first["done"]) == (0, None)
    assert (second["restart"], second["done"] > 0) == (1, True)
    assert second["command"][-1] == "--resume"
    assert "--resume" not in first["command"]
    log = [*said(ended.stderr), *said(went_on.stderr)]
    assert log[:3] == said(pages.illustrations("docs/slurm.md")[-1]), "as the guide shows it"


@pytest.mark.parametrize("refused", [False, True])
def test_what_may_not_be_requeued_ends_with_its_exit_code(begin, slurm, refused):
    if refused:
        slurm.refuse("scontrol", "slurm_requeue error: Requested operation is presently disabled\n")
    job = begin(
        *DRIVER, "--seconds=0.2", options=("--serial", *([] if refused else ["--no-requeue"]))
    )
    job.wait_for(lambda: job.events("output"))
    job.send(signal.SIGUSR1)
    ended = job.ended()
    assert ended.code == 75
    assert "the same submission goes on from there" in ended.stderr
    assert len(slurm.calls("scontrol")) == refused
    assert ("presently disabled" in ended.stderr) == refused


@pytest.mark.ci
def test_a_requeue_is_asked_for_until_there_is_a_controller(begin, slurm):
    slurm.refuse("scontrol", "Unable to contact slurm controller (connect failure) for job 7\n")
    job = begin(*DRIVER, "--seconds=0.2")
    job.wait_for(lambda: job.events("output"))
    job.send(signal.SIGUSR1)
    job.wait_for(lambda: len(slurm.calls("scontrol")) >= 2)
    (slurm.folder / "scontrol.refuses").unlink()
    ended = job.ended()
    assert ended.code == -signal.SIGTERM, "Slurm has ended it"
    told = [line for line in ended.stderr.splitlines() if "job" in line]
    assert sum("Unable to contact slurm controller" in line for line in told) == 1
    assert "tried again until the allocation ends" in ended.stderr
    assert [line.endswith("; requeued") for line in told] == [False] * (len(told) - 1) + [True]


def test_a_job_that_was_renamed_while_it_waited_keeps_its_journal(begin, slurm):
    job = begin("-c", "", options=("--serial", "--name=pi"), SLURM_JOB_NAME="renamed")
    assert job.ended().code == 0
    assert (slurm.work / f"pi-{job.id}.journal").exists()


def test_a_warning_in_the_prologue_counts(begin):
    job = begin(*DRIVER, "--seconds=0.2", MPIPAR_WARNED="1")
    assert job.ended().code == -signal.SIGTERM
    assert job.verdicts == [("requeue", 75)]


def test_what_is_cancelled_now_does_not_commit(begin, slurm):
    job = begin(*DRIVER, "--seconds=20")
    job.wait_for(lambda: job.events("output"))
    journal.append(job.journal, journal.CANCEL, now=True)
    os.killpg(job.process.pid, signal.SIGTERM)
    assert job.ended().code == -signal.SIGTERM
    assert job.verdicts[0][0] == "cancel"
    assert job.events("ended") == []


def test_a_job_that_is_told_to_end_commits_and_is_not_requeued(begin, slurm):
    job = begin(*DRIVER, "--seconds=0.1", ranks=2)
    job.wait_for(lambda: job.events("output"))
    job.send(signal.SIGTERM)
    assert job.ended().code == 75
    assert job.verdicts == [("exit", 75)]
    assert job.events("next")[0]["reason"] == "told to stop"
    assert slurm.calls("scontrol") == slurm.calls("scancel") == []


def test_a_job_that_its_user_has_cancelled_ends_as_cancelled(begin, slurm):
    job = begin(*DRIVER, "--seconds=0.1")
    job.wait_for(lambda: job.events("output"))
    journal.append(job.journal, journal.CANCEL)
    job.send(signal.SIGUSR1)
    assert job.ended().code == -signal.SIGTERM
    assert [call.arguments for call in slurm.calls("scancel")] == [[job.id]]
    assert slurm.calls("scontrol") == []
    assert job.verdicts == [("cancel", 75)]


@pytest.mark.parametrize("ranks", [1, *in_ci(2)])
def test_what_is_killed_is_started_again_and_goes_on_from_its_checkpoint(begin, undisturbed, ranks):
    job = begin(*DRIVER, "--kills=2", ranks=ranks)
    assert value(job.ended()) == undisturbed
    assert [what for what, _ in job.verdicts] == ["again", "again", "exit"]
    done = [event["done"] for event in job.events("allocation")]
    assert done[0] is None
    assert 0 < done[1] <= done[2]
    assert [event["command"][-1] == "--resume" for event in job.events("allocation")] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("ranks", [1, *in_ci(2)])
def test_a_script_that_is_killed_goes_on_from_the_outcomes_of_its_tasks(begin, slurm, ranks):
    job = begin(*SCRIPT, "SIGKILL", ranks=ranks)
    ended = job.ended()
    assert (ended.code, ended.stdout.splitlines()[-1]) == (0, "612.5 1862.5"), ended.stderr
    assert [what for what, _ in job.verdicts] == ["again", "exit"]
    assert [event["command"][-1] for event in job.events("allocation")] == ["SIGKILL"] * 2
    assert "--resume" not in job.events("allocation")[0]["command"]
    assert "--resume" in job.events("allocation")[1]["command"][:-2]
    assert "; 50 tasks are done" in ended.stderr
    assert sorted(map(int, (slurm.work / "marks").read_text().split())) == [*range(100)]


def test_a_script_that_is_warned_commits_and_is_requeued(begin, slurm):
    job = begin(*SCRIPT, "SIGUSR1")
    ended = job.ended()
    assert ended.code == -signal.SIGTERM, ended.stderr
    assert job.verdicts == [("requeue", 75)]
    again = begin(*SCRIPT, "SIGUSR1", SLURM_JOB_ID=job.id, SLURM_RESTART_COUNT="1").ended()
    assert (again.code, again.stdout) == (0, "612.5 1862.5\n"), again.stderr
    assert sorted(map(int, (slurm.work / "marks").read_text().split())) == [*range(100)]


@pytest.mark.parametrize(("attempts", "starts"), [("3", 3), ("1", 1)])
def test_what_gets_no_further_is_given_up(begin, slurm, attempts, starts):
    job = begin(*DRIVER, "--kills=99", "--at=0", options=("--serial", "--attempts", attempts))
    ended = job.ended()
    assert ended.code == 137
    assert [what for what, _ in job.verdicts] == ["again"] * (starts - 1) + ["exit"]
    assert f"given up, as {starts} starts in a row got no further" in ended.stderr
    assert len(list(slurm.work.glob("killed-*"))) == starts


def test_what_was_killed_before_it_had_an_output_is_not_started_again(begin):
    job = begin("-m", "mpipar", "run", "kernels.py:slow", "--kills=1")
    ended = job.ended()
    assert ended.code == 137
    assert job.verdicts == [("exit", 137)]
    assert "there is no checkpoint to go on from" in ended.stderr


def test_ranks_that_do_not_find_each_other_in_time_are_started_again(begin, slurm, undisturbed):
    site = slurm.file("site.toml", "start_seconds = 2")
    job = begin(*DRIVER, options=("--serial", "--site", str(site)), SLEEP="50")
    assert value(job.ended()) == undisturbed
    assert [what for what, _ in job.verdicts] == ["again", "exit"]
    assert "did not find each other" in job.events("next")[0]["reason"]


def test_a_warning_that_comes_too_early_is_held_until_the_output_is_open(begin, slurm):
    job = begin(*DRIVER, "--seconds=0.2", SLEEP="1")
    job.wait_for(lambda: (slurm.work / "nap-0").exists())
    job.send(signal.SIGUSR1)
    assert job.ended().code == -signal.SIGTERM
    assert job.verdicts == [("requeue", 75)]
    assert [event["event"] for event in journal.read(job.journal)] == [
        *("step", "allocation", "signal", "started", "output", "ended", "next")
    ]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_script_that_does_not_care_about_the_warning_outlives_it(begin, slurm, ranks):
    slurm.file(
        "script.py",
        "import time\nopen('begun', 'x').close()\ntime.sleep(1)\nopen('ended', 'x').close()\n",
    )
    job = begin("-m", "mpipar", "run", "script.py", ranks=ranks)
    job.wait_for(lambda: (slurm.work / "begun").exists())
    job.send(signal.SIGUSR1)
    ended = job.ended()
    assert ended.code == 0, ended.stderr
    assert (slurm.work / "ended").exists()
    assert job.verdicts == [("exit", 0)]


SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


def test_a_task_of_an_array_gets_its_number_and_has_a_journal_of_its_own(begin):
    job = begin(
        "-c",
        SHOW,
        "{task}",
        "a{task}-{task}.h5",
        "{tasks}",
        SLURM_ARRAY_JOB_ID="9",
        SLURM_ARRAY_TASK_ID="4",
    )
    assert json.loads(job.ended().stdout)[0] == ["4", "a4-4.h5", "{tasks}"]
    assert job.journal.name == "job-9_4.journal"
    assert job.verdicts == [("exit", 0)]


def test_arguments_reach_the_program_as_they_are(begin):
    words = ["a b", "", "\n", "$(touch canary)", "--", "-x", "--serial", "é"]
    assert json.loads(begin("-c", SHOW, *words).ended().stdout)[0] == words


def test_ranks_are_told_of_the_journal_and_the_workers(begin, slurm):
    folder = slurm.work / "folder"
    folder.mkdir()
    options = ("--serial", "--workers", "3", "--folder", "folder")
    job = begin("-c", SHOW, options=options, SLURM_EXPORT_ENV="NONE", MINE="x")
    environment = json.loads(job.ended().stdout)[1]
    assert environment[journal.VARIABLE] == str(folder / job.journal.name)
    assert environment["MPIPAR_WORKERS"] == "3"
    assert environment["MINE"] == "x"
    assert "SLURM_EXPORT_ENV" not in environment, "srun would start ranks with nothing"


RUN = '#!/bin/bash\necho "$1" >> ranks\nshift\nexec "$@"\n'


@pytest.mark.parametrize("dies", ["", "before it has an output"])
@pytest.mark.parametrize("shrink", [False, True])
def test_a_lost_node_is_noticed(begin, slurm, undisturbed, shrink, dies):
    slurm.file("launch", RUN).chmod(0o755)
    site = slurm.file("site.toml", f"launcher = '{slurm.work}/launch {{ranks}}'")
    slurm.refuse("srun", "srun: error: Node failure on n2\n")
    nodes = {"SLURM_JOB_NODELIST": "n1,n2", "SLURM_JOB_NUM_NODES": "2", "SLURMD_NODENAME": "n1"}
    spread = {"SLURM_NTASKS": "4", "SLURM_TASKS_PER_NODE": "2(x2)"}
    options = ("--site", str(site), *(["--shrink"] if shrink else []))
    kills = 0 if dies else 1
    job = begin(*DRIVER, f"--kills={kills}", options=options, DIES=dies, **nodes, **spread)
    ended = job.ended()
    (call,) = slurm.calls("srun")
    assert "--nodelist=n2" in call.arguments
    assert call.arguments[-1] == "true"
    assert job.events("next")[0]["reason"] == "1 node lost"
    if shrink:
        assert value(ended) == undisturbed
        assert [event["nodes"] for event in job.events("allocation")] == [["n1", "n2"], ["n1"]]
        assert (slurm.work / "ranks").read_text() == "4\n2\n"
        assert slurm.calls("scontrol") == []
    else:
        assert ended.code == -signal.SIGTERM
        assert [call.arguments for call in slurm.calls("scontrol")] == [["requeue", job.id]]


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        ([], {}, "expected what follows python on the command line"),
        (["--serial"], {}, "expected what follows python on the command line"),
        (["--serial", "--"], {}, "expected what follows python on the command line"),
        (["-m", "mpipar.pi"], {}, "expected what follows python on the command line"),
        (["--nonsense", "--", "x.py"], {}, "--nonsense"),
        (["--ser", "--", "x.py"], {}, "--ser"),
        (["--attempts", "many", "--", "x.py"], {}, "--attempts"),
        (["--serial", "--", "x.py"], {"SLURM_JOB_ID": ""}, "submit it by sbatch"),
        (["--site", "none.toml", "--", "x.py"], {}, "none.toml: No such file"),
        (["--site", "site.toml", "--", "x.py"], {}, "launcher: there is no program 'nonsense'"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(slurm, arguments, env, said):
    slurm.file("site.toml", "launcher = 'nonsense'")
    env = {**job_environment(slurm.work), **env}
    ended = slurm.run(sys.executable, "-m", "mpipar.batch.step", *arguments, env=env)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("mpipar: error: ")
    assert said in ended.stderr


def test_a_journal_that_can_not_be_written_is_kept_elsewhere(begin, undisturbed, tmp_path):
    job = begin(*DRIVER, options=("--serial", "--folder", "/dev/null"), TMPDIR=str(tmp_path))
    ended = job.ended()
    assert value(ended) == undisturbed
    assert ended.stderr.count(" rank on ") == 1
    assert "can't write to /dev/null" in ended.stderr
    (elsewhere,) = tmp_path.glob("mpipar-*/*.journal")
    assert [event["event"] for event in journal.read(elsewhere)][-1] == journal.NEXT


@pytest.mark.ci
def test_ranks_go_on_though_the_journal_is_removed(begin, slurm, undisturbed):
    site = slurm.file("site.toml", "start_seconds = 2")
    job = begin(*DRIVER, "--seconds=0.5", options=("--serial", "--site", str(site)))
    job.wait_for(lambda: job.events("output"))
    job.journal.unlink()
    ended = job.ended()
    assert value(ended) == undisturbed
    assert ended.stderr.count(" rank on ") == 1


def test_a_warning_does_not_end_a_program_of_another_kind(begin, slurm):
    slurm.file(
        "plain.py",
        "import pathlib, time\npathlib.Path('began').touch()\ntime.sleep(3)\nprint('whole')\n",
    )
    job = begin("plain.py")
    job.wait_for(lambda: (slurm.work / "began").exists())
    job.send(signal.SIGUSR1)
    ended = job.ended()
    assert (ended.code, ended.stdout) == (0, "whole\n"), ended.stderr


def test_a_program_that_handles_the_warning_may_have_it(begin, slurm):
    slurm.file(
        "plain.py",
        "import pathlib, signal, sys, time\nsignal.signal(signal.SIGUSR1, lambda *_:"
        " sys.exit('warned'))\npathlib.Path('began').touch()\ntime.sleep(30)\n",
    )
    job = begin("plain.py", options=("--serial", "--pass-usr1"))
    job.wait_for(lambda: (slurm.work / "began").exists())
    job.send(signal.SIGUSR1)
    ended = job.ended()
    assert ended.code == 1
    assert "warned" in ended.stderr


def test_what_was_killed_before_it_could_tell_of_its_output_is_resumed(begin, slurm, undisturbed):
    killed = slurm.run(sys.executable, *DRIVER, "--kills=1")
    assert killed.code == -signal.SIGKILL
    journal.append(
        slurm.work / "job-777.journal", journal.ALLOCATION, done=None
    )  # the first start of the job
    ended = begin(*DRIVER, "--kills=1", SLURM_JOB_ID="777").ended()
    assert value(ended) == undisturbed
    assert json.loads(ended.stdout.splitlines()[-1])["resumed_blocks"] > 0
