"""CPython's own tests of pools and executors, unmodified, with the names of multiprocessing
standing for mpipar's.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
from conftest import over

HERE = Path(__file__).parent
RANKS = 3
FEWEST = {"pool": 29, "executor": 30}

_PARTS = "looks at threads and queues that only the standard executor has"
_PLAIN = "starts plain Python, with the name of the executor's class"
CANNOT = {
    "_TestPool.test_imap_handle_iterable_exception": (
        "the item before the exception in its chunk comes, too"
    ),
    "_TestPoolWorkerErrors.test_unpickleable_result": "its lambda can be sent",
    "ProcessPoolForkExecutorDeadlockTest": (
        "crashes and replaces parts that only the standard executor has"
    ),
    "ProcessPoolForkFailingInitializerTest.test_initializer": (
        "its error is the cause of what is raised, not logged"
    ),
    "ProcessPoolForkProcessPoolShutdownTest.test_del_shutdown": _PARTS,
    "ProcessPoolForkProcessPoolShutdownTest.test_shutdown_no_wait": _PARTS,
    "ProcessPoolForkProcessPoolShutdownTest.test_interpreter_shutdown": _PLAIN,
    "ProcessPoolForkProcessPoolShutdownTest.test_submit_after_interpreter_shutdown": _PLAIN,
    "ProcessPoolForkProcessPoolExecutorTest.test_killed_child": (
        "its worker is replaced, and the task done again"
    ),
    "ProcessPoolForkProcessPoolExecutorTest.test_max_tasks_per_child": (
        "workers are replaced in a context of fork, too"
    ),
    "ProcessPoolForkProcessPoolExecutorTest.test_max_tasks_per_child_defaults_to_spawn_context": (
        _PARTS
    ),
}
_COUNT = "counts on as many workers as it asks for"
CANNOT_OVER_RANKS = {
    "ProcessPoolForkProcessPoolShutdownTest.test_processes_terminate": _COUNT,
    "ProcessPoolForkProcessPoolExecutorTest.test_idle_process_reuse_one": _COUNT,
    "ProcessPoolForkProcessPoolExecutorTest.test_idle_process_reuse_multiple": _COUNT,
    "ProcessPoolForkProcessPoolExecutorTest.test_saturation": _COUNT,
}


def folder_of(name):
    """Return the folder of one of CPython's tests, or skip: not all installations have all of
    them.
    """
    package = importlib.util.find_spec("test")
    places = [*(package.submodule_search_locations or ())] if package is not None else []
    for place in (os.environ.get("MPIPAR_TEST_CPYTHON"), *places):
        if place and (Path(place) / name).exists():
            return place
    pytest.skip(
        f"there is no {name} of Python {sys.version_info.major}.{sys.version_info.minor} here"
    )


@pytest.mark.ci
@pytest.mark.parametrize("ranks", [None, RANKS])
@pytest.mark.parametrize("what", ["pool", "executor"])
def test_cpythons_own_tests_hold(what, ranks, tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    if what == "executor":  # alone: the folder of all would hide other modules
        place = folder_of("test_concurrent_futures.py")
        (folder / "test_concurrent_futures.py").symlink_to(
            Path(place) / "test_concurrent_futures.py"
        )
    else:
        folder_of("_test_multiprocessing.py")
    left_out = [*CANNOT, *(CANNOT_OVER_RANKS if ranks else ())]
    program = (
        "-m",
        "mpipar",
        "run",
        str(HERE / "cpython_program.py"),
        what,
        str(folder),
        *left_out,
    )
    finished = over(ranks)(*program, cwd=tmp_path, timeout=300)
    assert finished.code == 0, finished.stderr
    outcome = json.loads(finished.stdout.splitlines()[-1])
    assert outcome["failed"] == {}, finished.stderr
    assert outcome["run"] >= FEWEST[what]
