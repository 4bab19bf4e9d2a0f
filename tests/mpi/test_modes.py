"""Where blocks are evaluated: ranks, workers, schedules, and what surrounds them."""

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import chosen_ranks, mpirun, over, python

PROGRAMS = str(Path(__file__).with_name("programs.py"))


@pytest.mark.each_mpi
@pytest.mark.parametrize("schedule", ["stride", "slice", "dynamic"])
def test_every_rank_evaluates_blocks(schedule):
    for ranks in chosen_ranks(4):
        result = mpirun(
            ranks, PROGRAMS, "where", "--items", "2000", "--schedule", schedule, "--json"
        ).json
        pids = {row[0] for row in result["value"]}
        assert len(pids) == ranks
        assert result["evaluated_blocks"] == len(result["value"]) == 80


@pytest.mark.each_mpi
def test_hybrid_workers_are_no_forks_of_ranks_and_know_of_no_launcher(tmp_path):
    path = tmp_path / "where.h5"
    finished = mpirun(2, PROGRAMS, "where", "--workers", "2", "--output", str(path), "--json")
    pids, parents, mpi_loaded, launcher_variables, threads = np.array(finished.json["value"]).T
    with h5py.File(path) as file:
        workers = file["workers"][:]
        assert set(workers["host"]) == set(file["ranks"]["host"])
    assert len(workers) == 4
    assert set(pids) == set(workers["pid"]), "all four, and nobody else, computed"
    assert sorted(workers["rank"]) == [0, 0, 1, 1]
    assert len(set(parents)) == 2, "each rank has a fork server"
    assert not set(parents) & set(pids)
    assert not mpi_loaded.any()
    assert not launcher_variables.any()
    assert set(threads) == {1}


@pytest.mark.each_mpi
def test_the_fork_server_is_older_than_mpi():
    code = """
import sys
import mpipar.runtime.pool_worker as workers, mpipar.runtime.comm as comm
from multiprocessing.forkserver import _forkserver
prepare, world = workers.prepare, comm.world.__wrapped__
def watched_world():
    assert _forkserver._forkserver_pid is not None, "MPI is loaded before the fork server runs"
    assert "mpi4py.MPI" not in sys.modules
    return world()
import functools
comm.world = functools.cache(watched_world)
import mpipar.command.driver as driver
driver.world = comm.world
import mpipar.pi
mpipar.pi.pi.main(["--steps", "1e6", "--workers", "2", "--json"])
"""
    assert mpirun(2, "-c", code, cold=True).json["ranks"] == 2


@pytest.mark.each_mpi
def test_workers_auto_is_the_share_of_the_cores():
    flags = {
        "env": {
            "PRTE_MCA_hwloc_default_binding_policy": "none",
            "I_MPI_PIN": "off",
            "SLURM_CPUS_PER_TASK": "1",
        }
    }
    assert (
        mpirun(2, "-m", "mpipar.pi", "--steps", "1e6", "--workers", "auto", "--json", **flags).json[
            "workers"
        ]
        == 1
    )
    alone = python("-m", "mpipar.pi", "--steps", "1e6", "--workers", "auto", "--json").json
    code = "from mpipar.runtime.node import usable_cores; print(usable_cores())"
    assert alone["workers"] == int(python("-c", code).stdout)


@pytest.mark.each_mpi
def test_dynamic_keeps_all_ranks_busy(tmp_path):
    path = tmp_path / "sleeping.h5"
    result = mpirun(8, PROGRAMS, "sleeping", "--output", str(path), "--json").json
    with h5py.File(path) as file:
        ranks, slept, longest = (
            file["ranks"][:],
            file["partials"][:],
            file["workers"]["longest"].max(),
        )
    assert result["value"] == math.fsum(slept)
    assert (ranks["blocks"] > 0).all(), "all ranks evaluated blocks"
    # Blocks went to whoever was free: no rank was busy for longer than its fair share and the
    # longest block.
    assert ranks["seconds"].max() < 1.2 * (ranks["seconds"].sum() / 8 + longest)
    assert np.ptp(ranks["blocks"]) > 0, "not the same number of blocks for each"


@pytest.mark.each_mpi
def test_the_counters_helper_for_other_nodes_works_and_ends():
    # As if each rank were a node of its own: the root's helper thread runs beside its blocks.
    code = f"""
import functools, sys, threading
sys.path.insert(0, {str(Path(PROGRAMS).parent)!r})
import programs
from mpipar.runtime import comm, counter
counter.spans_nodes = lambda mpi, comm: True
seen = set()
evaluate = programs.where.function
@functools.wraps(evaluate)
def watching(block, **options):
    seen.update(thread.name for thread in threading.enumerate())
    return evaluate(block, **options)
programs.where.function = watching
try:
    programs.where.main(["--items", "2000", "--json"])
finally:
    after = [thread.name for thread in threading.enumerate()]
    assert comm.world().is_root == ("mpipar counter" in seen), seen
    assert "mpipar counter" not in after
"""
    assert mpirun(3, "-c", code).json["evaluated_blocks"] == 80


