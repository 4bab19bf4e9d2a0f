"""GPUs as Slurm hands them out, on a cluster with stand-ins for them: who has which, and the
shipped files for them.
"""

import os
import re
from pathlib import Path

import h5py
import pytest
from conftest import python
from cuda_on_host import COMPILER

from slurm.cluster import Cluster
from slurm.configuration import GPUS
from slurm.jobs import LAUNCHERS, ROOT, VENDOR, User, hosts_of, value_of

TESTS = Path(__file__).parents[1]

# Tells the node and Slurm's number of the GPU that each block was evaluated on.
WHICH = """
import os
from mpipar import Concatenate, driver

@driver(n="items", reduction=Concatenate, block=1)
def which(block, xp, *, items: int = 4):
    seen = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    return [int(os.environ["SLURMD_NODENAME"][1:]), int(seen[xp.cuda.current])]

if __name__ == "__main__":
    which.main()
"""


@pytest.fixture
def gpu_user(user: User) -> User:
    """Return somebody whose CuPy is the stand-in."""
    (user.place / "kernels").mkdir()
    user.environment |= {
        "PYTHONPATH": os.pathsep.join([str(TESTS / "stand_in"), str(TESTS)]),
        "STAND_IN_GPUS": str(GPUS),
        "STAND_IN_KERNELS": str(user.place / "kernels"),
    }
    return user


def log_of(user: User, name: str, number: str) -> str:
    return (user.place / f"{name}-{number}.out").read_text()


@pytest.mark.usefixtures("separate_nodes")
@pytest.mark.parametrize(
    "options",
    [
        ["--ntasks-per-node=2", "--gpus-per-node=2"],
        pytest.param(
            ["--ntasks-per-node=2", "--gpus-per-node=2", "--gpus-per-task=1"], marks=pytest.mark.ci
        ),
        pytest.param(["--ntasks-per-node=1", "--gpus-per-node=1"], marks=pytest.mark.ci),
    ],
    ids=" ".join,
)
def test_each_rank_has_a_gpu_of_its_own(gpu_user: User, cluster: Cluster, options: list[str]):
    (gpu_user.place / "which.py").write_text(WHICH)
    run = ["which.py", "--device", "gpu", "--schedule", "stride", "--output", "which.h5"]
    number = gpu_user.sbatch("--nodes=2", *options, ROOT / "slurm/gpu.sbatch", *run)
    found = cluster.wait(number)
    log = log_of(gpu_user, "gpu", number)
    assert found["JobState"] == "COMPLETED", log
    with h5py.File(gpu_user.place / "which.h5") as file:
        ranks, where = file.attrs["ranks"], file["value"][()].reshape(-1, 2).tolist()
    assert ranks == 2 * int(options[0][-1])
    assert len({tuple(one) for one in where[:ranks]}) == ranks, log
    if ranks == 4:
        assert sorted(where) == [[1, 0], [1, 1], [2, 0], [2, 1]]


@pytest.mark.ci
@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
@pytest.mark.usefixtures("separate_nodes")
@pytest.mark.parametrize("launcher", ["mpirun", LAUNCHERS[VENDOR]])
def test_the_job_file_runs_on_gpus_with_the_bits_of_one(
    gpu_user: User, cluster: Cluster, launcher: str
):
    (gpu_user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    small = ("run.options.steps=1e6", "run.options.block=50_000")
    changes = [word for change in small for word in ("--set", change)]
    number = gpu_user.submit(ROOT / "jobs/pi-gpu.toml", *changes, "--site", "site.toml")
    found = cluster.wait(number)
    log = gpu_user.log(number, "pi-gpu", "runs/pi-gpu")
    assert found["JobState"] == "COMPLETED", log
    there = gpu_user.place / "runs/pi-gpu/pi.h5"
    alone = [
        "-m",
        "mpipar.pi",
        "--steps=1e6",
        "--block=50_000",
        "--device=gpu",
        "--output=alone.h5",
    ]
    assert python(*alone, cwd=gpu_user.place, env=gpu_user.environment).code == 0
    assert value_of(there) == value_of(gpu_user.place / "alone.h5")
    with h5py.File(there) as file:
        assert (file.attrs["device"], file.attrs["ranks"]) == ("gpu", 4)
    assert sorted(hosts_of(there)) == ["n1", "n1", "n2", "n2"]


@pytest.mark.ci
@pytest.mark.usefixtures("separate_nodes")
def test_doctor_finds_a_gpu_without_a_rank(gpu_user: User, cluster: Cluster):
    doctor = ["-m", "mpipar", "doctor"]
    numbers = [
        gpu_user.sbatch(
            "--ntasks-per-node=2", f"--gpus-per-node={gpus}", ROOT / "slurm/gpu.sbatch", *doctor
        )
        for gpus in (2, 1)
    ]
    for number in numbers:
        cluster.wait(number)
    log, other = (log_of(gpu_user, "gpu", number) for number in numbers)
    assert "Stand-in" in log
    assert "share one GPU" not in log
    assert "without a rank" not in log
    assert "SLURM_GPUS_ON_NODE=2" in log
    assert re.search(r"problem: host n\d: ranks 0, 1 share one GPU", other)
