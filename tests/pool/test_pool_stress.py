"""Many threads use one pool at once while its workers are killed: each call returns what it must,
and all ends.
"""

import pytest
from conftest import chosen_ranks, over
from suite.rings import in_ci

PROGRAM = """
import contextlib, os, random, signal, sys, threading
from mpipar import Executor, Pool

SEED, THREADS, CALLS, KILLS = map(int, sys.argv[1:])

def negative(x): return -x
def first(items): return items[0]
def total(*numbers): return sum(numbers)
def fails(x):
    if x % 7 == 3: raise ValueError(x)
    return x

def told(call):
    try: return call()
    except ValueError as error: return repr(error)

def calls(pool, order):
    n = order.choice([1, 2, 3, 32, 100, 1500])
    lists = [[k] for k in range(n)]
    yield pool.apply(total, (n, 1)), n + 1
    yield pool.map(negative, range(n)), [-k for k in range(n)]
    yield pool.map(first, lists), list(range(n))
    yield told(lambda: pool.map(fails, range(n))), list(range(n)) if n < 4 else "ValueError(3)"
    yield pool.starmap(total, [(k, 1) for k in range(n)]), [k + 1 for k in range(n)]
    waiting = pool.map_async(first, lists)
    lists[0][0] = "too late"
    yield waiting.get(), list(range(n))
    several = [pool.apply_async(first, ([k],)) for k in range(min(n, 100))]
    yield [each.get() for each in several], list(range(min(n, 100)))
    yield list(pool.imap(negative, range(n), order.choice([1, 7]))), [-k for k in range(n)]
    yield sorted(pool.imap_unordered(first, ([k] for k in range(n)))), list(range(n))
    yield pool.map(len, [bytes(2**order.randrange(20))] * 3)[0] > 0, True

def use(pool, number):
    order = random.Random(f"{SEED} {number}")
    done = 0
    try:
        while done < CALLS:
            for found, expected in calls(pool, order):
                assert found == expected, (found, expected)
                done += 1
                with lock:
                    due.append(1)
                    is_due = len(due) % (1 + THREADS * CALLS // (KILLS + 1)) == 0
                if is_due:
                    victim = order.choice(pool._pool)
                    with contextlib.suppress(ProcessLookupError):  # it has just been replaced
                        os.kill(victim.pid, signal.SIGKILL)
                    killed.append(victim.pid)
    except BaseException as error:
        wrong.append(repr(error)[:300])

if __name__ == "__main__":
    lock, due, wrong, killed = threading.Lock(), [], [], []
    with Pool(3, retries=1000) as pool:
        threads = [threading.Thread(target=use, args=(pool, number)) for number in range(THREADS)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    print(wrong, len(killed) >= KILLS)
"""


@pytest.mark.parametrize("ranks", [None, *in_ci(*chosen_ranks(3))])
@pytest.mark.parametrize("arguments", ["1 4 40 3", *in_ci("2 8 150 12", "3 1 300 20")])
def test_all_calls_come_back_whatever_happens_to_workers(arguments, ranks, tmp_path):
    (tmp_path / "script.py").write_text(PROGRAM)
    finished = over(ranks)(str(tmp_path / "script.py"), *arguments.split())
    assert (finished.code, finished.stdout) == (0, "[] True\n"), finished.stderr


MEETING = """
import sys, threading, time
from pathlib import Path
from mpipar import Pool

def meet(pair):
    if pair is None:
        return True
    own, other = map(Path, pair)
    own.touch()
    deadline = time.monotonic() + 20
    while not other.exists() and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    return other.exists()

if __name__ == "__main__":
    a, b = sys.argv[1:]
    with Pool(2) as pool:
        for _ in range(10):
            pool.map(meet, [None] * 2)
        print(pool.map(meet, [(a, b), (b, a)]))
"""


@pytest.mark.parametrize("ranks", [None, *in_ci(*chosen_ranks(2))])
def test_tasks_of_a_function_that_was_short_wait_for_each_other(ranks, tmp_path):
    (tmp_path / "script.py").write_text(MEETING)
    finished = over(ranks)(*(str(tmp_path / name) for name in ("script.py", "a", "b")))
    assert (finished.code, finished.stdout) == (0, "[True, True]\n"), finished.stderr
