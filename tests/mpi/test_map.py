"""mpipar.map: results and exceptions in order, over workers and ranks, and resumed."""

import functools
import re
import signal
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import mpirun, python

import mpipar

PROGRAM = """
    import os, sys, mpipar

    class Odd(Exception):
        def __init__(self, number, *, why):
            super().__init__(number)
            self.why = why

    def f(x):
        with open("called", "a") as file:
            file.write(f"{x}\\n")
        if x == 3:
            raise Odd(x, why="three")
        if x == 5 and os.environ.get("DIE"):
            os.kill(os.getpid(), 9)
        return {"x": x, "root": x**0.5}

    got = mpipar.map(f, range(8), OPTIONS)
    assert [one for item, one in enumerate(got) if item != 3] == [
        {"x": x, "root": x**0.5} for x in range(8) if x != 3], got
    assert list(got.failed) == [3] and type(got[3]) is Odd and got[3].why == "three", got
    print("right", flush=True)
"""


def program(tmp_path: Path, options: str, guarded: bool = False) -> str:
    script = tmp_path / "script.py"
    text = textwrap.dedent(PROGRAM).replace("OPTIONS", options)
    if guarded:
        before, after = text.split("got = ", 1)
        text = f"{before}if __name__ == '__main__':\n" + textwrap.indent(f"got = {after}", "    ")
    script.write_text(text)
    return str(script)


def called(tmp_path: Path) -> list[int]:
    return sorted(map(int, (tmp_path / "called").read_text().split()))


@pytest.mark.parametrize(
    ("options", "guarded"),
    [
        ("", False),
        ("workers=2", False),
        pytest.param("workers=2", True, marks=pytest.mark.ci),
        pytest.param('workers=2, output="run.h5"', False, marks=pytest.mark.ci),
    ],
)
def test_results_and_exceptions_are_in_order(options, guarded, tmp_path):
    ended = python(program(tmp_path, options, guarded), cwd=tmp_path)
    assert ended.stdout == "right\n", ended.stderr
    assert called(tmp_path) == list(range(8))
    assert ended.stderr == "mpipar.map: 1 item of 8 raised: 3 (first: Odd: 3)\n"


@pytest.mark.each_mpi
def test_all_ranks_get_all(tmp_path):
    ended = mpirun(2, program(tmp_path, 'output="run.h5"'), cwd=tmp_path)
    assert ended.stdout == "right\nright\n", ended.stderr
    assert called(tmp_path) == list(range(8))


def test_what_is_done_before_a_kill_is_not_called_again(tmp_path):
    script = program(tmp_path, 'output="run.h5", resume=True, checkpoint=0.0')
    killed = python(script, cwd=tmp_path, env={"DIE": "yes"})
    assert killed.code == -signal.SIGKILL
    assert called(tmp_path) == [0, 1, 2, 3, 4, 5]
    ended = python(script, cwd=tmp_path)
    assert ended.stdout == "right\n", ended.stderr
    times = Counter(called(tmp_path))
    assert [times[item] for item in (0, 1, 2, 3, 5, 6, 7)] == [1, 1, 1, 1, 2, 1, 1]
    assert times[4] in (1, 2)  # it may have been handed over with 5
    again = python(script, cwd=tmp_path)
    assert again.stdout == "right\n"
    assert Counter(called(tmp_path)) == times
    assert [mpipar.mapped(tmp_path / "run.h5")[item] for item in (0, 4)] == [
        {"x": x, "root": x**0.5} for x in (0, 4)
    ]


def test_another_function_or_other_items_are_refused(tmp_path, caplog):
    output = tmp_path / "run.h5"
    mpipar.map(np.linalg.norm, np.eye(3), output=output)
    before = output.read_bytes()
    for function, items, told in (
        (np.linalg.norm, 2 * np.eye(3), "input item 0 was changed"),
        (np.linalg.norm, np.eye(4), "n: 3 there, 4 here"),
        (np.linalg.det, np.eye(3), "'numpy.linalg.norm' there, 'numpy.linalg.det' here"),
        (
            functools.partial(np.linalg.norm, ord=1),
            np.eye(3),
            "what numpy.linalg.norm is bound to was changed",
        ),
    ):
        with pytest.raises(mpipar.BadInput, match=re.escape(told)):
            mpipar.map(function, items, output=output, resume=True)
    assert output.read_bytes() == before
    assert mpipar.map(np.linalg.norm, 2 * np.eye(3), output=output, resume=True, anyway=True) == [
        1.0,
        1.0,
        1.0,
    ]
    assert "goes on with what is done by another run" in caplog.text


