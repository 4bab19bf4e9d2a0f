"""benchmarks/: the quick mode measures every topic, and the page says what the raw results say."""

import importlib.util
import json
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import FOR_OPEN_MPI, python

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
QUICK_LIMIT = 300  # seconds; it takes 40, on a quiet machine
PEERS = ("dask", "joblib", "mpire", "ray", "schwimmbad")


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
    """The folder of a quick run."""
    folder = tmp_path_factory.mktemp("benchmarks")
    finished = python("benchmarks", "--quick", "--output", str(folder), timeout=QUICK_LIMIT, cwd=ROOT, env=FOR_OPEN_MPI)
    assert finished.code == 0, finished.stderr
    return folder


@pytest.fixture(scope="module")
def raw(quick):
    return json.loads((quick / "benchmarks.json").read_text())


def table(raw, name):
    [found] = [table for table in raw["tables"] if table["name"] == name]
    return found


def test_all_topics_are_measured(raw):
    assert raw["failed"] == {}
    assert {table["name"] for table in raw["tables"]} == {
        "pi", "primes", "roots", "schedules", "checkpoint", "memory", "startup", "pools-start", "pools-nothing",
        "pools-short", "pools-skewed", "pools-large", "pools-idle", "kills", "growth-ranks", "growth-blocks",
    }  # fmt: skip
    for one in raw["tables"]:
        assert one["rows"] or one["cells"], one["name"]
    assert all(isinstance(cell, int | float) for row in table(raw, "growth-blocks")["cells"] for cell in row)


def test_only_what_is_not_here_is_missing(raw):
    here = {name for name in PEERS if importlib.util.find_spec(name)} | {"multiprocessing", "concurrent", "mpi4py"}
    for one in raw["tables"]:
        for row in one["rows"]:
            if row["ours"]:
                assert all(value > 0 for value in row["ours"] + row["theirs"]), row
                assert len(row["ours"]) == len(row["theirs"])
                continue
            assert row["failed"], row
            assert re.match("primesieve|C \\+ MPI|100 MiB", row["other"] + row["what"]) or re.search(
                "primesieve|mpicc|installed|too long", row["failed"]
            ), row
            if "not installed" in row["failed"]:
                assert row["other"].split(".")[0].split()[0] not in here, row


def test_a_pool_goes_on_when_its_worker_is_killed(raw):
    outcomes = {name: what for name, what, *_ in table(raw, "kills")["cells"]}
    assert outcomes["mpipar.Pool"] == "goes on: all results are there"
    assert outcomes["mpipar.Pool over ranks, np 2"] == "goes on: all results are there"
    assert outcomes["concurrent.futures"] == "raises `BrokenProcessPool`"


def test_the_page_is_made_again_of_the_raw_results(quick):
    page = (quick / "benchmarks.md").read_text()
    (quick / "benchmarks.md").unlink()
    assert python("benchmarks", "--page", "--output", str(quick), cwd=ROOT).code == 0
    assert (quick / "benchmarks.md").read_text() == page
    assert (quick / "pictures" / "benchmarks.svg").read_text().lstrip().startswith("<?xml")
    assert "The figures mean nothing" in page


def test_no_results_is_one_line(tmp_path):
    finished = python("benchmarks", "--page", "--output", str(tmp_path), cwd=ROOT)
    assert finished.code == 2
    assert len(finished.own_errors) == 1
    assert not list(tmp_path.iterdir())


def results(*rows):
    """Raw results of one table."""
    from common import Table

    made = asdict(Table("pi", "A title, of sorts", "Some text.", list(rows)))
    return {"quick": False, "date": "1 May", "seconds": 60.0, "machine": {"cores": "2"}, "tables": [made], "failed": {}}


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
        ),
        "raw.json",
    )
    assert "Of 3 comparisons" in text
    assert "takes less in 1, more in 1, and in 1 the difference" in text
    assert "* **3.00** against C: sum ([A title, of sorts](#a-title-of-sorts))" in text
    assert "| sum | C | 4 s (2–9) | 1 s (1–3) | **3.00** (2.00–4.00) | `run it` |" in text
    assert "| win | a &#124; b | 1 µs | 2 ms | 0.0005 |  |" in text
    assert "| none | absent | – | – | not installed |" in text
    assert "**3.00** against nothing" not in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("| ") and "&#124;" not in line]
    assert len(set(widths)) == 2  # the machine's table, and this one


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(("seconds_a_round", "rounds"), [(1, 7), (10, 6), (40, 3), (50, 2), (200, 1)])
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
    code = "import subprocess; print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    ended = finished([sys.executable, "-c", code], 30.0)
    assert ended.code == 0
    pid = int(ended.stdout)
    assert not Path(f"/proc/{pid}/cmdline").exists() or Path(f"/proc/{pid}/cmdline").read_bytes() == b""  # a zombie
    hung = finished([sys.executable, "-c", "import time; time.sleep(600)"], 0.5)
    assert hung.code is None
    assert hung.reason().startswith("no end after")
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
    assert entrant.reason_to_leave_out == "nosuch-package could not be installed: ERROR: no matching distribution"


@pytest.mark.usefixtures("modules")
def test_every_entrant_is_in_the_extra():
    import entrants
    import install

    extra = {re.split(r"\W", package)[0] for package in install.wanted()}
    assert {package for entrant in entrants.OTHERS for package in entrant.packages} - {"mpi4py"} <= extra
