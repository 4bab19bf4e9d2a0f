"""What has the same fingerprint, and what hasn't."""

import contextlib
import importlib
import itertools
import math
import os
import sys
import zipfile
from types import ModuleType

import pytest

from mpipar.store.fingerprint import Fingerprints
from mpipar.store.source import digests_of_import

SCRIPT = '''
import argparse
import collections
import dataclasses
import enum
import functools
import math
import os
import re
import sys

import numpy as np

import fphelpers
import fppackage.inner
from fppackage import relative

FACTOR = 3
TABLE = {"a": 1, "b": [1, 2]}
ARRAY = np.arange(5.0)
PATTERN = re.compile("a+b")
SIZE = int(os.environ.get("FP_SIZE", 2))
rescale = np.vectorize(lambda x: x * 7)


def unused(x):
    return 99


def times(n):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return n * function(*args, **kwargs)

        return wrapper

    return decorate


def innermost(x):
    return x + 17


def helper(x):
    """Return a number."""
    return FACTOR * innermost(x)


@times(2)
def decorated(x):
    return x - 1


@functools.lru_cache(maxsize=50)
def cached(x):
    return x + 23


class Base:
    step = 11

    def move(self, x):
        return x + self.step


class Model(Base):
    limit = [1, 2]

    def __init__(self, size):
        self.size = size

    def __call__(self, x):
        return self.move(x) * self.size

    @staticmethod
    def still(x):
        return x * 29

    @classmethod
    def made(cls, x):
        return x * 31

    @property
    def half(self):
        return self.size / 2


@dataclasses.dataclass
class Point:
    x: float = 0.5
    y: float = 0.25


class Color(enum.Enum):
    RED = 37
    BLUE = 38


Pair = collections.namedtuple("Pair", ["first", "second"], defaults=[41])


def generated(n):
    yield n * 43


def pairwise(x):
    return [inner(y) for y in range(x)]


def inner(y):
    return y + 47


def adder(n):
    def add(x):
        def nested(y):
            return y + n

        return nested(x) + 53

    return add


def twice_more(x):
    return 4 * x


model = Model(61)
shifted = functools.partial(helper, 2)
twice = functools.partial(functools.partial(max, 3), 4)
double, triple = lambda x: x * 2, lambda x: x * 3
add_five = adder(5)
made = {}
exec("def from_text(x): return x + 67", made)
from_text = made["from_text"]


def task(x, start=71, *, stop=73):
    total = helper(x) + decorated(x) + cached(x) + start + stop
    total += TABLE["a"] + ARRAY.sum() + SIZE + rescale(x)
    total += model(x) + Model.still(x) + Model.made(x) + model.half
    total += Point().x + Color.RED.value + Pair(1).second
    total += sum(generated(2)) + sum(pairwise(3)) + add_five(x) + double(x) + triple(x)
    total += shifted() + twice(5) + from_text(x)
    total += fphelpers.scaled(x) + fppackage.inner.deep(x) + relative.near(x)
    total += math.floor(x) + len(PATTERN.findall("aab")) + len(sys.argv[1:])
    import fplate

    return total + fplate.late(x)


if __name__ == "__main__":
    print("the result")
'''
MODULES = {
    "fphelpers.py": """SCALE = 79


def scaled(x):
    return SCALE * x


def idle():
    pass


def of_its_caller(name):
    import sys

    return sys._getframe(1).f_globals[name]
""",
    "fplate.py": "OFFSET = 83\n\n\ndef late(x):\n    return OFFSET + x\n",
    "fppackage/__init__.py": "",
    "fppackage/inner.py": "def deep(x):\n    return x + 89\n",
    "fppackage/relative.py": "from .beside import START\n\n\ndef near(x):\n    return START + x\n",
    "fppackage/beside.py": "START = 97\n",
}
NAMES = ["fphelpers", "fplate", "fppackage", "fppackage.inner", "fppackage.relative"]
NAMES.append("fppackage.beside")

numbers = itertools.count()
FLOOR = math.floor


def forget():
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a script, with changes of its text, and returns its module."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "argv", ["script.py", "one"])

    def execute(*changes, text=SCRIPT):
        folder = tmp_path / str(next(numbers))  # as the text of a file is read once
        sources = {"script.py": text, **MODULES}
        for name, old, new in changes:
            assert old in sources[name]
            sources[name] = sources[name].replace(old, new)
        for name, source in sources.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(source)
        forget()
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        main = ModuleType("__main__")
        main.__file__ = str(folder / "script.py")
        monkeypatch.setitem(sys.modules, "__main__", main)
        math.floor = FLOOR
        with contextlib.redirect_stdout(None):
            exec(compile(sources["script.py"], main.__file__, "exec"), main.__dict__)
        return main

    yield execute
    math.floor = FLOOR
    forget()


