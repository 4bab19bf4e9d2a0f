"""Scripts as they are, in the manner of courses: over ranks and workers they print what they print
without.
"""

import functools
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import FOR_OPEN_MPI, UNBOUND, chosen_ranks, mpirun, over, python
from suite.rings import in_ci

SCRIPTS = Path(__file__).parent / "scripts"
MODULES = {"geometry"}
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem not in MODULES)

ARGUMENTS = {
    "reads_stdin": ("-n", "3", "--workers", "2", "a title"),
    "thumbnails": (".",),
    "word_count": (".",),
}
INPUT = "3\n12 345\n6\n78901\n"  # mpirun of Open MPI 5 does not tell where it ends
COMPLAINING = {"shared_memory_blocks"}  # each rank's resource tracker does
PRINTING = {"printing_tasks"}  # their tasks' lines come in any order
ENDING = {"exit_code": 3, "exit_message": 1, "uncaught": 1}  # with another code than 0
ALIKE = {  # what these ask of pools others do too, and the tables of all calls
    *(
        "exceptions",
        "executor_asyncio",
        "executor_map",
        "image_arrays",
        "imap_progress",
        "integration",
        "large_arrays",
    ),
    *(
        "mandelbrot",
        "manager_list_dict",
        "map_squares",
        "matrix_rows",
        "monte_carlo_pi",
        "partial_manager_list",
    ),
    *(
        "particles",
        "prime_search",
        "processes_of_tasks",
        "queue_read_late",
        "several_pools",
        "slices_apply_async",
    ),
    *("starmap_compound", "thumbnails", "timeouts", "word_count"),
}
# these also with each MPI: large ones, many, of all ranks' workers, of processes beside, and the
# end
OF_MESSAGES = {
    *(
        "callbacks",
        "exit_code",
        "imap_progress",
        "initializer_global",
        "large_arrays",
        "manager_lock_value_queue",
    ),
    *("several_pools", "slices_apply_async", "uncaught", "unguarded_executor"),
}

MODES = [(None, None), *((ranks, None) for ranks in chosen_ranks(1, 2, 3)), (2, 2)]
ALL_MODES = bool(os.environ.get("MPIPAR_TEST_ALL_MODES"))  # as `make test-all-modes` sets it
RUN = ("-m", "mpipar", "run")

RANDOM = """
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool

import numpy as np

def draw(_):
    rng = np.random.default_rng()
    return random.random(), random.sample(range(100), 3), np.random.rand(2).tolist(), rng.normal(), rng.integers(1000)

def shuffled(n):
    return np.random.default_rng().permutation(n).tolist(), np.random.default_rng(3).integers(100)

with Pool(3) as pool:
    print(pool.map(draw, range(40)))
    print(pool.map(draw, range(3)), [pool.apply(draw, (0,)) for _ in range(3)])
    print(sorted(pool.imap_unordered(draw, range(10), chunksize=3), key=str), pool.starmap(shuffled, [(4,), (5,)]))
with Pool(2) as pool:
    print(pool.map(draw, range(2)))
with ProcessPoolExecutor() as executor:
    print([future.result() for future in [executor.submit(draw, i) for i in range(5)]], [*executor.map(draw, "ab")])
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return what a script does with the processes of multiprocessing itself."""
    return functools.cache(
        lambda name: script_run(python, tmp_path_factory.mktemp("reference"), name)
    )


def script_run(run, folder, name, *options, env=None):
    """Run a script in a folder, with its arguments and something on stdin."""
    (folder / "input").write_text(INPUT)
    env = {"PYTHONUNBUFFERED": "", **(env or {})}  # else lines of several tasks may mix
    with open(folder / "input") as stdin:
        return run(
            *options,
            str(SCRIPTS / f"{name}.py"),
            *ARGUMENTS.get(name, ()),
            cwd=folder,
            stdin=stdin,
            env=env,
        )


def settings(workers):
    return ((), None) if workers is None else (("--workers", str(workers)), UNBOUND)


def lines(finished, name):
    printed = finished.stdout.splitlines()
    return sorted(printed) if name in PRINTING else printed


def complaints(finished):
    """Return what is on stderr; the last line alone of a traceback."""
    return finished.own_errors[-1:] if "Traceback" in finished.stderr else finished.own_errors


