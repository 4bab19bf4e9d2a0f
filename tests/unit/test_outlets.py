"""Stdout and stderr that are closed, full, blocked, or a terminal that went away."""

import contextlib
import fcntl
import io
import logging
import os
import pty
import subprocess
import sys
import threading

import pytest

from mpipar.command.progress import Progress
from mpipar.runtime import outlets

LONG = "x" * 200_000


@contextlib.contextmanager
def pipe():
    """Give the end to read of a pipe, and a stream that writes to the other."""
    reading, writing = os.pipe()
    with open(writing, "w") as stream, open(reading, "rb") as end:
        yield end, stream


@pytest.fixture
def blocked(monkeypatch):
    """Give a pipe that is full, and that nobody reads."""
    with pipe() as (_, stream):
        os.set_blocking(stream.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(stream.fileno(), b"x" * 4096)
        os.set_blocking(stream.fileno(), True)
        monkeypatch.setattr(outlets, "NOTE_SECONDS", 0.05)
        yield stream
        outlets._blocked.clear()


def test_a_text_goes_to_whatever_is_in_place_of_stdout():
    stream = io.StringIO()
    outlets.put("ü", stream)
    assert stream.getvalue() == "ü\n"


@pytest.mark.parametrize("blocks", [True, False])
def test_a_long_text_is_written_whole_however_slowly_it_is_read(blocks):
    with pipe() as (end, stream):
        os.set_blocking(stream.fileno(), blocks)
        got = []
        reader = threading.Thread(target=lambda: got.append(end.read(len(LONG) + 1)))
        reader.start()
        outlets.put(LONG, stream)
        reader.join()
    assert got == [f"{LONG}\n".encode()]


def test_what_was_printed_before_comes_before():
    with pipe() as (end, stream):
        stream.write("first ")
        outlets.put("last", stream)
        assert end.read(11) == b"first last\n"


def test_a_full_device_is_told_and_then_forgotten():
    with open("/dev/full", "w") as full:
        with pytest.raises(OSError, match="No space"):
            outlets.put("x", full)
        full.flush()  # as Python does at exit


def test_what_others_have_left_is_told_and_given_up(monkeypatch):
    with open("/dev/full", "w") as full:
        full.write("of a kernel")
        monkeypatch.setattr(sys, "stdout", full)
        assert outlets.flush() == "No space left on device"
        assert outlets.flush() is None


def test_that_nobody_reads_is_no_failure(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        stream.write("of a kernel")
        outlets.put(LONG, stream)
        monkeypatch.setattr(sys, "stdout", stream)
        assert outlets.flush() is None


def test_a_note_is_given_up_where_stderr_takes_none(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        outlets.note("x")
    outlets.note("x")  # it is closed now
    monkeypatch.setattr(sys, "stderr", None)
    outlets.note("x")


def test_a_note_does_not_wait_for_ever(blocked, monkeypatch):
    monkeypatch.setattr(sys, "stderr", blocked)
    outlets.note("x")
    outlets.note("x")


def test_a_note_is_heard_again_once_stderr_is_read(blocked, monkeypatch):
    monkeypatch.setattr(sys, "stderr", blocked)
    outlets.note("lost")
    with open(f"/proc/self/fd/{blocked.fileno()}", "rb") as end:
        fcntl.fcntl(end, fcntl.F_SETFL, os.O_NONBLOCK)
        while end.read1():
            pass
        outlets.note("heard")
        assert end.read1() == b"heard\n"


def test_progress_holds_nothing_up_where_it_can_not_be_shown(blocked, monkeypatch):
    monkeypatch.setattr(sys, "stderr", blocked)
    with Progress("x", True) as progress:
        progress(0.5)


def test_progress_ends_nothing_where_it_can_not_be_shown(monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        with Progress("x", True) as progress:
            progress(0.5)
            progress(0.9)


def test_a_terminal_may_go_away(monkeypatch):
    ours, theirs = pty.openpty()
    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with Progress("x", None) as progress:
            progress(0.5)
            os.close(ours)
            progress(0.9)
            outlets.note("x")
            with pytest.raises(OSError, match="Input/output"):
                outlets.put("x", terminal)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_standard_stream(closed, tmp_path):
    code = (
        "import os, sys\nfrom mpipar.runtime import outlets\noutlets.open_missing()\nnumbers ="
        " [os.open('made', os.O_CREAT | os.O_WRONLY), min(s.fileno() for s in (sys.stdout,"
        " sys.stderr))]\nos.system('echo of a child; echo of a child >&2')\nprint('x',"
        " file=sys.stderr); open('seen', 'w').write(repr(numbers))"
    )
    command = ["bash", "-c", f'"$0" -c "$1" {closed}', sys.executable, code]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    number, least = eval((tmp_path / "seen").read_text())
    assert number > 2
    assert least == 1
    assert (tmp_path / "made").read_bytes() == b""


@pytest.fixture
def logger():
    """Give mpipar's logger, which no handler listens to."""
    logger = logging.getLogger("mpipar")
    logger.propagate = False  # to what pytest listens with
    yield logger
    logger.propagate = True
    logger.handlers.clear()


def test_a_warning_goes_to_the_logger_in_a_program_of_the_users(logger, capsys, caplog):
    logger.addHandler(caplog.handler)
    outlets.warn("100 % of it")
    outlets.warn("a block failed", "mpipar.run")
    assert caplog.record_tuples == [
        ("mpipar", logging.WARNING, "100 % of it"),
        ("mpipar.run", logging.WARNING, "a block failed"),
    ]
    assert capsys.readouterr() == ("", "")


def test_a_program_can_silence_warnings(logger, capsys):
    logger.addHandler(logging.NullHandler())
    outlets.warn("a rank was lost")
    assert capsys.readouterr() == ("", "")


def test_a_command_prints_its_warnings_whatever_logging_is_set_to(
    logger, capsys, caplog, monkeypatch
):
    logger.addHandler(caplog.handler)
    monkeypatch.setattr(outlets, "_is_command", False)  # put back in the end
    outlets.print_warnings()
    outlets.warn("a rank was lost")
    assert capsys.readouterr() == ("", "mpipar: a rank was lost\n")
    assert caplog.messages == []


@pytest.mark.parametrize("error", [RuntimeError, OSError])
def test_a_handler_that_raises_costs_no_more_than_the_warning(error, logger):
    class Raises(logging.Handler):
        def handle(self, record):
            raise error

    logger.addHandler(Raises())
    outlets.warn("a rank was lost")


def test_a_warning_to_no_stderr_costs_nothing(logger, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    outlets.warn("a rank was lost")


@pytest.mark.parametrize("loads", ["logging", "time"])
def test_a_warning_that_nothing_listens_to_is_printed(loads):
    code = f"import sys, {loads}; from mpipar.runtime.outlets import warn; "
    code += "warn('a rank was lost'); warn('a block failed', 'mpipar.run')"
    code += f"; assert ('logging' in sys.modules) == ('logging' == '{loads}')"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=True
    )
    assert ended.stderr == b"mpipar: a rank was lost\nmpipar.run: a block failed\n"
