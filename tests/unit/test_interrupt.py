import contextlib
import os
import signal
import threading
import time

import pytest

from mpipar import BadInput
from mpipar.runtime.interrupt import SIGNALS, Interruption


@pytest.fixture(autouse=True)
def handlers():
    """Put the handlers of signals back, whatever a test does."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    # Which nohup has these tests ignore; what isn't taken is not to end them either.
    signal.signal(signal.SIGHUP, lambda *_: None)
    yield {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noted(number):
    with Interruption() as interruption:
        assert interruption() is None
        send(number)
        assert interruption() == number.name
        assert interruption() == number.name, "it stays"


def test_a_second_ctrl_c_interrupts_at_once():
    with Interruption() as interruption:
        send(signal.SIGINT)
        assert interruption() == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_the_first_ctrl_c_is_answered_at_once():
    told = []
    with Interruption(notify=told.append):
        send(signal.SIGTERM)
        assert told == []
    with Interruption(notify=told.append):
        send(signal.SIGINT)
        assert told == ["stopping after the blocks in flight; again to end now"]


def test_ctrl_c_after_another_signal_interrupts_at_once():
    with Interruption() as interruption:
        send(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert interruption() == "SIGTERM"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_schedulers_may_signal_again_and_again(number):
    with Interruption() as interruption:
        for _ in range(3):
            send(number)
        assert interruption() == number.name


def test_nohup_is_obeyed():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption() as interruption:
        send(signal.SIGHUP)
        assert interruption() is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_handlers_are_those_from_before_again(handlers, error):
    def mine(number, frame): ...

    signal.signal(signal.SIGUSR1, mine)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ZeroDivisionError), Interruption():
        assert signal.getsignal(signal.SIGUSR1) is not mine
        if error:
            raise error
    assert signal.getsignal(signal.SIGUSR1) is mine
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is handlers[signal.SIGINT]


def test_a_handler_that_python_has_not_set_is_left(monkeypatch):
    # A library in C may have set one: Python knows it as None, and can't put it back.
    real = signal.signal
    monkeypatch.setattr(signal, "signal", lambda number, handler: real(number, handler) and None)
    with Interruption() as interruption:
        send(signal.SIGTERM)
        assert interruption() == "SIGTERM"


def test_outside_of_the_main_thread_signals_are_left_alone(handlers):
    seen = []

    def body():
        with Interruption() as interruption:
            seen.append({number: signal.getsignal(number) for number in SIGNALS})
            seen.append(interruption())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [handlers, None]


def test_the_end_of_the_job_is_near(monkeypatch):
    clock = {"now": 5000.0}
    monkeypatch.setattr(time, "time", lambda: clock["now"])
    monkeypatch.setenv("SLURM_JOB_END_TIME", "6000")
    interruption = Interruption(stop_before=300.0)
    told = []
    for clock["now"] in (5000.0, 5699.9, 5700.0, 9000.0):
        told.append(interruption())
    assert told == [None, None, "the end of the job is near", "the end of the job is near"]


def test_a_signal_before_the_end_of_the_job_is_the_reason(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1")
    with Interruption(stop_before=0.0) as interruption:
        send(signal.SIGUSR1)
        assert interruption() == "SIGUSR1"


@pytest.mark.parametrize("end", [None, "", "tomorrow", "-5", "1.5"])
def test_the_end_of_the_job_must_be_known(monkeypatch, end):
    if end is None:
        monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    else:
        monkeypatch.setenv("SLURM_JOB_END_TIME", end)
    with pytest.raises(BadInput, match=r"^stop_before: the end of the job is not known"):
        Interruption(stop_before=60.0)
    assert Interruption()() is None, "unless it is not asked for"


def test_a_forked_copy_is_ended_by_signals_again():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    with Interruption() as interruption:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the script's own
        copy = os.fork()
        if copy == 0:
            interruption.leave_copy()
            send(signal.SIGUSR1)
            send(signal.SIGTERM)
            os._exit(1)
        _, status = os.waitpid(copy, 0)
        assert os.WTERMSIG(status) == signal.SIGTERM
        assert interruption() is None
