"""What the drivers have in common: the same bits in all modes, refusals of bad input, help, and
`mpipar run`.
"""

import json
import re
import shlex

import h5py
import numpy as np
import pages
import pytest
from conftest import BIN, UNBOUND, chosen_ranks, over, python, start

from mpipar.__main__ import DRIVERS

FUNCTIONS = """
import numpy as np

number = 3

def f(x):
    return np.asarray(x) ** 2

def two_rows(x):
    return np.zeros((2, x.size))

def model(a, b=1.0, name=""):
    if a % 7 == 3:
        raise ValueError(f"a = {a} is bad")
    return {"c": a * b, "text": f"{name} {a}"} if a % 2 else {"c": -a, "root": a**0.5}
"""

OWN_DRIVER = """
from mpipar import Count, driver

@driver(n="items", reduction=Count, block=10)
def odd(block, *, items: int = 1000):
    "Count odd numbers."
    return sum(i % 2 for i in block)

def no_driver():
    pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder with all that the command lines of this module name, good and bad."""
    folder = tmp_path_factory.mktemp("drivers")
    texts = {
        "functions.py": FUNCTIONS,
        "model.py": "def model(temperature, pressure):\n    return temperature * pressure\n",
        "own.py": OWN_DRIVER,
        "broken.py": "raise ValueError('two\\nlines')\n",
        "numbers.txt": (
            "# some\n" + "\n".join(map(str, range(-20, 500))) + "\n2305843009213693951 561"
        ),
        "words.txt": "1 2\nthree\n",
        "mixed.txt": "18446744073709551557\n-1\n",
        "empty.txt": "",
        "empty.csv": "",
        "empty.h5": "",
        "empty.toml": "",
        "text.h5": "no HDF5",
        "header.csv": "a,b\n",
        "two.csv": "a,b\n1,2\n",
        "ragged.csv": "a,b\n1,2\n3\n",
        "negative.csv": "a\n0.1\n-0.1\n",
        "infinite.csv": "a\n0.1\ninf\n",
        "no.toml": "a = [1, 2\n",
        "hollow.toml": "a = []\n",
        "table.csv": "a,b,name\n" + "".join(f"{i},{i / 7!r},n{i}\n" for i in range(60)),
        "grid.toml": "temperature = [280.0, 300.0]\npressure = [1, 2, 5]\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    x = np.random.default_rng(5).normal(size=(4000, 3))
    with h5py.File(folder / "my data.h5", "w") as file:
        file["a group/x 2"] = x
        file["z"] = np.arange(5000)
        file["zipped"] = file.create_dataset("zip", data=x, compression="gzip", chunks=(1000, 3))
        file["text"] = ["a", "b"]
        file["single"] = 3.0
        file["no rows"] = np.zeros((0, 2))
        file["unequal/a"], file["unequal/b"] = [1, 2], [1, 2, 3]
        chunk = file["zip"].id.get_chunk_info(0)
    data = bytearray((folder / "my data.h5").read_bytes())
    (folder / "cut.h5").write_bytes(data[: len(data) // 2])
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    (folder / "damaged.h5").write_bytes(data)
    return folder


# ---------------------------------------------------------------------------------------------------------- same bits

PROBLEMS = {
    "montecarlo": (
        *("integrate", "--f", "sin(x) * y + x**2", "--over", "0", "1", "-1e0", "2"),
        *("--samples", "30_001", "--block", "1000", "--seed", "7"),
    ),
    "midpoint": (
        *("integrate", "--f", "exp(-x * y)", "--over", "0", "1", "0", "2", "--method", "midpoint"),
        *("--samples", "20_000", "--block", "777"),
    ),
    "count": ("primes", "--below", "2e6", "--block", "100_000"),
    "list": ("primes", "--below", "300_000", "--list", "--block", "20_000"),
    "test": ("primes", "--test", "numbers.txt", "--block", "10"),
    "complex": (
        "roots",
        "--f",
        "sqrt(x + 1j)",
        "--over",
        "-1",
        "3",
        "--points",
        "50_001",
        "--block",
        "1000",
    ),
    "dataset": (
        "roots",
        "--f",
        "sqrt(abs(x)**3)",
        "--input",
        "my data.h5:/a group/x 2",
        "--block",
        "99",
        "--compress",
    ),
    "load": ("load", "--tasks", "60", "--mean", "0.001", "--seed", "3"),
    "sweep": (
        "sweep",
        "--function",
        "functions.py:model",
        "--table",
        "table.csv",
        "--on-error",
        "skip",
    ),
}
MODES = [*((ranks, 1) for ranks in chosen_ranks(2, 3)), *((ranks, 2) for ranks in chosen_ranks(2))]
SCHEDULES = ["dynamic", "stride", "slice"]

# Each problem in all modes, with the schedules by turns; what they are compared with is a run
# without a launcher.
RUNS = [
    (problem, *mode, SCHEDULES[(i + j) % 3])
    for i, problem in enumerate(PROBLEMS)
    for j, mode in enumerate(MODES)
]


def bits(array):
    """Return an array as what is equal where all bits are."""
    return (
        repr(array.tolist())
        if array.dtype.hasobject
        else (array.dtype.str, array.shape, array.tobytes())
    )


def contents(path):
    """Return {name: bits} of all datasets in a result file but those about who did what."""
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset) and name not in (
            "ranks",
            "workers",
            "timeline",
            "checkpoint",
        ):
            found[name] = bits(item[()]), dict(item.attrs)

    with h5py.File(path) as file:
        file.visititems(note)
    return found


def outcome(problem, launch, folder, path, *options, **settings):
    """Return what a run gives that is the same for all."""
    name, *arguments = PROBLEMS[problem]
    command = ("-m", f"mpipar.{name}", *arguments, "--output", str(path), "--json", *options)
    finished = launch(*command, cwd=folder, **settings)
    result = finished.json
    assert len(finished.own_errors) == len(result["skipped"]), finished.stderr
    same = (
        "value",
        "error",
        "n",
        "block",
        "n_blocks",
        "seed",
        "evaluated_blocks",
        "skipped",
        "parameters",
    )
    return {key: result[key] for key in same}, contents(path), result


@pytest.fixture(scope="module")
def serial(folder, tmp_path_factory):
    """Return a function that gives the outcome of a problem in one process."""
    known = {}

    def get(problem):
        if problem not in known:
            known[problem] = outcome(
                problem, python, folder, tmp_path_factory.mktemp("serial") / "out.h5"
            )
        return known[problem]

    return get


# Ranks with workers have what the others have.
MARKED = [
    pytest.param(*run, marks=pytest.mark.each_mpi if run[2] == 2 else pytest.mark.ci)
    for run in RUNS
]


@pytest.mark.parametrize(("problem", "ranks", "workers", "schedule"), MARKED)
def test_the_same_bits_in_all_modes(problem, ranks, workers, schedule, folder, serial, tmp_path):
    options = ("--workers", str(workers), "--schedule", schedule)
    values, datasets, result = outcome(
        problem, over(ranks), folder, tmp_path / "out.h5", *options, env=UNBOUND
    )
    assert (result["ranks"], result["workers"], result["schedule"]) == (ranks, workers, schedule)
    expected_values, expected_datasets, _ = serial(problem)
    assert repr(values) == repr(expected_values)
    assert datasets == expected_datasets
    assert {path.name for path in tmp_path.iterdir()} - {
        "out.h5.parts" if result["skipped"] else ""
    } == {"out.h5"}


MADE = {
    "montecarlo": {"error"},
    "midpoint": {"error"},
    "count": {"partials"},
    "list": {"primes"},
    "test": {"is_prime"},
    "complex": {"y"},
    "dataset": {"y"},
    "load": {"partials"},
    "sweep": {"results", "skipped"},
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_was_compared(problem, serial):
    values, datasets, _ = serial(problem)
    assert datasets.keys() == {"value", *MADE[problem]}
    assert (values["error"] is None) == ("error" not in datasets)
    assert values["n_blocks"] >= 15, "enough for all processes"


# ---------------------------------------------------------------------------------------------------------- bad input

OUT = ("--output", "out.h5")
UNIT = ("--over", "0", "1", *OUT)
ESCAPES = [
    "__import__('os').system('touch escaped')",
    "x.__class__.__base__.__subclasses__()",
    "(lambda: 0)()",
    "[c for c in (1, 2)]",
    "open('escaped', 'w')",
    "eval('1')",
    "__builtins__",
    "f'{x}'",
    "x.tofile('escaped')",
    "9**9**9**9",
    "(y := x)",
    "x if x else 1",
]
BAD_INPUT = [
    ("integrate", ("--f", "x", *OUT), "--over"),
    ("integrate", UNIT, "--f"),
    ("integrate", ("--f", "x", "--over", *OUT), "over"),
    ("integrate", ("--f", "x", "--over", "0", "1", "2", *OUT), "over"),
    ("integrate", ("--f", "x", "--over", "1", "1", *OUT), "over"),
    ("integrate", ("--f", "x", "--over", "0", "inf", *OUT), "over"),
    ("integrate", ("--f", "x", *UNIT, "--rel-error", "0"), "rel_error"),
    ("integrate", ("--f", "x", *UNIT, "--rel-error", "0.1", "--method", "midpoint"), "rel_error"),
    ("integrate", ("--f", "x", *UNIT, "--method", "simpson"), "method"),
    ("integrate", ("--f", "x", *UNIT, "--samples", "0"), "samples"),
    ("integrate", ("--f", "", *UNIT), "nothing"),
    ("integrate", ("--f", "x +", *UNIT), "not a formula"),
    ("integrate", ("--f", "x + y", *UNIT), "'y'"),
    ("integrate", ("--f", "sine(x)", *UNIT), "sine"),
    ("integrate", ("--f", "functions.py:g", *UNIT), "'g'"),
    ("integrate", ("--f", "functions.py:number", *UNIT), "function"),
    ("integrate", ("--f", "missing.py:f", *UNIT), "missing.py"),
    ("integrate", ("--f", "missing_module:f", *UNIT), "missing_module"),
    ("integrate", ("--f", "broken.py:f", *UNIT), "raised"),
    *(("integrate", ("--f", text, *UNIT), "expression") for text in ESCAPES),
    *(("roots", ("--f", text, *OUT), "expression") for text in ESCAPES),
    ("primes", OUT, "--below"),
    ("primes", ("--below", "-5", *OUT), "below"),
    ("primes", ("--below", "ten", *OUT), "below"),
    ("primes", ("--below", "1e19", *OUT), "below"),
    ("primes", ("--below", "10", "--test", "numbers.txt", *OUT), "--test"),
    ("primes", ("--test", "numbers.txt", "--list", *OUT), "--list"),
    ("primes", ("--below", "10", "--list"), "--output"),
    ("primes", ("--test", "numbers.txt"), "--output"),
    ("primes", ("--test", "missing.txt", *OUT), "missing.txt"),
    ("primes", ("--test", "missing.h5:/z", *OUT), "missing.h5"),
    ("primes", ("--test", "empty.txt", *OUT), "empty"),
    ("primes", ("--test", "words.txt", *OUT), "line 2"),
    ("primes", ("--test", "mixed.txt", *OUT), "64 bits"),
    ("primes", ("--test", "two.csv", *OUT), "which column"),
    ("primes", ("--test", "my data.h5:/zip", *OUT), "float64"),
    ("primes", ("--test", "cut.h5:/z", *OUT), "truncated"),
    ("primes", ("--test", ".", *OUT), "directory"),
    ("roots", (), "--output"),
    ("roots", ("--over", "1", *OUT), "over"),
    ("roots", ("--points", "0", *OUT), "points"),
    ("roots", ("--f", "functions.py:two_rows", *OUT), "shape"),
    ("roots", ("--input", "missing.h5:/x", *OUT), "missing.h5"),
    ("roots", ("--input", "empty.h5", *OUT), "empty.h5"),
    ("roots", ("--input", "text.h5:/x", *OUT), "HDF5"),
    ("roots", ("--input", "my data.h5", *OUT), "which dataset"),
    ("roots", ("--input", "my data.h5:/a group", *OUT), "group"),
    ("roots", ("--input", "my data.h5:/a group/y", *OUT), "x 2"),
    ("roots", ("--input", "my data.h5:/text", *OUT), "numbers"),
    ("roots", ("--input", "my data.h5:/single", *OUT), "single"),
    ("roots", ("--input", "my data.h5:/no rows", *OUT), "empty"),
    ("roots", ("--input", "cut.h5:/z", *OUT), "truncated"),
    ("roots", ("--input", "damaged.h5:/zip", *OUT), "can't be read"),
    ("load", ("--times", "1", "--csv", "negative.csv", *OUT), "--csv"),
    ("load", ("--times", "-1", *OUT), "times"),
    ("load", ("--times", "nan", *OUT), "times"),
    ("load", ("--tasks", "0", *OUT), "tasks"),
    ("load", ("--distribution", "normal", *OUT), "distribution"),
    ("load", ("--mean", "1e400", *OUT), "mean"),
    ("load", ("--csv", "missing.csv", *OUT), "missing.csv"),
    ("load", ("--csv", "empty.csv", *OUT), "empty"),
    ("load", ("--csv", "header.csv", "--column", "a", *OUT), "no rows"),
    ("load", ("--csv", "two.csv", *OUT), "which column"),
    ("load", ("--csv", "two.csv", "--column", "c", *OUT), "'c'"),
    ("load", ("--csv", "ragged.csv", "--column", "a", *OUT), "line 3"),
    ("load", ("--csv", "negative.csv", *OUT), "csv"),
    ("load", ("--csv", "infinite.csv", *OUT), "csv"),
    ("load", ("--csv", "words.txt", *OUT), "line 2"),
    ("load", ("--csv", "numbers.txt", "--column", "a", *OUT), "column"),
    ("sweep", ("--table", "table.csv", *OUT), "--function"),
    ("sweep", ("--function", "functions.py:model", *OUT), "--table"),
    ("sweep", ("--function", "functions.py:model", "--table", "table.csv"), "--output"),
    ("sweep", ("--function", "a + b", "--table", "table.csv", *OUT), "module:name"),
    ("sweep", ("--function", "functions.py:number", "--table", "table.csv", *OUT), "function"),
    ("sweep", ("--function", "missing.py:f", "--table", "table.csv", *OUT), "missing.py"),
    ("sweep", ("--function", "broken.py:f", "--table", "table.csv", *OUT), "raised"),
    *(
        ("sweep", ("--function", "functions.py:model", "--table", table, *OUT), word)
        for table, word in [
            *(("missing.csv", "missing.csv"), ("empty.csv", "empty"), ("header.csv", "no rows")),
            *(("ragged.csv", "line 3"), ("empty.toml", "empty"), ("no.toml", "not TOML")),
            *(("hollow.toml", "empty list"), ("words.txt", ".csv"), ("no.csv:/a", "no.csv")),
            *(
                ("missing.h5:/t", "missing.h5"),
                ("cut.h5:/unequal", "truncated"),
                ("my data.h5:/nope", "nope"),
            ),
            *(("my data.h5:/unequal", "equally long"), ("my data.h5:/z", "records")),
        ]
    ),
]

ALL_IN_ONE = """
import contextlib, importlib, io, json, sys
from mpipar.command.driver import run_command
from mpipar.runtime.comm import world
_, cases, said = sys.argv
answers = []
for name, arguments, _ in json.load(open(cases)):
    kernel = getattr(importlib.import_module(f"mpipar.{name}"), name)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run_command(kernel, arguments, f"mpipar {name}")
    answers.append([code, out.getvalue(), err.getvalue()])
with open(f"{said}-{world().rank}", "w") as file:
    json.dump(answers, file)
"""


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


@pytest.mark.each_mpi
@pytest.mark.parametrize("ranks", [None, *chosen_ranks(2)])
def test_bad_input_is_one_line_and_exit_code_2(ranks, folder, tmp_path):
    (tmp_path / "cases").write_text(json.dumps(BAD_INPUT))
    before = names_in(folder)
    finished = over(ranks)(
        "-c", ALL_IN_ONE, str(tmp_path / "cases"), str(tmp_path / "said"), cwd=folder
    )
    assert (finished.code, finished.stdout, finished.own_errors) == (0, "", [])
    assert names_in(folder) == before
    root, *others = (
        json.loads((tmp_path / f"said-{rank}").read_text()) for rank in range(ranks or 1)
    )
    for (name, arguments, word), (code, out, err) in zip(BAD_INPUT, root, strict=True):
        what = (name, *arguments, err)
        assert (code, out, err.count("\n")) == (2, "", 1), what
        assert word in err, what
        assert err.startswith(f"mpipar {name}: error: "), what
    for said in others:
        assert {tuple(answer) for answer in said} == {(2, "", "")}, "the root alone speaks"


# By their own command lines: an expression, a function, a file and a dataset.
SAMPLE = [
    case
    for case in BAD_INPUT
    if {ESCAPES[0], "words.txt", "cut.h5:/z", "damaged.h5:/zip", "ragged.csv", "no.toml"}
    & {*case[1]}
]


@pytest.mark.parametrize(
    ("ranks", "case"),
    [((None, *chosen_ranks(2))[i % 2], case) for i, case in enumerate(SAMPLE)],
    ids=str,
)
def test_bad_input_of_a_command_line(ranks, case, folder):
    name, arguments, word = case
    before = names_in(folder)
    finished = over(ranks)("-m", f"mpipar.{name}", *arguments, cwd=folder)
    assert (finished.code, finished.stdout) == (2, "")
    [line] = finished.own_errors
    assert line.startswith(f"python -m mpipar.{name}: error: ")
    assert word in line
    assert names_in(folder) == before


def test_the_sample_has_all_drivers():
    assert {case[0] for case in SAMPLE} == {"integrate", "primes", "roots", "load", "sweep"}


# --------------------------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("name", sorted(DRIVERS.keys() - {"images"}))
def test_the_example_in_the_help_works_as_it_is_written(name, folder):
    finished = python("-m", f"mpipar.{name}", "--help", cwd=folder, env={"COLUMNS": "50"})
    assert (finished.code, finished.own_errors) == (0, [])
    [line] = re.findall(r"^example: (.*)\n\Z", finished.stdout, re.MULTILINE)
    launcher, *arguments = shlex.split(line)
    assert launcher == "mpirun"
    assert f"mpipar.{name}" in arguments
    example = pages.type_in(line, folder)
    assert (example.code, example.own_errors) == (0, [])
    assert example.stdout.startswith(f"{name} = ")
    for path in folder.glob("r*.h5"):
        path.unlink()


def test_the_help_of_the_mpipar_command_is_the_same():
    assert (
        start([str(BIN / "mpipar"), "pi", "--help"]).stdout
        == python("-m", "mpipar.pi", "--help").stdout
    )


def test_the_usage_names_all_drivers():
    usage = python("-m", "mpipar").stdout
    for name, text in DRIVERS.items():
        assert re.search(rf"^  {name} +{re.escape(text)}$", usage, re.MULTILINE)


# --------------------------------------------------------------------------------------------------------- mpipar run


@pytest.mark.parametrize(
    ("ranks", "where", "options"),
    [
        *(
            (None, "own.py:odd", ()),
            (None, "own:odd", ("--workers", "2")),
            (2, "own.py:odd", ("--workers", "2")),
        ),
        *((2, "own:odd", ()), (None, "mpipar.primes:primes", ("--below", "1224"))),
    ],
)
def test_run_a_driver_by_its_name(ranks, where, options, folder):
    finished = over(ranks)(
        "-m", "mpipar", "run", where, *options, "--json", cwd=folder, env=UNBOUND
    )
    result = finished.json
    assert (result["ranks"], result["workers"]) == (ranks or 1, 2 if "--workers" in options else 1)
    assert (result["value"], finished.own_errors) == (200 if "--below" in options else 500, [])


def test_run_a_driver_in_another_folder(folder, tmp_path):
    options = ("--items", "10", "--workers", "2")
    finished = python("-m", "mpipar", "run", str(folder / "own.py:odd"), *options, cwd=tmp_path)
    assert finished.stdout.startswith("odd = 5\n")


def test_help_of_a_driver_that_is_run_by_its_name(folder):
    finished = python("-m", "mpipar", "run", "own.py:odd", "--help", cwd=folder)
    assert finished.stdout.startswith("usage: python -m mpipar run own.py:odd ")
    assert finished.stdout.endswith(
        "example: mpirun -np 4 python -m mpipar run own.py:odd --items 1e6 --workers 2\n"
    )


CAN_NOT_BE_RUN = [
    *(
        ((), "or FILE.py:KERNEL"),
        (("--workers", "2"), "or FILE.py:KERNEL"),
        (("mine.py",), "no file 'mine.py'"),
    ),
    *(
        (("missing.py:odd",), "no such file"),
        (("missing:odd",), "missing"),
        (("own:even",), "'even'"),
    ),
    *(
        (("own.py:no_driver",), "not a driver"),
        (("json:dumps",), "not a driver"),
        (("broken.py:f",), "raised"),
    ),
    *(
        (("own.py:odd", "--items", "x"), "--items"),
        (("own.py:odd", "--output", "no/out.h5"), "no folder"),
    ),
]


@pytest.mark.parametrize(
    ("ranks", "arguments", "word"),
    [((None, *chosen_ranks(2))[i % 2], *case) for i, case in enumerate(CAN_NOT_BE_RUN)],
    ids=str,
)
def test_what_can_not_be_run_is_one_line_and_exit_code_2(ranks, arguments, word, folder):
    before = names_in(folder)
    finished = over(ranks)("-m", "mpipar", "run", *arguments, cwd=folder)
    assert (finished.code, finished.stdout) == (2, "")
    [line] = finished.own_errors
    assert word in line
    assert names_in(folder) == before
