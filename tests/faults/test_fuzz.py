"""Command lines and input files of any kind: never a traceback, never an existing file half
written.
"""

import contextlib
import io
import json
import os
import tempfile
from pathlib import Path

import h5py
import pytest
import scenarios
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scenarios import leave_nothing  # noqa: F401
from suite.rings import in_ci

from mpipar.command.driver import run_command
from mpipar.integrate import integrate
from mpipar.load import load
from mpipar.mcpi import mcpi
from mpipar.pi import pi
from mpipar.primes import primes
from mpipar.roots import roots
from mpipar.sweep import sweep

DRIVERS = {driver.name: driver for driver in (pi, mcpi, integrate, primes, roots, load, sweep)}
MODEL = (
    "def model(**row):\n    return {'sum': sum(x for x in row.values() if not isinstance(x,"
    " str))}\n"
)

fast = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def in_process(name, arguments):
    """Run a driver here; return exit code, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command(DRIVERS[name], arguments, "fuzz")
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Give a finished result."""
    path = tmp_path_factory.mktemp("finished") / "pi.h5"
    assert in_process("pi", ["--steps", "100", "--output", str(path)])[0] == 0
    return path


@contextlib.contextmanager
def place(finished):
    """Give a folder that has a result, files from elsewhere and a folder."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "finished.h5").write_bytes(finished.read_bytes())
        (folder / "foreign.h5").write_bytes(b"not a result")
        (folder / "foreign.h5.parts").mkdir()
        (folder / "full.h5.parts").mkdir()
        (folder / "full.h5.parts" / "mine.txt").write_text("mine")
        (folder / "folder.h5").mkdir()
        (folder / "model.py").write_text(MODEL)
        (folder / "table.csv").write_text("a,b\n1,2\n3,4\n")
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def check(code, out, err, folder, finished, output):
    """Check what is promised whatever the input was."""
    assert code in (0, 1, 2), f"exit {code}"
    assert "a bug" not in err, err
    if code == 2:
        assert (out, len(err.splitlines())) == ("", 1), err
    if code == 1:  # what a function of the user's raises is told with its traceback
        assert out == "" or "could not be written" in err
    assert (folder / "foreign.h5").read_bytes() == b"not a result"
    assert os.listdir(folder / "folder.h5") == []
    assert (folder / "full.h5.parts" / "mine.txt").read_text() == "mine"
    there = folder / "finished.h5"
    if there.read_bytes() != finished.read_bytes():
        assert output == "finished.h5"
        assert code != 2
        with h5py.File(there, "r") as file:
            assert (
                file.attrs["finished"]
                or (folder / "finished.h5.previous").read_bytes() == finished.read_bytes()
            )
    known = {
        "finished.h5",
        "foreign.h5",
        "foreign.h5.parts",
        "full.h5.parts",
        "folder.h5",
        "model.py",
        "table.csv",
    }
    made = (
        {path.name for path in folder.iterdir()}
        - known
        - {"__pycache__", "given.toml", "given.csv"}
    )
    if code == 2:
        assert not made
    if code == 0:
        assert made <= {"new.h5"}


odd_text = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            " ",
            "-",
            "--",
            "-1",
            "nan",
            "inf",
            "-inf",
            "1e400",
            "1e-400",
            "0x10",
            "1_000",
            "١٢",
            "9" * 400,
        ]
    ),
    st.sampled_from(
        ["a\nb", "\r", "\x1b[2J", "\0", "\ud800", "%s", "{0}", "$HOME", "~", "None", "[]", "true"]
    ),
)
small = st.one_of(
    st.integers(-3, 1000).map(str), st.sampled_from(["1e2", "1_0", "5.0", "1e3", "0", "-0", "+7"])
)
number = st.one_of(small, st.floats(width=32).map(str), odd_text)


def small_enough(text):
    """Return whether a text is no number of items that would take long."""
    with contextlib.suppress(ValueError, OverflowError):
        return float(text) <= 1000
    return True


items = st.one_of(small, odd_text.filter(small_enough))
times = st.one_of(
    st.sampled_from(["0", "0.001", "-1", "1e-9", "0.0"]),
    odd_text.filter(lambda text: small_enough(text) and text != "inf"),
)
expressions = st.one_of(
    st.text("x0123456789.+-*/%()[]<>=!&|~^ ,y", max_size=15).filter(
        lambda text: "**" not in text and "<<" not in text
    ),
    st.sampled_from(
        [
            "x",
            "x**2",
            "sqrt(x)",
            "1/x",
            "x.real",
            "__import__('os')",
            "sin",
            "sin(x, x)",
            "x[0]",
            "lambda: 1",
        ]
    ),
    st.sampled_from(
        [
            "model.py:model",
            "model.py",
            "no.py:f",
            "os:system",
            "math:sqrt",
            ":",
            "a:b:c",
            "x if x else 1",
            "9**9**9",
        ]
    ),
    odd_text,
)
tables = st.one_of(
    st.sampled_from(
        [
            "table.csv",
            "given.toml",
            "given.csv",
            "finished.h5",
            "finished.h5:/workers",
            "finished.h5:/value",
        ]
    ),
    st.sampled_from(
        ["foreign.h5:/x", "no.csv", "model.py", "folder.h5", "finished.h5:/no", "/dev/null", "."]
    ),
    odd_text,
)
outputs = st.one_of(
    st.sampled_from(
        [
            "new.h5",
            "finished.h5",
            "foreign.h5",
            "folder.h5",
            "full.h5",
            "no/x.h5",
            "/proc/x",
            "",
            ".",
            "/",
        ]
    ),
    st.sampled_from(["x" * 300, "a\0b", "/dev/null", "table.csv", "finished.h5/x"]),
)


def option(name, values):
    return st.tuples(st.just(f"--{name}"), values).map(list)


several = st.lists(number, max_size=4)
COMMON = [
    option("schedule", st.sampled_from(["stride", "slice", "dynamic", "none", ""])),
    option("workers", st.sampled_from(["1", "0", "-1", "x", "1.5", ""])),
    option("block", items),
    option("seed", number),
    option("checkpoint", times),
    option(
        "on-error", st.sampled_from(["stop", "skip", "retry:1", "retry:0", "retry:x", "skip:1", ""])
    ),
    option("stop-before", number),
    st.sampled_from(
        [
            ["--resume"],
            ["--compress"],
            ["--json"],
            ["--no-progress"],
            ["--resume=1"],
            ["--version"],
            ["--help"],
        ]
    ),
    st.tuples(odd_text).map(list),
]
OWN = {
    "pi": [option("steps", items)],
    "mcpi": [option("samples", items)],
    "integrate": [
        option("f", expressions),
        several.map(lambda values: ["--over", *values]),
        st.just(["--over", "0", "1"]),
        option("samples", items),
        option("method", st.sampled_from(["montecarlo", "midpoint", "x"])),
        option("rel-error", number),
    ],
    "primes": [option("below", items), st.just(["--list"]), option("test", tables)],
    "roots": [
        option("f", expressions),
        option("points", items),
        several.map(lambda v: ["--over", *v]),
        option("input", tables),
    ],
    "load": [
        option("tasks", st.sampled_from(["1", "3", "0", "x"])),
        option("mean", times),
        option("sigma", st.sampled_from(["0", "1", "-1", "1e300", "x"])),
        option("distribution", st.sampled_from(["uniform", "constant", "exponential", "x"])),
        st.lists(times, max_size=3).map(lambda values: ["--times", *values]),
        option("csv", tables),
        option("column", st.sampled_from(["a", "b", "c", ""])),
    ],
    "sweep": [
        option("function", expressions),
        st.just(["--function", "model.py:model"]),
        option("table", tables),
    ],
}
# So that no example takes long, whatever else is drawn.
FEW = {
    "pi": ["--steps", "1000"],
    "mcpi": ["--samples", "1000"],
    "integrate": ["--samples", "1000"],
    "primes": [],
    "roots": ["--points", "1000"],
    "load": ["--mean", "0.001", "--tasks", "3"],
    "sweep": [],
}


@st.composite
def command_lines(draw):
    name = draw(st.sampled_from(sorted(DRIVERS)))
    parts = draw(st.lists(st.one_of(*OWN[name]), max_size=4)) + draw(
        st.lists(st.one_of(*COMMON), max_size=3)
    )
    output = draw(st.one_of(st.none(), outputs))
    parts += [] if output is None else [["--output", output]]
    return (
        name,
        FEW[name] + [word for part in draw(st.permutations(parts)) for word in part],
        output,
    )


@fast
@given(command_lines())
@example(("pi", ["--steps", "9" * 400], None))
@example(("pi", ["--a\nb"], None))
@example(("pi", ["--output", "a\0b"], "a\0b"))
@example(("roots", ["--f", "(" * 500, "--output", "new.h5"], "new.h5"))
def test_any_command_line(finished, command):
    name, arguments, output = command
    with place(finished) as folder:
        code, out, err = in_process(name, arguments)
        check(code, out, err, folder, finished, output)
        if code == 0 and "--json" in arguments and not {"--help", "--version"} & {*arguments}:
            json.loads(out)


toml = st.one_of(
    st.text(max_size=40),
    st.text("ab=[]1.\"'\n ,{}#-", max_size=40),
    st.dictionaries(
        st.sampled_from(["a", "b", "row", "value", "a/b", "ü", '"q\\"', "x y"]).map(json.dumps),
        st.one_of(
            st.integers(-(2**70), 2**70),
            st.floats(),
            st.booleans(),
            st.text(max_size=5),
            st.lists(
                st.one_of(st.integers(-5, 5), st.floats(), st.text(max_size=3), st.booleans()),
                max_size=4,
            ),
        ).map(lambda value: json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")),
        max_size=4,
    ).map(lambda table: "\n".join(f"{key} = {value}" for key, value in table.items())),
)
cells = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.text(max_size=5),
    st.sampled_from(["", '"', "true"]),
)
csv = st.one_of(
    st.text(max_size=40),
    st.text('ab,;\t"\n\r1. -', max_size=40),
    st.lists(st.lists(cells, min_size=1, max_size=3).map(",".join), max_size=4).map("\n".join),
    st.lists(st.lists(cells, min_size=2, max_size=2).map(";".join), max_size=4).map(
        lambda rows: "\n".join(["a;b", *rows])
    ),
)
data = st.one_of(
    st.tuples(st.just("given.toml"), toml.map(lambda text: text.encode("utf-8", "surrogatepass"))),
    st.tuples(st.just("given.csv"), csv.map(lambda text: text.encode("utf-8", "surrogatepass"))),
    st.tuples(st.sampled_from(["given.toml", "given.csv"]), st.binary(max_size=40)),
)


def fits(where_and_bytes):
    """Return whether a table has few rows."""
    return len(where_and_bytes[1]) < 2000


@fast
@given(
    data.filter(fits),
    st.sampled_from(["new.h5", "finished.h5", "foreign.h5"]),
    st.sampled_from(["stop", "skip"]),
)
@example(("given.toml", b"a = " + b"[" * 10**4), "new.h5", "stop")
@example(("given.csv", b"a\n" + b"9" * 5000), "new.h5", "stop")
def test_any_table(finished, table, output, action):
    name, content = table
    with place(finished) as folder:
        (folder / name).write_bytes(content)
        words = [
            "--function",
            f"{folder}/model.py:model",
            "--table",
            str(folder / name),
            "--on-error",
            action,
        ]
        code, out, err = in_process("sweep", [*words, "--output", output])
        check(code, out, err, folder, finished, output)
        code, out, err = in_process("primes", ["--test", str(folder / name), "--output", output])
        check(code, out, err, folder, finished, output)


@pytest.mark.parametrize("ranks", [*in_ci(0), 2])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("pi", ("--steps", "1e400")),
        ("pi", ("--steps", "10", "--a\nb")),
        ("pi", ("--steps", "100", "--output", "foreign.h5")),
        (
            "sweep",
            ("--function", "model.py:model", "--table", "foreign.h5:/x", "--output", "new.h5"),
        ),
        ("roots", ("--f", "__import__('os')", "--output", "finished.h5")),
    ],
)
def test_some_of_them_as_processes(ranks, name, arguments, finished):
    launcher = [str(scenarios.MPIRUN), "-np", str(ranks)] if ranks else []
    with place(finished) as folder:
        command = scenarios.WARM.command(["-m", f"mpipar.{name}", *arguments])
        end = scenarios.Job(*launcher, *command, cwd=folder).end()
        end.is_refused()
        check(end.returncode, end.stdout, "\n".join(end.errors), folder, finished, None)
