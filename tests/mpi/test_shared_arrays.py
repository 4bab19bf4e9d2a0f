"""Arrays that exist once on each node: right in every mode, made once, and counted once in
memory.
"""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from conftest import UNBOUND, chosen_ranks, over, python
from suite.limits import Limit

PROGRAMS = str(Path(__file__).with_name("programs.py"))
MIB = 2**20

MODES = [
    (None, 2, "dynamic"),
    *[(ranks, 1, schedule) for ranks in chosen_ranks(2, 3) for schedule in ("stride", "dynamic")],
    *[(ranks, 2, "slice") for ranks in chosen_ranks(2)],
]

# Ranks with workers have what the others have.
SOME = [*(pytest.param(mode, marks=pytest.mark.ci) for mode in MODES[:-1]), MODES[-1]]


def lookup(mode, *options, **settings):
    ranks, workers, schedule = mode
    where = ("--workers", str(workers), "--schedule", schedule)
    return over(ranks)(PROGRAMS, "lookup", *where, "--json", *options, env=UNBOUND, **settings)


@pytest.fixture(scope="module")
def expected():
    """Return the value, worked out without the machinery."""
    table, weights = np.ones(128 * 64), np.array([1.5, 2.5, -0.1])
    table[::1000] = np.sqrt(np.arange(len(table[::1000])))
    return sum(float(table.sum() * weights[k % 3] + table[k]) for k in range(40))


def test_values_are_right(expected):
    assert lookup((None, 1, "slice")).json["value"]["sum"] == pytest.approx(expected, rel=1e-14)


@pytest.mark.each_mpi
@pytest.mark.parametrize("mode", SOME)
def test_values_are_the_same_in_every_mode(mode):
    serially = lookup((None, 1, "slice")).json
    assert lookup(mode).json["value"] == serially["value"]


@pytest.mark.each_mpi
@pytest.mark.parametrize("mode", [(None, 1, "slice"), *SOME])
def test_one_process_of_a_node_makes_the_array(mode, tmp_path):
    lookup(mode, "--folder", str(tmp_path)).json  # noqa: B018
    assert len((tmp_path / "makers").read_text().split()) == 1


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    "mode", [(None, 1, "slice"), (None, 2, "slice"), *[(r, 1, "dynamic") for r in chosen_ranks(3)]]
)
def test_a_maker_that_raises_ends_the_run_with_one_message(mode, tmp_path):
    limit = Limit(15)
    finished = lookup(mode, "--fail", "--output", "x.h5", cwd=tmp_path)
    assert not limit.is_over
    assert (finished.code, finished.stdout) == (1, "")
    first, *_ = finished.own_errors
    assert "rank 0 on host" in first
    assert "making the shared array 'table': ValueError: no table today" in first
    assert finished.stderr.count("on host") == finished.stderr.count("Traceback") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_an_array_that_nothing_makes(ranks, tmp_path):
    (tmp_path / "lacking.py").write_text(
        "from mpipar import Count, driver\n\n"
        '@driver(n="items", reduction=Count)\n'
        "def lacking(block, table, *, items: int = 4):\n"
        "    return 1\n\n"
        "lacking.main()\n"
    )
    finished = over(ranks)("lacking.py", cwd=tmp_path)
    assert finished.code != 0
    assert "nothing makes its array 'table'" in finished.stderr


def writing(tmp_path):
    (tmp_path / "writing.py").write_text(
        "import numpy as np\n"
        "from mpipar import ExactSum, driver\n\n"
        '@driver(n="items", reduction=ExactSum, block=1)\n'
        "def writing(block, table, *, items: int = 4):\n"
        "    table[block.start] = 7\n"
        "    return 1.0\n\n"
        "@writing.shared\n"
        "def table(empty):\n"
        "    made = empty(10)\n"
        "    made[:] = 0\n"
        "    return made\n\n"
        'if __name__ == "__main__":\n'
        "    writing.main()\n"
    )
    return "writing.py"


@pytest.mark.parametrize(
    ("ranks", "workers"), [(None, "1"), (None, "2"), *[(ranks, "1") for ranks in chosen_ranks(2)]]
)
def test_a_kernel_cannot_write_to_it(ranks, workers, tmp_path):
    finished = over(ranks)(writing(tmp_path), "--workers", workers, cwd=tmp_path)
    assert finished.code == 1
    assert "read-only" in finished.own_errors[0]


def memory(mode, processes, kib, tmp_path):
    """Return the memory of all processes with the array and of that which made it, in bytes, and
    how many they are.
    """
    folder = tmp_path / str(kib)
    folder.mkdir()
    options = (
        "--kib",
        str(kib),
        "--folder",
        str(folder),
        "--items",
        str(processes),
        "--measure",
        str(processes),
    )
    result = lookup(
        mode, *options, cold=True
    ).json  # warm ones share memory with others, which come and go
    measured = {}
    for pid, pss in result["value"]["memory"]:
        measured[pid] = max(pss, measured.get(pid, 0))
    assert len((folder / "makers").read_text().split()) == 1
    return sum(measured.values()), len(measured)


@pytest.mark.each_mpi
@pytest.mark.parametrize(
    ("mode", "processes", "mib"),
    [
        ((4, 1, "stride"), 4, 128),
        ((None, 4, "stride"), 4, 128),
        pytest.param((2, 2, "stride"), 4, 1024, marks=pytest.mark.ci),
    ],
    ids=["4 ranks", "4 workers", "2 ranks x 2 workers, 1 GiB"],
)
def test_a_large_array_is_in_memory_once(mode, processes, mib, tmp_path):
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if available < 3 * mib * MIB:
        pytest.skip(f"needs {3 * mib} MiB of memory")
    tiny, count = memory(mode, processes, 1, tmp_path)
    large, same_count = memory(mode, processes, 1024 * mib, tmp_path)
    assert count == same_count >= processes
    assert 0.9 * mib * MIB <= large - tiny <= 1.2 * mib * MIB


def test_no_memory_is_left_after_a_killed_run():
    # A segment with a name would stay in /dev/shm, where others have theirs.
    code = f"""
import functools, os, re, signal, sys
sys.path.insert(0, {str(Path(PROGRAMS).parent)!r})
import programs
@functools.wraps(programs.lookup.function)
def kill(block, table, weights, **options):
    maps = open("/proc/self/maps").read()
    print("has it", *re.findall(r"(?m) (/dev/shm/.*)$", maps), sep=chr(10), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
programs.lookup.function = kill
programs.lookup.main(sys.argv[1:])
"""
    before = set(os.listdir("/dev/shm"))
    killed = python("-c", code, "--kib", "1024")
    assert killed.code == -signal.SIGKILL, killed
    said, *mapped = killed.stdout.splitlines()
    assert said == "has it"
    assert not [name for name in mapped if os.path.exists(name)]
    # Nor one of a name that mpipar might give it, which is mapped no more.
    left = {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("mpipar")}
    assert not left
