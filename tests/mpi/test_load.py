"""The driver with an uneven load: its times, and what it reports about the schedule."""

import math

import h5py
import numpy as np
import pytest
from conftest import UNBOUND, chosen_ranks, over, python

from mpipar import run
from mpipar.load import load

TIMES = [0.01, 0.003, 0.1 / 3, 1e-17, 0.0, 0.02]


@pytest.mark.parametrize("ranks", [None, *chosen_ranks(3)])
def test_the_value_is_the_exact_sum_of_given_times(ranks, tmp_path):
    times = [repr(seconds) for seconds in TIMES]
    (tmp_path / "times.csv").write_text(
        "task;seconds\n" + "".join(f"t;{seconds}\n" for seconds in times)
    )
    (tmp_path / "times.txt").write_text("# in seconds\n" + " ".join(times))
    for options in (
        ("--times", *times),
        ("--csv", "times.csv", "--column", "seconds"),
        ("--csv", "times.txt"),
    ):
        result = over(ranks)("-m", "mpipar.load", *options, "--json", cwd=tmp_path).json
        assert (result["value"], result["n"]) == (math.fsum(TIMES), len(TIMES))
        assert result["elapsed"] >= max(TIMES)


@pytest.mark.parametrize("distribution", ["lognormal", "exponential", "uniform", "constant"])
def test_drawn_times_are_a_matter_of_the_seed(distribution, tmp_path):
    path = tmp_path / "load.h5"
    options = {"distribution": distribution, "tasks": 300, "mean": 1e-6}
    first, again, other = (run(load, seed=seed, output=path, **options).value for seed in (1, 1, 2))
    with h5py.File(path) as file:
        times = file["partials"][:]
    assert first == again
    assert (first == other) == (distribution == "constant")
    assert other == math.fsum(times)
    assert times.min() >= 0
    assert times.mean() == pytest.approx(1e-6, rel=0.5)
    spread = {
        "lognormal": np.sqrt(np.exp(1.44) - 1),
        "exponential": 1,
        "uniform": 1 / np.sqrt(3),
        "constant": 0,
    }
    assert times.std() == pytest.approx(1e-6 * spread[distribution], rel=0.6)
    if distribution == "uniform":
        assert times.max() <= 2e-6


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param("stride", marks=pytest.mark.ci),
        pytest.param("slice", marks=pytest.mark.ci),
        "dynamic",
    ],
)
@pytest.mark.parametrize(
    ("ranks", "workers"),
    [
        pytest.param(None, 1, marks=pytest.mark.ci),
        pytest.param(None, 2, marks=pytest.mark.ci),
        (3, 1),
        (2, 2),
    ],
)
def test_the_timeline_has_every_block_once_in_its_time(ranks, workers, schedule, tmp_path):
    options = (
        "--tasks",
        "60",
        "--mean",
        "0.003",
        "--workers",
        str(workers),
        "--schedule",
        schedule,
    )
    over(ranks)("-m", "mpipar.load", *options, "--output", "load.h5", cwd=tmp_path, env=UNBOUND)
    with h5py.File(tmp_path / "load.h5") as file:
        spans, processes, elapsed = file["timeline"][:], file["workers"][:], file.attrs["elapsed"]
        times = file["partials"][:]
    assert len(processes) == (ranks or 1) * workers
    assert spans["blocks"].sum() == 60
    assert len(set(spans["block"])) == len(spans)
    assert (spans["begin"] >= 0).all()
    assert (
        spans["end"] <= elapsed + 0.1
    ).all()  # each rank counts from its own way out of the barrier
    for worker, process in enumerate(processes):
        own = spans[spans["worker"] == worker]
        assert own["blocks"].sum() == process["blocks"]
        assert (own["begin"][1:] >= own["end"][:-1]).all(), "one after the other"
        # On a busy machine a process may wait for its core between two looks at the clock.
        assert (own["end"] - own["begin"]).sum() == pytest.approx(
            process["seconds"], rel=0.1, abs=0.05
        )
    alone = spans[spans["blocks"] == 1]
    assert (alone["end"] - alone["begin"] >= times[alone["block"]]).all(), (
        "a span isn't shorter than its block sleeps"
    )


def test_a_wider_lognormal_has_the_same_mean():
    sums = [
        run(load, tasks=2000, mean=1e-7, sigma=sigma, block=100).value for sigma in (0.0, 0.5, 1.0)
    ]
    assert sums == pytest.approx([2e-4] * 3, rel=0.15)
    assert sums[0] == pytest.approx(2e-4, rel=1e-12)


@pytest.mark.parametrize(
    ("ranks", "workers", "schedule", "spin"),
    [
        (1, 1, "slice", True),
        (2, 1, "dynamic", False),
        (3, 1, "stride", False),
        (2, 2, "dynamic", False),
    ],
)
def test_imbalance_and_lower_bound(ranks, workers, schedule, spin):
    options = (
        "--tasks",
        "60",
        "--mean",
        "0.002",
        "--workers",
        str(workers),
        "--schedule",
        schedule,
    )
    finished = over(ranks)("-m", "mpipar.load", *options, "--json", *["--spin"] * spin, env=UNBOUND)
    result = finished.json
    assert result["imbalance"] >= 1
    assert result["lower_bound"] <= 1.001 * result["elapsed"]
    assert result["lower_bound"] >= 0.999 * result["value"] / (ranks * workers)
    assert (ranks * workers > 1) or result["imbalance"] == 1


def test_the_imbalance_of_a_bad_schedule_is_known():
    # Two ranks, one slice each: 0.3 s and next to nothing, where both could take half of it.
    options = ("--times", *["0.1"] * 3, *["0"] * 3, "--schedule", "slice", "--json")
    result = over(2)("-m", "mpipar.load", *options).json
    assert 1.9 < result["imbalance"] <= 2
    assert 0.15 <= result["lower_bound"] < 0.25
    assert result["elapsed"] >= 0.3


CPU_OF_SPINNING = """
import time
import mpipar
from mpipar.load import load

def cpu(spin):
    before = time.thread_time()
    mpipar.run(load, times=[0.2, 0.2], spin=spin)
    return time.thread_time() - before

cpu(False)  # what a first run loads isn't counted
print(cpu(True) / cpu(False))
"""


def test_spinning_keeps_the_core_busy():
    assert float(python("-c", CPU_OF_SPINNING).stdout) > 3


def test_the_text_tells_of_imbalance_and_lower_bound():
    finished = over(chosen_ranks(2)[0])("-m", "mpipar.load", "--times", "0.02", "0.01", "0.01")
    assert finished.stdout.startswith("load = 0.04\n")
    assert "imbalance" in finished.stdout
    assert "lower bound" in finished.stdout
