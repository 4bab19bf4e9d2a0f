"""What mpipar asks of a scheduler: any that answers will do."""

import inspect
import json
import signal
import subprocess

import pytest
from fake_scheduler import FakeScheduler, NoStarter

from mpipar.base.exit_codes import BAD_INPUT, DONE, FAILED
from mpipar.batch import leaving, node_watch, schedulers
from mpipar.batch.allocation import Allocation
from mpipar.batch.heard import Heard
from mpipar.batch.job_journal import JobJournal
from mpipar.batch.launchers import can_shrink, launcher
from mpipar.batch.node_watch import NodeWatch
from mpipar.batch.program_output import ProgramOutput
from mpipar.batch.ranks import Manners, Ranks
from mpipar.batch.scheduler import Answer, Scheduler, Starter
from mpipar.batch.slurm.scheduler import Slurm
from mpipar.batch.slurm.srun import Srun
from mpipar.command import cancel, logs, status, submit

SCRIPT = "name = 'x'\n[run]\nscript = 'x.py'\n[resources]\naccount = 'me'\n"
PORTS = [(Scheduler, Slurm), (Scheduler, FakeScheduler), (Starter, Srun), (Starter, NoStarter)]


@pytest.fixture
def fake(tmp_path, monkeypatch) -> FakeScheduler:
    """Have another scheduler, in a folder with a script, and no program of Slurm."""
    fake = FakeScheduler()
    monkeypatch.setattr(schedulers, "_IN_USE", fake)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.py").touch()
    (tmp_path / "x.toml").write_text(SCRIPT)
    return fake


def parts(port: type) -> set[str]:
    return {name for name in vars(port) if not name.startswith("_")}


@pytest.mark.parametrize(("port", "kind"), PORTS)
def test_a_scheduler_has_all_that_is_asked_for_and_the_same_parameters(port, kind):
    for name in parts(port):
        wanted, found = getattr(port, name), getattr(kind, name)
        if not isinstance(wanted, property):
            assert inspect.signature(wanted) == inspect.signature(found), name
    assert parts(Slurm) == parts(Scheduler), "and nothing more, which nobody could rely on"


