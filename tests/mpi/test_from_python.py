"""mpipar.run: from scripts, over ranks, with workers, and from where there is no file."""

import hashlib
import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import UNBOUND, chosen_ranks, over, python
from suite.rings import in_ci

PROGRAMS = str(Path(__file__).with_name("programs.py"))
HERE = str(Path(PROGRAMS).parent)

PREAMBLE = f"""
import json, os, sys
sys.path.insert(0, {HERE!r})
import mpipar, programs
import mpipar.mcpi
from mpipar.runtime.comm import world

def say(**what):
    # One write, as ranks share stdout.
    sys.stdout.write(json.dumps({{"rank": world().rank, **what}}) + "\\n")
    sys.stdout.flush()
"""


def said(finished):
    """Return what each rank said, in their order."""
    assert finished.code == 0, finished.stderr
    return sorted(
        (json.loads(line) for line in finished.stdout.splitlines()), key=lambda words: words["rank"]
    )


def script(code, ranks=None, *arguments, **options):
    return over(ranks)("-c", PREAMBLE + code, *arguments, env=UNBOUND, **options)


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
@pytest.mark.parametrize("everywhere", [True, False])
def test_the_result_is_everywhere_or_on_the_root(ranks, everywhere):
    code = f"""
result = mpipar.run(mpipar.mcpi.mcpi, samples=10**5, seed=3, everywhere={everywhere})
say(value=result and [result.value, result.error, result.ranks, result.seed, result.evaluated_blocks])
"""
    expected = python("-m", "mpipar.mcpi", "--samples", "1e5", "--seed", "3", "--json").json
    words = said(script(code, ranks))
    assert [each["rank"] for each in words] == list(range(ranks or 1))
    value = [expected["value"], expected["error"], ranks or 1, 3, expected["evaluated_blocks"]]
    for each in words:
        assert each["value"] == (value if everywhere or each["rank"] == 0 else None)


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_one_run_after_the_other(ranks):
    code = """
values = [mpipar.run(mpipar.mcpi.mcpi, samples=10**5, seed=seed, schedule=schedule, workers=workers).value
          for seed in (1, 2) for schedule in ("stride", "slice", "dynamic") for workers in (1, 2)]
say(values=values)
"""
    words = said(script(code, ranks))
    assert all(each["values"] == words[0]["values"] for each in words)
    values = words[0]["values"]
    assert len(set(values[:6])) == len(set(values[6:])) == 1
    assert values[0] != values[6]


@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_arguments_are_those_of_the_command_line(ranks, tmp_path):
    path = tmp_path / "unlucky.h5"
    code = f"""
result = mpipar.run(programs.unlucky, items=400, bad=[3, 17], block=10, seed=5, schedule="slice", on_error="skip",
                    output={str(path)!r}, progress=False)
say(value=result.value, skipped=[block.block for block in result.skipped], schedule=result.schedule)
"""
    options = ("--items", "400", "--bad", "3", "17", "--seed", "5", "--on-error", "skip")
    expected = python(PROGRAMS, "unlucky", *options, "--json").json
    finished = script(code, ranks)
    for each in said(finished):
        assert (each["value"], each["skipped"], each["schedule"]) == (
            expected["value"],
            [3, 17],
            "slice",
        )
    with h5py.File(path) as file:
        assert file["value"][()] == expected["value"]
        assert file.attrs["seed"] == 5
        assert file["skipped"]["block"].tolist() == [3, 17]
    assert [entry.name for entry in tmp_path.iterdir()] == ["unlucky.h5"]
    assert [line[: line.index(" (")] for line in finished.own_errors] == [
        "mpipar.run: skipped block 3",
        "mpipar.run: skipped block 17",
    ]


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
@pytest.mark.parametrize(
    "more",
    [
        pytest.param("", marks=pytest.mark.ci),
        pytest.param("compress=True", marks=pytest.mark.ci),
        "workers=2",
    ],
)
def test_rows_go_to_the_file_or_come_with_the_result(ranks, more, tmp_path):
    path = tmp_path / "rows.h5"
    code = f"""
import hashlib
to_file = mpipar.run(programs.rows, output={str(path)!r}, {more})
in_memory = mpipar.run(programs.rows, kind="mapped", {"" if more.startswith("compress") else more})
rows = hashlib.sha256(in_memory.datasets["mapped"].tobytes()).hexdigest()  # launchers cut lines of many KiB to pieces
same = to_file.datasets["mapped"][:].tobytes() == in_memory.datasets["mapped"].tobytes()
say(in_the_file=same, value=to_file.value["mapped"], rows=rows)
"""
    for each in said(script(code, ranks)):
        assert (each["in_the_file"], each["value"]) == (True, 500)
        with h5py.File(path) as file:
            assert hashlib.sha256(file["mapped"][()].tobytes()).hexdigest() == each["rows"]
            assert file["mapped"].compression == ("gzip" if more.startswith("compress") else None)
            assert len(file["table"]) == 500
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.h5"]


