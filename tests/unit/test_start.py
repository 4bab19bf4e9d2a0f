"""The start of MPI: it ends in bounded time, whatever MPI does."""

import sys
import time
from types import SimpleNamespace

import pytest
from conftest import own_lines, python

from mpipar.runtime import start

PROGRAM = """
import ctypes, os, sys, types
from mpipar.runtime import start
sys.modules["mpi4py"] = types.SimpleNamespace(rc=types.SimpleNamespace(errors="default"))
{}
"""
STANDS = "with start.time_limit({}): ctypes.CDLL(None).sleep(60); print('late')"


def run(text, **options):
    return python("-c", PROGRAM.format(text), cold=True, **options)


def test_what_stands_still_in_mpi_ends_with_one_message():
    end = run(STANDS.format(0.1))
    assert (end.code, end.stdout) == (1, "")
    assert own_lines(end.stderr) == [
        "mpipar: MPI has not started within 0.1 s; a rank may have died, or its shared memory was"
        " removed"
    ]


def test_the_limit_can_be_set_in_the_environment(monkeypatch):
    for text, seconds in (
        ("7.5", 7.5),
        ("", 300.0),
        ("soon", 300.0),
        ("-1", 300.0),
        ("nan", 300.0),
    ):
        monkeypatch.setenv(start.VARIABLE, text)
        assert start._seconds() == seconds


def test_of_all_ranks_of_a_node_one_says_why():
    script = PROGRAM.format(STANDS.format(1))
    both = (
        'import subprocess, sys; ranks = [subprocess.Popen([sys.executable, "-c", sys.argv[1]]) for'
        " _ in range(3)]; "
    )
    both += "print([rank.wait() for rank in ranks])"
    end = python("-c", both, script, cold=True)
    assert end.stdout == "[1, 1, 1]\n"
    assert len(own_lines(end.stderr)) == 1


@pytest.mark.parametrize("number", ["SIGSEGV", "SIGABRT"])
def test_a_crash_in_mpi_is_told_and_no_signal_ends_the_process(number):
    end = run(
        f"with start.told_of_crashes(): ctypes.CDLL(None)['raise'](__import__('signal').{number})"
    )
    assert (end.code, end.stdout) == (1, "")
    assert own_lines(end.stderr) == [
        f"mpipar: MPI crashed while it started ({number}); a rank may have died"
    ]


def test_after_the_start_a_crash_is_what_it_was_before():
    text = "with start.told_of_crashes(): pass\nctypes.CDLL(None)['raise'](11)"
    assert run(text).code == -11


def test_what_starts_in_time_goes_on():
    with start.time_limit(0.05):
        pass
    time.sleep(0.1)  # longer than the limit: this process would end


def test_an_error_of_mpi_is_told(tmp_path):
    text = "start.ctypes.CDLL = lambda name: types.SimpleNamespace(MPI_Init_thread=lambda *_: 15)\n"
    text += "start.initialize(types.SimpleNamespace(__file__='', THREAD_MULTIPLE=3))"
    end = run(text)
    assert (end.code, own_lines(end.stderr)) == (
        1,
        ["mpipar: MPI can't start (MPI_Init_thread returned the error 15)"],
    )


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [("exception", "return"), ("abort", "abort"), ("fatal", "fatal"), ("default", None)],
)
def test_errors_of_mpi_become_what_mpi4py_was_told(errors, chosen, monkeypatch):
    comm = SimpleNamespace(handlers=[])
    comm.Set_errhandler = comm.handlers.append
    mpi = SimpleNamespace(
        COMM_SELF=comm,
        COMM_WORLD=comm,
        ERRORS_RETURN="return",
        ERRORS_ABORT="abort",
        ERRORS_ARE_FATAL="fatal",
    )
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(rc=SimpleNamespace(errors=errors)))
    start._raise_errors(mpi)
    assert comm.handlers == ([chosen] * 2 if chosen else [])


def processes(folder, launcher, states):
    """Make a folder as /proc is, with a launcher of number 7 and its children in some states."""
    for number, (name, parent, state) in enumerate(
        [(launcher, 1, "S"), *(("a) b", 7, state) for state in states)], 7
    ):
        entry = folder / str(number)
        entry.mkdir()
        (entry / "comm").write_text(name + "\n")
        (entry / "stat").write_text(f"{number} ({name}) {state} {parent} 0 0\n")
    (folder / "self").mkdir()
    return folder


@pytest.mark.parametrize(
    ("launcher", "environment", "states", "missing"),
    [
        ("prterun", {"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, "SRRS", 0),
        ("prterun", {"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, "SRR", 1),
        ("prted", {"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, "SZRZ", 2),
        ("hydra_pmi_proxy", {"MPI_LOCALNRANKS": "2"}, "R", 1),
        ("hydra_pmi_proxy", {"MPI_LOCALNRANKS": "2"}, "RRRR", 0),
        ("hydra_pmi_proxy", {}, "R", 0),
        ("sh", {"MPI_LOCALNRANKS": "2"}, "R", 0),  # a wrapper: its children aren't the launcher's
    ],
)
def test_ranks_that_have_ended_are_missed(launcher, environment, states, missing, tmp_path):
    assert (
        start.missing_ranks(environment, processes(tmp_path, launcher, states), parent=7) == missing
    )


def test_no_rank_is_missed_without_a_launcher():
    assert start.missing_ranks({}) == 0
