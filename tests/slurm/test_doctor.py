"""``mpipar doctor`` in allocations, and on nodes that don't see each other's files."""

import json
import sys

import pytest
from conftest import BIN, Finished, start

from slurm.jobs import LAUNCHERS, VENDOR, User

pytestmark = pytest.mark.each_mpi
DOCTOR = [sys.executable, "-m", "mpipar", "doctor"]
WRONG = {"mpich": ["--mpi=none"], "openmpi": ["--mpi=none", "--mpi=pmi2"], "impi": ["--mpi=none"]}[
    VENDOR
]


def inside(user: User, *command: str, cwd=None) -> Finished:
    """Run a command where srun and salloc work."""
    return start([*user.cluster.prefix(), *command], cwd=cwd or user.place, env=user.environment)


def problems(ended: Finished) -> list[str]:
    """Return the problems that were found, but for a second MPI on the path, which this machine may
    have.
    """
    found = [line for line in ended.stdout.splitlines() if line.startswith("problem:")]
    assert (ended.code != 0) == bool(found), (
        ended
    )  # Intel's mpirun over nodes ends with 1 or, now and then, with 255
    return [line for line in found if "more than one MPI" not in line]


def test_a_step_that_fits_has_no_problem(user):
    ended = inside(
        user,
        *LAUNCHERS[VENDOR].replace("srun", "srun --nodes=2 --ntasks-per-node=2").split(),
        *DOCTOR,
    )
    assert "4 seen of 4" in ended.stdout, ended
    assert "Slurm " in ended.stdout
    assert "allocation " in ended.stdout
    assert problems(ended) == []


def test_mpirun_in_an_allocation_has_no_problem(user):
    spread = (
        ["-ppn", "1"] if VENDOR != "openmpi" else ["--map-by", "ppr:1:node", "--bind-to", "none"]
    )
    mpirun = [str(BIN / "mpirun"), *spread, "-n", "3"]
    ended = inside(
        user,
        "salloc",
        "--quiet",
        "--nodes=3",
        "--ntasks-per-node=1",
        *mpirun,
        *DOCTOR,
        "--workers",
        "auto",
    )
    assert "3 seen of 3" in ended.stdout, ended
    assert problems(ended) == []
    if user.cluster.mode == "namespaces":
        for node in ("n1", "n2", "n3"):
            assert f"host {node}" in ended.stdout


@pytest.mark.parametrize("flag", WRONG)
def test_the_wrong_mpi_of_srun_is_found(user, flag):
    ended = inside(user, "srun", flag, "--nodes=2", "--ntasks-per-node=2", *DOCTOR)
    assert len(problems(ended)) == 1, ended
    assert "1 seen of 4" in ended.stdout
    assert LAUNCHERS[VENDOR].split()[1] in ended.stdout.partition("remedy:")[2]


@pytest.mark.ci
@pytest.mark.usefixtures("separate_nodes")
def test_nodes_that_do_not_see_each_others_files_are_found(user):
    """/dev/shm is there on all nodes, but each has its own."""
    launcher = (
        LAUNCHERS[VENDOR]
        .replace("srun", "srun --nodes=2 --ntasks-per-node=1 --chdir=/dev/shm")
        .split()
    )
    ended = inside(user, *launcher, *DOCTOR)
    assert len(problems(ended)) == 1, ended
    assert "can't see what" in ended.stdout
    assert "a folder that all nodes share" in ended.stdout


def test_what_srun_offers_is_told(user):
    ended = inside(user, *DOCTOR)
    assert "pmi2" in ended.stdout, ended
    assert problems(ended) == []


@pytest.mark.ci
def test_json_of_a_run_names_the_nodes(user):
    step = LAUNCHERS[VENDOR].replace("srun", "srun --nodes=4 --ntasks-per-node=1").split()
    ended = inside(user, *step, sys.executable, "-m", "mpipar.pi", "--steps=1e6", "--json")
    assert json.loads(ended.stdout)["ranks"] == 4, ended
