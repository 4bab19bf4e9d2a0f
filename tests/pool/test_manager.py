"""What a manager shares reaches the workers of all ranks, and nobody else."""

from pathlib import Path

import pytest
from conftest import UNBOUND, chosen_ranks, mpirun, over, python
from suite.rings import in_ci

PROGRAM = str(Path(__file__).with_name("manager_program.py"))


def wrong(finished):
    """Return the cases that came to something else than they should."""
    return [case for case, is_right in finished.json.items() if not is_right]


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [*chosen_ranks(2), *in_ci(None, *chosen_ranks(1, 3))])
def test_all_that_a_manager_shares_is_the_same_everywhere(ranks):
    finished = over(ranks)(PROGRAM)
    assert wrong(finished) == []
    assert finished.own_errors == []


@pytest.mark.ci
@pytest.mark.each_mpi
def test_it_is_the_same_for_several_workers_in_each_rank():
    finished = mpirun(2, "-m", "mpipar", "run", "--workers", "2", PROGRAM, env=UNBOUND)
    assert wrong(finished) == []
    assert finished.own_errors == []


@pytest.mark.parametrize("ranks", [*in_ci(None), *chosen_ranks(2)])
def test_a_manager_ends_with_the_script(ranks, tmp_path):
    (tmp_path / "script.py").write_text(
        "from mpipar import Manager\nmanager = Manager()\nprint(list(manager.list('ab')),"
        " manager._process.pid)\n"
    )
    finished = over(ranks)("script.py", cwd=tmp_path)
    assert (finished.code, finished.own_errors) == (0, [])
    shared, _, pid = finished.stdout.strip().rpartition(" ")
    assert shared == "['a', 'b']"
    assert not Path(f"/proc/{pid}").exists()


def test_a_manager_by_its_name_in_multiprocessing(tmp_path):
    (tmp_path / "script.py").write_text("""
from multiprocessing import Manager, Pool
with Manager() as manager, Pool() as pool:
    shared = manager.list()
    pool.map(shared.append, range(5))
    print(sorted(shared))
""")
    for run in (
        python,
        lambda *arguments, **options: mpirun(chosen_ranks(2)[0], *arguments, **options),
    ):
        finished = run("-m", "mpipar", "run", "script.py", cwd=tmp_path)
        assert (finished.code, finished.stdout, finished.own_errors) == (0, "[0, 1, 2, 3, 4]\n", [])
