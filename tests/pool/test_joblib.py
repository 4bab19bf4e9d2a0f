"""The backend of joblib: what a script asks of Parallel is what it gets, with the workers of all
ranks.
"""

import textwrap

import pytest
from conftest import UNBOUND, mpirun, over, python
from suite.limits import slowness
from suite.rings import in_ci

HEAD = """
import os, sys, time, warnings
from joblib import Parallel, delayed, effective_n_jobs, parallel_backend, parallel_config
import mpipar.joblib

mpipar.joblib.register()

FACTOR = {"value": 1}

def times(x):
    return FACTOR["value"] * x

def fail_at_five(x):
    time.sleep(0.01)
    if x == 5:
        raise ValueError("five")
    return x

def process(_):
    time.sleep(0.01)
    return os.getpid()
"""


@pytest.fixture
def script(tmp_path):
    """Return how to write a script: the head above, and some lines in a context with the
    backend.
    """

    def write(lines: str) -> str:
        path = tmp_path / "script.py"
        body = textwrap.indent(textwrap.dedent(lines), "    ")
        path.write_text(f"{HEAD}\nwith parallel_config(backend='mpipar'):\n{body}")
        return str(path)

    return write


def printed(finished) -> list[str]:
    assert finished.code == 0, finished.stderr
    return finished.stdout.splitlines()


def test_one_line_makes_the_name_known():
    code = "import joblib, mpipar.joblib; mpipar.joblib.register(); mpipar.joblib.register();"
    code += "print(joblib.Parallel(2, backend='mpipar')(joblib.delayed(abs)(-i) for i in range(4)))"
    assert printed(python("-c", code, cold=True)) == ["[0, 1, 2, 3]"]


def test_joblib_is_loaded_by_that_line_alone_and_not_changed_but_for_the_name():
    code = """
import sys, mpipar.joblib
print("joblib" in sys.modules)
mpipar.joblib.register()
import joblib.parallel as p
print(p.DEFAULT_BACKEND, "mpipar" in p.BACKENDS, "mpipar.pool.engine" in sys.modules)
"""
    assert printed(python("-c", code, cold=True)) == ["False", "loky True False"]


def test_a_task_of_a_pool_may_use_the_name_in_a_worker_that_has_not_run_the_script():
    code = """
import joblib, mpipar.joblib
mpipar.joblib.register()
def inner(x):
    return sum(joblib.Parallel(2, backend="mpipar")(joblib.delayed(abs)(-i) for i in range(x)))
with mpipar.Pool(2) as pool:
    print(pool.map(inner, range(4)))
"""
    assert printed(python("-c", code, cold=True)) == ["[0, 0, 1, 3]"]


@pytest.mark.each_mpi
def test_a_script_under_mpipar_run_need_not_import_mpipar(tmp_path):
    (tmp_path / "script.py").write_text(
        "from joblib import Parallel, delayed\nprint(Parallel(n_jobs=-1, backend='mpipar',"
        " verbose=1)(delayed(abs)(-i) for i in range(4)))\n"
    )
    finished = mpirun(3, "-m", "mpipar", "run", str(tmp_path / "script.py"))
    assert printed(finished) == ["[0, 1, 2, 3]"]
    assert "Using backend MpiparBackend with 3 concurrent workers" in finished.stderr


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [2, *in_ci(None, 1, 3)])
def test_values_come_in_order_over_any_number_of_ranks(ranks, script):
    path = script("""
        print(Parallel()(delayed(times)(i) for i in range(40)) == list(range(40)))
        print(sorted(Parallel(return_as="generator_unordered")(delayed(times)(i) for i in range(40))) == [*range(40)])
        print(Parallel(pre_dispatch="all", batch_size=3)(delayed(times)(i) for i in range(40)) == list(range(40)))
    """)
    assert printed(over(ranks)(path)) == ["True"] * 3


@pytest.mark.each_mpi
def test_all_workers_of_all_ranks_take_part_or_as_many_as_asked_for(script):
    path = script("""
        print(effective_n_jobs(-1), effective_n_jobs(-2), effective_n_jobs(2), effective_n_jobs(9), effective_n_jobs(1))
        def processes(n_jobs):
            return len(set(Parallel(n_jobs=n_jobs, batch_size=1)(delayed(process)(i) for i in range(60))))
        print(processes(None), processes(-1), processes(2), processes(1))
    """)
    finished = mpirun(2, "-m", "mpipar", "run", "--workers", "2", path, env=UNBOUND)
    assert printed(finished) == ["4 3 2 4 1", "4 4 2 1"]


def test_without_a_launcher_there_are_as_many_workers_as_asked_for(script):
    path = script(
        "print(len(set(Parallel(n_jobs=3, batch_size=1)(delayed(process)(i) for i in range(60)))))"
    )
    assert printed(python(path)) == ["3"]


def test_workers_stay_for_the_next_call_and_see_what_has_changed_in_the_script(script):
    path = script("""
        def both():
            found = Parallel(n_jobs=2, batch_size=1)(delayed(lambda i: (process(i), times(i)))(i) for i in range(40))
            pids, values = zip(*found)
            return set(pids), sum(values)
        first, value = both()
        FACTOR["value"] = 2
        second, twice = both()
        print(len(first), first == second, twice == 2 * value)
    """)
    assert printed(python(path)) == ["2 True True"]


