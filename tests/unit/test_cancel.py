import shutil
import threading
import time
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm, job
from test_status import killed

from mpipar.batch import record
from mpipar.batch.record import Submission
from mpipar.batch.slurm import scancel
from mpipar.batch.task_numbers import tasks_of
from mpipar.command import cancel
from mpipar.command.cancel import main
from mpipar.runtime import journal
from mpipar.store.progress import progress


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setattr(cancel, "_POLL_SECONDS", 0.1)
    return FakeSlurm(tmp_path / "bin", monkeypatch)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    return killed(tmp_path_factory.mktemp("stopped") / "pi.h5")


def submitted(folder, number="12", tasks=""):
    folder.mkdir(exist_ok=True)
    outputs = {task: str(folder / f"pi{task}.h5") for task in tasks_of(tasks) or [""]}
    one = Submission(number, "pi", "", str(folder), outputs, tasks, ["sbatch"], [], time.time())
    record.add(one)
    return one


def events(one, task=""):
    return [event["event"] for event in journal.read(one.journal(task))]


def test_a_job_that_waits(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    fake.set(queue={"12": job(State="PENDING", Reason="Priority")})
    assert main(["12"]) == 0
    assert capfd.readouterr().out == "job 12 cancelled; nothing of it is done\n"
    assert fake.called("scancel") == [["--state=PENDING", "12"]]


def test_a_job_that_runs_is_told_to_stop(fake, tmp_path, capfd, stopped):
    one = submitted(tmp_path / "a")
    output = Path(one.outputs[""])
    shutil.copy(stopped, output)
    shutil.copytree(f"{stopped}.parts", f"{output}.parts")
    journal.append(one.journal(), "allocation", ranks=1, done=0)
    found = progress(output)
    fake.set(queue={"12": job()}, obeys={"State": "CANCELLED"})
    assert main([one.folder]) == 0
    assert fake.called("scancel") == [["--batch", "--signal=TERM", "--state=RUNNING", "12"]]
    assert events(one) == ["allocation", "cancel"]
    told = capfd.readouterr()
    share = 100 * found.done // found.n_blocks
    kept = (
        f"{found.done} of {found.n_blocks} blocks ({share} %) are in {output}: the same submit goes"
        " on from there"
    )
    assert told.out == f"job 12 cancelled; {kept}\n"
    assert "waiting up to 120 s for job 12 to commit what is done, and stop" in told.err


def test_a_job_that_does_not_stop(fake, tmp_path, capfd):
    one = submitted(tmp_path / "a")
    fake.set(queue={"12": job()})
    assert main(["12", "--grace", "0.5"]) == 0
    calls = fake.called("scancel")
    assert calls == [["--batch", "--signal=TERM", "--state=RUNNING", "12"], ["12"]]
    told = capfd.readouterr()
    assert "job 12 did not stop within 0.5 s; it is ended for good" in told.err
    assert told.out == "job 12 cancelled by force; nothing of it is done\n"
    assert events(one) == ["cancel"]


def test_now(fake, tmp_path, capfd):
    one = submitted(tmp_path / "a")
    fake.set(queue={"12": job()})
    assert main(["--now", "12"]) == 0
    assert fake.called("scancel") == [["12"]]
    assert capfd.readouterr().out == "job 12 cancelled; nothing of it is done\n"
    assert events(one) == ["cancel"]


def test_a_job_that_is_requeued_meanwhile_is_taken_out_of_the_queue(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    fake.set(
        queue={"12": job()}, obeys={"State": "PENDING", "RestartCnt": "1", "Reason": "BeginTime"}
    )
    assert main(["12"]) == 0
    assert fake.called("scancel") == [
        ["--batch", "--signal=TERM", "--state=RUNNING", "12"],
        ["--state=PENDING", "12"],
    ]


def test_a_job_that_is_started_again_meanwhile_is_signalled_again(fake, tmp_path):
    submitted(tmp_path / "a")
    fake.set(queue={"12": job()}, obeys={"RestartCnt": "1"})
    assert main(["12", "--grace", "1"]) == 0
    assert [len(call) for call in fake.called("scancel")] == [4, 4, 1]


def test_what_has_ended_is_said_to_have(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    submitted(tmp_path / "b", "13")
    fake.set(queue={"12": job(State="COMPLETED")})
    assert main(["12", "13"]) == 0
    told = capfd.readouterr()
    assert told.err.count("has ended already") == 2
    assert told.out == ""
    assert not fake.called("scancel")


def test_a_job_that_finishes_meanwhile(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    fake.set(queue={"12": job()}, obeys={"State": "COMPLETED"})
    assert main(["12"]) == 0
    assert capfd.readouterr().out == "job 12 had finished before it could be cancelled\n"


def test_an_array(fake, tmp_path, capfd):
    one = submitted(tmp_path / "a", tasks="1-4")
    states = {"12_1": "COMPLETED", "12_2": "RUNNING", "12_3": "RUNNING", "12_4": "PENDING"}
    fake.set(
        queue={id: job(State=state) for id, state in states.items()}, obeys={"State": "CANCELLED"}
    )
    assert main(["12"]) == 0
    assert fake.called("scancel") == [
        ["--state=PENDING", "12"],
        ["--batch", "--signal=TERM", "--state=RUNNING", "12_2", "12_3"],
    ]
    assert (
        capfd.readouterr().out == "job 12 cancelled; done: 1: the same submit goes on from there\n"
    )
    assert [events(one, task) for task in "1234"] == [[], ["cancel"], ["cancel"], []]


def test_one_task(fake, tmp_path, capfd):
    submitted(tmp_path / "a", tasks="1-4")
    fake.set(
        queue={"12_1": job(), "12_2": job(), "12_3": job(State="PENDING")},
        obeys={"State": "CANCELLED"},
    )
    assert main(["12_2", "12_3", "12_2"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        f"job 12_{task} cancelled; nothing of it is done" for task in "23"
    ]
    assert {id: fields["State"] for id, fields in fake.state["queue"].items()} == {
        "12_1": "RUNNING",
        "12_2": "CANCELLED",
        "12_3": "CANCELLED",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["99"],
        ["nowhere"],
        ["12", "99"],
        ["12", "--grace", "x"],
        ["12", "--grace", "-1"],
        ["12_7"],
    ],
)
def test_bad_input(fake, tmp_path, capfd, arguments):
    submitted(tmp_path / "a", tasks="1-4")
    assert main(arguments) == 2
    told = capfd.readouterr()
    assert told.err.startswith("mpipar cancel: error: ")
    assert told.err.count("\n") == 1
    assert not fake.calls


def test_a_job_of_another_slurm(fake, tmp_path, capfd, monkeypatch):
    one = submitted(tmp_path / "a")
    monkeypatch.setenv("SLURM_CONF", "/other.conf")
    assert main([one.folder]) == 2
    assert "job 12 is another Slurm's: the default one" in capfd.readouterr().err


def test_a_job_of_another_cluster_with_the_same_number_is_left_alone(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    for fields in ({"Name": "other"}, {"SubmitTime": str(int(time.time()) - 1000)}):
        fake.set(queue={"12": job(**fields)})
        assert main(["12", "--now"]) == 0
        assert "has ended already, or Slurm has forgotten it" in capfd.readouterr().err
    assert not fake.called("scancel")


def test_one_task_while_others_wait(fake, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(scancel, "_SIGNAL_SECONDS", 2.0)
    submitted(tmp_path / "a", tasks="1-4")
    queue = {
        "12_1": job(),
        "12_2": job(),
        "12_3": job(State="PENDING"),
        "12_4": job(State="PENDING"),
    }
    fake.set(queue=queue, obeys={"State": "CANCELLED"})
    assert main(["12_2"]) == 0
    assert capfd.readouterr().out == "job 12_2 cancelled; nothing of it is done\n"
    assert fake.called("scancel") == [["--batch", "--signal=TERM", "--state=RUNNING", "12_2"]]


def test_a_task_that_waits_while_others_do(fake, tmp_path, capfd):
    one = submitted(tmp_path / "a", tasks="1-3")
    fake.set(queue={"12_1": job(), "12_2": job(State="PENDING"), "12_3": job(State="PENDING")})
    assert main(["12_3"]) == 0
    assert {id: fields["State"] for id, fields in fake.state["queue"].items()} == {
        "12_1": "RUNNING",
        "12_2": "PENDING",
        "12_3": "CANCELLED",
    }
    assert [events(one, task) for task in "123"] == [[], [], ["cancel"]]  # Slurm forgets it at once


def test_a_job_that_can_not_handle_that_yet(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    fake.set(queue={"12": job()}, obeys={"State": "FAILED", "exit_code": "15"})
    assert main(["12"]) == 0
    assert capfd.readouterr().out == "job 12 cancelled; nothing of it is done\n"


def test_a_controller_that_is_down(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    fake.set(down=True)
    assert main(["12"]) == 1
    assert (
        capfd.readouterr().err
        == "mpipar cancel: squeue: Unable to contact slurm controller (connect failure)\n"
    )


def test_a_controller_that_is_down_for_a_while(fake, tmp_path, capfd):
    submitted(tmp_path / "a")
    fake.set(queue={"12": job()})
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main(["12", "--grace", "30"])))
    thread.start()
    while not fake.called("scancel"):
        time.sleep(0.02)
    fake.set(down=True)
    asked = len(fake.calls)
    while len(fake.calls) < asked + 2:  # in vain
        assert thread.is_alive()
        time.sleep(0.02)
    fake.set(queue={"12": job(State="CANCELLED")})
    thread.join(20)
    assert codes == [0]
    assert len(fake.called("scancel")) == 1


def test_a_job_that_slurm_can_not_end(fake, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(cancel, "_KILL_SECONDS", 0.3)
    submitted(tmp_path / "a")
    fake.set(queue={"12": job(State="COMPLETING")})
    assert main(["12", "--now"]) == 1
    assert "has not ended yet" in capfd.readouterr().err
