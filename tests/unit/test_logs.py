import signal
import subprocess
import sys
import threading
import time

import pytest
from fake_slurm import FakeSlurm, job
from suite.limits import until

from mpipar.batch import record
from mpipar.batch.record import Submission
from mpipar.command import logs
from mpipar.command.logs import Log, main
from mpipar.runtime import journal


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SLURM_CONF", raising=False)
    return FakeSlurm(tmp_path / "bin", monkeypatch)


def submitted(folder, number="12", tasks=""):
    one = Submission(number, "pi", "", str(folder), {}, tasks, ["sbatch"], [], time.time())
    record.add(one)
    return one


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"a", b"a\n", b"a\nb", b"a\nb\n", b"\n\na\n\n", b"x" * 99 + b"\ny\n"]
)
@pytest.mark.parametrize("lines", [0, 1, 2, 3, 99])
@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 20])
def test_the_last_lines(tmp_path, monkeypatch, text, lines, chunk):
    monkeypatch.setattr(logs, "_CHUNK", chunk)
    (tmp_path / "log").write_bytes(text)
    log = Log(tmp_path / "log")
    log.skip_to_last(lines)
    said = b"".join(iter(log.news, b""))
    assert said == b"".join(text.splitlines(keepends=True)[-lines:] if lines else [])


def test_a_log_that_is_not_there_or_written_anew(tmp_path):
    log = Log(tmp_path / "log")
    log.skip_to_last(3)
    assert log.news() == b""
    log.path.write_bytes(b"long text\n")
    assert (log.news(), log.news()) == (b"long text\n", b"")
    log.path.write_bytes(b"new\n")
    assert log.news() == b"new\n"


def test_the_log_of_the_latest_job_as_it_is(fake, tmp_path, capfdbinary):
    submitted(tmp_path, "11").log().write_bytes(b"old\n")
    submitted(tmp_path).log().write_bytes(b"a\n\xff\0\033[1mb\nc")
    assert main([]) == 0
    assert capfdbinary.readouterr().out == b"a\n\xff\0\033[1mb\nc"
    assert main(["-n", "1", str(tmp_path)]) == 0
    assert capfdbinary.readouterr().out == b"c"
    assert main(["11"]) == 0
    assert capfdbinary.readouterr().out == b"old\n"
    assert not fake.calls


def test_an_array(fake, tmp_path, capfdbinary):
    one = submitted(tmp_path, tasks="1-3")
    one.log("1").write_bytes(b"a")
    one.log("3").write_bytes(b"b\nc\n")
    assert main(["12"]) == 0
    assert capfdbinary.readouterr().out == b"==> pi-12_1.out <==\na\n\n==> pi-12_3.out <==\nb\nc\n"
    assert main(["12", "--lines", "1"]) == 0
    assert capfdbinary.readouterr().out == b"==> pi-12_1.out <==\na\n\n==> pi-12_3.out <==\nc\n"
    assert main(["12_3"]) == 0
    assert capfdbinary.readouterr().out == b"b\nc\n"


def test_an_array_some_tasks_of_which_were_submitted_again(fake, tmp_path, capfdbinary):
    one, again = submitted(tmp_path, tasks="1-2"), submitted(tmp_path, "13", tasks="2")
    one.log("1").write_bytes(b"a\n")
    one.log("2").write_bytes(b"b\n")
    again.log("2").write_bytes(b"c\n")
    for arguments in ([str(tmp_path)], []):
        assert main(arguments) == 0
        assert capfdbinary.readouterr().out == b"==> pi-12_1.out <==\na\n\n==> pi-13_2.out <==\nc\n"
    assert main(["12_2"]) == 0
    assert capfdbinary.readouterr().out == b"b\n"


def test_another_job_with_the_same_number_is_not_waited_for(fake, tmp_path, following):
    submitted(tmp_path).log().write_text("a\n")
    fake.set(queue={"12": job(Name="other")})
    assert following("12").until_ended() == [0]


@pytest.mark.parametrize(
    "arguments", [["99"], ["nowhere"], ["12_4"], ["-n", "-1"], ["-n", "x"], ["--nonsense"]]
)
def test_bad_input(fake, tmp_path, capfd, arguments):
    submitted(tmp_path)
    assert main(arguments) == 2
    told = capfd.readouterr()
    assert told.err.startswith("mpipar logs: error: ")
    assert told.err.count("\n") == 1


def test_there_is_no_job(fake, capfd):
    assert main([]) == 2
    assert "no job was submitted by mpipar from here" in capfd.readouterr().err


def test_there_is_no_log_yet(fake, tmp_path, capfd):
    submitted(tmp_path)
    fake.set(queue={"12": job(State="PENDING", Reason="Priority")})
    assert main(["12"]) == 1
    told = (
        "mpipar logs: job 12 has no log yet, as it is waiting: other jobs are before it"
        " (Priority)\n"
    )
    assert capfd.readouterr().err == told
    fake.set(down=True)
    assert main(["12"]) == 1
    assert "Slurm can't be asked" in capfd.readouterr().err


