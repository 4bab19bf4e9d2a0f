"""What a pool takes for tasks of several kinds, in a script as a user would write it: prints one
JSON object a line.

python contest.py CONTESTANT WORKERS WORKLOAD...; the first line tells when the first result was
there, in seconds since the epoch. ``--quick`` before these takes a few tasks only. By hand,
``idle`` wants a word in MPIPAR_BENCH_RUN, by which it finds all processes of the pool:
``MPIPAR_BENCH_RUN=$$ python contest.py mpipar 2 idle``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import contestants

QUICK = "--quick" in sys.argv
TOO_LONG = 0.3  # seconds for an array; whoever takes longer is not given more, nor larger ones
ENOUGH = (
    0.02 if QUICK else 0.15
)  # seconds that a measured call takes at least, if there are tasks for it


def nothing(x):
    return x


def spin(x):
    """Compute for 10 µs."""
    end = time.perf_counter() + 10e-6
    while time.perf_counter() < end:
        pass
    return x


def nap(seconds):
    time.sleep(seconds)
    return seconds


def add_one(array):
    return array + 1


def deadly(text):
    """Kill the process that calls this with number 3, the first time; otherwise sleep a moment."""
    number, path = text.split(":", 1)
    if number == "3":
        try:
            Path(path).touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return int(number)


def seconds_a_task(call, most):
    """Return the time of a task, with so many tasks that the call takes a moment; shorter calls
    before warm up.
    """
    tasks = 200
    while True:
        items = range(tasks)
        began = time.perf_counter()
        results = call(items)
        seconds = time.perf_counter() - began
        assert results == list(items)
        if seconds >= ENOUGH or tasks == most:
            return seconds / tasks
        tasks = min(10 * tasks, most)


def short_tasks(function, most):
    def measure(contestant, workers):
        return {
            "as it comes": seconds_a_task(lambda items: contestant.map(function, items), most),
            "at its best": seconds_a_task(
                lambda items: contestant.best(function, items, max(1, len(items) // (8 * workers))),
                most,
            ),
        }

    return measure


def few_tasks(contestant, workers):
    """Return the time of a whole map of few tasks, as samplers call it thousands of times: the
    median of many.
    """
    took = {}
    for tasks in (2, 32, 1000):
        items, seconds = range(tasks), []
        finish = time.perf_counter() + 4 * ENOUGH
        while len(seconds) < 5 or (len(seconds) < 300 and time.perf_counter() < finish):
            began = time.perf_counter()
            results = contestant.map(nothing, items)
            seconds.append(time.perf_counter() - began)
            assert list(results) == list(items)
        took[f"map of {tasks:,}"] = statistics.median(seconds)
    return took


def uneven():
    """Return lognormal times whose longest is the last."""
    rng = random.Random(1)
    seconds = [0.01 * rng.lognormvariate(-0.72, 1.2) for _ in range(20 if QUICK else 200)]
    seconds.append(seconds.pop(seconds.index(max(seconds))))
    return seconds


def skewed(contestant, workers):
    seconds = uneven()
    took = {}
    for way, call in (
        ("as it comes", contestant.map),
        ("at its best", lambda f, i: contestant.best(f, i, 1)),
    ):
        call(nap, [0.001] * 4 * workers)
        began = time.perf_counter()
        assert call(nap, seconds) == seconds
        took[way] = time.perf_counter() - began
    return took


def large(contestant, workers):
    """Return the time for an array to go to a worker, and for another as large to come back."""
    import numpy as np

    took = {}
    for mib, count in ((10, 2), (100, 1)) if QUICK else ((10, 8), (100, 2)):
        arrays = [np.full(mib * 2**17, float(index)) for index in range(count)]
        for sent in (arrays[:workers], arrays):  # the first warms up
            began = time.perf_counter()
            results = contestant.large(add_one, sent)
            took[f"{mib} MiB"] = (time.perf_counter() - began) / len(sent)
            assert all(result[0] == result[-1] == index + 1 for index, result in enumerate(results))
            if took[f"{mib} MiB"] > TOO_LONG:
                return took
    return took


def idle(contestant, workers):
    """Return the CPU time that all processes of the pool and its launcher take in a second without
    tasks.
    """
    time.sleep(0.5)
    seconds, before = (0.2 if QUICK else 1.0), cpu_seconds()
    time.sleep(seconds)
    return {"CPU": (cpu_seconds() - before) / seconds}


def cpu_seconds():
    """Return the CPU time so far of all processes that have this one's mark in their
    environment.
    """
    if "MPIPAR_BENCH_RUN" not in os.environ:
        sys.exit(
            "idle: give it a word of its own, as in MPIPAR_BENCH_RUN=$$ python contest.py mpipar 2"
            " idle"
        )
    mark = f"MPIPAR_BENCH_RUN={os.environ['MPIPAR_BENCH_RUN']}".encode()
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def killed(contestant, workers):
    """Tell what comes of 12 tasks, one of which has its worker killed."""
    flag = os.environ.get("MPIPAR_BENCH_FLAG") or f"{tempfile.mkdtemp()}/killed-once"
    try:
        results = contestant.best(deadly, [f"{number}:{flag}" for number in range(12)], 1)
    except Exception as error:
        return f"raises `{type(error).__name__}`"
    return "goes on: all results are there" if results == list(range(12)) else f"returns {results}"


WORKLOADS = {
    "few": few_tasks,
    "nothing": short_tasks(nothing, 200 if QUICK else 200_000),
    "10 µs": short_tasks(spin, 200 if QUICK else 20_000),
    "skewed": skewed,
    "large": large,
    "idle": idle,
    "killed": killed,
}


def say(**result):
    print("\n" + json.dumps(result), flush=True)


def main():
    name, number, *workloads = [argument for argument in sys.argv[1:] if argument != "--quick"]
    workers = int(number)
    with getattr(contestants, name)(workers) as contestant:
        contestant.map(nothing, range(workers))
        say(first=time.time())
        for workload in workloads:
            say(**{workload: WORKLOADS[workload](contestant, workers)})


if __name__ == "__main__":
    main()
