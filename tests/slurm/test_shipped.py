"""What is shipped, as it is submitted: the scripts in slurm/ and the job files in jobs/, with each
launcher.
"""

import functools
import json
import os
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import python, start

from slurm.jobs import LAUNCHERS, ROOT, VENDOR, User, hosts_of, value_of

# What makes each job short; its value is compared with that of the same command on this machine.
SHORT = {
    "pi": ["run.options.steps=1e7"],
    "pi-hybrid": ["run.options.steps=1e7"],
    "pi-gpu": [
        "run.options.steps=1e7",
        'run.options.device="auto"',
    ],  # without CuPy that is the CPU
    "mcpi-weak": ["run.options_per_rank.samples=1e5"],
    "primes-list": ["run.options.below=1e6"],
    "images": [],
    "sweep-array": [],
    "pool": ['run.arguments=["20_000"]'],
}


def checkout(place: Path) -> Path:
    """Return a folder with jobs/ in it, as a clone has."""
    shutil.copytree(ROOT / "jobs", place / "jobs")
    return place


def submitted(user: User, name: str, *options: str) -> str:
    changes = [word for change in SHORT[name] for word in ("--set", change)]
    return user.submit(user.place / "jobs" / f"{name}.toml", *changes, *options)


def same_here(user: User, name: str, output: str) -> Path:
    """Run what a job ran, on this machine without a launcher, and return its result file."""
    line = json.loads(
        (user.place / "runs" / name / "submissions.jsonl").read_text().splitlines()[-1]
    )
    words = line["command"][line["command"].index("--") + 1 :]
    here = user.place / "here"
    here.mkdir(exist_ok=True)
    folder = str(user.place / "runs" / name)
    ended = python(
        *(word.replace(folder, str(here)) for word in words if word != "--resume"), cwd=user.place
    )
    assert ended.code == 0, ended.stderr
    return here / output


def launchers() -> list[str]:
    return ["mpirun", LAUNCHERS[VENDOR]]


@pytest.mark.each_mpi
@pytest.mark.parametrize("launcher", launchers())
@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("pi", "pi.h5"),
        pytest.param("pi-hybrid", "pi.h5", marks=[pytest.mark.ci, pytest.mark.each_mpi]),
        pytest.param("pi-gpu", "pi.h5", marks=pytest.mark.ci),
        pytest.param("mcpi-weak", "mcpi.h5", marks=pytest.mark.ci),
    ],
)
def test_job_files_give_the_same_bits_as_a_laptop(user, cluster, name, output, launcher):
    checkout(user.place)
    (user.place / "site.toml").write_text(f'launcher = "{launcher}"\n')
    number = submitted(user, name, "--site", "site.toml")
    found = cluster.wait(number)
    log = user.log(number, name, f"runs/{name}")
    assert found["JobState"] == "COMPLETED", log
    there = user.place / "runs" / name / output
    assert value_of(there) == value_of(same_here(user, name, output))
    hosts = hosts_of(there)
    if cluster.mode == "namespaces":
        spread = {
            "pi": ["n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4"],
            "pi-hybrid": ["n1", "n2", "n3", "n4"],
            "pi-gpu": ["n1", "n1", "n2", "n2"],
            "mcpi-weak": ["n1", "n1", "n2", "n2"],
        }
        assert sorted(hosts) == spread[name], log
    with h5py.File(there) as file:
        assert (
            file.attrs["ranks"]
            == len(hosts)
            == {"pi": 8, "pi-hybrid": 4, "pi-gpu": 4, "mcpi-weak": 4}[name]
        )
        workers = len(file["workers"])
    assert workers == {"pi": 8, "pi-hybrid": 8, "pi-gpu": 4, "mcpi-weak": 4}[name], log


@pytest.mark.ci
def test_primes_are_listed_in_order(user, cluster):
    checkout(user.place)
    number = submitted(user, "primes-list")
    assert cluster.wait(number)["JobState"] == "COMPLETED", user.log(
        number, "primes-list", "runs/primes-list"
    )
    there, here = (
        user.place / "runs/primes-list/primes.h5",
        same_here(user, "primes-list", "primes.h5"),
    )
    with h5py.File(there) as one, h5py.File(here) as other:
        assert one["value"][()] == 78498
        assert np.array_equal(one["primes"], other["primes"])


