"""--device over ranks and workers: refused without a GPU, the same bits on a stand-in for GPUs,
recorded, not mixed.
"""

import json
import os
from pathlib import Path

import h5py
import pytest
from conftest import BIN, FOR_OPEN_MPI, UNBOUND, Finished, chosen_ranks, over
from cuda_on_host import COMPILER

TESTS = Path(__file__).parents[1]
PI = ("-m", "mpipar.pi", "--steps", "1_000_001", "--block", "100_000", "--json")
MCPI = ("-m", "mpipar.mcpi", "--samples", "300_001", "--block", "40_000", "--seed", "5", "--json")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")

# A driver of one's own, in the array form alone.
OWN = '''
from mpipar import Each, ExactSum, Count, PositiveInt, driver

@driver(n="items", reduction=Each(values=ExactSum(), small=Count()))
def own(block, rng, xp, *, items: PositiveInt = 1000):
    """Draw numbers."""
    x = rng.random(block.size)
    return {"values": xp.sum(x), "small": xp.count_nonzero(x < 0.25)}

if __name__ == "__main__":
    own.main()
'''


@pytest.fixture(scope="module")
def kernels(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def with_gpus(kernels):
    """Return how to run with a number of stand-ins for GPUs."""

    def run(
        gpus: int, ranks: int | None, *arguments: str, env: dict[str, str] | None = None, **options
    ) -> Finished:
        stand_in = {
            "PYTHONPATH": os.pathsep.join([str(TESTS / "stand_in"), str(TESTS)]),
            "STAND_IN_GPUS": str(gpus),
            "STAND_IN_KERNELS": kernels,
        }
        return over(ranks)(*arguments, env={**UNBOUND, **stand_in, **(env or {})}, **options)

    return run


def no_cupy() -> dict[str, str]:
    """Return an environment in which CuPy can't be imported, whether it is installed or not."""
    return {
        "PYTHONPATH": os.pathsep.join([str(TESTS / "stand_in"), str(TESTS)]),
        "STAND_IN_GPUS": "missing",
    }


@pytest.mark.parametrize(
    "ranks",
    [
        *(pytest.param(ranks, marks=pytest.mark.ci) for ranks in (None, *chosen_ranks(1, 3)[:-1])),
        chosen_ranks(1, 3)[-1],
    ],
)
def test_without_cupy_it_is_refused_once_with_the_command_that_gets_it(ranks, tmp_path):
    finished = over(ranks)(*PI, "--device", "gpu", "--output", "pi.h5", env=no_cupy(), cwd=tmp_path)
    on_all = f" (on all {ranks} ranks)" if ranks is not None and ranks > 1 else ""
    told = (
        "python -m mpipar.pi: error: device: CuPy is not installed: pip install"
        f" 'mpipar[gpu]'{on_all}"
    )
    assert (finished.code, finished.stdout, finished.own_errors) == (2, "", [told])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
@pytest.mark.parametrize(
    ("gpus", "told"), [(-1, "no NVIDIA driver"), (0, "no GPU is visible: see CUDA_VISIBLE")]
)
def test_without_a_gpu_it_is_refused_once(with_gpus, ranks, gpus, told):
    for more in ([], ["--workers", "2"]):
        finished = with_gpus(gpus, ranks, *PI, "--device", "gpu", *more)
        assert (finished.code, finished.stdout) == (2, "")
        (line,) = finished.own_errors
        assert line.startswith(f"python -m mpipar.pi: error: device: {told}")


def test_a_job_for_gpus_can_be_checked_where_there_are_none(with_gpus):
    """As on the node that jobs are submitted from."""
    asked = ("--device", "gpu", "--dry-run")
    finished = over(None)(*(word for word in PI if word != "--json"), *asked)
    assert (finished.code, finished.own_errors) == (0, [])
    assert finished.stdout.endswith(
        "would evaluate 1_000_001 items in 11 blocks of 100_000 on the GPU\n"
    )
    finished = over(None)(*PI, *asked)
    told = json.loads(finished.stdout)
    assert (told["n_blocks"], told["device"]) == (11, "gpu")
    finished = with_gpus(0, 2, *PI, "--device", "auto", "--dry-run")
    told = json.loads(finished.stdout)
    assert (told["n_blocks"], told["device"]) == (11, "cpu")


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
def test_a_kernel_without_xp_is_refused(with_gpus, ranks):
    finished = with_gpus(2, ranks, "-m", "mpipar.primes", "--below", "1000", "--device", "gpu")
    told = (
        "python -m mpipar.primes: error: device: primes has no kernel for a GPU: one takes the"
        " array library, xp"
    )
    assert (finished.code, finished.stdout, finished.own_errors) == (2, "", [told])
    found = with_gpus(
        2, ranks, "-m", "mpipar.primes", "--below", "1000", "--device", "auto", "--json"
    ).json
    assert (found["value"], found["device"]) == (168, "cpu")


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
def test_auto_is_the_cpu_without_a_gpu_to_the_bit(with_gpus, ranks):
    expected = over(None)(*PI).json["value"]
    for finished in (
        over(ranks)(*PI, "--device", "auto", env=no_cupy()),
        with_gpus(0, ranks, *PI, "--device", "auto"),
    ):
        assert (finished.json["value"], finished.json["device"], finished.json["gpus"]) == (
            expected,
            "cpu",
            [],
        )
        (line,) = finished.own_errors
        assert line.startswith("python -m mpipar.pi: runs on the CPU: ")
        assert any(
            told in line
            for told in ("CuPy is not installed: pip install", "no GPU is visible: see")
        )


def test_the_report_names_the_cpu_where_auto_chose_it(with_gpus):
    run = [*PI[:-1], "--device"]
    assert " on 1 node, on the CPU" in with_gpus(0, None, *run, "auto").stdout
    assert "CPU" not in with_gpus(0, None, *run, "cpu").stdout
    load = with_gpus(0, None, "-m", "mpipar.load", "--times", "0", "--device", "auto")
    assert ("CPU" in load.stdout, load.own_errors) == (False, [])


def test_what_a_kernel_needs_at_first_is_in_no_block_and_not_in_elapsed(with_gpus, tmp_path):
    """As to compile it."""
    (tmp_path / "slow.py").write_text(
        "import time\nfrom mpipar import ExactSum, driver\ncompiled = set()\n\n"
        "@driver(n='items', reduction=ExactSum, block=5)\n"
        "def slow(block, xp, *, items: int = 20):\n"
        "    if 'it' not in compiled:\n        time.sleep(2.0)\n        compiled.add('it')\n"
        "    return 1.0\n\n"
        "if __name__ == '__main__':\n    slow.main()\n"
    )
    for workers in ("1", "2"):
        options = [
            "slow.py",
            "--device",
            "gpu",
            "--workers",
            workers,
            "--output",
            f"{workers}.h5",
            "--json",
        ]
        found = with_gpus(1, None, *options, cwd=tmp_path).json
        assert found["value"] == 4.0
        assert found["elapsed"] < 2.0
        with h5py.File(tmp_path / f"{workers}.h5") as file:
            assert max(file["workers"]["longest"]) < 2.0


@needs_compiler
@pytest.mark.parametrize(
    "problem", [PI, pytest.param(MCPI, marks=pytest.mark.ci)], ids=["pi", "mcpi"]
)
def test_the_same_bits_whoever_evaluates_the_blocks(with_gpus, problem):
    alone = with_gpus(1, None, *problem, "--device", "gpu").json
    assert (alone["device"], alone["gpus"]) == ("gpu", ["Stand-in"])
    for ranks, gpus, workers, schedule in [
        (1, 1, 2, "slice"),
        (2, 2, 2, "dynamic"),
        (4, 2, 1, "stride"),
    ]:
        options = ["--device", "gpu", "--workers", str(workers), "--schedule", schedule]
        other = with_gpus(gpus, ranks, *problem, *options).json
        assert (other["value"], other["error"]) == (alone["value"], alone["error"])
        assert (other["ranks"], other["device"], other["block"]) == (ranks, "gpu", alone["block"])


@pytest.mark.ci
@needs_compiler
def test_auto_is_the_gpu_where_all_ranks_have_one(with_gpus):
    (ranks,) = chosen_ranks(2)
    wanted = with_gpus(1, None, *MCPI, "--device", "gpu").json
    found = with_gpus(2, ranks, *MCPI, "--device", "auto").json
    assert (found["value"], found["device"]) == (wanted["value"], "gpu")
    assert found["value"] != over(None)(*MCPI).json["value"]  # which draws other numbers
    plan = with_gpus(2, None, "-m", "mpipar.pi", "--steps", "1e10", "--device", "auto", "--dry-run")
    assert plan.stdout.endswith(
        "evaluate 10_000_000_000 items in 16 blocks of 625_000_000 on the GPU\n"
    )


@pytest.mark.each_mpi
def test_one_rank_without_a_gpu_is_named_or_takes_all_to_the_cpu(with_gpus, tmp_path):
    """As by a launcher that gives the second rank none."""
    program = tmp_path / "second.py"
    program.write_text(
        "import os, sys\nfrom mpipar.runtime.launcher import launch\n"
        "if launch().rank == 1:\n    os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
        "from mpipar.pi import pi\npi.main(sys.argv[1:])\n"
    )
    options = [str(program), "--steps", "1e6", "--json"]
    refused = with_gpus(1, 2, *options, "--device", "gpu")
    assert (refused.code, refused.stdout) == (2, "")
    (line,) = refused.own_errors
    assert "device: 1 rank of 2, such as rank 1 on host " in line
    assert line.endswith(
        "no GPU is visible: see CUDA_VISIBLE_DEVICES, and ask Slurm for one (--gpus-per-node)"
    )
    assert with_gpus(1, 2, *options, "--device", "auto").json["device"] == "cpu"


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.ci), "2"])
def test_a_driver_of_ones_own_in_arrays(with_gpus, tmp_path, workers):
    (tmp_path / "own.py").write_text(OWN)
    options = ["own.py", "--items", "30_000", "--block", "1000", "--json"]
    alone = with_gpus(1, None, *options, "--device", "gpu", cwd=tmp_path).json
    options += ["--workers", workers]
    found = with_gpus(2, 2, *options, "--device", "gpu", cwd=tmp_path).json
    assert found["value"] == alone["value"]
    assert found["value"]["values"] == pytest.approx(15_000, rel=0.02)
    assert found["value"]["small"] == pytest.approx(7500, rel=0.05)
    here = over(2)(*options, cwd=tmp_path).json
    assert here["value"] != found["value"]  # the CPU's numbers are NumPy's, as ever
    assert here["value"]["values"] == pytest.approx(15_000, rel=0.02)


