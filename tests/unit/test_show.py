"""What mpipar show tells of files: of results, of what isn't one, and of what means harm."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import python
from result_files import result, skipped, write

import mpipar
from mpipar.base.errors import BadInput
from mpipar.command.show import main
from mpipar.load import load
from mpipar.runtime.communicator import Comm
from mpipar.runtime.progress_state import Done
from mpipar.store.look import look
from mpipar.store.output import OutputFile
from mpipar.store.summary import Study, Summary, Unfinished
from mpipar.study.data import write_data
from mpipar.study.design import STRONG, Measured, Run, Size
from mpipar.study.run_study import startup
from mpipar.study.table import scaling_table
from mpipar.view.timeline import draw_timeline, seconds

EVIL = "\x1b[31mred\x1b]0;title\x07<script>alert(1)</script>\n&\u202e"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


@pytest.fixture
def show(capsys):
    """Give a function that runs the command and returns exit code, stdout and stderr."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


def refused(show, *arguments) -> str:
    code, out, err = show(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert err.startswith("mpipar show: error: ")
    assert len(err) < 400
    return err


def test_a_result_is_told(path, show):
    made = result(ranks=3, workers=2, nodes=3)
    write(path, made)
    code, out, err = show(path)
    assert (code, err) == (0, "")
    assert out.startswith("load = 1.5\n")
    for words in (
        "36 items in 36 blocks of 1, seed 7",
        "kind = lognormal, tasks = 36",
        "3 ranks × 2 workers on 3 nodes (node0: 1, node1: 1, node2: 1), stride schedule",
        f"mpipar {mpipar.__version__}, MPICH 5, Python",
        f"{made.imbalance:.3f} (longest time in kernels over the mean)",
        f"{made.lower_bound:.3f} s (an equal share for each process) is what no schedule can beat",
    ):
        assert words in out
    assert "skipped" not in out
    assert out.count("slowest") == 1


def test_json_has_what_the_run_printed_and_more(path, show):
    made = result(
        ranks=2, workers=2, retried_blocks=3, lost_workers=1, resumed_blocks=4, skipped=skipped(2)
    )
    write(path, made)
    told = json.loads(show(path, "--json")[1])
    from mpipar.view.result_text import as_json

    printed = json.loads(as_json(made))
    same = printed.keys() - {"parameters", "skipped", "mpi", "mpipar"}
    assert {name: told[name] for name in same} == {name: printed[name] for name in same}
    assert told["parameters"] == {"tasks": 24, "times": None, "kind": "lognormal"}
    assert [block["reason"] for block in told["skipped"]] == ["ValueError: no"] * 2
    assert told["hosts"] == {"node0": 2}
    assert [one["rank"] for one in told["per_worker"]] == [0, 0, 1, 1]
    assert sum(one["seconds"] for one in told["per_rank"]) == pytest.approx(
        sum(r.seconds for r in made.records)
    )
    assert told["last_finish"] == max(spans[-1].end for spans in made.timelines)
    assert told["mean_finish"] == pytest.approx(
        np.mean([spans[-1].end for spans in made.timelines])
    )


def test_many_ranks_are_summed_up(path, show):
    made = result(ranks=10_000, blocks=2, nodes=80)
    write(path, made)
    out = show(path)[1]
    seconds = [record.seconds for record in made.records]
    assert len(out.splitlines()) < 25
    assert max(map(len, out.splitlines())) < 200
    [slowest, *_] = [line for line in out.splitlines() if line.endswith("slowest")]
    assert slowest.split()[0] == str(int(np.argmax(seconds)))
    [fastest] = [line for line in out.splitlines() if line.endswith("fastest")]
    assert fastest.split()[0] == str(int(np.argmin(seconds)))
    assert "median" in out
    assert len(show(path, "--ranks")[1].splitlines()) > 10_000


def test_trouble_is_told(path, show):
    write(
        path,
        result(
            skipped=skipped(9), retried_blocks=1, lost_ranks=1, lost_workers=2, resumed_blocks=5
        ),
    )
    out = show(path)[1]
    for words in (
        "9 blocks failed",
        "block 0 (items 0 to 0): ValueError: no",
        "4 more",
        "evaluated again 1 time",
        "1 rank and 2 workers died",
        "5 blocks were done before, 12 in this run",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (mpipar.Estimate(3.14, 0.01), "load = 3.14 ± 0.01\n"),
        ({"a": 1, "b": [1.5, 2.5]}, "load:\n  a = 1\n  b = array of shape (2,)\n[1.5 2.5]\n"),
        (2**70, f"load = {2**70}\n"),
        (float("nan"), "load = nan\n"),
        (np.zeros((2000, 2000)), "load = array of shape (2000, 2000), float64\n"),
        ("text", "load = text\n"),
    ],
)
def test_values_of_all_kinds(path, show, outcome, words):
    write(path, result(outcome=outcome))
    code, out, _ = show(path)
    assert code == 0
    assert out.startswith(words)
    assert json.loads(show(path, "--json")[1])["value"] != "NaN"