@pytest.mark.parametrize("ranks", [*in_ci(None), pytest.param(2, marks=pytest.mark.each_mpi)])
def test_what_a_task_raises_arrives_and_workers_are_free_for_the_next_call(ranks, script):
    path = script("""
        began = time.monotonic()
        with Parallel(n_jobs=2, batch_size=1) as parallel:
            try:
                parallel([delayed(fail_at_five)(5), *[delayed(time.sleep)(60)] * 3])
            except ValueError as error:
                print(error, "in fail_at_five" in str(error.__cause__))
            print(parallel(delayed(times)(i) for i in range(4)), time.monotonic() - began < 30)
    """)
    assert printed(over(ranks)(path)) == ["five True", "[0, 1, 2, 3] True"]


def test_errors_in_pickling_and_in_the_iterator_arrive_too(script):
    path = script("""
        for bad in (lambda i: i if i < 30 else sys._getframe(), lambda i: 1 // (30 - i)):
            try:
                Parallel(n_jobs=2)(delayed(times)(bad(i)) for i in range(60))
            except (TypeError, ZeroDivisionError) as error:
                print(error)
        print(Parallel(n_jobs=2)(delayed(times)(i) for i in range(4)))
    """)
    expected = [
        "cannot pickle 'frame' object",
        "integer division or modulo by zero",
        "[0, 1, 2, 3]",
    ]
    assert printed(python(path)) == expected


def test_a_timeout_ends_what_takes_too_long(script):
    path = script("""
        began = time.monotonic()
        try:
            Parallel(n_jobs=2, timeout=0.3)(delayed(time.sleep)(60) for _ in range(4))
        except Exception as error:
            print(type(error).__name__)
        print(Parallel(n_jobs=2)(delayed(times)(i) for i in range(4)), time.monotonic() - began < 30)
    """)
    assert printed(python(path)) == ["TimeoutError", "[0, 1, 2, 3] True"]


def test_a_generator_may_be_left_and_several_be_under_way(script):
    path = script("""
        warnings.simplefilter("ignore")  # joblib tells that values were not used
        left = Parallel(n_jobs=2, return_as="generator")(delayed(process)(i) for i in range(600))
        next(left)
        del left
        one, other = (Parallel(n_jobs=2, return_as="generator")(delayed(times)(i) for i in range(20)) for _ in "ab")
        print(list(zip(one, other)) == [(i, i) for i in range(20)])
    """)
    assert printed(python(path)) == ["True"]


def test_parallel_in_a_task_or_in_the_iterator_of_tasks_is_fine(script):
    path = script("""
        def inner(x):
            calls = [Parallel(n_jobs=2, backend=name)(delayed(times)(i) for i in range(x)) for name in (None, "mpipar")]
            return [sum(values) for values in calls]
        print(Parallel(n_jobs=2)(delayed(inner)(i) for i in range(5)))
        def nested(i):
            return sum(Parallel(n_jobs=2, backend="mpipar")(delayed(times)(j) for j in range(i)))
        print(Parallel(n_jobs=2)(delayed(times)(nested(i)) for i in range(9)))
    """)
    assert printed(python(path)) == [
        "[[0, 0], [0, 0], [1, 1], [3, 3], [6, 6]]",
        "[0, 0, 1, 3, 6, 10, 15, 21, 28]",
    ]


def test_many_short_tasks_do_not_take_a_message_each(script):
    path = script("""
        Parallel(n_jobs=2)(delayed(times)(i) for i in range(100))
        began = time.monotonic()
        print(sum(Parallel(n_jobs=2)(delayed(times)(i) for i in range(20_000))), time.monotonic() - began)
    """)
    [total], [seconds] = zip(*[line.split() for line in printed(python(path))], strict=True)
    assert total == "199990000"
    assert float(seconds) < 5 * slowness()


def test_a_task_that_ends_its_worker_is_given_up_or_not_even_tried_again(script, tmp_path):
    path = script(f"""
        def end():
            with open({str(tmp_path / "begun")!r}, "a") as file:
                file.write("x")
            os._exit(3)
        for retries in (1, 0):
            try:
                Parallel(n_jobs=2, retries=retries)([delayed(end)()])
            except mpipar.WorkerLost as error:
                print("end was given up: the worker ended with exit code 3" in str(error))
    """)
    assert printed(python(path)) == ["True", "True"]
    assert (tmp_path / "begun").read_text() == "xxx"


def test_older_ways_to_ask_for_it_and_what_it_refuses(script):
    path = script("""
        with parallel_backend("mpipar", n_jobs=2):
            print(Parallel()(delayed(times)(i) for i in range(4)))
        for wrong in (lambda: Parallel(n_jobs=0)([]), lambda: parallel_config(backend="mpipar", retries=-1)):
            try:
                wrong()
            except ValueError as error:
                print(error)
    """)
    expected = [
        "[0, 1, 2, 3]",
        "n_jobs == 0 in Parallel has no meaning",
        "retries must be 0 or more, got -1",
    ]
    assert printed(python(path)) == expected