def test_an_error_on_the_device_is_told_with_its_block(with_gpus, tmp_path):
    (tmp_path / "own.py").write_text(
        OWN.replace("rng.random(block.size)", "xp.ones(3) + rng.gamma(2.0)")
    )
    finished = with_gpus(1, 2, "own.py", "--device", "gpu", cwd=tmp_path)
    assert finished.code == 1
    assert (
        "rng on a GPU has no 'gamma': it has random, uniform, standard_normal and normal"
        in finished.stderr
    )
    assert "block 0 (items 0 to 999)" in finished.stderr


@needs_compiler
def test_the_device_is_recorded_and_a_resume_on_the_other_is_refused(with_gpus, tmp_path):
    run = [*PI, "--output", "pi.h5"]
    there = with_gpus(1, 2, *run, "--device", "gpu", cwd=tmp_path).json
    with h5py.File(tmp_path / "pi.h5") as file:
        assert (file.attrs["device"], file.attrs["gpus"]) == ("gpu", "Stand-in")
        assert file["value"][()] == there["value"]
    for device, here in (("cpu", "cpu"), ("auto", "cpu")):
        refused = with_gpus(0, 2, *run, "--resume", "--device", device, cwd=tmp_path)
        assert (refused.code, refused.stdout) == (2, "")
        *notices, line = refused.own_errors
        assert [": runs on the CPU: no GPU is visible" in notice for notice in notices] == [
            True
        ] * (device == "auto")
        assert line.endswith(f"is of another run (device: 'gpu' there, '{here}' here)")
        checked = with_gpus(
            0, None, *run, "--resume", "--dry-run", "--device", device, cwd=tmp_path
        )
        assert checked.code == (2 if device == "cpu" else 0), "auto may be the GPU elsewhere"
    again = with_gpus(1, None, *run, "--resume", "--device", "auto", cwd=tmp_path)
    assert (again.code, again.json["value"]) == (0, there["value"])
    before = (tmp_path / "pi.h5").read_bytes()
    for ranks in (None, 2):
        nothing_left = with_gpus(0, ranks, *run, "--resume", "--device", "gpu", cwd=tmp_path)
        assert (nothing_left.code, nothing_left.json["value"]) == (0, there["value"])
        assert nothing_left.own_errors == [
            "python -m mpipar.pi: pi.h5 is finished; nothing is left to evaluate"
        ]
    new = with_gpus(0, 2, *PI, "--resume", "--device", "gpu", "--output", "new.h5", cwd=tmp_path)
    assert (new.code, new.stdout, len(new.own_errors)) == (2, "", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["pi.h5"]
    assert (tmp_path / "pi.h5").read_bytes() == before


@needs_compiler
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(with_gpus, tmp_path):
    """The driver's own code stops after some blocks, as a time limit would."""
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nfrom mpipar.pi import pi\nfused = pi.function_on('gpu')\n"
        "def stops(block, xp, *, steps):\n"
        "    if block.index == 5 and not os.path.exists('stopped'):\n"
        "        open('stopped', 'w').close()\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(0.3)\n"
        "    return fused(block, xp, steps=steps)\n"
        "pi.on('gpu')(stops)\npi.main()\n"
    )
    run = [
        "slow.py",
        "--steps",
        "1_000_001",
        "--block",
        "50_000",
        "--device",
        "gpu",
        "--output",
        "pi.h5",
        "--json",
    ]
    stopped = with_gpus(1, None, *run, cwd=tmp_path)
    assert stopped.code == 75, stopped.stderr
    assert "6 of 21 blocks are done and committed" in stopped.stderr
    again = with_gpus(2, 2, *run, "--resume", cwd=tmp_path).json
    assert (
        again["value"]
        == with_gpus(1, None, "-m", "mpipar.pi", *run[1:-3], "--json", cwd=tmp_path).json["value"]
    )