def test_rows_are_listed(path, show):
    write(path)
    with h5py.File(path, "r+") as file:
        made = file.create_dataset("distance", data=np.zeros((1000, 3)))
        made.attrs.update(units="m", description="how far")
    assert "/distance, 1000 × 3 float64 in m, 24 kB: how far" in show(path)[1]
    [rows] = json.loads(show(path, "--json")[1])["datasets"]
    assert (rows["name"], rows["shape"], rows["dtype"]) == ("distance", [1000, 3], "float64")


def test_a_file_without_a_timeline(path, show, tmp_path):
    write(path, result(timelines=[]))
    code, out, _ = show(path)
    assert code == 0
    assert "imbalance" in out
    assert "has no timeline" in refused(show, path, "--timeline", tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_result_is_refused(path, show, tmp_path):
    assert "there is no file" in refused(show, path)
    assert "is a folder" in refused(show, tmp_path)
    path.write_text("text")
    assert "is not an HDF5 file" in refused(show, path)
    path.write_bytes(b"")
    assert "is not an HDF5 file" in refused(show, path)
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in refused(show, tmp_path / "pipe")
    with h5py.File(path, "w") as file:
        file["x"] = [1, 2]
    assert "not a result of mpipar" in refused(show, path)
    write(path)
    with h5py.File(path, "r+") as file:
        file.attrs["mpipar_format"] = 99
    assert "is of format 99, expected 2" in refused(show, path)
    refused(show, "a\0b")
    refused(show)
    refused(show, path, "--nonsense")


@pytest.mark.parametrize("name", ["workers", "ranks", "value", "parameters"])
def test_what_lies_in_another_file_is_not_followed(path, show, tmp_path, name):
    write(tmp_path / "other.h5")
    write(path)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink("other.h5", f"/{name}")
    if name == "value":
        assert show(path)[1].startswith("load = None\n")
    else:
        refused(show, path)


def test_bytes_of_other_files_are_not_read(path, show, tmp_path):
    (tmp_path / "secret").write_bytes(b"\x01" * 8)
    write(path)
    with h5py.File(path, "r+") as file:
        del file["value"]
        file.create_dataset("value", (1,), "i8", external=[(str(tmp_path / "secret"), 0, 8)])
    assert show(path)[1].startswith("load = None\n")


def test_a_table_that_would_fill_the_memory_is_refused(path, show):
    write(path)
    with h5py.File(path, "r+") as file:
        kind = file["timeline"].dtype
        del file["timeline"]
        file.create_dataset("timeline", (2**40,), kind, chunks=(1024,))
    assert path.stat().st_size < 10**5
    assert "damaged" in refused(show, path)


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("timeline", "worker", 2),
        ("timeline", "worker", -1),
        ("timeline", "end", -1.0),
        ("timeline", "begin", np.nan),
        ("timeline", "blocks", 0),
        ("workers", "seconds", np.inf),
        ("workers", "blocks", -1),
        ("ranks", "seconds", -1.0),
    ],
)
def test_numbers_that_can_not_be_are_refused(path, show, table, field, value):
    write(path)
    with h5py.File(path, "r+") as file:
        rows = file[table][:]
        rows[field][0] = value
        file[table][...] = rows
    assert "damaged" in refused(show, path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ranks", 0),
        ("ranks", 3),
        ("workers", 0),
        ("n", str(10**400)),
        ("n", "9" * 5000),
        ("n_blocks", -1),
        ("n_blocks", 3),
        ("elapsed", 1e308),
        ("resumed_blocks", -1),
        ("lost_ranks", 1.5),
        ("finished", False),
    ],
)
def test_attributes_that_can_not_be_are_refused(path, show, name, value):
    write(path)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    assert "damaged" in refused(show, path)