def fingerprint(main, name="task", salt=b""):
    return Fingerprints(salt).function(getattr(main, name))


MATTER = {
    "function": ("script.py", "return total +", "return total -"),
    "helper": ("script.py", "FACTOR * innermost", "FACTOR + innermost"),
    "helper of a helper": ("script.py", "x + 17", "x + 18"),
    "global": ("script.py", "FACTOR = 3", "FACTOR = 3.0"),
    "mutable global": ("script.py", '"b": [1, 2]', '"b": [1, 3]'),
    "changed in place": ("script.py", "def unused", 'TABLE["b"].append(3)\n\n\ndef unused'),
    "default": ("script.py", "start=71", "start=72"),
    "keyword-only default": ("script.py", "stop=73", "stop=74"),
    "array": ("script.py", "np.arange(5.0)", "np.arange(5)"),
    "pattern": ("script.py", '"a+b"', '"a+b", re.I'),
    "vectorized": ("script.py", "x * 7", "x * 8"),
    "decorator's argument": ("script.py", "@times(2)", "@times(3)"),
    "decorator's code": ("script.py", "return n * function", "return n + function"),
    "decorator": ("script.py", "@times(2)\n", ""),
    "decorated": ("script.py", "return x - 1", "return x - 2"),
    "cached": ("script.py", "x + 23", "x + 24"),
    "base class's attribute": ("script.py", "step = 11", "step = 12"),
    "base class's method": ("script.py", "x + self.step", "x - self.step"),
    "base class": ("script.py", "class Model(Base)", "class Model(Base, object)"),
    "class attribute": ("script.py", "limit = [1, 2]", "limit = [1, 2, 3]"),
    "method": ("script.py", "self.move(x) *", "self.move(x) +"),
    "object": ("script.py", "Model(61)", "Model(62)"),
    "static method": ("script.py", "x * 29", "x * 30"),
    "class method": ("script.py", "x * 31", "x * 32"),
    "property": ("script.py", "self.size / 2", "self.size / 4"),
    "field of a data class": ("script.py", "x: float = 0.5", "x: float = 0.75"),
    "type of a field": ("script.py", "y: float = 0.25", "y: int = 0.25"),
    "order of fields": (
        "script.py",
        "x: float = 0.5\n    y: float = 0.25",
        "y: float = 0.25\n    x: float = 0.5",
    ),
    "option of a data class": (
        "script.py",
        "dataclasses.dataclass\n",
        "dataclasses.dataclass(order=True)\n",
    ),
    "member": ("script.py", "RED = 37", "RED = 39"),
    "other member": ("script.py", "BLUE = 38", "GREEN = 38"),
    "named tuple": ("script.py", "defaults=[41]", "defaults=[42]"),
    "generator": ("script.py", "n * 43", "n * 44"),
    "in a comprehension": ("script.py", "y + 47", "y + 48"),
    "closure": ("script.py", "adder(5)", "adder(6)"),
    "nested function": ("script.py", "y + n", "y - n"),
    "factory": ("script.py", "nested(x) + 53", "nested(x) + 54"),
    "partial": ("script.py", "partial(helper, 2)", "partial(helper, 3)"),
    "keyword of partial": ("script.py", "partial(helper, 2)", "partial(helper, x=2)"),
    "partial of partial": ("script.py", "partial(max, 3), 4)", "partial(max, 4), 3)"),
    "function of partial": ("script.py", "partial(max, 3)", "partial(min, 3)"),
    "two lambdas": ("script.py", "x * 2, lambda x: x * 3", "x * 3, lambda x: x * 2"),
    "lambda": ("script.py", "x * 3\n", "x * 4\n"),
    "made by exec": ("script.py", "x + 67", "x + 68"),
    "environment": ("script.py", '"FP_SIZE", 2', '"FP_SIZE", 4'),
    "rebound": ("script.py", "def twice_more", "FACTOR = 101\n\n\ndef twice_more"),
    "method put into a class": (
        "script.py",
        "def twice_more",
        "Base.move = max\n\n\ndef twice_more",
    ),
    "method put into an object": (
        "script.py",
        "shifted =",
        "model.move = lambda x: 103\nshifted =",
    ),
    "put into a module": ("script.py", "shifted =", "fphelpers.SCALE = 107\nshifted ="),
    "function put into a module": ("script.py", "shifted =", "math.floor = helper\nshifted ="),
    "module": ("fphelpers.py", "SCALE * x", "SCALE + x"),
    "global of a module": ("fphelpers.py", "SCALE = 79", "SCALE = 80"),
    "module of a package": ("fppackage/inner.py", "x + 89", "x + 90"),
    "relative import": ("fppackage/beside.py", "START = 97", "START = 98"),
    "import in a function": ("fplate.py", "OFFSET + x", "OFFSET - x"),
    "global of it": ("fplate.py", "OFFSET = 83", "OFFSET = 84"),
}