@pytest.mark.ci
@needs_compiler
def test_a_run_that_is_not_finished_needs_a_gpu_to_go_on(with_gpus, tmp_path):
    (tmp_path / "own.py").write_text(
        OWN.replace("    x = rng", "    if block.index == 5: 1 / 0\n    x = rng")
    )
    run = ["own.py", "--block", "100", "--device", "gpu", "--output", "own.h5", "--json"]
    assert with_gpus(1, None, *run, cwd=tmp_path).code == 1
    (tmp_path / "own.py").write_text(OWN)
    refused = with_gpus(0, 2, *run, "--resume", "--anyway", cwd=tmp_path)  # own.py was changed
    assert (refused.code, refused.stdout, len(refused.own_errors)) == (2, "", 1)
    assert "device: no GPU is visible" in refused.stderr
    again = with_gpus(1, 2, *run, "--resume", "--anyway", cwd=tmp_path).json
    assert again["resumed_blocks"] == 5
    assert again["value"] == with_gpus(1, None, *run[:5], "--json", cwd=tmp_path).json["value"]


@pytest.mark.each_mpi
def test_workers_and_ranks_take_their_gpus(with_gpus, tmp_path):
    """Each process of a rank uses the rank's, counted among those that the rank sees."""
    (tmp_path / "which.py").write_text(
        "from mpipar import Concatenate, driver\n\n"
        "@driver(n='items', reduction=Concatenate, block=1)\n"
        "def which(block, xp, *, items: int = 12):\n"
        "    return [xp.cuda.current]\n\n"
        "if __name__ == '__main__':\n    which.main()\n"
    )
    for ranks, gpus, visible, workers, expected in [
        (3, 2, None, 2, {0, 1}),
        (2, 4, "3", 1, {0}),
        (2, 4, "3,1", 2, {0, 1}),
    ]:
        env = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
        options = [
            "which.py",
            "--device",
            "gpu",
            "--schedule",
            "stride",
            "--workers",
            str(workers),
            "--json",
        ]
        found = with_gpus(gpus, ranks, *options, env=env, cwd=tmp_path).json
        assert set(found["value"]) == expected
        of_rank = [found["value"][rank::ranks] for rank in range(ranks)]
        assert [set(own) for own in of_rank] == [{rank % len(expected)} for rank in range(ranks)]