def test_why_there_is_no_timeline(path, show, tmp_path):
    idle = [replace(record, blocks=0) for record in result().records]
    for made, why in (
        (result(timelines=[]), "it is of an older version of mpipar"),
        (result(timelines=[], records=idle, resumed_blocks=12), "all blocks had been done before"),
        (
            result(timelines=[], records=idle, plan=mpipar.Plan(0, 1)),
            "there was nothing to evaluate",
        ),
    ):
        write(path, made)
        assert f"none: {why}" in show(path)[1]
        assert f"has no timeline: {why}" in refused(show, path, "--timeline", tmp_path / "x.png")
        assert show(path, "--html", tmp_path / "x.html")[0] == 0
        assert f"There is no timeline: {why}" in (tmp_path / "x.html").read_text()


def test_processes_without_a_block_are_told(path, show):
    made = result(ranks=3)
    write(path, replace(made, timelines=[*made.timelines[:2], []]))
    assert "; 1 process had none" in show(path)[1]


@pytest.mark.parametrize("name", ["n", "elapsed", "ranks", "driver", "schedule", "seed", "workers"])
def test_missing_attributes_are_refused(path, show, name):
    write(path)
    with h5py.File(path, "r+") as file:
        del file.attrs[name]
    assert "damaged" in refused(show, path)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = [[1.5, 2.5]]
    code, _, err = show(path)
    assert code == 2, err


@pytest.mark.parametrize(("seed", "count"), [(0, 40), pytest.param(1, 300, marks=pytest.mark.ci)])
def test_a_damaged_file_is_refused_or_told(path, seed, count):
    """Thousands of wrong bits, in other processes, as HDF5 itself may crash or hang."""
    write(path, result(ranks=2, blocks=4))
    whole = path.read_bytes()
    program = (
        "import random, sys, pathlib, contextlib, io\nfrom mpipar.command.show import main\npath ="
        " pathlib.Path(sys.argv[1]); whole = path.read_bytes(); bad = path.with_name('bad.h5')\nrng"
        " = random.Random(int(sys.argv[2]))\nfor number in range(int(sys.argv[3])):\n    data ="
        " bytearray(whole)\n    for _ in range(rng.choice([1, 1, 4, 64])):"
        " data[rng.randrange(len(data))] = rng.randrange(256)\n    if rng.random() < 0.2: del"
        " data[rng.randrange(len(data)):]\n    bad.write_bytes(data)\n    out, err = io.StringIO(),"
        " io.StringIO()\n    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):"
        " code = main([str(bad), '--json'])\n    assert code in (0, 2) and bool(out.getvalue()) =="
        " (code == 0), (number, code, err.getvalue())\n    assert err.getvalue().count(chr(10)) =="
        " (code == 2), err.getvalue()\n"
    )
    ended = python("-c", program, str(path), str(seed), str(count))
    assert ended.code == 0, ended.stderr[-2000:]
    assert path.read_bytes() == whole


def test_what_a_file_says_can_not_steer_the_terminal(path, show):
    made = result(
        outcome=EVIL,
        name=EVIL,
        parameters={EVIL: EVIL},
        skipped=skipped(1, EVIL),
        schedule=EVIL,
        hosts=[EVIL] * 2,
        library=EVIL,
    )
    write(path, made)
    for options in ([], ["--ranks", "--workers"]):
        code, out, _ = show(path, *options)
        assert code == 0
        assert "red" in out
        assert all(character.isprintable() or character == "\n" for character in out)
    assert json.loads(show(path, "--json")[1])["driver"] == EVIL


def test_files_are_only_read(path, show, tmp_path):
    write(path)
    before = path.stat()
    path.chmod(stat.S_IRUSR)
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert show(path)[0] == 0
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    assert (before.st_mtime_ns, before.st_size) == (path.stat().st_mtime_ns, path.stat().st_size)
    assert list(tmp_path.iterdir()) == [path]


# What is written.


@pytest.fixture
def drawn_once(monkeypatch):
    """Let all pictures of a kind be the same one, as each takes a second."""
    pytest.importorskip("matplotlib")
    drawn = {}

    def draw(summary, kind="png", *_):
        if kind not in drawn:
            drawn[kind] = draw_timeline(summary, kind)
        return drawn[kind]

    monkeypatch.setattr("mpipar.view.timeline.draw_timeline", draw)


