"""What mpipar show, open_result and progress tell of a script's outcomes: finished, stopped, and
while it runs.
"""

import dataclasses
import json
import os
import shlex

import numpy as np
import pytest

import mpipar
from mpipar import BadInput
from mpipar.command.model import main as model
from mpipar.command.show import main
from mpipar.store.progress import progress
from mpipar.store.task_file import Span, TaskStore

EVIL = "\x1b[31mred\x1b]0;title\x07<script>alert(1)</script>\n&\u202e"
F, G = b"f" * 16, b"g" * 16


@dataclasses.dataclass
class Point:
    x: int


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


@pytest.fixture
def show(capsys):
    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


def begun(path, script="/here/sweep.py", arguments=("-n", "5 6")):
    """Return the store of a script that has done 7 of 10 tasks of one call, and 2 of another."""
    about = {
        "script": script,
        "arguments": list(arguments),
        "hosts": ["node1", "node2"],
        "mpipar": "9.9",
    }
    store = TaskStore(path, about=about)
    begin = store._begin
    call = store.begin_call(F, "simulate", [b"b" * 16], bytes(range(160)))
    for first, worker in ((0, 0), (3, 1)):
        tasks = range(first, first + 3)
        outcomes = [float(task) for task in tasks]
        span = Span(worker, 4 + worker, begin + 1 + worker, 0.5)
        store.append(call, tasks, None, outcomes, span)
    store.append(call, [9], None, [[1, [2]]], None)
    call = store.begin_call(G, "score", [], b"")
    store.append(call, range(2), [F, G], [Point(1), [1, [2]]], Span(0, 4, begin + 3, 0.25))
    store.commit()
    return store


def test_a_script_that_runs_is_told_of_its_log(path, show):
    store = begun(path)
    code, out, err = show(path, "--workers")
    assert (code, err) == (0, "")
    first, *_ = out.splitlines()
    assert first == (
        f"{path} holds an unfinished run of sweep.py: 9 of 12 tasks in 2 calls so far are done"
    )
    for words in (
        f"script      {shlex.join(['/here/sweep.py', '-n', '5 6'])}",
        "2 ranks × 1 worker on 2 nodes (node1, node2)",
        f"it goes on at the moment: process {os.getpid()} on",
        "   0  simulate     10     7      1    1.000  666666666666",
        "   1  score         2     2      0    0.250  676767676767",
        "   0  node1      5    0.750",
        "   1  node2       5      3    0.500      0.166667",
    ):
        assert words in out
    found = progress(path)
    assert (found.done, found.n_blocks, found.finished, found.before) == (9, 12, False, 0)
    store.stop("enough")


def test_a_script_that_was_stopped_says_why_and_how_to_go_on(path, show):
    begun(path).stop("SIGTERM")
    code, out, err = show(path)
    assert (code, err) == (0, "")
    assert "holds an unfinished run of sweep.py" in out
    assert "stopped     SIGTERM\n" in out
    assert "to go on    give the same command again with --resume\n" in out
    assert progress(path)[:4] == (9, 12, 0, False)


def test_a_finished_script_is_told_and_drawn(path, show, tmp_path):
    begun(path).finish()
    code, out, err = show(path, "--timeline", tmp_path / "t.png", "--html", tmp_path / "p.html")
    assert (code, err) == (0, "")
    assert out.startswith("sweep.py: 9 of 12 tasks in 2 calls are kept\n")
    assert "--resume" not in out
    assert "elapsed     3.000 s in its last run; 2 workers were with tasks for 20.8% of that" in out
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "p.html").read_text()
    assert "<td>simulate</td>" in page
    assert page.count("<img") == 3
    assert progress(path)[:4] == (9, 12, 0, True)


def test_json_has_all_of_it(path, show):
    begun(path).finish()
    _, out, _ = show(path, "--json")
    told = json.loads(out)
    assert (told["kind"], told["finished"], told["done"], told["tasks"]) == ("script", True, 9, 12)
    assert told["about"]["arguments"] == ["-n", "5 6"]
    assert [call["function"] for call in told["calls"]] == ["simulate", "score"]
    assert told["per_worker"][0]["worker"] == 4
    assert told["per_rank"][1] == {"rank": 1, "host": "node2", "tasks": 3, "seconds": 0.5}


def test_what_a_script_is_called_does_no_harm(path, show, tmp_path):
    begun(path, f"/here/{EVIL}", [EVIL]).finish()
    _, out, _ = show(path, "--html", tmp_path / "p.html")
    assert out.isascii() or all(letter.isprintable() for letter in out.replace("\n", ""))
    assert "<script>alert" not in (tmp_path / "p.html").read_text()


def test_a_script_without_tasks_has_nothing_to_draw(path, show, tmp_path):
    TaskStore(path, about={"script": "x.py"}).finish()
    code, out, _ = show(path)
    assert (code, out.splitlines()[0]) == (0, "x.py: 0 of 0 tasks in 0 calls are kept")
    code, _, err = show(path, "--timeline", tmp_path / "t.png")
    assert (code, "no task was evaluated" in err) == (2, True)
    assert show(path, "--html", tmp_path / "p.html")[0] == 0


def test_predictions_are_not_made_of_scripts(path, capsys):
    begun(path).finish()
    assert model([str(path)]) == 2
    assert "has the tasks of a script, expected the result of a driver" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["finish", "stop", ""])
def test_outcomes_are_a_table_at_any_time(path, end):
    store = begun(path)
    if end:
        getattr(store, end)(*["enough"][: end == "stop"])
    with mpipar.open_result(path) as result:
        assert result.finished == (end == "finish")
        assert result.calls["done"].tolist() == [7, 2]
        table = result.table()
        assert table["call"].tolist() == [0] * 7 + [1] * 2
        assert table["task"].tolist() == [0, 1, 2, 3, 4, 5, 9, 0, 1]
        assert table["digest"][1] == bytes(range(16, 32)).hex()
        assert table["digest"][8] == G.hex()
        assert table["outcome"].tolist()[:6] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        assert table["outcome"][6] == [1, [2]]
        assert table["rank"].tolist() == [0, 0, 0, 1, 1, 1, -2, 0, 0]
        assert table["worker"].tolist() == [4, 4, 4, 5, 5, 5, -2, 4, 4]
        assert result.outcomes(1) == [Point(1), [1, [2]]]
        with pytest.raises(BadInput, match="3 outcomes of 10 tasks of call 0 aren't there"):
            result.outcomes(0)
        with pytest.raises(BadInput, match="has no call 2: it has 2"):
            result.outcomes(2)
        frame = result.to_dataframe()
        assert list(frame.columns) == [*table.dtype.names]
        assert len(frame) == 9
        assert "9 of 12 tasks" in repr(result)
        assert "<td>2 calls</td>" in result._repr_html_()
        assert np.allclose(result.timeline["end"], [1, 3, 2])
    store._leave()


def test_workers_of_earlier_runs_are_forgotten(path):
    begun(path).stop("enough")
    store = TaskStore(path, about={"script": "x.py"}, resume=True)
    store.append(0, [6], None, [6.0], Span(0, 0, store._begin + 1, 0.5))
    table = mpipar.open_result(path).table()
    assert table["rank"].tolist() == [-1, -1, -1, -1, -1, -1, 0, -2, -1, -1]
    store.finish()
    assert mpipar.open_result(path).table()["rank"].tolist() == table["rank"].tolist()


def test_a_damaged_file_is_refused_in_one_line(path, show):
    begun(path).finish()
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    code, out, err = show(path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    with pytest.raises(BadInput, match="is damaged"):
        mpipar.open_result(path)