def test_doctor_tells_who_has_which(with_gpus):
    path = {"PATH": f"{BIN}:/usr/bin:/bin"}
    finished = with_gpus(2, 3, "-m", "mpipar", "doctor", env=path)
    assert finished.code == 1
    (line,) = [line for line in finished.stdout.splitlines() if line.startswith("GPUs of ")]
    assert "ranks 0, 2; Stand-in" in line
    assert line.endswith(": rank 1")
    assert "ranks 0, 2 share one GPU" in finished.stdout
    finished = with_gpus(4, 2, "-m", "mpipar", "doctor", env=path)
    assert "2 GPUs of 4 without a rank" in finished.stdout
    finished = with_gpus(0, 2, "-m", "mpipar", "doctor", "--device", "gpu", env=path)
    assert "rank 0 on host " in finished.stdout
    assert "(and 1 more) has no GPU: no GPU is visible" in finished.stdout
    finished = with_gpus(4, 2, "-m", "mpipar", "doctor", "--device", "cpu", env=path)
    assert "GPU" not in finished.stdout
    finished = with_gpus(4, 2, "-m", "mpipar", "doctor", "--device", "tpu", env=path)
    assert (finished.code, finished.stdout) == (2, "")
    assert finished.own_errors == [
        "mpipar doctor: error: argument --device: expected cpu, gpu or auto, got tpu;"
        " did you mean gpu, cpu?"
    ]