def test_a_file_that_an_item_names_counts(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("one")
    assert mpipar.map(Path.read_text, [path], output=tmp_path / "run.h5") == ["one"]
    path.write_text("two")
    with pytest.raises(mpipar.BadInput, match=r"in\.txt was changed"):
        mpipar.map(Path.read_text, [path], output=tmp_path / "run.h5", resume=True)


@pytest.mark.parametrize("items", [(), [], range(0), iter(())])
def test_no_items_are_told(items, caplog):
    assert mpipar.map(len, items) == []
    assert caplog.messages == ["there are no items: nothing is to be evaluated"]


@pytest.mark.parametrize(
    ("function", "items", "options", "error", "told"),
    [
        (5, [1], {}, mpipar.BadInput, "expected a function, got 5"),
        (len, 5, {}, mpipar.BadInput, "expected items, such as a list, got 5"),
        (len, [1], {"resume": True}, mpipar.BadInput, "resume needs an output"),
        (len, [1], {"output": "x.txt"}, mpipar.BadInput, "expected a file of .h5"),
        (len, [1], {"workers": 0}, mpipar.BadInput, "workers"),
        (len, [1], {"on_error": "ignore"}, mpipar.BadInput, "stop, skip or retry"),
        (
            iter,
            [[1]],
            {},
            mpipar.RunFailed,
            "the result of item 0: a list_iterator can't be stored without pickle",
        ),
        (len, [5], {"on_error": "stop"}, mpipar.RunFailed, "object of type 'int' has no len"),
    ],
)
def test_what_cant_be_done_is_told(function, items, options, error, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=re.escape(told)):
        mpipar.map(function, items, **options)
    assert list(tmp_path.iterdir()) == []


def test_what_comes_back_in_a_damaged_file_is_refused(tmp_path):
    output = tmp_path / "run.h5"
    mpipar.map(float, range(100), output=output)
    data = bytearray(output.read_bytes())
    where = data.index((64.0).hex().encode())
    data[where + 2] ^= 1
    output.write_bytes(data)
    with pytest.raises(mpipar.BadInput, match="damaged"):
        mpipar.mapped(output)


def test_a_transient_failure_is_tried_again(tmp_path):
    calls = []

    def fails_twice(item):
        calls.append(item)
        if len(calls) < 3:
            raise OSError
        return item

    assert mpipar.map(fails_twice, [7], on_error="retry:2") == [7]
    assert calls == [7, 7, 7]


def test_an_item_that_kills_its_workers_is_lost_alone(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import mpipar, os\n"
        "got = mpipar.map(lambda x: os._exit(9) if x == 2 else x, range(5), workers=2)\n"
        "print(got[:2], got[3:], repr(got[2]))\n"
    )
    ended = python(str(script), cwd=tmp_path)
    assert (
        ended.stdout == "[0, 1] [3, 4] WorkerLost('item 2: the worker ended with exit code 9')\n"
    ), ended.stderr


@pytest.mark.each_mpi
def test_other_items_on_a_rank_are_refused(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import mpipar, os\nmpipar.map(str, [os.getpid()])\n")
    ended = mpirun(2, str(script), cwd=tmp_path)
    assert ended.code != 0
    assert (
        "rank 1 has other items than the root (item 0): sort them, or seed what makes them"
        in ended.stderr
    )


def test_star_leaves_the_map_of_python():
    names: dict = {}
    exec("from mpipar import *", names)
    assert "map" not in names


@pytest.mark.each_mpi
def test_items_that_one_rank_cant_list_end_all(tmp_path):
    (tmp_path / "script.py").write_text(
        "import mpipar, os\nfrom mpi4py import MPI\ndef items():\n    yield 1\n    if"
        " MPI.COMM_WORLD.rank:\n        raise OSError('no such list')\ntry:\n    mpipar.map(str,"
        " items())\nexcept (OSError, mpipar.RunFailed) as error:\n    print(error, flush=True)\n"
    )
    ended = mpirun(2, "script.py", cwd=tmp_path)
    assert sorted(ended.stdout.splitlines()) == [
        "map: rank 1 could not list its items: OSError: no such list",
        "no such list",
    ]


def test_ctrl_c_keeps_what_is_done(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import mpipar, os, signal, sys\n"
        "def f(x):\n"
        "    if x == 3 and len(sys.argv) > 1:\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    open('called', 'a').write(f'{x} ')\n"
        "    return x\n"
        "try:\n    print(mpipar.map(f, range(2000), output='run.h5', resume=True, block=1))\n"
        "except mpipar.StoppedEarly as error:\n    print(error)\n"
    )
    stopped = python(str(script), "stop", cwd=tmp_path, cold=True)
    assert "stopping after the blocks in flight" in stopped.stderr
    assert "blocks are done and committed" in stopped.stdout
    ended = python(str(script), cwd=tmp_path)
    assert ended.stdout == f"{list(range(2000))}\n", ended.stderr
    assert called(tmp_path) == list(range(2000))
