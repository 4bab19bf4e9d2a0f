"""mpipar doctor: what is here, and each fault that it knows with its remedy."""

import os
from pathlib import Path

import pytest
from conftest import BIN, FOR_OPEN_MPI, UNBOUND, mpirun, python

from mpipar.command import doctor
from mpipar.command.doctor import Rank, _unshared
from mpipar.runtime.leftovers import Leftover
from mpipar.runtime.pinning import place

DOCTOR = ("-m", "mpipar", "doctor")
ONE_MPI = {"PATH": str(BIN)}
# What a launcher of another MPI than this environment's says.
OTHER_MPI = (
    ("PMI_SIZE", "PMI_RANK")
    if (BIN / "prterun").exists()
    else ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")
)


def test_alone_all_is_well():
    finished = python(*DOCTOR, env=ONE_MPI)
    assert (finished.code, finished.own_errors) == (0, []), finished.stdout
    assert "ranks" in finished.stdout
    assert "1 seen of 1" in finished.stdout
    assert finished.stdout.endswith("no problem found\n")


@pytest.mark.each_mpi
def test_ranks_are_seen_and_the_page_comes_once():
    finished = mpirun(2, *DOCTOR, env={**UNBOUND, "PATH": f"{BIN}:/usr/bin:/bin"})
    assert finished.stdout.count("2 seen of 2") == finished.stdout.count("versions") == 1
    assert finished.code == min(
        1, finished.stdout.count("\nproblem: ")
    )  # there may be another MPI, or one core


@pytest.mark.each_mpi
def test_help_comes_once():
    finished = mpirun(2, *DOCTOR, "--help")
    assert finished.code == 0, finished.stderr
    assert finished.stdout.count("usage: mpipar doctor [--workers N|auto]") == 1


@pytest.mark.each_mpi
@pytest.mark.parametrize(("size", "rank"), [OTHER_MPI, ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID")])
def test_copies_that_are_each_alone(size, rank):
    finished = python(*DOCTOR, env={size: "2", rank: "0", **FOR_OPEN_MPI})
    assert finished.code == 1
    assert "problem: the launcher started 2 copies" in finished.stdout
    assert (
        "remedy: launcher and library don't belong together; start with the mpirun of"
        in finished.stdout
    )
    assert ("srun --mpi=pmix" in finished.stdout) == (size == "SLURM_STEP_NUM_TASKS")


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_a_pool_that_is_pinned_to_one_core():
    core = min(os.sched_getaffinity(0))
    finished = python(
        *DOCTOR, "--workers", "2", cold=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )  # a warm one has not what its client was given
    assert finished.code == 1
    assert "its 2 workers share 1 core" in finished.stdout
    assert "remedy: ask for more cores, or for fewer workers" in finished.stdout


@pytest.mark.each_mpi
def test_more_workers_than_cores():
    finished = mpirun(2, *DOCTOR, "--workers", "64", env=UNBOUND)
    assert finished.code == 1
    assert "2 ranks with 128 workers in all share" in finished.stdout
    assert "remedy: start fewer ranks or workers" in finished.stdout


def test_two_mpis_on_the_path(tmp_path):
    folders = []
    for name, text in (
        ("one", "mpirun (Open MPI) 5.0.11"),
        ("other", "HYDRA build details: 5.0.2"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mpirun").write_text(f"#!/bin/sh\necho '{text}'\n")
        (tmp_path / name / "mpirun").chmod(0o755)
        folders.append(str(tmp_path / name))
    finished = python(*DOCTOR, env={"PATH": os.pathsep.join((*folders, "/usr/bin", "/bin"))})
    assert finished.code == 1
    assert f"{folders[0]}/mpirun (Open MPI), {folders[1]}/mpirun (MPICH)" in finished.stdout
    assert f"remedy: call the one you mean by its path: {BIN}/mpirun" in finished.stdout


def test_a_folder_that_another_node_does_not_see():
    assert not list(_unshared([Rank(place("n1", 1), True), Rank(place("n2", 1), True)]))
    [problem] = _unshared([Rank(place("n1", 1), True), Rank(place("n2", 1), False)])
    assert problem.what.startswith("n2 can't see what n1 writes to")
    assert "all nodes share" in problem.remedy


@pytest.mark.parametrize(
    "options", [("--workers",), ("--workers=0",), ("--workers", "many"), ("--work=2",), ("please",)]
)
def test_wrong_options(options):
    finished = python(*DOCTOR, *options)
    assert (finished.code, finished.stdout, len(finished.own_errors)) == (2, "", 1)


SEEN = """
import sys
from mpipar.runtime.leftovers import leftovers
print(sys.argv[1] in {str(one.path) for one in leftovers()})
"""


def test_what_killed_runs_have_left_is_told_and_removed(capsys, monkeypatch):
    found = [Leftover(Path(f"/dev/shm/mpich_shm_{k}"), 2**20) for k in range(5)]
    monkeypatch.setattr(doctor, "leftovers", lambda: found)
    monkeypatch.setattr(doctor, "remove", lambda found: found[:4])
    facts, _ = doctor.examine(1, "cpu")
    told = dict(facts)["left behind"]
    assert (
        told
        == "/dev/shm/mpich_shm_0, /dev/shm/mpich_shm_1, /dev/shm/mpich_shm_2 and 2 more (5.0 MiB),"
        " of killed runs, and no process uses it (remove it: mpipar doctor --clean)"
    )
    facts, _ = doctor.examine(1, "cpu", clean=True)
    assert dict(facts)["removed"].endswith(" and 1 more (4.0 MiB)")
    assert dict(facts)["left behind"].startswith("/dev/shm/mpich_shm_4 (1.0 MiB), ")


def test_a_segment_that_is_young_is_nobodys_leftover():
    path = Path(f"/dev/shm/mpich_shm_of_a_test_of_mpipar_{os.getpid()}")
    path.write_bytes(bytes(4096))
    try:
        young = python("-c", SEEN, str(path))
        assert young.stdout == "False\n", young.stderr
    finally:
        path.unlink()


def test_an_option_that_may_be_meant_is_told():
    finished = python(*DOCTOR, "--clena")
    assert finished.code == 2
    assert finished.stderr.rstrip().endswith("; did you mean --clean?")