BAD_INPUT = [
    ("mpipar.mcpi.mcpi, samples=0", "samples"),
    ("mpipar.mcpi.mcpi, sample=3", "sample"),
    ("mpipar.mcpi.mcpi, samples=10, workers=0", "workers"),
    ("mpipar.mcpi.mcpi, samples=10, workers='many'", "workers"),
    ("mpipar.mcpi.mcpi, samples=10, schedule='static'", "schedule"),
    ("mpipar.mcpi.mcpi, samples=10, block=0", "block"),
    ("mpipar.mcpi.mcpi, samples=10, seed=-1", "seed"),
    ("mpipar.mcpi.mcpi, samples=10, on_error='ignore'", "retry:N"),
    ("mpipar.mcpi.mcpi, samples=10, on_error=3", "retry:N"),
    ("mpipar.mcpi.mcpi, samples=10, output='missing/x.h5'", "output"),
    ("mpipar.mcpi.mcpi, samples=10, output='.'", "output"),
    ("programs.rows, bad=['x']", "bad"),
    ("len, samples=10", "kernel"),
]


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_bad_input_is_an_exception_on_all_ranks(ranks):
    calls = "\n".join(
        f"""
try:
    mpipar.run({arguments})
except Exception as error:
    messages.append(type(error).__name__ + " " + str(error))
else:
    messages.append("no error")"""
        for arguments, _ in BAD_INPUT
    )
    code = f"""
messages = []
{calls}
say(messages=messages, value=mpipar.run(mpipar.mcpi.mcpi, samples=10**4).value)
"""
    finished = script(code, ranks)
    words = said(finished)
    assert len(words) == (ranks or 1)
    for each in words:
        assert each["value"] == words[0]["value"], "a later run is well"
        wrong = {
            arguments: message
            for (arguments, named), message in zip(BAD_INPUT, each["messages"], strict=True)
            if not (message.startswith("BadInput") and named in message)
        }
        assert wrong == {}
    assert finished.own_errors == []


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [pytest.param(None, marks=pytest.mark.ci), *chosen_ranks(2)])
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.ci), 2])
@pytest.mark.parametrize("everywhere", [True, pytest.param(False, marks=pytest.mark.ci)])
def test_a_failed_run_is_an_exception_on_all_ranks(ranks, workers, everywhere, tmp_path):
    code = f"""
messages = []
for kernel, options in ((programs.failing, {{}}), (programs.bad_finish, {{}}), (programs.lookup, {{"fail": True}}),
                        (programs.rows, {{"bad": [3], "output": {str(tmp_path / "x.h5")!r}}})):
    try:
        mpipar.run(kernel, workers={workers}, everywhere={everywhere}, **options)
    except mpipar.RunFailed as error:
        messages.append(str(error).splitlines()[0])
say(messages=messages, value=mpipar.run(mpipar.mcpi.mcpi, samples=10**4).value)
"""
    finished = script(code, ranks)
    words = said(finished)
    assert len(words) == (ranks or 1)
    for each in words:
        assert each == words[0] | {"rank": each["rank"]}, "the same message on all ranks"
        assert len(each["messages"]) == 4
        assert all("on host" in message for message in each["messages"])
    reasons = ("this block is bad", "no result", "no table today", "this block is bad")
    assert all(
        reason in message for reason, message in zip(reasons, words[0]["messages"], strict=True)
    )
    assert finished.own_errors == []
    assert {entry.name for entry in tmp_path.iterdir()} == {"x.h5", "x.h5.parts"}, "to be resumed"
    with h5py.File(tmp_path / "x.h5") as file:
        assert not file.attrs["finished"]


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_an_output_that_cannot_be_written_is_a_failed_run_on_all_ranks(ranks, tmp_path):
    code = f"""
import mpipar.store.output as output
def refuse(*_):
    raise OSError("no space left")
output.fill = refuse
try:
    mpipar.run(programs.rows, output={str(tmp_path / "x.h5")!r})
except mpipar.RunFailed as error:
    say(message=str(error))
"""
    words = said(script(code, ranks))
    assert len(words) == (ranks or 1)
    assert all("no space left" in each["message"] for each in words)
    code = f"""
result = mpipar.run(programs.rows, output={str(tmp_path / "x.h5")!r}, resume=True)
say(evaluated=result.evaluated_blocks, resumed=result.resumed_blocks == result.plan.n_blocks)
"""
    assert said(script(code)) == [{"rank": 0, "evaluated": 0, "resumed": True}], (
        "all was done, but not written"
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.h5"]


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_a_result_that_cannot_be_sent_does_not_hang(ranks):
    code = """
import threading
from mpipar import Count, driver

@driver(n="items", reduction=Count)
def kernel(block, *, items: int = 100):
    return block.size

@kernel.finish
def locked(total):
    return threading.Lock()

result = mpipar.run(kernel, everywhere=False)
say(there=result is not None)
mpipar.run(kernel, everywhere=True)
say(there=True)
"""
    finished = script(code, ranks)
    if ranks is None:
        assert [each["there"] for each in said(finished)] == [True, True]
    else:
        assert finished.code != 0
        assert "lock" in finished.stderr


GUARDED = """
import json
import mpipar
from mpipar import Count, driver

print("imported", __name__)

@driver(n="items", reduction=Count)
def odd(block, *, items: int = 1000):
    return sum(i % 2 for i in block)

if __name__ == "__main__":
    result = mpipar.run(odd, items=2000, workers=2, everywhere=False)
    if result is not None:
        print(json.dumps([result.value, result.workers, len(result.records)]))
"""


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_a_script_with_a_guard_may_have_workers(ranks, tmp_path):
    (tmp_path / "guarded.py").write_text(GUARDED)
    finished = over(ranks)("guarded.py", cwd=tmp_path)
    assert finished.code == 0, finished.stderr
    [line] = [line for line in finished.stdout.splitlines() if line.startswith("[")]
    assert json.loads(line) == [1000, 2, 2 * (ranks or 1)]


@pytest.mark.parametrize("ranks", [None, *in_ci(2)])
def test_a_script_without_a_guard_may_have_workers_and_runs_once(ranks, tmp_path):
    (tmp_path / "unguarded.py").write_text(GUARDED.replace('__name__ == "__main__"', "True"))
    finished = over(ranks)("unguarded.py", cwd=tmp_path)
    assert finished.code == 0, finished.stderr
    *imported, line = sorted(finished.stdout.splitlines(), reverse=True)
    assert imported == ["imported __main__"] * (ranks or 1)
    assert json.loads(line) == [1000, 2, 2 * (ranks or 1)]


INLINE = """
import math
import sys
import numpy as np
import mpipar
from mpipar import Dataset, Each, ExactSum, driver

scale = 0.5

def helper(x):
    return scale * math.sqrt(x)

@driver(n="items", reduction=Each(sum=ExactSum(), rows=Dataset("rows", float)), block=10)
def inline(block, rng, table, *, items: int = 1000, power: float = 1.0):
    rows = np.array([helper(i) ** power + table[0] for i in block])
    return {"sum": rows.sum() + rng.random(), "rows": rows}

@inline.shared
def table(empty):
    made = empty(3)
    made[:] = scale
    return made

@inline.finish
def total(reduced, *, power):
    return reduced["sum"] * power

results = [mpipar.run(inline, workers=workers, power=2.0) for workers in (1, 2)]
assert len(results[1].records) == 2
assert all(record.blocks for record in results[1].records)
assert results[0].value == results[1].value
assert results[0].datasets["rows"].tolist() == results[1].datasets["rows"].tolist()
print(results[1].value)
try:
    mpipar.run(inline, workers=2, power=-1.0, on_error="stop")
except mpipar.RunFailed as error:
    print("ZeroDivisionError" in str(error), "in inline" in str(error))
"""


def check_inline(finished):
    assert finished.code == 0, finished.stderr
    value, error = finished.stdout.splitlines()
    rows = np.arange(1000) / 4 + 0.5
    assert float(value) == pytest.approx(2 * (rows.sum() + 50), rel=0.01)
    assert error == "True True"


def test_a_kernel_that_is_in_no_file_goes_to_workers():
    check_inline(python("-c", INLINE))


def test_a_kernel_from_standard_input_goes_to_workers(tmp_path):
    program = tmp_path / "program.txt"
    program.write_text(INLINE)
    with program.open() as text:
        check_inline(python("-", stdin=text, cwd=tmp_path))


def test_a_kernel_that_was_typed_in_goes_to_workers(tmp_path):
    """As in a notebook: the main module has no file at all, and is filled cell by cell."""
    (tmp_path / "shell.py").write_text(
        "import sys, types\n"
        "main = sys.modules['__main__'] = types.ModuleType('__main__')\n"
        "for cell in open(sys.argv[1]).read().split('\\n\\n'):\n"
        "    exec(compile(cell, '<cell>', 'exec'), main.__dict__)\n"
    )
    (tmp_path / "cells.txt").write_text(INLINE)
    check_inline(python("shell.py", "cells.txt", cwd=tmp_path))


def test_a_kernel_that_is_typed_again_is_the_new_one():
    code = """
import mpipar
from mpipar import Count, driver
for factor in (1, 2):
    @driver(n="items", reduction=Count)
    def kernel(block, *, items: int = 100):
        return factor * block.size
    print(mpipar.run(kernel, workers=2).value)
"""
    assert python("-c", code).stdout.split() == ["100", "200"]


def test_a_result_can_be_kept(tmp_path):
    path = tmp_path / "result.pickle"
    code = f"""
import pickle
result = mpipar.run(programs.rows, items=100)
pickle.dump(result, open({str(path)!r}, "wb"))
"""
    assert script(code).code == 0
    result = pickle.loads(path.read_bytes())
    assert result.plan.n == 100
    assert len(result.datasets["mapped"]) == 100


def test_threads_of_libraries_are_the_users_again_after_a_run():
    code = """
from mpipar.runtime.node import THREAD_VARIABLES
os.environ["MKL_NUM_THREADS"] = ""
before = [os.environ.get(name) for name in THREAD_VARIABLES]
mpipar.run(mpipar.mcpi.mcpi, samples=10**4, workers=2)
say(same=[os.environ.get(name) for name in THREAD_VARIABLES] == before)
"""
    assert said(script(code)) == [{"rank": 0, "same": True}]
