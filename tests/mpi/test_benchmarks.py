"""benchmarks/: the quick mode measures every topic, and the page says what the raw results say."""

import contextlib
import importlib.util
import json
import os
import platform
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import BIN, FOR_OPEN_MPI, python, start

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
QUICK_LIMIT = 300  # seconds; it takes 40, on a quiet machine
PEERS = ("dask", "joblib", "mpire", "ray", "schwimmbad")

# One process measures, and these tests look at it.
MEASURED = pytest.mark.xdist_group("benchmarks")


@pytest.fixture
def modules(monkeypatch):
    """Make the modules of the benchmarks importable, and forget them afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").exists():
            del sys.modules[name]


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The folder of a quick run. What a folder of modules is started by is none of a warm
    interpreter.
    """
    folder = tmp_path_factory.mktemp("benchmarks")
    finished = python(
        "benchmarks",
        "--quick",
        "--output",
        str(folder),
        timeout=QUICK_LIMIT,
        cwd=ROOT,
        env=FOR_OPEN_MPI,
        cold=True,
    )
    assert finished.code == 0, finished.stderr
    return folder


@pytest.fixture(scope="module")
def raw(quick):
    return json.loads((quick / "benchmarks.json").read_text())


def table(raw, name):
    [found] = [table for table in raw["tables"] if table["name"] == name]
    return found


@MEASURED
@pytest.mark.ci
def test_all_topics_are_measured(raw):
    assert raw["failed"] == {}
    assert {table["name"] for table in raw["tables"]} == {
        "pi",
        "mcpi",
        "primes",
        "roots",
        "loops",
        "formulas",
        "schedules",
        "checkpoint",
        "memory",
        "startup",
        "pools-start",
        "pools-few",
        "pools-nothing",
        "pools-short",
        "pools-skewed",
        "pools-large",
        "pools-idle",
        "kills",
        "growth-ranks",
        "growth-blocks",
    }
    for one in raw["tables"]:
        assert one["rows"] or one["cells"], one["name"]
    assert all(
        isinstance(cell, int | float)
        for row in table(raw, "growth-blocks")["cells"]
        for cell in row
    )


@MEASURED
@pytest.mark.ci
def test_only_what_is_not_here_is_missing(raw):
    here = {name for name in PEERS if importlib.util.find_spec(name)} | {
        "multiprocessing",
        "concurrent",
        "mpi4py",
    }
    for one in raw["tables"]:
        for row in one["rows"]:
            if row["ours"]:
                assert all(value > 0 for value in row["ours"] + row["theirs"]), row
                assert len(row["ours"]) == len(row["theirs"])
                continue
            assert row["failed"], row
            assert re.match(
                "primesieve|C \\+ MPI|100 MiB", row["other"] + row["what"]
            ) or re.search("primesieve|mpicc|installed|too long|No module named", row["failed"]), (
                row
            )
            if "No module named" in row["failed"]:
                assert not importlib.util.find_spec("numexpr"), row
            if "not installed" in row["failed"]:
                assert row["other"].split(".")[0].split()[0] not in here, row


@MEASURED
@pytest.mark.ci
def test_a_pool_goes_on_when_its_worker_is_killed(raw):
    outcomes = {name: what for name, what, *_ in table(raw, "kills")["cells"]}
    assert outcomes["mpipar.Pool"] == "goes on: all results are there"
    assert outcomes["mpipar.Pool over ranks, np 2"] == "goes on: all results are there"
    assert outcomes["concurrent.futures"] == "raises `BrokenProcessPool`"


