import importlib
import itertools
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import mpipar.pi
import mpipar.primes
from mpipar import ExactSum, RunFailed, driver, run
from mpipar.base.errors import BadInput
from mpipar.inputs import function, table
from mpipar.runtime.communicator import Comm
from mpipar.store import identity as of_runs
from mpipar.store.identity import check_identity, content, identity_of, whole_identity
from mpipar.store.output import OutputFile
from mpipar.store.syntax import dump
from mpipar.sweep import sweep

serial = itertools.count()

MODEL = '''
import numpy as np
import HELPERS
from HELPERS import scaled
from functools import partial

FACTOR = 3
TABLE = {"a": 1}
TABLE["b"] = 2
EPS = 10 ** -FACTOR

def unused(x):
    return 99

def decorator(f):
    def wrapped(*args, **kwargs):
        return f(*args, **kwargs)
    return wrapped

class Base:
    def value(self):
        return 7

class Model(Base):
    pass

def helper(x):
    return FACTOR * x

@decorator
def model(x, power=2):
    """Return a value."""
    import HELPERS2
    # it is made of much
    unused = 5
    return helper(x) ** power + scaled(x) + TABLE["b"] + Model().value() + HELPERS2.more(x) + EPS

bound = partial(model, power=3)
call = lambda x: helper(x)

if __name__ == "__main__":
    print(model(1))
'''
HELPERS = "SCALE = 2\n\ndef scaled(x):\n    return SCALE * x\n"
HELPERS2 = "def more(x):\n    return x + 1\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a function that writes the files of a project, and returns the identity of a sweep
    over them.
    """
    monkeypatch.setattr(sys, "path", [*sys.path])
    number = next(serial)
    model, helpers = f"model{number}", f"helpers{number}"
    names = [model, helpers, f"{helpers}_2"]

    def identity(changes=(), name="model", table_text="x\n1\n2\n"):
        sources = [MODEL, HELPERS, HELPERS2]
        for index, old, new in changes:
            assert sources[index].count(old) >= 1
            sources[index] = sources[index].replace(old, new)
        for module, source in zip(names, sources, strict=True):
            text = source.replace("HELPERS2", f"{helpers}_2").replace("HELPERS", helpers)
            (tmp_path / f"{module}.py").write_text(text)
            sys.modules.pop(module, None)
        (tmp_path / "table.csv").write_text(table_text)
        importlib.invalidate_caches()
        function.load.cache_clear()
        table._read_table.cache_clear()
        parameters = {"function": f"{tmp_path}/{model}.py:{name}", "table": f"{tmp_path}/table.csv"}
        return whole_identity(sweep.bind(parameters))

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield identity
    for module in names:
        sys.modules.pop(module, None)


MATTER = [
    ((0, "FACTOR * x", "FACTOR + x"), "helper of model"),
    ((0, "** power +", "** power -"), "model of model"),
    ((0, "FACTOR = 3", "FACTOR = 4"), "FACTOR of model"),
    ((0, "power=2", "power=4"), "model of model"),
    ((0, "return f(*args", "return 2 * f(*args"), "decorator of model"),
    ((0, "@decorator\n", ""), "model of model"),
    ((0, 'TABLE["b"] = 2', 'TABLE["b"] = 3'), "TABLE of model"),
    ((0, "return 7", "return 8"), "Base of model"),
    ((0, "class Model(Base)", "class Model(Base, object)"), "Model of model"),
    ((0, '"a": 1', '"a": True'), "TABLE of model"),
    ((1, "SCALE = 2", "SCALE = 2.5"), "SCALE of helpers"),
    ((1, "SCALE * x", "SCALE - x"), "scaled of helpers"),
    ((2, "x + 1", "x + 2"), "more of helpers"),
]


@pytest.mark.parametrize(("change", "told"), MATTER, ids=lambda value: str(value)[:30])
def test_what_a_function_uses_is_part_of_its_identity(change, told, project, tmp_path):
    there, here = project(), project([change])
    with pytest.raises(BadInput, match=told) as caught:
        check_identity(tmp_path / "out.h5", there, here)
    assert "\n" not in str(caught.value)
    assert "--anyway" in str(caught.value)
    notes = check_identity(tmp_path / "out.h5", there, here, anyway=True)
    assert told in notes[0]


@pytest.mark.parametrize(
    "changes",
    [
        [(0, "# it is made of much", "# or of little")],
        [(0, "FACTOR * x", "(  FACTOR\n     * x )")],
        [(0, "def helper", "\n\n\ndef helper")],
        [(0, "Return a value.", "Return another.")],
        [(0, '"a"', "'a'")],
        [(0, "return 99", "return 100")],
        [(0, "print(model(1))", "print(model(2))")],
        [(1, "SCALE = 2", "'''Numbers.'''\nSCALE = 2  # of what")],
    ],
)
def test_what_does_not_matter_does_not_change_the_identity(changes, project, tmp_path):
    assert check_identity(tmp_path / "out.h5", project(), project(changes)) == []


@pytest.mark.parametrize("name", ["bound", "call"])
def test_functions_that_are_not_defined_by_a_def_are_followed(name, project, tmp_path):
    there, here = project(name=name), project([(0, "FACTOR * x", "FACTOR + x")], name=name)
    with pytest.raises(BadInput, match="helper of model"):
        check_identity(tmp_path / "out.h5", there, here)


@pytest.mark.parametrize("text", ["x\n1\n3\n", "y\n1\n2\n", "x\n1\n2 \n"])
def test_the_content_of_a_table_is_part_of_the_identity(text, project, tmp_path):
    there, here = project(), project(table_text=text)
    with pytest.raises(BadInput, match=r"input .*table\.csv was changed"):
        check_identity(tmp_path / "out.h5", there, here)


def test_an_input_in_hdf5_is_looked_at(tmp_path):
    path = tmp_path / "numbers.h5"
    found = []
    for last in (4, 5):
        path.unlink(missing_ok=True)
        with h5py.File(path, "w") as file:
            file["a"] = np.array([2, 3, last])
        found.append(whole_identity(mpipar.primes.primes.bind({"test": f"{path}:/a"}))["inputs"])
    assert found[0].keys() == found[1].keys() != set()
    assert found[0] != found[1]


def test_anyway_never_overrides_what_does_not_fit(tmp_path):
    pi = mpipar.pi.pi
    there = whole_identity(pi.bind({"steps": 100}))
    for here in (
        pi.bind({"steps": 200}),
        pi.bind({"steps": 100}, block=7),
        pi.bind({"steps": 100}, seed=1),
    ):
        with pytest.raises(BadInput, match="is of another run"):
            check_identity(tmp_path, there, whole_identity(here), anyway=True)


def test_a_file_without_digests_is_resumed_with_a_note(tmp_path):
    bound = mpipar.pi.pi.bind({"steps": 100})
    (note,) = check_identity(tmp_path, identity_of(bound), whole_identity(bound))
    assert "not known" in note


def test_fast_forms_of_drivers_count():
    functions = whole_identity(mpipar.pi.pi.bind({}))["functions"]
    assert {"pi.py:pi", "pi.py:passes", "pi.py:fused", "pi.py:radius"} <= functions.keys()


def test_nothing_is_overwritten_and_anyway_goes_on(project, tmp_path, monkeypatch):
    path = tmp_path / "out.h5"
    project()
    where = {
        "function": f"{tmp_path}/{next(tmp_path.glob('model*.py')).name}:model",
        "table": f"{tmp_path}/table.csv",
    }
    with OutputFile(path, sweep.bind(where), Comm()) as output:
        base = output.base
        base.ranges.append(range(1))
        output._write_state(base)
        output._keep_folder = True
    before = path.read_bytes()
    project([(0, "FACTOR = 3", "FACTOR = 4")])
    with pytest.raises(BadInput, match="FACTOR of model"):
        OutputFile(path, sweep.bind(where), Comm(), resume=True)
    assert path.read_bytes() == before


def test_the_content_of_a_large_file_is_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr("mpipar.store.identity._LARGE", 2**16)
    path = tmp_path / "large"
    path.write_bytes(bytes(2**20))
    before = content(str(path))
    assert content(str(path)) == before
    path.write_bytes(bytes(2**20 - 1) + b"1")
    assert content(str(path)) != before


def test_a_dump_has_neither_positions_nor_what_versions_of_python_differ_in():
    import ast

    assert (
        dump(ast.parse("x = 1").body[0]) == "Assign(targets=[Name(id='x')],value=Constant(value=1))"
    )
    assert (
        dump(ast.parse("x = None").body[0])
        == "Assign(targets=[Name(id='x')],value=Constant(value=None))"
    )


def test_files_and_variables_that_functions_name_are_told_if_they_change(
    tmp_path, monkeypatch, project
):
    monkeypatch.chdir(tmp_path)
    change = (0, "FACTOR * x", "float(open('data.txt').read()) * len(os.environ['MODE']) * x")
    Path("data.txt").write_text("3")
    monkeypatch.setenv("MODE", "fast")
    there = project([change])
    assert check_identity(tmp_path / "out.h5", there, project([change])) == []
    Path("data.txt").write_text("4")
    monkeypatch.setenv("MODE", "slow")
    [note] = check_identity(tmp_path / "out.h5", there, project([change]))
    assert "the file data.txt, the variable MODE changed meanwhile" in note
    Path("data.txt").unlink()
    monkeypatch.setenv("MODE", "fast")
    assert check_identity(tmp_path / "out.h5", there, project([change])) == []


def test_a_processor_of_another_kind_is_told_where_it_matters(tmp_path, monkeypatch, project):
    monkeypatch.setattr(of_runs, "simd_level", lambda: "AVX2")
    there, pi_there = project(), whole_identity(mpipar.pi.pi.bind({}))
    assert check_identity(tmp_path / "out.h5", there, project()) == []
    monkeypatch.setattr(of_runs, "simd_level", lambda: "AVX512_SKX")
    [note] = check_identity(tmp_path / "out.h5", there, project())
    assert "a processor of another kind (AVX2; this one: AVX512_SKX)" in note
    assert check_identity(tmp_path / "pi.h5", pi_there, whole_identity(mpipar.pi.pi.bind({}))) == []


def test_a_file_that_the_run_itself_makes_is_no_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @driver(n="items", reduction=ExactSum, block=1)
    def logs(block, *, items: int = 6, log: str = "log"):
        with open(log, "a") as file:
            file.write("x")
        if block.index == len(Path("starts").read_text()):
            raise ValueError("a break")
        return 1.0

    for start, text in enumerate(("xx", "xxxx")):
        Path("starts").write_text(text)
        with pytest.raises(RunFailed):
            run(logs, output="x.h5", checkpoint=0, resume=start > 0)
    Path("starts").write_text("x" * 100)
    assert run(logs, output="x.h5", resume=True).value == 6.0