def test_whatever_changes_a_task_changes_its_fingerprint(run):
    found = {fingerprint(run()): "nothing"}
    for name, change in MATTER.items():
        now = fingerprint(run(change))
        assert now not in found, f"{name} is as {found[now]}"
        found[now] = name


BY_NAME = """
import importlib

def task(x):
    return importlib.import_module(NAME).late(x)
"""


@pytest.mark.parametrize("name", ["'fplate'", "'fp' + x"])
def test_modules_that_are_imported_by_name_count(name, run):
    text = BY_NAME.replace("NAME", name)
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=text)) == before
    assert fingerprint(run(("fplate.py", "OFFSET + x", "OFFSET - x"), text=text)) != before


def test_what_is_imported_from_an_archive_counts(tmp_path, monkeypatch):
    found = []
    for number, text in enumerate(("K = 1", "K = 2", "K = 2  # again")):
        archive = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("fpinzip.py", text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(archive)
            found.append(digests_of_import("fpinzip", ["K"]))
    assert found[0] != found[1] == found[2]


@pytest.mark.parametrize(
    "text",
    [
        "os.environ['FP_MODE']",
        "os.environ.get('FP_MODE', 2)",
        "os.getenv('FP_MODE')",
        "dict(os.environ)",
        "os.path.expandvars('$FP_MODE')",
    ],
)
def test_the_environment_counts_for_a_module_that_is_imported_late(text, tmp_path, monkeypatch):
    (tmp_path / "fpmode.py").write_text(f"import os\nK = {text}")
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for mode in "122":
        monkeypatch.setenv("FP_MODE", mode)
        found.append(digests_of_import("fpmode", ["K"]))
    assert found[0] != found[1] == found[2]
    monkeypatch.setenv("FP_OTHER", "3")
    is_any = "dict" in text or "expand" in text
    assert (digests_of_import("fpmode", ["K"]) != found[2]) == is_any


DO_NOT_MATTER = {
    "comment": ("script.py", "    total = helper", "    # it begins\n    total = helper"),
    "docstring": ("script.py", "Return a number.", "Return another number."),
    "new docstring": ("script.py", "    total = helper", '    "Docs."\n    total = helper'),
    "print": ("script.py", '"the result"', '"another text"'),
    "print before": ("script.py", "FACTOR = 3", "print(1)\nFACTOR = 3"),
    "blank lines": ("script.py", "FACTOR = 3", "\n\n\nFACTOR = 3"),
    "formatting": ("script.py", "FACTOR * innermost(x)", "(FACTOR\n        * innermost( x ))"),
    "quotes": ("script.py", 'TABLE["a"]', "TABLE['a']"),
    "function that isn't used": ("script.py", "return 99", "return 100"),
    "function that is new": ("fphelpers.py", "def idle", "def new():\n    pass\n\n\ndef idle"),
    "import that isn't used": ("script.py", "import argparse", "import argparse, base64"),
    "annotations": ("script.py", "def helper(x):", "def helper(x: float) -> float:"),
    "how a constant is written": ("script.py", "FACTOR = 3", "FACTOR = 1 + 2"),
    "docstring of a class": ("script.py", "    step = 11", '    "Docs."\n\n    step = 11'),
    "comment in a module": ("fphelpers.py", "SCALE = 79", "SCALE = 79  # of what"),
    "comment in a late module": ("fplate.py", "OFFSET = 83", "OFFSET = 83  # of what"),
}


@pytest.mark.parametrize("name", DO_NOT_MATTER)
def test_what_does_not_matter_does_not_change_it(name, run):
    assert fingerprint(run(DO_NOT_MATTER[name])) == fingerprint(run())


def test_the_environment_is_that_of_the_program_and_not_of_its_start(monkeypatch):
    """A task that passes all of it on is the same task in the next job."""

    def task(x):
        return dict(os.environ), x

    before = Fingerprints().function(task)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("PMI_RANK", "0")
    assert Fingerprints().function(task) == before
    monkeypatch.setenv("FP_OF_THE_PROGRAM", "1")
    assert Fingerprints().function(task) != before
