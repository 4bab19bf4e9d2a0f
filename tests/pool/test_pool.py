"""mpipar.Pool does what multiprocessing.Pool does."""

import itertools
import multiprocessing
from collections import Counter
from pathlib import Path

import pool_calls
import pytest
from conftest import UNBOUND, chosen_ranks, mpirun, over, python
from pool_calls import (
    CALLS,
    process_id,
    process_id_at_once,
    process_id_late_at_times,
    result_of,
    square,
)
from suite.limits import Limit
from suite.rings import in_ci

from mpipar import Pool

PROGRAM = str(Path(__file__).with_name("pool_calls.py"))
theirs = multiprocessing.get_context("forkserver").Pool


@pytest.fixture(scope="module")
def pools():
    with theirs(2) as reference, Pool(2) as pool:
        yield reference, pool


@pytest.fixture(scope="module")
def expected(pools):
    """Return what comes of all calls of multiprocessing's pool."""
    return {name: result_of(name, pools[0], theirs) for name in CALLS}


def test_all_calls_come_to_what_they_do_in_multiprocessing(pools, expected):
    assert {name: result_of(name, pools[1], Pool) for name in CALLS} == expected


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [*chosen_ranks(2), *in_ci(None, *chosen_ranks(1, 3))])
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


@pytest.mark.parametrize(
    ("task", "processes", "limit", "tasks", "chunksize", "count"),
    [
        (process_id_at_once, 1, 2, 6, 1, 3),
        (process_id_late_at_times, 1, 2, 6, 1, 3),
        pytest.param(process_id_at_once, 1, 1, 4, 1, 4, marks=pytest.mark.ci),
        pytest.param(process_id_at_once, 1, 1, 6, 2, 3, marks=pytest.mark.ci),
        pytest.param(process_id_at_once, 2, 1, 6, 1, 6, marks=pytest.mark.ci),
        pytest.param(process_id_at_once, 1, 3, 7, 1, 3, marks=pytest.mark.ci),
        pytest.param(process_id_late_at_times, 1, 3, 6, 1, 2, marks=pytest.mark.ci),
    ],
)
def test_a_worker_is_replaced_after_so_many_tasks(task, processes, limit, tasks, chunksize, count):
    with (
        Pool(processes, maxtasksperchild=limit) as pool,
        theirs(processes, maxtasksperchild=limit) as reference,
    ):
        found = len(set(pool.map(task, range(tasks), chunksize)))
        assert found == len(set(reference.map(task, range(tasks), chunksize))) == count


def test_workers_stay_without_a_limit():
    with Pool(2) as pool:
        assert len(set(pool.map(process_id, range(20), 1))) == 2


def test_an_endless_iterable():
    with Pool(2) as pool:
        squares = pool.imap(square, itertools.count())
        assert [next(squares) for _ in range(1000)] == [n * n for n in range(1000)]
        unordered = pool.imap_unordered(square, itertools.count())
        assert len({next(unordered) for _ in range(1000)}) == 1000


@pytest.mark.alone
@pytest.mark.parametrize("count", [10_000, *in_ci(100_000)])
def test_short_tasks_are_handed_out_together(count):
    limit = Limit(count * 4e-4)
    with Pool(2) as pool:
        assert sum(pool.imap(square, range(count))) == sum(n * n for n in range(count))
        assert sum(pool.map(square, range(2 * count), chunksize=1)) == sum(
            n * n for n in range(2 * count)
        )
    assert not limit.is_over, limit


def test_its_name_and_size_are_told():
    with Pool(3) as pool:
        assert repr(pool) == "<mpipar.pool.pool.Pool state=RUN pool_size=3>"
    assert repr(pool).startswith("<mpipar.pool.pool.Pool state=TERMINATE")


def test_retries_must_not_be_negative():
    with pytest.raises(ValueError, match="retries must be 0 or more, got -1"):
        Pool(1, retries=-1)


def test_the_table_has_all_methods_of_a_pool():
    text = Path(pool_calls.__file__).read_text()
    assert all(
        f"pool.{name}" in text
        for name in vars(multiprocessing.pool.Pool)
        if name[0] != "_" and name != "Process"
    )


def test_workers_import_nothing_that_the_server_could_have_for_all(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("""if True:
        from mpipar import Pool
        if __name__ == "__main__":
            with Pool(4) as pool:
                print(pool.map(abs, [-1, -2, -3]))
    """)
    finished = python(str(script), env={"PYTHONPROFILEIMPORTTIME": "1"}, cold=True)
    assert finished.stdout == "[1, 2, 3]\n", finished.stderr
    imports = Counter(
        line.rpartition("|")[2].strip() for line in finished.stderr.splitlines() if "|" in line
    )
    assert imports["mpipar.runtime.child"] == 2  # the script and the server of its workers
    often = [
        name for name, times in imports.items() if times > 3
    ]  # these two and the tracker of resources
    assert [
        name for name in often if name.partition(".")[0] not in ("org", "nt", "_winapi")
    ] == []  # not there: tried by pickle, os, multiprocessing
