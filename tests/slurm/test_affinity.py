"""Each rank has the cores that it asked for, on a cluster that holds processes to their cores."""

from pathlib import Path

import pytest

from slurm.conftest import ON_SITE
from slurm.jobs import LAUNCHERS, ROOT, VENDOR, User

# A driver that leaves word of each process: of ranks, and of their workers.
WHERE = """
import multiprocessing, os, socket, time
from mpipar import ExactSum, driver

kind = "worker" if multiprocessing.parent_process() else "rank"
with open(f"{kind}-{socket.gethostname()}-{os.getpid()}", "w") as file:
    print(socket.gethostname(), *sorted(os.sched_getaffinity(0)), file=file)

@driver(n="items", reduction=ExactSum, block=1)
def where(block, *, items: int = 8) -> float:
    return 1.0

if __name__ == "__main__":
    where.main()
"""


Found = list[tuple[str, set[int]]]


def found(place: Path, kind: str) -> Found:
    """Return the host and the cores of each process on the nodes."""
    told = [path.read_text().split() for path in place.glob(f"{kind}-n*")]
    return [(host, {int(core) for core in cores}) for host, *cores in told]


def check(place: Path, ranks: int, cores_each: int, log: str) -> None:
    """Fail if some ranks of a node, or their workers, have fewer cores among them than they
    should.
    """
    ranks_found = found(place, "rank")
    check_enough(ranks_found, ranks, cores_each, log)
    workers_found = found(place, "worker")
    assert all(
        any(own <= cores for name, cores in ranks_found if name == host)
        for host, own in workers_found
    )
    check_enough(workers_found, len(workers_found), 1, log)


def check_enough(processes: Found, count: int, cores_each: int, log: str) -> None:
    """Fail if there are not so many processes, or some of a node have too few cores among them."""
    assert len(processes) == count, (processes, log)
    assert " share " not in log
    for host, own in processes:
        within = [other for name, other in processes if name == host and other <= own]
        assert len(own) >= cores_each * len(within), (processes, log)


@pytest.fixture
def user(user: User, separate_nodes: None) -> User:
    """Return a user with the driver; nodes that share a machine share its cores."""
    (user.place / "where.py").write_text(WHERE)
    return user


# Each MPI binds its ranks by itself.
CI_OF_EACH = [pytest.mark.ci, pytest.mark.each_mpi]

# Where Open MPI may put more ranks on a node than it has cores, as in these tests, all would be on
# the first.
SPREAD = " --map-by node --bind-to none" if VENDOR == "openmpi" else ""


@ON_SITE
@pytest.mark.each_mpi
@pytest.mark.parametrize("launcher", ["mpirun", "mpirun -n {ranks}" + SPREAD, LAUNCHERS[VENDOR]])
@pytest.mark.parametrize(
    ("resources", "ranks", "cores"),
    [
        ("nodes = 2\nranks_per_node = 2\nworkers = 1", 4, 1),
        pytest.param("ranks = 3\nworkers = 1", 3, 1, marks=CI_OF_EACH),
        pytest.param("nodes = 2\nranks_per_node = 1\nworkers = 2", 2, 2, marks=CI_OF_EACH),
        pytest.param('nodes = 2\nranks_per_node = 1\nworkers = "auto"', 2, 2, marks=pytest.mark.ci),
        pytest.param(
            "nodes = 2\nranks_per_node = 1\ncores_per_rank = 2", 2, 2, marks=pytest.mark.ci
        ),
        pytest.param("nodes = 4\nranks_per_node = 2", 8, 1, marks=pytest.mark.ci),
    ],
)
def test_ranks_of_job_files_have_their_cores(user, cluster, resources, ranks, cores, launcher):
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    (user.place / "job.toml").write_text(
        f'[run]\ndriver = "where.py:where"\n[resources]\n{resources}\nmemory = "0"\n'
    )
    number = user.submit(user.place / "job.toml", "--site", "site.toml")
    state = cluster.wait(number)["JobState"]
    log = user.log(number, "job", "runs/job")
    assert state == "COMPLETED", log
    check(user.place, ranks, cores, log)


@ON_SITE
@pytest.mark.each_mpi
@pytest.mark.parametrize(
    ("script", "options", "ranks", "cores"),
    [
        ("mpi", ["--nodes=2", "--ntasks=4"], 4, 1),
        pytest.param(
            "mpi", ["--nodes=2", "--ntasks=2", "--cpus-per-task=2"], 2, 2, marks=CI_OF_EACH
        ),
        pytest.param("hybrid", ["--nodes=2"], 2, 2, marks=CI_OF_EACH),
        pytest.param(
            "gpu",
            ["--nodes=2", "--ntasks-per-node=2", "--gpus-per-node=2"],
            4,
            1,
            marks=pytest.mark.ci,
        ),
    ],
)
def test_ranks_of_the_scripts_have_their_cores(user, cluster, script, options, ranks, cores):
    number = user.sbatch(
        *options, ROOT / "slurm" / f"{script}.sbatch", "-m", "mpipar", "run", "where.py:where"
    )
    state = cluster.wait(number)["JobState"]
    log = (user.place / f"{script}-{number}.out").read_text()
    assert state == "COMPLETED", log
    check(user.place, ranks, cores, log)


MINE = """#!/bin/bash
export SRUN_CPUS_PER_TASK=1
mpirun -n 4 python -m mpipar run where.py:where
"""


@ON_SITE
def test_a_run_says_that_it_has_fewer_cores_than_ranks(user, cluster):
    """In a script of the user's own: mpirun's one task a node has one core, and all ranks share
    it.
    """
    (user.place / "mine.sbatch").write_text(MINE)
    number = user.sbatch("--nodes=2", "--ntasks-per-node=2", "--output=log", "mine.sbatch")
    assert cluster.wait(number)["JobState"] == "COMPLETED"
    told = [line for line in (user.place / "log").read_text().splitlines() if " share " in line]
    assert len(told) == 1
    assert (
        "host n1 (and 1 more): 2 ranks share 1 core, as they are pinned: unset SRUN_CPUS_PER_TASK"
        in told[0]
    )