@MEASURED
@pytest.mark.ci
@pytest.mark.parametrize("name", ["pools-idle", "kills", "roots"])
def test_commands_of_the_page_run_by_hand(raw, name, tmp_path):
    shown = table(raw, name)
    command = (shown["commands"] or [row["command"] for row in shown["rows"]])[0]
    for folder in ("benchmarks", "mpipar"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    ended = start(["bash", "-c", command], cwd=tmp_path, env={**FOR_OPEN_MPI, "PATH": path})
    assert ended.code == 0, (command, ended.stderr)
    last = json.loads(ended.stdout.splitlines()[-1])
    if name == "pools-idle":
        assert 0 <= last["idle"]["CPU"] < 1
    elif name == "kills":
        assert last == {"killed": "goes on: all results are there"}
    else:
        assert 0 < last < 60
        assert (tmp_path / "roots.h5").stat().st_size > 8 * int(command.split()[-2])


@MEASURED
@pytest.mark.ci
def test_the_page_is_made_again_of_the_raw_results(quick):
    page = (quick / "benchmarks.md").read_text()
    (quick / "benchmarks.md").unlink()
    assert python("benchmarks", "--page", "--output", str(quick), cwd=ROOT, cold=True).code == 0
    assert (quick / "benchmarks.md").read_text() == page
    assert (quick / "pictures" / "benchmarks.svg").read_text().lstrip().startswith("<?xml")
    assert "The figures mean nothing" in page


def test_no_results_is_one_line(tmp_path):
    finished = python("benchmarks", "--page", "--output", str(tmp_path), cwd=ROOT, cold=True)
    assert finished.code == 2
    assert len(finished.own_errors) == 1
    assert not list(tmp_path.iterdir())


def results(*rows):
    """Raw results of one table."""
    from common import Table

    made = asdict(Table("pi", "A title, of sorts", "Some text.", list(rows)))
    return {
        "quick": False,
        "date": "1 May",
        "seconds": 60.0,
        "machine": {"cores": "2"},
        "tables": [made],
        "failed": {},
    }


@pytest.mark.usefixtures("modules")
def test_the_page_tells_ratios_of_pairs_and_where_mpipar_loses():
    import page
    from common import Row

    text = page.page(
        results(
            Row("sum", "C", [2.0, 4.0, 9.0], [1.0, 1.0, 3.0], command="run it"),  # 2, 4, 3
            Row("draw", "itself", [1.0, 1.1], [1.1, 1.0]),
            Row("win", "a | b", [1e-6], [2e-3]),
            Row("bound", "nothing", [3.0], [1.0], bound=True),
            Row("none", "absent", failed="not installed"),
            Row("twice", "C", [2.0, 2.0, 2.0], [1.0, 1.0, 1.0], aside=True),
        ),
        "raw.json",
    )
    assert "Of 3 comparisons" in text
    assert "takes less in 1, more in 1, and in 1 the difference" in text
    assert "* **3.00** against C: sum ([A title, of sorts](#a-title-of-sorts))" in text
    assert "| sum | C | 4 s (2–9) | 1 s (1–3) | **3.00** (2.00–4.00) | `run it` |" in text
    assert "| win | a &#124; b | 1 µs | 2 ms | 0.0005 (1 pair only) |  |" in text
    assert "| none | absent | – | – | not installed |" in text
    assert "**3.00** against nothing" not in text
    assert "* **2.00** against C: twice" in text
    assert (
        "| draw | itself | 1.05 s (1–1.1) | 1.05 s (1–1.1) | 1.00 (0.91–1.10, 2 pairs only) |  |"
        in text
    )
    widths = [
        line.count("|")
        for line in text.splitlines()
        if line.startswith("| ") and "&#124;" not in line
    ]
    assert len(set(widths)) == 2  # the machine's table, and this one


@pytest.mark.usefixtures("modules")
def test_the_page_tells_what_was_measured_on_what(monkeypatch):
    import machine
    import page

    raw = results()
    text = page.page(raw, "raw.json")
    assert "by `make bench`, which does all again" in text
    assert page.PICTURE in text
    assert "**When this was begun" not in text
    text = page.page(
        raw | {"only": ["pi", "roots"], "warning": "the machine was busy"}, "raw.json", drawn=False
    )
    assert "by `python benchmarks --only pi roots`, which does these again" in text
    assert page.PICTURE not in text
    assert "**When this was begun, the machine was busy." in text

    assert 0 <= machine.busy_cores(0.2) <= (os.cpu_count() or 1) + 0.01
    cores = len(os.sched_getaffinity(0))
    for busy, is_told in ((0.49 * cores, False), (0.51 * cores, True)):
        monkeypatch.setattr(machine, "busy_cores", lambda busy=busy: busy)
        assert bool(machine.warning()) == is_told
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-13-of-ada")
    assert machine.kernel() == f"{platform.system()} 6.1.0"


@pytest.mark.usefixtures("modules")
def test_only_what_is_beyond_doubt_has_a_colour_and_a_workload_counts_once():
    import picture
    import pools
    from common import Row, Table
    from entrants import LOCAL, OTHERS, OVER_RANKS

    rows = [
        Row("x", "noise", [1.0, 2.0, 3.0], [2.0, 1.0, 1.0]),
        Row("x", "slower", [1.0] * 3, [2.0] * 3),
    ]
    _, _, found = picture.matrix([asdict(Table("pools-x", "X", "", rows))])
    assert found == {("noise", "X"): (2.0, 0), ("slower", "X"): (0.5, -1)}

    standings = {
        entrant: pools.Standing(
            [{("nothing", "as it comes"): 2.0, ("nothing", "at its best"): 1.0}]
        )
        for entrant in (LOCAL, OVER_RANKS, *OTHERS)
    }
    [nothing] = [one for one in tables_of(pools, standings) if one.name == "pools-nothing"]
    counted = [row.other for row in nothing.rows if not row.aside]
    assert (
        len(counted)
        == len({*counted})
        == len([one for one in OTHERS if one.managers == one.more_ranks])
    )
    assert not [row for row in nothing.rows if "(1 work)" in row.other and not row.aside]


def tables_of(pools, standings):
    """Return the tables of what all have taken."""
    from common import Effort

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "contest", lambda effort: standings)
        return pools.measure(Effort(quick=True))


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    ("seconds_a_round", "rounds"), [(1, 7), (10, 6), (40, 3), (50, 2), (200, 1)]
)
def test_rounds_keep_to_the_time(seconds_a_round, rounds):
    from common import Effort

    done = 0
    while Effort(seconds=60.0).goes_on(done, 7, done * seconds_a_round):
        done += 1
    assert done == rounds
    assert not Effort(quick=True).goes_on(1, 7, 0.0)