@pytest.mark.ci
def test_images_are_made_once(user, cluster):
    checkout(user.place)
    number = submitted(user, "images")
    assert cluster.wait(number)["JobState"] == "COMPLETED", user.log(
        number, "images", "runs/images"
    )
    made = {
        path.name: path.read_bytes() for path in (user.place / "runs/images/thumbnails").iterdir()
    }
    assert len(made) == 4
    same_here(user, "images", "images.h5")
    assert made == {
        path.name: path.read_bytes() for path in (user.place / "here/thumbnails").iterdir()
    }


def test_a_pool_script_uses_the_workers_of_all_nodes(user, cluster):
    checkout(user.place)
    number = submitted(user, "pool")
    log = functools.partial(user.log, number, "pool", "runs/pool")
    assert cluster.wait(number)["JobState"] == "COMPLETED", log()
    plain = python("jobs/collatz.py", "20_000", cwd=user.place)
    assert plain.stdout.strip() in log().splitlines()


@pytest.mark.ci
def test_an_array_with_a_slice_that_fails(user, cluster):
    """``status`` tells which, and the same submission runs that one alone; all slices together are
    the whole table.
    """
    checkout(user.place)
    model = user.place / "jobs" / "pendulum.py"
    good = model.read_text()
    model.write_text(
        good.replace(
            "    a, g = 1.0", "    if (length, angle) == (0.5, 30):\n        1 / 0\n    a, g = 1.0"
        )
    )
    number = submitted(user, "sweep-array")
    user.wait_for_end(number)
    told = user.mpipar("status", number)
    assert "9 done; 1 failed: 5" in told.stdout, told.stdout
    model.write_text(good)
    anyway = ("--set", "run.options.anyway=true")  # the function is another now
    again = submitted(user, "sweep-array", *anyway)
    assert cluster.run("squeue", "--noheader", "--array", "--format=%K").stdout.split() == ["5"]
    user.wait_for_end(again)
    told = user.mpipar("status", "runs/sweep-array")
    assert f"job {number}, {again} (sweep-array), an array of 10 tasks: 10 done" in told.stdout, (
        told.stdout
    )
    rows = []
    for task in range(1, 11):
        with h5py.File(user.place / f"runs/sweep-array/sweep-{task}.h5") as file:
            rows += file["results"][()].tolist()
    whole = [
        "-m",
        "mpipar.sweep",
        "--function=jobs/pendulum.py:period",
        "--table=jobs/pendulum.toml",
    ]
    assert python(*whole, "--output=whole.h5", cwd=user.place).code == 0
    with h5py.File(user.place / "whole.h5") as file:
        assert rows == file["results"][()].tolist()
    ended = user.mpipar("submit", user.place / "jobs" / "sweep-array.toml", *anyway)
    assert (ended.code, ended.stdout) == (0, "")


@pytest.mark.parametrize(
    ("script", "options", "hosts"),
    [
        ("serial", [], ["n1"]),
        ("mpi", ["--ntasks=4", "--nodes=4"], ["n1", "n2", "n3", "n4"]),
        ("hybrid", ["--nodes=2"], ["n1", "n2"]),
        pytest.param(
            "hybrid",
            ["--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=1"],
            ["n1", "n1", "n2", "n2"],
            marks=pytest.mark.ci,
        ),
    ],
)
def test_scripts_as_they_stand(user, cluster, script, options, hosts):
    command = ["-m", "mpipar.pi", "--steps", "1e7", "--output"]
    number = user.sbatch(*options, ROOT / "slurm" / f"{script}.sbatch", *command, "pi.h5")
    found = cluster.wait(number)
    log = (user.place / f"{script}-{number}.out").read_text()
    assert found["JobState"] == "COMPLETED", log
    assert python(*command, "here.h5", cwd=user.place).code == 0
    assert value_of(user.place / "pi.h5") == value_of(user.place / "here.h5")
    if cluster.mode == "namespaces":
        assert sorted(hosts_of(user.place / "pi.h5")) == hosts, log
    with h5py.File(user.place / "pi.h5") as file:
        workers = {"serial": 1, "mpi": 4, "hybrid": 4}[script]
        assert len(file["workers"]) == workers, log


