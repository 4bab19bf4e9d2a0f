"""What pools promise beyond the interface: nobody waits behind a long task, nothing is lost at the
end of a script.
"""

import textwrap

import pytest
from conftest import UNBOUND, over
from suite.rings import in_ci

RUN = ("-m", "mpipar", "run", "--workers", "2", "script.py")


@pytest.fixture(params=[*in_ci(None), pytest.param(2, marks=pytest.mark.each_mpi)])
def printed(request, tmp_path):
    def run(code):
        (tmp_path / "script.py").write_text(textwrap.dedent(code))
        finished = over(request.param)(*RUN, cwd=tmp_path, env=UNBOUND)
        assert finished.code == 0, finished.stderr
        return finished.stdout.splitlines()

    return run


@pytest.mark.parametrize(
    "call", [*in_ci("pool.map(work, tasks, chunksize=1)"), "list(pool.imap(work, tasks))"]
)
def test_long_tasks_among_short_ones_are_shared_out(call, printed):
    assert printed(f"""
        import os, time
        from multiprocessing import Pool
        def work(seconds):
            time.sleep(seconds)
            return os.getpid()
        with Pool() as pool:
            pool.map(time.sleep, [0.05] * 16, chunksize=1)  # so that all workers have been started
            tasks = [0] * 2000 + [0.2] * 8 + [0] * 2000
            pids = {call}
            print(len(pids), len(set(pids[2000:2008])) == len(set(pids)) > 1)
    """) == ["4008 True"]


def test_a_value_comes_though_a_later_task_waits_for_it(printed):
    assert printed("""
        from multiprocessing import Manager, Pool
        def work(pair):
            number, event = pair
            return number if event is None else event.wait(30)
        with Manager() as manager, Pool() as pool:
            event = manager.Event()
            for value in pool.imap(work, ((n, event if n == 3001 else None) for n in range(6000))):
                if value == 3000:
                    event.set()
                elif value is True:
                    print("waited")
    """) == ["waited"]


def test_items_are_taken_as_they_are_when_they_come(printed):
    assert printed("""
        from multiprocessing import Pool
        def refilled():
            buffer = [0]
            for buffer[0] in range(100):
                yield buffer
        def first(items):
            return items[0]
        with Pool() as pool:
            print(list(pool.imap(first, refilled())) == list(range(100)))
    """) == ["True"]


def test_workers_have_numbers_of_their_own_over_all_ranks(printed):
    assert printed("""
        import multiprocessing, os, time
        def me(_):
            time.sleep(0.05)
            process = multiprocessing.current_process()
            return os.getpid(), process.name, process._identity
        with multiprocessing.Pool() as pool:
            found = set(pool.map(me, range(40), chunksize=1))
            size = len({pid for pid, _, _ in found})
            print(len(found) == size == len({name for _, name, _ in found}) == len({number for _, _, number in found}))
            print(sorted(number for _, _, (number,) in found) == list(range(1, size + 1)))
    """) == ["True", "True"]


def test_a_script_may_choose_how_its_own_processes_start(printed):
    assert printed("""
        import multiprocessing
        if __name__ == "__main__":
            multiprocessing.set_start_method("spawn")
            with multiprocessing.Pool() as pool:
                print(pool.map(abs, [-1]), multiprocessing.get_start_method())
    """) == ["[1] spawn"]


def test_threads_and_executors_that_nobody_waits_for_are_done(printed):
    assert sorted(
        printed("""
        import threading, time
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import Pool
        def say(text):
            print(text, flush=True)
        def with_a_pool():
            time.sleep(0.3)
            with Pool() as pool:
                pool.map(say, ["in a pool of a thread"])
        def submit():
            ProcessPoolExecutor().submit(say, "by an executor")
        submit()
        threading.Thread(target=with_a_pool).start()
    """)
    ) == ["by an executor", "in a pool of a thread"]


def test_a_callback_may_wait_for_another_pool(printed):
    assert printed("""
        import threading
        from concurrent.futures import ProcessPoolExecutor
        one, other, done = ProcessPoolExecutor(), ProcessPoolExecutor(), threading.Event()
        def go_on(future):
            print(other.submit(pow, future.result(), 2).result())
            done.set()
        one.submit(pow, 2, 3).add_done_callback(go_on)
        print(done.wait(30))
    """) == ["64", "True"]


def test_progress_bars_over_processes(printed):
    assert printed("""
        from tqdm.contrib.concurrent import process_map
        if __name__ == "__main__":
            print(process_map(abs, range(-5, 0), chunksize=1))
    """) == ["[5, 4, 3, 2, 1]"]


def test_a_pool_whose_workers_cannot_start_tells_so(tmp_path):
    (tmp_path / "script.py").write_text(
        "import resource\nfrom mpipar import Pool\nwith Pool(1) as pool:\n    pool.map(abs, [1])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\npool = Pool(30)\n"
        "try:\n    pool.map(abs, range(10))\nexcept RuntimeError as error:\n    print(error)\n"
    )
    finished = over(None)("script.py", cwd=tmp_path)
    assert (finished.code, finished.stdout.startswith("a worker can't be started: ")) == (
        0,
        True,
    ), finished.stderr


def test_names_mean_what_they_did_at_the_call(printed):
    lines = printed("""
        from concurrent.futures import ProcessPoolExecutor as Executor
        from multiprocessing import Pool
        def level(_=None):
            return LEVEL
        results, maps = [], []
        with Pool(2) as pool, Executor(2) as executor:
            for LEVEL in range(20):
                def twice(x):
                    return 2 * x + LEVEL
                results += [pool.apply_async(level), executor.submit(level), pool.apply_async(twice, (LEVEL,))]
                maps.append(pool.map_async(level, range(50), chunksize=1))
            values = [result.get() if hasattr(result, "get") else result.result() for result in results]
            print(values == [value for n in range(20) for value in (n, n, 3 * n)])
            print([set(found.get()) for found in maps] == [{n} for n in range(20)])
    """)
    assert lines == ["True", "True"]


def test_a_task_that_uses_mpi_sees_a_world_of_one(printed):
    assert printed("""
        from concurrent.futures import ProcessPoolExecutor
        def world(x):
            from mpi4py import MPI
            comm = MPI.COMM_WORLD
            return comm.rank, comm.size, comm.allreduce(x), comm.gather(x), MPI.COMM_SELF.size
        with ProcessPoolExecutor() as executor:
            print(list(executor.map(world, range(6))) == [(0, 1, x, [x], 1) for x in range(6)])
    """) == ["True"]


def test_a_worker_that_the_script_ends_is_replaced(tmp_path):
    (tmp_path / "script.py").write_text(
        "import signal\nfrom multiprocessing import Pool\nwith Pool(2) as pool:\n    process ="
        " pool._pool[0]\n    process.terminate()\n    process.join()\n    print(process.is_alive(),"
        " process.exitcode == -signal.SIGTERM, pool.map(abs, [-1]))\n    print(process.pid not in"
        " {other.pid for other in pool._pool})\n"
    )
    finished = over(None)("-m", "mpipar", "run", "script.py", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (0, "False True [1]\nTrue\n")
    assert "the worker was killed by SIGTERM; it is replaced" in finished.stderr