def chosen_modes():
    """Return each script in all modes, or else in hybrid mode and in another, which is the first
    ring's.
    """
    for number, name in enumerate(NAMES):
        for mode in MODES if ALL_MODES else (MODES[number % (len(MODES) - 1)], MODES[-1]):
            marks = [pytest.mark.ci] * (mode == MODES[-1] or name in ALIKE)
            marks += [pytest.mark.each_mpi] * (name in OF_MESSAGES and mode == MODES[-1])
            yield pytest.param(name, *mode, marks=marks)


@pytest.mark.parametrize(("name", "ranks", "workers"), list(chosen_modes()))
def test_a_script_does_the_same_as_without_mpipar(name, ranks, workers, reference, tmp_path):
    options, env = settings(workers)
    finished = script_run(over(ranks), tmp_path, name, *RUN, *options, env=env)
    expected = reference(name)
    assert lines(finished, name) == lines(expected, name), finished.stderr
    assert finished.code == expected.code == ENDING.get(name, 0)
    assert expected.stdout
    if name not in COMPLAINING:
        assert complaints(finished) == complaints(expected)


def test_there_are_scripts():
    assert len(NAMES) >= 20
    assert {*ENDING, *OF_MESSAGES, *ALIKE, *COMPLAINING, *PRINTING, *ARGUMENTS} <= {*NAMES}


@pytest.mark.parametrize("ranks", [None, *in_ci(*chosen_ranks(2))])
def test_a_module_is_run_as_a_script(ranks, reference):
    for name in ("with_module", "exit_code"):
        finished = over(ranks)(*RUN, "-m", name, cwd=SCRIPTS, env={"PYTHONDONTWRITEBYTECODE": "1"})
        assert (finished.stdout, finished.code) == (reference(name).stdout, reference(name).code)
        assert finished.own_errors == []