def test_the_array_script_as_it_stands(user, cluster):
    (user.place / "square.py").write_text("def square(x):\n    return x * x\n")
    (user.place / "table.csv").write_text("x\n" + "".join(f"{i}\n" for i in range(7)))
    command = ["-m", "mpipar.sweep", "--function", "square.py:square", "--table", "table.csv"]
    slices = ["--slice", "{task}/3", "--output", "part-{task}.h5"]
    number = user.sbatch("--array=1-3", ROOT / "slurm" / "array.sbatch", *command, *slices)
    user.wait_for_end(number)
    rows = []
    for task in range(1, 4):
        with h5py.File(user.place / f"part-{task}.h5") as file:
            rows += file["results"]["value"].tolist()
    assert rows == [i * i for i in range(7)]
    assert sorted(path.name for path in user.place.glob("array-*.out")) == [
        f"array-{number}_{i}.out" for i in (1, 2, 3)
    ]


@pytest.mark.ci
def test_a_job_can_submit_another(user, cluster):
    """From inside a job, nothing of its own resources goes to the other, nor its number."""
    checkout(user.place)
    inner = [
        sys.executable,
        "-m",
        "mpipar",
        "submit",
        "jobs/pi.toml",
        "--set",
        "run.options.steps=1e7",
        "--ranks",
        "2",
    ]
    (user.place / "outer.sh").write_text('#!/bin/sh\nexec "$@"\n')
    number = user.sbatch("--ntasks=1", "--output=outer.out", "outer.sh", *inner)
    assert cluster.wait(number)["JobState"] == "COMPLETED", (user.place / "outer.out").read_text()
    other = next(
        line for line in (user.place / "outer.out").read_text().splitlines() if line.isdigit()
    )
    assert other != number
    assert cluster.wait(other)["JobState"] == "COMPLETED"
    with h5py.File(user.place / "runs/pi/pi.h5") as file:
        assert file.attrs["ranks"] == 2


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    "flag", {"mpich": ["--mpi=none"], "openmpi": ["--mpi=none", "--mpi=pmi2"]}.get(VENDOR, [])
)
def test_the_wrong_mpi_of_srun_is_refused_at_once(user, cluster, flag):
    """Four copies that don't know of each other don't run four times."""
    prefix = cluster.prefix()
    command = [
        *prefix,
        "srun",
        flag,
        "--nodes=2",
        "--ntasks=4",
        sys.executable,
        "-m",
        "mpipar.pi",
        "--steps=1e6",
    ]
    ended = start(command, cwd=user.place, env=user.environment)
    assert ended.code == 2, ended
    assert ended.stdout == ""
    remedies = [
        line for line in ended.stderr.splitlines() if "--mpi=pm" in line and "COMM_WORLD" in line
    ]
    assert len(remedies) == 1, ended.stderr


@pytest.mark.ci
def test_the_environment_need_not_be_exported(user, cluster):
    """With --export=NONE, as some sites want it, the prologue finds Python, and srun gives ranks
    all they need.
    """
    checkout(user.place)
    site = f'python = "python"\nlauncher = "{LAUNCHERS[VENDOR]}"\nsbatch = {{ export = "NONE" }}\n'
    variables = "".join(
        f"export {name}='{value}'\n" for name, value in user.environment.items() if "OMPI" in name
    )
    prologue = f"export PATH='{os.path.dirname(sys.executable)}':$PATH\n{variables}"
    (user.place / "site.toml").write_text(f"{site}prologue = '''\n{prologue}'''\n")
    number = submitted(user, "pi", "--site", "site.toml")
    assert cluster.wait(number)["JobState"] == "COMPLETED", user.log(number, "pi", "runs/pi")


@pytest.mark.ci
def test_a_script_with_a_pool_that_ended_with_0_has_completed(user, cluster):
    (user.place / "own.py").write_text(
        "from mpipar import Pool\nwith Pool(1) as pool:\n    print(pool.map(abs, [-3]))\n"
    )
    number = user.sbatch("--nodes=2", "--ntasks=2", ROOT / "slurm" / "mpi.sbatch", "own.py")
    state = cluster.wait(number)["JobState"]
    assert state == "COMPLETED", (user.place / f"mpi-{number}.out").read_text()
