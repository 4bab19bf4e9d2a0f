import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from fake_slurm import FakeSlurm, account, job

from mpipar.batch import record
from mpipar.batch.job_status import examine
from mpipar.batch.named_jobs import named
from mpipar.batch.queue_states import open_states
from mpipar.batch.record import Submission
from mpipar.batch.slurm import calls
from mpipar.batch.task_numbers import tasks_of
from mpipar.command.status import main
from mpipar.runtime import journal
from mpipar.store.progress import progress
from mpipar.store.task_file import Span, TaskStore
from mpipar.view.job_text import duration, some_ranges, why

STEPS = ["--steps", "2e9", "--checkpoint", "0.1"]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SLURM_CONF", raising=False)
    # On a busy machine the fake's programs take as long as a controller that is away.
    monkeypatch.setattr(calls, "_SOON", 30.0)
    return FakeSlurm(tmp_path / "bin", monkeypatch)


@pytest.fixture
def submitted(tmp_path):
    """Return a function that puts a submission on record."""

    def submit(number="12", tasks="", name="pi", age=60.0, **more):
        folder = tmp_path / f"{name.splitlines()[0]}{number}"
        folder.mkdir(exist_ok=True)
        numbers = tasks_of(tasks) or [""]
        outputs = {task: str(folder / f"pi{task}.h5") for task in numbers}
        when = time.time() - age
        one = Submission(
            number, name, more.get("cluster", ""), str(folder), outputs, tasks, ["sbatch"], [], when
        )
        record.add(one)
        return one

    return submit