class Following:
    """``mpipar logs -f`` in a thread, and what it has said.

    It says so to files: what pytest captures loses what is written while it is read.
    """

    def __init__(self, fake, folder, *arguments):
        self.fake = fake
        self.folder = folder
        self.codes = []
        self.thread = threading.Thread(
            target=lambda: self.codes.append(main(["-f", *arguments])), daemon=True
        )
        self.thread.start()

    @property
    def out(self):
        return (self.folder / "stdout").read_text()

    @property
    def err(self):
        return (self.folder / "stderr").read_text()

    def until_said(self, text):
        for _ in until(f"the log is {text!r}", 20):
            if self.out == text:
                break
        assert self.thread.is_alive()

    def until_asked(self, times):
        """Wait until Slurm was asked so many times from now on."""
        before = len(self.fake.calls)
        for _ in until(f"Slurm was asked {times} times", 20):
            if len(self.fake.calls) >= before + times:
                break
        assert self.thread.is_alive()

    def until_ended(self):
        for _ in until("it has ended", 20):
            if not self.thread.is_alive():
                break
        return self.codes


@pytest.fixture
def following(fake, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("said")

    def follow(*arguments):  # in the test's time: pytest puts its own streams in before
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return Following(fake, folder, *arguments)

    with (folder / "stdout").open("a") as out, (folder / "stderr").open("a") as err:
        yield follow


def test_following_through_the_queue_and_a_requeue_to_the_end(
    fake, tmp_path, following, monkeypatch
):
    monkeypatch.setattr(logs, "_ASK_SECONDS", 0.1)
    one = submitted(tmp_path)
    fake.set(queue={"12": job(State="PENDING", Reason="Priority")})
    log = following("12")
    log.until_asked(3)
    fake.set(queue={"12": job()})
    one.log().write_text("first\n")
    log.until_said("first\n")
    journal.append(one.journal(), "next", what="requeue", code=75)
    fake.set(queue={"12": job(State="PENDING", Reason="BeginTime")})
    log.until_asked(2)
    fake.set(queue={"12": job()})
    with one.log().open("a") as file:
        file.write("second\n")
    log.until_said("first\nsecond\n")
    with one.log().open("a") as file:
        file.write("third\n")
    fake.set(queue={"12": job(State="TIMEOUT")})
    assert log.until_ended() == [0]
    assert log.out == "first\nsecond\nthird\n"
    assert log.err.count("has no log yet") == 1


def test_following_needs_few_calls_and_ends_by_the_journal_at_once(fake, tmp_path, following):
    one = submitted(tmp_path)
    one.log().write_text("a\n")
    fake.set(queue={"12": job()})
    log = following("12")
    log.until_said("a\n")
    log.until_asked(1 - len(fake.calls))
    with one.log().open("a") as file:
        file.write("b\n")
    log.until_said("a\nb\n")
    journal.append(one.journal(), "next", what="exit", code=0)
    assert log.until_ended() == [0]
    assert len(fake.calls) == 1


def test_following_without_slurm(fake, tmp_path, following, monkeypatch):
    monkeypatch.setattr(logs, "_ASK_SECONDS", 0.1)
    one = submitted(tmp_path)
    fake.set(down=True)
    log = following("12")
    one.log().write_text("a\n")
    log.until_said("a\n")
    log.until_asked(2)
    journal.append(one.journal(), "next", what="exit", code=0)
    assert log.until_ended() == [0]
    assert log.out == "a\n"
    assert log.err.count("\n") == 1


def test_following_an_array(fake, tmp_path, following):
    one = submitted(tmp_path, tasks="1-2")
    fake.set(queue={"12_1": job(), "12_2": job()})
    one.log("1").write_text("a\n")
    header = "==> pi-12_{}.out <==\n".format
    log = following("12")
    log.until_said(f"{header(1)}a\n")
    one.log("2").write_text("b\n")
    log.until_said(f"{header(1)}a\n\n{header(2)}b\n")
    with one.log("1").open("a") as file:
        file.write("c\n")
    for task in "12":
        journal.append(one.journal(task), "next", what="exit", code=0)
    assert log.until_ended() == [0]
    assert log.out == f"{header(1)}a\n\n{header(2)}b\n\n{header(1)}c\n"


def command(*arguments):
    code = f"import sys; from mpipar.command.logs import main; sys.exit(main({list(arguments)!r}))"
    return [sys.executable, "-c", code]


def test_ctrl_c_is_quiet(fake, tmp_path):
    submitted(tmp_path).log().write_text("a\n")
    fake.set(queue={"12": job()})
    process = subprocess.Popen(command("-f", "12"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"a\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130


def test_a_reader_that_goes_away(fake, tmp_path):
    submitted(tmp_path).log().write_text("a\n" * 10**6)
    process = subprocess.Popen(command("12"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"a\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


def test_a_job_that_is_preempted_comes_back(fake, tmp_path, following, monkeypatch):
    monkeypatch.setattr(logs, "_ASK_SECONDS", 0.1)
    one = submitted(tmp_path)
    one.log().write_text("a\n")
    fake.set(queue={"12": job(State="PENDING", RestartCnt="1")})
    log = following("12")
    journal.append(one.journal(), "next", what="exit", code=75)
    log.until_asked(2)
    fake.set(queue={"12": job(State="FAILED")})
    assert log.until_ended() == [0]
