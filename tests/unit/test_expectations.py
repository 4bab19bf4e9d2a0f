"""What tasks of a function took is remembered for the next ones, rather too long than too short."""

import functools

from mpipar.pool.expectations import Expectations
from mpipar.pool.list_job import ListJob


def job_of(function, seconds=None, count=4):
    job = ListJob(function, "map", range(count), lambda values: None)
    if seconds is not None:
        job.note(count, count * seconds)
    return job


def test_what_is_remembered():
    expectations = Expectations()
    assert expectations.of(job_of(abs)) is None
    expectations.learn(job_of(abs, 1.0))
    assert expectations.of(job_of(abs)) == 1.0
    assert expectations.of(job_of(len)) is None
    expectations.learn(job_of(abs, 3.0))
    assert expectations.of(job_of(abs)) == 3.0
    expectations.learn(job_of(abs, 1e-6))
    assert expectations.of(job_of(abs)) == 1.5, "one job of short tasks doesn't make all short"
    expectations.learn(job_of(abs))  # none of its tasks was done
    assert expectations.of(job_of(abs)) == 1.5


def test_not_all_functions_are_remembered():
    expectations = Expectations()
    for number in range(10_000):
        function = type(f"Function{number}", (), {"__call__": abs})()
        expectations.learn(job_of(function, 1.0))
    assert len(expectations._seconds) <= 256


def test_functions_of_the_same_name_are_told_apart():
    expectations = Expectations()
    short = lambda x: x  # noqa: E731
    long = lambda x: x  # noqa: E731
    expectations.learn(job_of(short, 1e-6))
    assert expectations.of(job_of(short)) == 1e-6
    assert expectations.of(job_of(long)) is None


def test_what_is_called_may_be_anything():
    expectations = Expectations()
    for function in (abs, [].append, functools.partial(abs), str, Expectations().of):
        expectations.learn(job_of(function, 2.0))
        assert expectations.of(job_of(function)) == 2.0