def driver(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mpipar.pi", *arguments]


def run(*arguments: str) -> int:
    return subprocess.run(
        driver(*arguments), check=False, capture_output=True, timeout=90
    ).returncode


def begin(output: Path, *arguments: str) -> subprocess.Popen:
    """Start a run, and wait until it has committed some blocks."""
    process = subprocess.Popen(
        driver(*STEPS, *arguments, "--output", str(output)), stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not ((found := progress(output)) and found.done) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    return process


def killed(output: Path) -> Path:
    """Start a run, kill it, and return its output."""
    process = begin(output)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return output


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    return killed(tmp_path_factory.mktemp("stopped") / "pi.h5")


def copied(output: Path, target: Path) -> Path:
    shutil.copy(output, target)
    shutil.copytree(f"{output}.parts", f"{target}.parts")
    return target


def test_progress_of_a_run_that_goes_on_and_of_one_that_was_told_to_stop(tmp_path):
    output = tmp_path / "pi.h5"
    process = begin(output, "--steps", "1e11")  # it is told to stop long before
    seen = []
    for _ in range(50):
        found = progress(output)
        assert found is not None
        assert not found.finished
        assert found.before == 0
        seen.append(found.done)
        time.sleep(0.01)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= found.n_blocks
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:  # the root writes all anew, and removes the logs
        seen.append(progress(output).done)
    assert process.returncode == 75
    assert seen == sorted(seen)
    found = progress(output)
    assert found.done >= seen[-1]
    assert abs(found.committed - time.time()) < 60
    assert found.whole
    assert found.before == found.done


def test_progress_is_what_resume_finds(stopped, tmp_path):
    output = copied(stopped, tmp_path / "pi.h5")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    found = progress(output)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    process = subprocess.run(
        driver(*STEPS, "--output", str(output), "--resume", "--json"),
        capture_output=True,
        check=True,
        timeout=90,
    )
    assert json.loads(process.stdout)["resumed_blocks"] == found.done
    assert json.loads(process.stdout)["n_blocks"] == found.n_blocks
    after = progress(output)
    assert (after.done, after.n_blocks, after.finished) == (found.n_blocks, found.n_blocks, True)


def test_progress_of_datasets(tmp_path):
    output = tmp_path / "roots.h5"
    command = [
        sys.executable,
        "-m",
        "mpipar.roots",
        "--over",
        "0",
        "1",
        "--points",
        "1e5",
        "--output",
        str(output),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=90)
    found = progress(output)
    assert (found.finished, found.done, found.skipped) == (True, found.n_blocks, 0)


def test_progress_with_skipped_blocks(tmp_path):
    (tmp_path / "f.py").write_text(
        "from mpipar import driver, Count\n"
        "@driver(n='items', reduction=Count, block=10)\n"
        "def f(block, *, items: int = 100):\n"
        "    if block.start == 50: raise ValueError('no')\n"
        "    return len(block)\n"
    )
    command = [
        sys.executable,
        "-m",
        "mpipar",
        "run",
        "f.py:f",
        "--on-error",
        "skip",
        "--output",
        "f.h5",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=90, cwd=tmp_path)
    found = progress(tmp_path / "f.h5")
    assert (found.done, found.n_blocks, found.skipped, found.finished) == (9, 10, 1, True)


def test_files_that_are_not_of_a_run(tmp_path):
    path = tmp_path / "x.h5"
    assert progress(path) is None
    assert progress(Path("/\0")) is None
    assert progress(tmp_path) is None
    os.mkfifo(tmp_path / "pipe")
    assert progress(tmp_path / "pipe") is None
    path.write_bytes(b"")
    assert progress(path) is None
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    assert progress(path) is None
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert progress(path) is None
    with h5py.File(path, "a") as file:
        file.attrs.update(mpipar_format=2, finished=False)
    assert progress(path) is None
    with h5py.File(path, "a") as file:
        file.attrs.update(finished=True)
    assert progress(path) is None


def test_damaged_files(stopped, tmp_path):
    whole = progress(stopped).done
    data = stopped.read_bytes()
    path = copied(stopped, tmp_path / "pi.h5")
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        found = progress(path)
        assert found is None or found.done <= whole
    for place in range(0, len(data), 61):
        path.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
        found = progress(path)
        assert found is None or 0 <= found.done <= whole
    path.write_bytes(data)
    log = next(Path(f"{path}.parts").glob("*.log"))
    records = log.read_bytes()
    for length in range(0, len(records), max(1, len(records) // 50)):
        log.write_bytes(records[:length])
        assert 0 <= progress(path).done <= whole
    log.write_bytes(records[:30] + b"\0" + records[31:])
    assert 0 <= progress(path).done <= whole


def test_there_may_be_too_many_commits_to_read(stopped):
    found = progress(stopped, seconds=0.0)
    assert not found.whole
    assert found.done <= progress(stopped).done


def test_a_file_that_is_locked_by_another_program(stopped, tmp_path):
    path = copied(stopped, tmp_path / "pi.h5")
    with h5py.File(path, "r+"):
        code = f"from mpipar.store.progress import *; print(progress(Path({str(path)!r})).done)"
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
    assert int(told.stdout) == progress(stopped).done


def test_no_job(fake, capsys):
    assert main([]) == 0
    assert "no job waits, runs or has ended in the last day" in capsys.readouterr().out
    assert main(["--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not fake.calls


@pytest.mark.parametrize("arguments", [["99"], ["nowhere"], ["12_5"], ["--nonsense"], ["99\n"]])
def test_names_that_are_no_jobs(fake, submitted, capsys, arguments):
    submitted("12")
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith("mpipar status: error: ")
    assert told.err.count("\n") == 1
    assert not told.out


def test_help(capsys):
    assert main(["--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_a_job_that_waits(fake, submitted, capsys):
    submitted("12")
    fake.set(
        queue={
            "12": job(
                State="PENDING", Reason="Resources", NodeList="", TimeUsed="0:00", RestartCnt="1"
            )
        }
    )
    assert main(["12"]) == 0
    out = capsys.readouterr().out
    assert "job 12 (pi): waiting, requeued 1 time\n" in out
    assert "why: it is next, as soon as enough nodes are free (Resources)" in out
    assert "pi-12.out (not there yet)" in out


@pytest.mark.parametrize("done", [0, None])
def test_a_job_that_runs(fake, submitted, stopped, capsys, monkeypatch, done):
    one = submitted("12")
    output = copied(stopped, Path(one.outputs[""]))
    found = progress(output)
    now = found.committed
    monkeypatch.setattr("mpipar.batch.job_status.time.time", lambda: now)
    journal.append(
        one.journal(),
        "allocation",
        restart=1,
        nodes=["n1"],
        ranks=2,
        workers=None,
        done=done,
        command=[],
    )
    journal.append(one.journal(), "output", path=str(output))
    events = journal.read(one.journal())
    events[0]["time"] = now - 10.0
    one.journal().write_text("".join(json.dumps(event) + "\n" for event in events))
    left = found.n_blocks - found.done
    rate = found.done / 10.0
    fake.set(queue={"12": job(TimeUsed="0:10", TimeLimit="0:12", RestartCnt="1")})
    assert main(["12", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rate"] == pytest.approx(rate)
    assert facts["remaining"] == pytest.approx(left / rate)
    assert facts["allocations"] == max(0, -int(-(left / rate - 2) // 12))
    assert (facts["outcome"], facts["blocks"], facts["n_blocks"]) == (
        "running",
        found.done,
        found.n_blocks,
    )
    assert main([one.folder]) == 0
    out = capsys.readouterr().out
    assert "job 12 (pi): running on n[1-2], 0:00:10 of 0:00:12, requeued 1 time\n" in out
    assert f"{found.done} of {found.n_blocks} blocks (" in out
    assert "blocks/s, done in about" in out


def test_the_result_of_an_earlier_job_is_not_that_of_one_that_waits(
    fake, submitted, capsys, tmp_path
):
    one = submitted("12")
    assert run("--steps", "1e6", "--output", one.outputs[""]) == 0
    fake.set(queue={"12": job(State="PENDING", Reason="Priority")})
    assert main(["12", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocks"] is None
    fake.set(queue={"12": job(State="COMPLETED")})
    assert main(["12"]) == 0
    assert "finished, " in capsys.readouterr().out


def test_a_job_that_failed(fake, submitted, capsys):
    one = submitted("12")
    journal.append(
        one.journal(),
        "allocation",
        restart=0,
        nodes=["n1"],
        ranks=2,
        workers=None,
        done=None,
        command=[],
    )
    journal.append(
        one.journal(), "next", what="exit", code=1, reason="ended with exit code 1", done=None
    )
    fake.set(queue={"12": job(State="FAILED", Reason="NonZeroExitCode", exit_code="256")})
    assert main(["12"]) == 0
    out = capsys.readouterr().out
    assert "job 12 (pi): failed, 0:10:00 of 1:00:00, exit code 1" in out
    assert "the journal's last word: it ended, with code 1: ended with exit code 1" in out
    assert str(one.log()) in out


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        ({"what": "exit", "code": 0}, "done"),
        ({"what": "exit", "code": 75}, "stopped early"),
        ({"what": "exit", "code": 1}, "failed"),
        ({"what": "requeue", "code": 75}, "ended without a word"),
        ({"what": "cancel", "code": 75}, "ended without a word"),
        (None, "ended without a word"),
    ],
)
def test_a_job_that_slurm_does_not_remember(fake, submitted, capsys, last, outcome):
    one = submitted("12")
    journal.append(one.journal(), "allocation", restart=0, ranks=2, done=0)
    if last:
        journal.append(one.journal(), "next", reason="x", done=3, **last)
    if last and last["what"] == "cancel":
        journal.append(one.journal(), "cancel")
        outcome = "cancelled"
    assert main(["12"]) == 0
    assert f"job 12 (pi): {outcome}; Slurm has forgotten it" in capsys.readouterr().out


def test_a_job_that_nobody_remembers(fake, submitted, capsys):
    submitted("12")
    assert main(["12"]) == 0
    assert "gone: Slurm has forgotten it, and it left no result" in capsys.readouterr().out


def test_a_journal_with_anything_in_it(fake, submitted, capsys):
    one = submitted("12")
    one.journal().write_text(
        '{"event": "allocation", "time": "x", "done": [], "restart": "y"}\n{"event":'
        ' "next"}\n{"event": "\\u001b[2J"}\n[]\n{"event"\n{"event": "output", "path": 5}\n{"event":'
        ' "allocation"}\n{"event": "next", "code": "a"}\n'
    )
    for known in ({}, {"12": job()}, {"12": job(State="FAILED")}):
        fake.set(queue=known)
        assert main(["12"]) == 0
        assert "\033" not in capsys.readouterr().out


def test_an_array(fake, submitted, capsys):
    one = submitted("12", tasks="1-12")
    journal.append(one.journal("4"), "allocation", ranks=1, done=0)
    fake.set(
        queue={
            **{f"12_{task}": job(State="COMPLETED") for task in range(1, 8)},
            "12_4": job(State="FAILED", exit_code="768"),
            "12_8": job(),
            "12_9": job(),
            **{f"12_{task}": job(State="PENDING", Reason="JobArrayTaskLimit") for task in (10, 11)},
            "12": job(State="CANCELLED"),
        }
    )
    assert main(["12"]) == 0
    out = capsys.readouterr().out
    told = "6 done; 2 running: 8-9; 2 waiting: 10-11; 1 failed: 4; 1 cancelled: 12"
    assert f"job 12 (pi), an array of 12 tasks: {told}\n" in out
    assert f"task 4: failed, exit code 3; log: {one.log('4')}" in out
    assert len(fake.called("squeue")) == 1
    assert main(["12_8"]) == 0
    assert "job 12_8 (pi): running on" in capsys.readouterr().out
    assert main(["12", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcomes"] == {"done": 6, "failed": 1, "running": 2, "waiting": 2, "cancelled": 1}
    assert [task["id"] for task in told["tasks"]][:2] == ["12_1", "12_2"]


def test_all_jobs_with_one_call_and_none_about_old_ones(fake, submitted, capsys):
    old = submitted("1", age=1e6)
    journal.append(old.journal(), "allocation", ranks=1)
    journal.append(old.journal(), "next", what="exit", code=0)
    events = journal.read(old.journal())
    old.journal().write_text(
        "".join(json.dumps({**event, "time": time.time() - 9e5}) + "\n" for event in events)
    )
    submitted("2", age=1e6)
    submitted("3", age=1e6)
    submitted("4")
    fake.set(queue={"2": job(), "4": job(State="PENDING")}, accounts={"3": account()})
    assert main([]) == 0
    out = capsys.readouterr().out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("job")] == ["2", "4"]
    assert "--all lists all" in out
    assert [call[0] for call in fake.calls] == ["squeue", "sacct"]
    assert "--jobs=2,3,4" in fake.calls[0]
    assert main(["--all", "--json"]) == 0
    assert [told["id"] for told in json.loads(capsys.readouterr().out)] == ["1", "2", "3", "4"]


def test_a_name_with_anything_in_it(fake, submitted, capsys):
    submitted("12", name="a\033[2J|b\nc π")
    fake.set(queue={"12": job(Name="a\033[2J|b\nc π")})
    assert main(["12"]) == 0
    assert "job 12 (a\\x1b[2J|b\\nc π): running" in capsys.readouterr().out


def test_a_controller_that_is_down(fake, submitted, capsys):
    one = submitted("12")
    fake.set(down=True)
    assert main(["12"]) == 1
    told = capsys.readouterr()
    assert "Slurm can't be asked (squeue: Unable to contact slurm controller" in told.err
    assert told.err.count("\n") == 1
    journal.append(one.journal(), "next", what="exit", code=0)
    assert main(["12"]) == 0
    assert "job 12 (pi): done, by its journal; Slurm could not be asked" in capsys.readouterr().out


def test_accounts_that_are_down(fake, submitted, capsys):
    """What the controller still has is told as ever; of the rest nobody says that it is gone."""
    submitted("12")
    gone = submitted("13", name="gone")
    journal.append(gone.journal(), "allocation", restart=0, ranks=2, done=0)
    fake.set(queue={"12": job()}, said={"sacct": [1, "", "sacct: error: Connection refused\n"]})
    assert main(["12", "13"]) == 0
    told = capsys.readouterr()
    assert "job 12 (pi): running" in told.out
    assert "job 13 (gone): unknown" in told.out
    assert "has forgotten some jobs, and its accounts can't be asked (sacct: Connec" in told.err


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        ({"event": "next", "what": "exit", "code": 0}, "done"),
        ({"event": "next", "what": "exit", "code": 1}, "failed"),
        ({"event": "allocation", "ranks": 2}, "unknown"),
    ],
)
def test_a_job_that_another_cluster_of_a_federation_has(fake, submitted, capsys, last, outcome):
    one = submitted("12")
    journal.append(one.journal(), last.pop("event"), **last)
    fake.set(queue={"12": job(State="REVOKED", Name="pi")})
    assert main(["12", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"], found["state"]) == (outcome, "REVOKED")
    assert "by its journal; it was taken over by another cluster" in found["words"]


def test_without_slurm(submitted, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(tmp_path))
    one = submitted("12")
    journal.append(one.journal(), "allocation", ranks=1)
    assert main([one.folder]) == 0
    told = capsys.readouterr()
    assert "job 12 (pi): unknown" in told.out
    assert "there is no squeue on this machine" in told.err


def test_a_slurm_that_was_set_up_anew_counts_from_1_again(fake, submitted):
    one = submitted("12")
    fake.set(queue={"12": job(SubmitTime=str(int(one.time) - 10**6))})
    (facts,), _ = examine([(one, "")])
    assert facts[0].state is None
    fake.set(queue={"12": job(SubmitTime=str(int(one.time)))})
    (facts,), _ = examine([(one, "")])
    assert facts[0].state == "RUNNING"


def test_a_job_of_another_cluster_with_the_same_number(fake, submitted, capsys):
    here = submitted("76", cluster="here")
    there = submitted("76", cluster="there", name="other")
    fake.set(name="here", queue={"76": job(Name="pi")})
    assert main(["76"]) == 0
    assert "job 76 (pi): running on n[1-2]" in capsys.readouterr().out
    assert [state.id for state in open_states([here, there])] == ["76"]
    assert open_states([there]) == []
    assert main([there.folder]) == 0
    assert "job 76 (other): unknown" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["here", ""])
@pytest.mark.parametrize("fields", [{"Name": "another"}, {"SubmitTime": "EARLIER"}])
def test_another_job_with_the_same_number_does_not_count(fake, submitted, capsys, name, fields):
    one = submitted("76", cluster="here")
    array = submitted("77", tasks="1-2", cluster="here")
    fields = {
        key: str(int(one.time) - 200) if value == "EARLIER" else value
        for key, value in fields.items()
    }
    fake.set(
        name=name,
        queue={
            "76": job(**fields),
            "77_1": job(**fields),
            "77_2": job(SubmitTime=str(int(one.time))),
        },
    )
    assert [state.id for state in open_states([one, array])] == ["77_2"]
    assert open_states([]) == []
    assert main(["76"]) == 0
    assert "gone: Slurm has forgotten it" in capsys.readouterr().out


def test_an_array_some_tasks_of_which_were_submitted_again(fake, submitted, capsys, tmp_path):
    one = submitted("12", tasks="1-5")
    again = Submission("13", "pi", "", one.folder, one.outputs, "2,4", ["sbatch"], [], time.time())
    record.add(again)
    fake.set(
        queue={
            **{f"12_{task}": job(State="COMPLETED") for task in "135"},
            "12_2": job(State="FAILED"),
            "12_4": job(State="FAILED"),
            "13_2": job(State="COMPLETED"),
            "13_4": job(),
        }
    )
    for arguments in ([one.folder], []):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert "job 12, 13 (pi), an array of 5 tasks: 4 done; 1 running: 4\n" in out
    assert len(fake.called("squeue")) == 2
    assert main(["--json", one.folder]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["id"] == "13"
    assert [task["id"] for task in told["tasks"]] == ["12_1", "13_2", "12_3", "13_4", "12_5"]
    assert main(["13"]) == 0
    assert "an array of 2 tasks" in capsys.readouterr().out


def test_a_running_job_whose_folder_was_removed(fake, submitted, capsys):
    folders = [submitted("12").folder, submitted("13").folder, submitted("14", tasks="1-2").folder]
    for folder in folders:
        shutil.rmtree(folder)
    fake.set(queue={"12": job(), "13": job(State="COMPLETED"), "14_1": job(), "14_2": job()})
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "job 12 (pi): running on" in out
    assert f"its folder is gone: {folders[0]}\n" in out
    assert f"its folder is gone: {folders[2]}\n" in out
    assert "13" not in out.replace(folders[0], "").replace(folders[2], "")


def test_a_job_whose_files_slurm_could_not_open(fake, submitted, capsys):
    submitted("12")
    fake.set(queue={"12": job(State="FAILED", exit_code="4021")})
    assert main(["12"]) == 0
    out = capsys.readouterr().out
    assert "Slurm could not open its log: its folder is gone, or can't be written to" in out
    assert "exit code" not in out


@pytest.mark.parametrize("code", ["15", str(143 << 8)])
def test_a_job_that_was_cancelled_before_it_could_handle_that(fake, submitted, capsys, code):
    one = submitted("12")
    fake.set(queue={"12": job(State="FAILED", exit_code=code)})
    assert main(["12"]) == 0
    assert "failed, 0:10:00 of 1:00:00, exit code 143" in capsys.readouterr().out
    journal.append(one.journal(), "cancel")
    assert main(["12"]) == 0
    assert "job 12 (pi): cancelled, 0:10:00 of 1:00:00\n" in capsys.readouterr().out
    journal.append(one.journal(), "next", what="exit", code=1)
    assert main(["12"]) == 0
    assert "failed" in capsys.readouterr().out


def test_a_job_of_another_slurm_is_not_asked_for(fake, submitted, capsys):
    one = submitted("12", cluster="/other/slurm.conf")
    assert named(one.folder, "")[0] == one
    assert main([one.folder]) == 0
    assert not fake.calls
    assert "unknown" in capsys.readouterr().out


def test_words():
    assert some_ranges(["1", "2", "3", "7", "10"]) == "1-3, 7, 10"
    assert some_ranges(map(str, range(1, 99, 2))).endswith("23, …")
    assert (duration(59), duration(3661), duration(90061)) == ("0:00:59", "1:01:01", "1-01:01:01")
    assert (
        why("QOSMaxJobsPerUserLimit")
        == "a limit of your account or QOS is reached (QOSMaxJobsPerUserLimit)"
    )
    assert why("Nonsense") == "Nonsense"
    assert why("") == "Slurm has not looked at it yet"


def test_progress_of_a_script(tmp_path):
    path = tmp_path / "run.h5"
    store = TaskStore(path, about={})
    call = store.begin_call(b"f" * 16, "f", [b"b" * 16], b"i" * 160)
    store.append(call, range(4), None, [1.0] * 4, Span(0, 0, 1.0, 0.1))
    store.commit()
    found = progress(path)
    assert (found.done, found.n_blocks, found.finished, found.unit) == (4, 10, False, "tasks")
    store.stop("SIGTERM")
    assert (progress(path).done, progress(path).before) == (4, 4)
    store = TaskStore(path, about={}, resume=True)
    store.append(call, range(4, 10), None, [1.0] * 6, Span(0, 0, 2.0, 0.1))
    store.commit()
    found = progress(path)
    assert (found.done, found.before, found.finished) == (10, 4, False)
    store.finish()
    assert progress(path).finished