@pytest.mark.each_mpi
def test_memory_does_not_grow_with_the_plan():
    # A small block makes many of them: 1,000 and 100,000.
    code = """
import resource, sys
import mpipar.pi
try:
    mpipar.pi.pi.main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
    peaks = []
    for steps in ("1e6", "1e8"):
        finished = mpirun(
            2, "-c", code, "--steps", steps, "--block", "1000", "--schedule", "stride"
        )
        peaks.append(
            max(int(line) for line in finished.stderr.splitlines() if line.strip().isdigit())
        )
    assert peaks[1] < 1.05 * peaks[0]


@pytest.mark.parametrize(
    "numbers",
    [
        ("3e7", "30_000_001", "34_567_891"),
        pytest.param(
            ("1e8", "100_000_001", "123_456_789", "3e8", "299_999_999"), marks=pytest.mark.ci
        ),
    ],
)
def test_pi_is_right_to_the_last_digit(numbers):
    for steps in numbers:
        value = python("-m", "mpipar.pi", "--steps", steps, "--json").json["value"]
        assert abs(value - np.pi) <= np.spacing(np.pi)


def test_mcpi_is_within_four_standard_errors():
    code = """
import json
import mpipar.mcpi
from mpipar.runtime.communicator import Comm
from mpipar.runtime.run import run
for seed in range(20):
    result = run(mpipar.mcpi.mcpi.bind({"samples": 10**6}, seed=seed), Comm())
    print(json.dumps([result.value, result.error]))
"""
    values, errors = np.array([eval(line) for line in python("-c", code).stdout.splitlines()]).T
    assert len(values) == 20
    assert np.all(abs(values - np.pi) < 4 * errors)
    assert np.std(values - np.pi) == pytest.approx(errors.mean(), rel=0.6), (
        "the error is not overstated either"
    )


@pytest.mark.each_mpi
@pytest.mark.parametrize("workers", ["1", "2"])
def test_works_without_an_mpi_library(workers):
    env = {"MPI4PY_LIBMPI": "/nonexistent/libmpi.so"}
    result = python(
        "-m", "mpipar.pi", "--steps", "1e6", "--workers", workers, "--json", env=env
    ).json
    assert result["mpi"] is None
    assert result["value"] == pytest.approx(np.pi)


def test_mpi_is_not_loaded_without_a_launcher():
    finished = python("-X", "importtime", "-m", "mpipar.pi", "--steps", "1e5")
    assert finished.code == 0
    assert not any(
        name in finished.stderr for name in ("mpi4py.MPI", "h5py", "matplotlib", "multiprocessing")
    )


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    ("variable", "rank"),
    [("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID")],
)
def test_refuses_to_run_as_n_copies(variable, rank):
    speaking, silent = (
        python("-m", "mpipar.pi", "--steps", "1e5", env={variable: "4", rank: number})
        for number in ("0", "1")
    )
    assert (speaking.code, silent.code) == (2, 2)
    assert (speaking.stdout, silent.stdout) == ("", "")
    [line] = [line for line in speaking.own_errors if "mpipar" in line]
    assert f"{variable}=4" in line
    assert "COMM_WORLD of size 1" in line
    assert "mpirun" in line
    assert not any("mpipar" in line for line in silent.own_errors)


@pytest.mark.each_mpi
def test_refuses_a_launcher_without_an_mpi_library():
    env = {"MPI4PY_LIBMPI": "/nonexistent/libmpi.so", "PMI_SIZE": "2", "PMI_RANK": "0"}
    finished = python("-m", "mpipar.pi", "--steps", "1e5", env=env)
    assert finished.code == 2
    [line] = finished.own_errors
    assert "PMI_SIZE=2" in line
    assert "pip install" in line


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, 2])
def test_an_unguarded_driver_works_with_workers(ranks, tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from mpipar import driver, Count\n\n"
        '@driver(n="items", reduction=Count)\n'
        "def odd(block, *, items: int = 1000):\n"
        "    return sum(i % 2 for i in block)\n\n"
        "odd.main()\n"
    )
    assert over(ranks)(str(script), "--workers", "2", "--json").json["value"] == 500