def test_what_a_site_means_for_a_job_is_said_before_it_is_submitted(fake, capsys):
    for option in ("--dry-run", "--check"):
        assert submit.main(["x.toml", option]) == DONE
        assert capsys.readouterr().err == "mpipar submit: x is taken as it is\n"
    assert submit.main(["x.toml", "--dry-run", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["remarks"] == ["x is taken as it is"]
    assert fake.scripts == []


def test_jobs_are_submitted_asked_about_and_cancelled(fake, capsys, tmp_path):
    assert submit.main(["x.toml"]) == DONE
    assert capsys.readouterr().out == "70\n"
    folder = tmp_path / "runs/x"
    assert (folder / "job.fsub").read_text() == fake.script("")
    words = fake.scripts[0]
    assert words[:6] == ["fsub", "-N", "x", "-A", "me", str(folder / "job.fsub")]
    assert "mpipar.batch.step" in words[-1]

    assert status.main(["70", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["state"], told["reason"]) == ("waiting", "Q", "full")
    assert status.main([]) == DONE
    assert "it waits (full)" in capsys.readouterr().out
    assert submit.main(["x.toml"]) == BAD_INPUT
    assert "job 70 (Q) has this output already" in capsys.readouterr().err

    assert cancel.main(["70"]) == DONE
    assert fake.told == [("cancel", "70")]
    assert status.main(["70"]) == DONE
    assert "cancelled" in capsys.readouterr().out


def test_a_job_that_runs_is_signalled_and_one_that_is_suspended_is_ended(fake, monkeypatch):
    monkeypatch.setattr(cancel, "_POLL_SECONDS", 0.01)
    for state in "RS":
        submit.main(["x.toml", "--force"])
        fake.become(list(fake.jobs)[-1], state)
    assert cancel.main(["70", "71", "--grace", "0.1"]) == DONE
    assert fake.told == [("cancel", "71"), ("signal", "70"), ("cancel", "70")]


def test_what_it_is_called_is_in_what_users_are_told(fake, capsys):
    fake.refuses = True
    assert submit.main(["x.toml"]) == BAD_INPUT
    assert "fsub: not today" in capsys.readouterr().err
    fake.refuses = False
    submit.main(["x.toml"])
    fake.is_away = True
    assert submit.main(["x.toml", "--check"]) == FAILED
    assert "fsub: nobody is there" in capsys.readouterr().err
    status.main(["70"])
    assert "Fake can't be asked (fstat: nobody is there)" in capsys.readouterr().err
    fake.is_away = False
    assert logs.main(["70"]) == FAILED
    assert "no log yet, as it is waiting: it waits (full)" in capsys.readouterr().err
    fake.jobs.clear()
    status.main(["70"])
    assert "Fake has forgotten it" in capsys.readouterr().out


def test_without_a_starter_there_is_mpirun(fake, tmp_path):
    given = Allocation("1", "", "1", "x", "/", ("a", "b"), 4, 2, 0)
    for name in ("srun", "mpirun"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert launcher("srun", given).command == ["srun"]
    assert launcher(f"{tmp_path}/mpirun", given).hidden == ()
    assert not can_shrink("srun")


def test_what_is_away_is_asked_again_until_it_answers(monkeypatch):
    monkeypatch.setattr(leaving, "_PAUSE_SECONDS", 0.0)
    answers = [
        Answer("ask", "gone", is_away=True),
        Answer("ask", "gone", is_away=True),
        Answer("ask"),
    ]
    said: list[str] = []
    found = leaving.insist(lambda: answers.pop(0), is_told=lambda: False, say=said.append)
    assert found == Answer("ask")
    assert said == ["ask: gone; this is tried again until the allocation ends"]


@pytest.mark.parametrize("problem", ["refused", "who knows"])
def test_what_may_be_a_refusal_is_asked_again_for_some_minutes(monkeypatch, problem):
    monkeypatch.setattr(leaving, "_PAUSE_SECONDS", 0.0)
    answer = Answer("ask", problem, is_refused=problem == "refused")
    asked = []

    def ask() -> Answer:
        asked.append(1)
        return answer

    found = leaving.insist(ask, is_told=lambda: False, say=lambda text: None)
    assert found == answer
    assert len(asked) == (1 if answer.is_refused else leaving._DOUBTS + 1)


LOST, UNKNOWN, ALL = ["a", "c"], [], ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("answers", "lost_at"),
    [
        ({60: LOST}, 90),
        ({60: ALL, 120: LOST}, 150),
        ({60: UNKNOWN, 120: LOST}, 150),
        ({60: LOST, 90: UNKNOWN, 150: LOST}, 180),
        ({60: LOST, 90: ALL}, None),
        ({60: ["b", "c"]}, None),  # these are no nodes of this job
        ({60: ["error:"]}, None),
    ],
)
def test_a_node_is_lost_that_the_scheduler_says_is_gone_for_half_a_minute(fake, answers, lost_at):
    watch = NodeWatch("70", ["a", "b", "c"])
    found = None
    for elapsed in range(300):
        fake.left = answers.get(elapsed, fake.left)
        if watch.has_lost(elapsed):
            found = elapsed
            break
    assert found == lost_at


def test_ranks_whose_launcher_does_not_notice_a_lost_node_are_ended(fake, monkeypatch, tmp_path):
    monkeypatch.setattr(node_watch, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(node_watch, "_GRACE_SECONDS", 0.0)
    fake.left = ["a"]
    events = JobJournal(tmp_path / "x.journal", print)
    heard = Heard("70", events, print)
    output = ProgramOutput(["x.py"], events)
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as process:
        watch = NodeWatch("70", ["a", "b"])
        ranks = Ranks(process, events, heard, output, Manners(False, 60.0, False), watch)
        assert ranks.wait() == -signal.SIGTERM
    watch = NodeWatch("70", [])
    assert not watch.has_lost(1000.0), "of a job that can't lose nodes"