def test_a_package_is_run_as_a_script(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tools.py").write_text("def half(x):\n    return x / 2\n")
    (package / "__main__.py").write_text(
        "import sys\nfrom multiprocessing import Pool\nfrom .tools import half\n"
        "def double_half(x):\n    return 2 * half(x)\n"
        "if __name__ == '__main__':\n    with Pool(2) as pool:\n"
        "        print(pool.map(half, range(4)), pool.map(double_half, range(4)), sys.argv[1:])\n"
    )
    expected = python("-m", "package", "--seed", "3", cwd=tmp_path)
    assert expected.own_errors == []
    for ranks in (None, chosen_ranks(2)[0]):
        finished = over(ranks)(*RUN, "-m", "package", "--seed", "3", cwd=tmp_path)
        assert (finished.stdout, finished.own_errors) == (expected.stdout, [])


@pytest.mark.parametrize("workers", [2, *in_ci(None)])
def test_n_starts_mpirun(workers, reference, tmp_path):
    (tmp_path / "ranks.py").write_text("import multiprocessing; print(multiprocessing.cpu_count())")
    options, _ = settings(workers)
    finished = python(*RUN, "-n", "2", *options, str(tmp_path / "ranks.py"), env=FOR_OPEN_MPI)
    assert (finished.stdout, finished.own_errors, finished.code) == (
        f"{2 * (workers or 1)}\n",
        [],
        0,
    )
    for name in ("particles", "reads_stdin", "exit_code"):
        finished = script_run(python, tmp_path, name, *RUN, "-n", "2", *options, env=FOR_OPEN_MPI)
        assert (finished.stdout, finished.code) == (reference(name).stdout, reference(name).code)
        assert finished.own_errors == []


@pytest.mark.parametrize("ranks", [*chosen_ranks(2), *in_ci(None, *chosen_ranks(1))])
def test_functions_without_a_name_are_tasks_too(ranks, tmp_path):
    (tmp_path / "nameless.py").write_text(
        "from multiprocessing import Pool\ndef power_of(n):\n    return lambda x: x ** n\nwith"
        " Pool(2) as pool:\n    print(pool.map(lambda x: x + 1, range(3)), [pool.map(power_of(n),"
        " range(4)) for n in (2, 3)])\n    for i in range(3):\n       "
        " print(pool.apply_async(lambda: 10 * i).get())\n"
    )
    finished = over(ranks)(*RUN, "nameless.py", cwd=tmp_path)
    assert finished.stdout == "[1, 2, 3] [[0, 1, 4, 9], [0, 1, 8, 27]]\n0\n10\n20\n"
    assert finished.own_errors == []


@pytest.mark.parametrize("ranks", [*in_ci(None), *chosen_ranks(2)])
def test_what_could_not_be_sent_is_told_where_it_is_missed(ranks, tmp_path):
    (tmp_path / "unsendable.py").write_text(
        "from multiprocessing import Pool\nnumbers = (x for x in range(9))\n"
        "def task(x):\n    return next(numbers)\n"
        "with Pool(2) as pool:\n    print(pool.map(task, range(3)))\n"
    )
    finished = over(ranks)(*RUN, "unsendable.py", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (1, "")
    assert (
        "'numbers' of the script could not be sent to workers: cannot pickle 'generator'"
        in finished.stderr
    )


@pytest.mark.parametrize("modes", [(MODES[0], MODES[-1]), *in_ci(MODES)], ids=["two", "all"])
def test_a_seed_makes_random_numbers_the_same_in_all_modes(modes, tmp_path):
    (tmp_path / "draws.py").write_text(RANDOM)
    printed = set()
    for ranks, workers in modes:
        options, env = settings(workers)
        finished = over(ranks)(*RUN, *options, "--seed", "7", "draws.py", cwd=tmp_path, env=env)
        assert (finished.code, finished.own_errors) == (0, [])
        printed.add(finished.stdout)
    assert len(printed) == 1
    for column in zip(*eval(printed.pop().splitlines()[0], {"np": np}), strict=True):
        assert len({str(drawn) for drawn in column}) > 35


def test_another_seed_or_none_makes_others(tmp_path):
    (tmp_path / "draws.py").write_text(RANDOM)
    options = [("--seed", "7"), ("--seed=8",), (), ()]
    printed = [python(*RUN, *chosen, "draws.py", cwd=tmp_path).stdout for chosen in options]
    assert len(set(printed)) == 4


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("missing.py",), "there is no file 'missing.py'"),
        ((), "expected SCRIPT.py"),
        (("--frobnicate", "3", "script.py"), "unrecognized arguments: --frobnicate"),
        (("--worker", "3", "script.py"), "; did you mean --workers?"),
        (("-n", "0", "script.py"), "argument -n/-np: expected a whole number from 1 on"),
        (("-n=two", "script.py"), "argument -n/-np: expected a whole number"),
        (("--workers", "0", "script.py"), "argument --workers: expected a whole number from 1 on"),
        (("--workers=many", "script.py"), "argument --workers: expected a whole number from 1 on"),
        (("--seed", "-1", "script.py"), "argument --seed: expected"),
        (("--seed",), "argument --seed: expected one argument"),
        (("-m",), "expected SCRIPT.py, -m MODULE"),
        (("missing.py:kernel",), "missing.py"),
    ],
)
def test_wrong_options_are_refused_in_one_line(arguments, complaint, tmp_path):
    (tmp_path / "script.py").write_text("print('runs')")
    finished = python(*RUN, *arguments, cwd=tmp_path)
    assert (finished.code, finished.stdout) == (2, "")
    assert len(finished.own_errors) == 1, finished.stderr
    assert finished.own_errors[0].startswith("mpipar run: error: ")
    assert complaint in finished.own_errors[0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(("missing.py",), "there is no file 'missing.py'", marks=pytest.mark.each_mpi),
        pytest.param(
            ("--workers", "-1", "script.py"), "argument --workers: expected", marks=pytest.mark.ci
        ),
        (("-n", "2", "script.py"), "started by a launcher already"),
    ],
)
def test_ranks_refuse_wrong_options_once(arguments, complaint, tmp_path):
    (tmp_path / "script.py").write_text("print('runs')")
    finished = mpirun(*chosen_ranks(3), *RUN, *arguments, cwd=tmp_path)
    assert (finished.code, finished.stdout) == (2, "")
    assert len(finished.own_errors) == 1, finished.stderr
    assert complaint in finished.own_errors[0]


@pytest.mark.parametrize("ranks", [*in_ci(None), *chosen_ranks(2)])
def test_a_missing_module_and_wrong_syntax_are_told_as_python_does(ranks, tmp_path):
    (tmp_path / "wrong.py").write_text("print('never'\n")
    finished = over(ranks)(*RUN, "wrong.py", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (1, "")
    assert "SyntaxError: '(' was never closed" in finished.stderr
    assert finished.stderr.count("SyntaxError") == 1
    finished = over(ranks)(*RUN, "-m", "missing_module", cwd=tmp_path)
    assert (finished.code, finished.stdout) == (1, "")
    assert "No module named" in finished.stderr