@pytest.mark.usefixtures("drawn_once")
def test_pictures_and_pages_are_written_and_replaced(path, show, tmp_path):
    write(path)
    for name, begin in (
        ("a.png", b"\x89PNG"),
        ("b.svg", b"<?xml"),
        ("c.PDF", b"%PDF"),
        ("a.png", b"\x89PNG"),
    ):
        assert show(path, "--timeline", tmp_path / name)[0] == 0
        assert (tmp_path / name).read_bytes().startswith(begin)
    for _ in range(2):
        assert show(path, "--html", tmp_path / "d.html")[0] == 0
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "run.h5",
        "a.png",
        "b.svg",
        "c.PDF",
        "d.html",
    }


def test_the_picture_has_the_bound_of_the_text(path, show, tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    made = result(ranks=3)
    write(path, result(ranks=3, timelines=[*made.timelines[:2], []], elapsed=1.0))
    assert show(path, "--timeline", tmp_path / "a.svg")[0] == 0
    drawn = (tmp_path / "a.svg").read_text()
    assert f"no schedule can end before: {seconds(look(path).lower_bound)}" in drawn
    assert "perfect balance" not in drawn


@pytest.mark.parametrize("option", ["--timeline", "--html"])
def test_nothing_else_is_replaced(path, show, tmp_path, option):
    write(path)
    ending = ".png" if option == "--timeline" else ".html"
    mine = tmp_path / f"mine{ending}"
    for content in (
        path.read_bytes(),
        b"my notes",
        b"<!DOCTYPE html>\n<html>mine</html>",
        b"\x89PNG of somebody",
    ):
        mine.write_bytes(content)
        assert "it stays untouched" in refused(show, path, option, mine)
        assert mine.read_bytes() == content
    assert "expected a name that ends in" in refused(show, path, option, path)
    assert "expected a name that ends in" in refused(show, path, option, tmp_path / "x.jpg")
    assert "there is no folder" in refused(show, path, option, tmp_path / "no" / f"x{ending}")
    (tmp_path / f"folder{ending}").mkdir()
    assert "not a regular file" in refused(show, path, option, tmp_path / f"folder{ending}")
    assert {entry.name for entry in tmp_path.iterdir()} == {"run.h5", mine.name, f"folder{ending}"}


def test_nothing_is_written_of_what_can_not_be_shown(path, show, tmp_path):
    path.write_text("text")
    refused(show, path, "--timeline", tmp_path / "a.png", "--html", tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_need_matplotlib_and_pages_do_not(path, show, tmp_path, monkeypatch):
    write(path)
    monkeypatch.setattr("mpipar.view.style.is_possible", lambda: False)
    monkeypatch.setattr("mpipar.view.page.is_possible", lambda: False)
    assert "pip install 'mpipar[plot]'" in refused(show, path, "--timeline", tmp_path / "a.png")
    assert show(path, "--html", tmp_path / "a.html")[0] == 0
    assert "There are no pictures" in (tmp_path / "a.html").read_text()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_is_told(path, tmp_path):
    write(path)
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "mpipar", "show", str(path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.usefixtures("drawn_once")
def test_what_can_not_be_written_is_told_after_what_can(path, show, tmp_path, monkeypatch):
    write(path)
    monkeypatch.setattr(
        Path,
        "write_bytes",
        lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")),
    )
    code, out, err = show(path, "--html", tmp_path / "a.html")
    assert code == 1
    assert out.startswith("load = 1.5\n")
    assert err == f"mpipar show: No space left: {tmp_path / 'a.html'}\n"


def test_stdout_may_have_few_letters(path):
    write(path, result(outcome=mpipar.Estimate(3.14, 0.01)))
    ended = subprocess.run(
        [sys.executable, "-m", "mpipar", "show", str(path)],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(b"load = 3.14 \\xb1 0.01\n")


@pytest.mark.parametrize("words", [["mpipar", "show", "run.h5"], ["mpipar.primes", "--help"]])
def test_nobody_may_read_it(path, words):
    write(path)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as unread:
        ended = subprocess.run(
            [sys.executable, "-m", *words],
            stdout=unread,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            cwd=path.parent,
        )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("words", [["mpipar", "show"], ["mpipar", "model"]])
def test_an_interruption_is_no_traceback(path, words):
    """Also while modules are imported, which takes longest."""
    program = "import runpy, sys, signal; sys.argv[:] = sys.argv[1:]\n"
    program += "class Late:\n def find_spec(self, name, *_):\n"
    program += "  if name == 'h5py': signal.raise_signal(signal.SIGINT)\n"
    program += "sys.meta_path.insert(0, Late()); runpy.run_module('mpipar', run_name='__main__')"
    command = [sys.executable, "-c", program, *words, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == f"mpipar {words[1]}: interrupted\n"


# Unfinished runs, and studies.


@pytest.fixture
def unfinished(path):
    """Give what a run leaves that was stopped after three of four blocks."""
    with OutputFile(path, load.bind({"times": [0.0] * 4}), Comm()) as output:
        output.commit(Done(output.base.total, [range(3)]))
    return path


def test_an_unfinished_run_tells_how_to_go_on(unfinished, show, tmp_path):
    found = look(unfinished)
    assert isinstance(found, Unfinished)
    assert (found.progress.done, found.progress.n_blocks) == (3, 4)
    code, out, _ = show(unfinished)
    assert code == 0
    assert "an unfinished run of load: 3 of 4 blocks (75 %) are done" in out
    assert "--resume" in out
    told = json.loads(show(unfinished, "--json")[1])
    assert (told["kind"], told["done"], told["finished"]) == ("unfinished", 3, False)
    assert "an unfinished run" in refused(show, unfinished, "--timeline", tmp_path / "x.png")
    assert "an unfinished run" in refused(show, unfinished, "--html", tmp_path / "x.html")


def test_a_damaged_checkpoint_is_refused(unfinished, show):
    with h5py.File(unfinished, "r+") as file:
        file["checkpoint"][-5:] = 0
    assert "whose checkpoint is damaged" in refused(show, unfinished)


def test_a_study_is_told_with_its_table(tmp_path, show):
    runs = {}
    for ranks in (1, 2, 4):
        report = {
            "value": 1.0,
            "n": 1000,
            "nodes": 1,
            "ranks": ranks,
            "workers": 1,
            "imbalance": 1.0,
        }
        runs[Run(Size(STRONG, ranks, 1), 1)] = Measured(
            8.0 / ranks, 8.0 / ranks + 0.5, report, ["node1"], 0.0
        )
    assert startup(runs[Run(Size(STRONG, 1, 1), 1)]) == pytest.approx(0.5)
    path = tmp_path / "scaling.h5"
    write_data(
        path, runs, [scaling_table(STRONG, runs, None, None)], {"driver": "pi", "options": EVIL}
    )
    assert isinstance(look(path), Study)
    code, out, _ = show(path)
    assert code == 0
    assert "holds a scaling study, of 3 runs" in out
    assert "\x1b" not in out
    rows = [line.split() for line in out.splitlines() if line.startswith("strong")]
    assert [row[2] for row in rows] == ["1", "2", "4"]
    assert [float(row[7]) for row in rows] == [1, 2, 4]
    told = json.loads(show(path, "--json")[1])
    assert [row["speedup"] for row in told["table"]] == [1, 2, 4]
    assert "a study" in refused(show, path, "--timeline", tmp_path / "x.png")
    with h5py.File(path, "r+") as file:
        del file.attrs["study_format"]  # as the first versions wrote it
    again = show(path, "--json")
    assert again[0] == 0, again
    assert json.loads(again[1]) == told
    with h5py.File(path, "r+") as file:
        file.attrs["study_format"] = 2
    assert "of format 2 of studies" in refused(show, path)


def test_neither_mpi_nor_matplotlib_is_loaded(path):
    write(path)
    code = f"import sys; from mpipar.command.show import main; main([{str(path)!r}])\n"
    code += "sys.exit(bool({'matplotlib', 'mpi4py.MPI'} & set(sys.modules)))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], timeout=60, check=False, stdout=subprocess.DEVNULL
        ).returncode
        == 0
    )


def test_look_returns_tables(path):
    made = result(ranks=3)
    summary = look(write(path, made))
    assert isinstance(summary, Summary)
    assert (summary.imbalance, summary.lower_bound) == pytest.approx(
        (made.imbalance, made.lower_bound), rel=1e-14
    )
    assert summary.busy == pytest.approx(sum(record.seconds for record in made.records))
    assert len(summary.timeline) == 18
    with pytest.raises(BadInput):
        look(path.with_name("other.h5"))
    shutil.copyfile(path, path.with_name("copy.h5"))
    assert look(path.with_name("copy.h5")).value == 1.5
