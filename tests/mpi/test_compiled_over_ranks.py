"""--device compiled over ranks and workers: one process of the node compiles, the bits are the same,
and what can't be done is refused once.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import UNBOUND, chosen_ranks, environment, over
from suite.limits import until

from mpipar.store.progress import progress

pytest.importorskip("numba")

TESTS = Path(__file__).parents[1]
PI = ("-m", "mpipar.pi", "--steps", "1000003", "--block", "70001", "--device", "compiled", "--json")

REFUSED = '''
from mpipar import ExactSum, driver

@driver(n="items", reduction=ExactSum)
def refused(block, *, items: int = 10):
    """Ask what Numba doesn't know."""
    return float(len(open("x").read()))

refused.on("compiled")(refused.function)

if __name__ == "__main__":
    refused.main()
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("code")


def compiled(folder, ranks, *arguments, **options):
    env = {**UNBOUND, "MPIPAR_CACHE_DIR": str(folder)}
    return over(ranks)(*arguments, env=env, **options)


def test_one_process_compiles_and_all_have_the_same_bits(tmp_path):
    first = compiled(tmp_path, 2, *PI, "--workers", "2")
    (line,) = first.own_errors
    assert line.startswith("python -m mpipar.pi: compiled pi in ")
    assert (first.json["device"], len(list(tmp_path.iterdir()))) == ("compiled", 1)
    for ranks, *more in ((None,), (3, "--schedule", "stride"), (None, "--workers", "2")):
        again = compiled(tmp_path, ranks, *PI, *more)
        assert (again.own_errors, again.json["value"]) == ([], first.json["value"])


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
def test_what_numba_refuses_is_refused_once(folder, ranks, tmp_path):
    (tmp_path / "refused.py").write_text(REFUSED)
    options = ("--device", "compiled", "--workers", "2", "--output", "out.h5")
    finished = compiled(folder, ranks, "refused.py", *options, cwd=tmp_path)
    assert (finished.code, finished.stdout) == (2, "")
    (line,) = finished.own_errors
    assert line.startswith("python refused.py: error: device: Numba refuses refused: ")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py"] == []


@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
def test_without_numba_it_is_told_once_what_to_install(ranks):
    env = {"PYTHONPATH": os.pathsep.join([str(TESTS / "stand_in"), str(TESTS)])}
    finished = over(ranks)(*PI, env={**UNBOUND, **env})
    on_all = "" if ranks is None else f" (on all {ranks} ranks)"
    told = f"device: Numba is not installed: pip install 'mpipar[jit]'{on_all}"
    assert finished.own_errors == [f"python -m mpipar.pi: error: {told}"]
    assert (finished.code, finished.stdout) == (2, "")


def test_compiled_and_not_are_two_devices(folder, tmp_path):
    run = (*PI, "--output", "pi.h5")
    there = compiled(folder, None, *run, cwd=tmp_path).json
    again = compiled(folder, 2, *run, "--resume", cwd=tmp_path).json
    assert (again["value"], again["evaluated_blocks"]) == (there["value"], 0)
    refused = compiled(folder, 2, *run, "--resume", "--device", "cpu", cwd=tmp_path)
    assert refused.code == 2
    assert refused.own_errors[-1].endswith("(device: 'compiled' there, 'cpu' here)")


@pytest.mark.ci
@pytest.mark.parametrize(("ranks", "workers"), [(None, "2"), (2, "1")])
def test_what_is_killed_goes_on_with_the_same_bits(ranks, workers, folder, tmp_path):
    run = ("-m", "mpipar.pi", "--steps", "4e9", "--block", "1e7", "--device", "compiled", "--json")
    whole = compiled(folder, 2, *run).json
    kept = ("--output", "pi.h5", "--checkpoint", "0.05")
    killed = subprocess.Popen(
        [sys.executable, *run, *kept],
        cwd=tmp_path,
        env=environment({**UNBOUND, "MPIPAR_CACHE_DIR": str(folder)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in until("something is committed", 60):
            found = progress(tmp_path / "pi.h5")
            if found is not None and found.done:
                break
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    resumed = compiled(folder, ranks, *run, *kept, "--resume", "--workers", workers, cwd=tmp_path)
    told = resumed.json
    assert told["value"] == whole["value"]
    assert 0 < told["resumed_blocks"] < 400
    assert told["resumed_blocks"] + told["evaluated_blocks"] == 400
