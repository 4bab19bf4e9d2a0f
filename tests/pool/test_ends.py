"""Whatever a script leaves open, it ends as under plain Python, with the same output and exit
code.
"""

import pytest
from conftest import chosen_ranks, over, python
from suite.rings import in_ci

RUN = ("-m", "mpipar", "run")

SCRIPTS = {
    "a thread pool": (
        """
        from concurrent.futures import ThreadPoolExecutor
        executor = ThreadPoolExecutor(1)
        print(executor.submit(abs, -1).result())
        for number in range(3):
            executor.submit(print, number)
        """
    ),
    "an executor with work": (
        """
        import atexit
        from concurrent.futures import ProcessPoolExecutor
        if __name__ == "__main__":
            atexit.register(print, "bye")
            executor = ProcessPoolExecutor(1)
            executor.submit(abs, -2).add_done_callback(lambda future: print(future.result()))
            raise KeyError("x")
        """
    ),
    "the threads of an event loop": (
        """
        import asyncio, threading
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(loop.run_in_executor(None, abs, -4)))
        threading.Thread(target=loop.run_forever, daemon=True).start()
        """
    ),
    "a thread that waits for the main part": (
        """
        import threading
        def wait():
            threading.main_thread().join()
            print("over")
        threading.Thread(target=wait).start()
        print("end")
        """
    ),
    "a daemon that uses a pool": (
        """
        import threading
        from multiprocessing import Pool
        pool, begun = Pool(1), threading.Event()
        def run():
            while True:
                pool.map(abs, range(3))
                begun.set()
        threading.Thread(target=run, daemon=True).start()
        print(begun.wait())
        """
    ),
    "a thread that uses a pool": (
        """
        import threading
        from multiprocessing import Pool
        pool = Pool(1)
        def run():
            threading.main_thread().join()
            print(pool.map(abs, [-1]))
        threading.Thread(target=run).start()
        """
    ),
    "work for a pool": (
        """
        import atexit
        from multiprocessing import Pool
        pool = Pool(1)
        atexit.register(lambda: print(pool.map(abs, [-1, -2])))
        atexit.register(print, "first")
        """
    ),
    "os._exit": (
        """
        import atexit, os
        from multiprocessing import Pool
        atexit.register(print, "never")
        print(Pool(1).map(abs, [-1]), flush=True)
        os._exit(3)
        """
    ),
    "os._exit in a thread": (
        """
        import os, threading
        threading.Thread(target=os._exit, args=(4,)).start()
        threading.Event().wait()
        """
    ),
    "os._exit without an error": (
        """
        import os
        print("done", flush=True)
        os._exit(0)
        """
    ),
    "os._exit at exit": (
        """
        import atexit, os
        atexit.register(os._exit, 5)
        print("done", flush=True)
        """
    ),
    "a copy of itself": (
        """
        import os, sys
        from multiprocessing import Pool
        with Pool(1) as pool:
            print(pool.map(abs, [-1]), flush=True)
        child = os.fork()
        if child == 0:
            sys.exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    ),
    "a closed stdout": (
        """
        import sys
        print("x")
        sys.stdout.close()
        """
    ),
    "a hook that ends it": (
        """
        import sys
        sys.excepthook = lambda kind, error, trace: (print(kind, trace.tb_frame.f_code.co_name), sys.exit(7))
        1 / 0
        """
    ),
    "an odd exit code": "import sys; sys.exit([1, 2])",
    "a large exit code": "import sys; sys.exit(10**30)",
}
OFTEN = ["a thread pool", "an executor with work", "a daemon that uses a pool", "os._exit"]


def script_of(name: str) -> str:
    lines = SCRIPTS[name].splitlines()
    return "\n".join(line.removeprefix(" " * 8) for line in lines) + "\n"


@pytest.mark.parametrize("ranks", [None, *in_ci(chosen_ranks(2)[0])])
@pytest.mark.parametrize("name", [*OFTEN, *in_ci(*(name for name in SCRIPTS if name not in OFTEN))])
def test_what_it_leaves_is_ended_as_python_does(name, ranks, tmp_path):
    (tmp_path / "script.py").write_text(script_of(name))
    expected = python("script.py", cwd=tmp_path, cold=True)
    finished = over(ranks)(*RUN, "script.py", cwd=tmp_path, cold=True)
    assert (finished.stdout, finished.code) == (expected.stdout, expected.code), finished.stderr
    if ranks is None:
        assert finished.stderr == expected.stderr


@pytest.mark.ci
def test_an_interrupt_is_one_to_who_waits_for_it(tmp_path):
    (tmp_path / "script.py").write_text("raise KeyboardInterrupt\n")
    expected = python("script.py", cwd=tmp_path, cold=True)
    finished = python(*RUN, "script.py", cwd=tmp_path, cold=True)
    assert finished == expected