@pytest.mark.usefixtures("modules")
def test_what_a_command_leaves_behind_is_ended():
    from common import finished, marked

    # A daemon in a session of its own, as some libraries start.
    code = (
        "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    )
    ended = finished([sys.executable, "-c", code], 30.0)
    assert ended.code == 0
    pid = int(ended.stdout)
    with contextlib.suppress(OSError):  # it is gone
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"", "more than a zombie"
    hung = finished([sys.executable, "-c", "import time; time.sleep(600)"], 0.5)
    assert hung.code is None
    assert hung.reason().startswith("no end after")
    slow = "import time; time.sleep(1.5); print('here', flush=True); time.sleep({})"
    assert finished([sys.executable, "-c", slow.format(0.1)], 1.0, begins="here").code == 0
    hung = finished([sys.executable, "-c", slow.format(600)], 1.0, begins="here")
    assert hung.code is None
    assert 2.5 <= hung.seconds < 30
    assert marked(f"{os.getpid()}-1") == []


@pytest.mark.usefixtures("modules")
def test_a_package_that_cannot_be_installed_is_named(tmp_path, monkeypatch):
    import entrants
    import install

    monkeypatch.setattr(install, "NOT_INSTALLED", tmp_path / "not-installed.json")
    monkeypatch.setattr(entrants, "NOT_INSTALLED", tmp_path / "not-installed.json")
    monkeypatch.setattr(install, "wanted", lambda: ["nosuch-package >= 1"])
    monkeypatch.setattr(install, "install", lambda *packages: "ERROR: no matching distribution")
    install.main()
    entrant = entrants.Entrant("Nosuch", "nosuch", ("nosuch-package",))
    assert (
        entrant.reason_to_leave_out
        == "nosuch-package could not be installed: ERROR: no matching distribution"
    )


@pytest.mark.usefixtures("modules")
def test_every_entrant_is_in_the_extra():
    import entrants
    import install

    extra = {re.split(r"\W", package)[0] for package in install.wanted()}
    assert {package for entrant in entrants.OTHERS for package in entrant.packages} - {
        "mpi4py"
    } <= extra
