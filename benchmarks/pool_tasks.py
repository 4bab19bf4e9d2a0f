"""What benchmarks/pool.py measures, a script of multiprocessing: prints one JSON object.

python pool_tasks.py WHAT [ARGUMENT]: the rates of tasks that do nothing, the time of sleeps, what an idle pool costs,
how memory grows.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import random
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

WORKERS = 2


def nothing(x):
    return x


def nap(seconds):
    time.sleep(seconds)
    return os.getpid()


def rate(tasks, action):
    """Return tasks a second, the median of the runs that half a second has room for, after a short one."""
    action(range(1000))
    seconds = []
    while not seconds or sum(seconds) < 0.5:
        began = time.perf_counter()
        count = sum(1 for _ in action(range(tasks)))
        seconds.append(time.perf_counter() - began)
        assert count == tasks
    return tasks / statistics.median(seconds)


def rates(pool_class, tasks):
    with pool_class(WORKERS) as pool:
        return {
            "map": rate(10**5, lambda items: pool.map(nothing, items)),
            "map(chunksize=1)": rate(tasks, lambda items: pool.map(nothing, items, chunksize=1)),
            "imap": rate(tasks, lambda items: pool.imap(nothing, items)),
        }


def executor_rates(tasks):
    with ProcessPoolExecutor(WORKERS) as executor:
        return {"map": rate(tasks, lambda items: executor.map(nothing, items))}


def sleeps(seed):
    rng = random.Random(seed)
    seconds = [0.01 * rng.lognormvariate(0.0, 1.0) for _ in range(400)]
    with multiprocessing.Pool() as pool:
        pool.map(nap, [0.001] * 100, chunksize=1)
        began = time.perf_counter()
        pids = pool.map(nap, seconds, chunksize=1)
        return {"seconds": seconds, "elapsed": time.perf_counter() - began, "workers": len(set(pids))}


def cpu_seconds_of_job():
    """Return the CPU time of all processes that the launcher has started, so far."""
    parents, seconds = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
        seconds[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    launcher = os.getppid()
    return sum(seconds[pid] for pid in parents if launcher in ancestors(pid, parents))


def ancestors(pid, parents):
    while pid in parents:
        pid = parents[pid]
        yield pid


def idle():
    with multiprocessing.Pool() as pool:
        pool.map(nothing, range(1000))
        time.sleep(1.0)
        before = cpu_seconds_of_job()
        time.sleep(5.0)
        return {"cpu_seconds": cpu_seconds_of_job() - before}


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(tasks):
    with multiprocessing.Pool() as pool:
        pool.map(nothing, range(1000))
        before = largest = resident()
        for value in itertools.islice(pool.imap(nothing, itertools.count()), tasks):
            if value % 10**4 == 0:
                largest = max(largest, resident())
        return {"grown_mib": largest - before}


def main():
    what, *arguments = sys.argv[1:]
    if what == "mpi4py":
        from mpi4py.util.pool import Pool

        measured = rates(Pool, int(arguments[0]))
    elif what == "rates":
        measured = rates(multiprocessing.Pool, int(arguments[0]))
    else:
        function = {"executor": executor_rates, "sleeps": sleeps, "idle": idle, "memory": memory}[what]
        measured = function(*map(int, arguments))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