def test_from_python(with_gpus, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    text = (
        "import json, mpipar\nfrom own import own\nresult = mpipar.run(own, items=5000, block=500,"
        " device='gpu')\nprint(json.dumps([result.device, result.value['small']]))\ntry:\n   "
        " mpipar.run(own, device='tpu')\nexcept mpipar.BadInput as error:\n    print(error)\n"
    )
    finished = with_gpus(1, None, "-c", text, cwd=tmp_path)
    assert finished.code == 0, finished.stderr
    first, refused = finished.stdout.splitlines()
    assert json.loads(first)[0] == "gpu"
    assert json.loads(first)[1] == pytest.approx(1250, rel=0.15)
    assert refused == "device: expected cpu, compiled, gpu or auto, got tpu; did you mean gpu, cpu?"


COMPARE = str(TESTS.parent / "benchmarks/gpu/compare.py")


def test_the_comparison_with_cuda_ends_in_one_line_without_a_gpu():
    finished = over(None)(COMPARE, env=no_cupy())
    told = ["compare.py: CuPy is not installed: pip install 'mpipar[gpu]'"]
    assert (finished.code, finished.stdout, finished.own_errors) == (2, "", told)


@pytest.mark.ci
@needs_compiler
def test_the_comparison_with_cuda_runs(with_gpus):
    """Its figures mean nothing here; its kernels give the right numbers, and it sees whether bits
    are the same.
    """
    options = [
        "--steps",
        "1e6",
        "--samples",
        "1e5",
        "--rounds",
        "1",
        "--ranks",
        "1",
        "2",
        "--blocks",
        "4",
    ]
    finished = with_gpus(1, None, COMPARE, *options, env=FOR_OPEN_MPI)
    assert finished.code == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("the same bits in 4 runs") == 2
    for told in (
        "π, 1e+06 steps in 1 blocks",
        "mcpi, 1e+05 samples in 1 blocks",
        "without cuRAND, which needs nvcc",
    ):
        assert told in finished.stdout


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], marks=pytest.mark.ci),
        pytest.param(["--device", "cpu"], marks=pytest.mark.ci),
        ["--workers", "2"],
    ],
)
def test_a_run_on_the_cpu_does_not_even_look_for_cupy(options):
    finished = over(None)("-X", "importtime", "-m", "mpipar.pi", "--steps", "1e6", *options)
    assert finished.code == 0
    assert "mpipar.pi" in finished.stderr or "runpy" in finished.stderr
    assert "cupy" not in finished.stderr
    assert "mpipar.core.philox" not in finished.stderr


def test_the_fork_server_of_workers_has_no_cupy(with_gpus):
    """A process that is forked after CUDA was initialised can't use it."""
    text = (
        "import importlib, multiprocessing.forkserver as server, sys\n"
        "from mpipar.runtime.pool_worker import prepare\nprepare()\n"
        "for name in server._forkserver._preload_modules:\n    importlib.import_module(name)\n"
        "print(len(server._forkserver._preload_modules), 'cupy' in sys.modules)\n"
    )
    finished = with_gpus(1, None, "-c", text)
    count, has_cupy = finished.stdout.split()
    assert int(count) > 0, finished
    assert has_cupy == "False"
