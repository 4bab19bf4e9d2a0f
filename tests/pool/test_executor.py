"""mpipar.Executor does what concurrent.futures.ProcessPoolExecutor does."""

import concurrent.futures
import functools
import itertools
import multiprocessing
from pathlib import Path

import pytest
from conftest import UNBOUND, chosen_ranks, mpirun, over
from executor_calls import CALLS, result_of
from pool_calls import gate, pass_gate, process_id, square, wait_for
from suite.rings import in_ci

from mpipar import Executor

PROGRAM = str(Path(__file__).with_name("executor_calls.py"))
theirs = functools.partial(
    concurrent.futures.ProcessPoolExecutor, mp_context=multiprocessing.get_context("forkserver")
)


@pytest.fixture(scope="module")
def expected():
    """Return what comes of all calls of the executor of concurrent.futures."""
    return {name: result_of(name, theirs) for name in CALLS}


def test_all_calls_come_to_what_they_do_in_concurrent_futures(expected):
    assert {name: result_of(name, Executor) for name in CALLS} == expected


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [*chosen_ranks(2), *in_ci(*chosen_ranks(1, 3))])
def test_all_calls_over_ranks(ranks, expected):
    finished = over(ranks)(PROGRAM)
    assert finished.json == expected
    assert finished.own_errors == []


@pytest.mark.ci
@pytest.mark.each_mpi
def test_all_calls_over_ranks_with_several_workers_each(expected):
    finished = mpirun(2, "-m", "mpipar", "run", "--workers", "2", PROGRAM, env=UNBOUND)
    assert finished.json == expected
    assert finished.own_errors == []


@pytest.mark.parametrize("size", [1, 3])
def test_a_buffer_bounds_what_is_taken_of_an_endless_iterable(size):
    taken = []
    with Executor(2) as executor:
        values = executor.map(
            square, (taken.append(n) or n for n in itertools.count()), buffersize=size
        )
        for n in range(20):
            assert len(taken) <= n + size
            assert next(values) == n * n
        values.close()
        with pytest.raises(ValueError, match="buffersize must be None or > 0"):
            executor.map(square, [1], buffersize=0)


def test_shutdown_ends_what_a_buffer_holds_back():
    with Executor(1) as executor:
        values = executor.map(square, itertools.count(), buffersize=2)
        assert next(values) == 0
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        list(values)


def test_what_is_left_of_a_map_can_be_cancelled():
    executor = Executor(1)
    with gate() as opened:
        values = executor.map(pass_gate, [opened] * 11)
        wait_for(opened.with_name("begun"))
        executor.shutdown(wait=False, cancel_futures=True)
        opened.touch()
        with pytest.raises(concurrent.futures.CancelledError):
            list(values)


def test_it_has_as_many_workers_as_asked_for():
    with Executor(3) as executor:
        assert executor._max_workers == 3
        assert (
            len({future.result() for future in [executor.submit(process_id) for _ in range(60)]})
            <= 3
        )


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [*in_ci(None), *chosen_ranks(2)])
@pytest.mark.parametrize(
    "end", ["", "executor.shutdown(wait=False)", *in_ci("raise SystemExit(0)")]
)
def test_work_that_is_pending_at_the_end_of_the_script_is_done(end, ranks, tmp_path):
    (tmp_path / "script.py").write_text(f"""
import time
from pathlib import Path
from mpipar import Executor
def touch(name):
    time.sleep(0.05)
    Path(name).touch()
executor = Executor(2)
futures = [executor.submit(touch, f"submitted{{n}}") for n in range(6)]
executor.map(touch, (f"mapped{{n}}" for n in range(6)))
futures[0].add_done_callback(lambda _: print("called back"))
{end}
""")
    finished = over(ranks)("script.py", cwd=tmp_path)
    assert (finished.code, finished.stdout, finished.own_errors) == (0, "called back\n", [])
    assert len(list(tmp_path.glob("submitted*"))) == 6
    if not end.startswith("executor"):
        assert len(list(tmp_path.glob("mapped*"))) == 6
