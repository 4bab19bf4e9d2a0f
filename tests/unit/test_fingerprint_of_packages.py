"""Objects that installed packages make of the user's functions, and what loads these."""

import sys
import types

import numpy as np
import pytest
from test_fingerprint import fingerprint, run  # noqa: F401 (run is a fixture)

LOADERS = {
    "pickle of pandas": "import pandas\ndef task(x): return pandas.read_pickle('x.pkl')",
    "its import": "def task(x):\n    from pandas import read_pickle\n    return read_pickle('x')",
    "joblib": "from joblib import load\ndef task(x): return load('x.pkl')",
    "shelve": "import shelve\ndef task(x): return shelve.open('x')[x]",
    "import of shelve": "def task(x):\n    import shelve\n    return shelve.open('x')[x]",
    "path": "from runpy import run_path\ndef task(x): return run_path('x')",
    "specification": "from importlib.util import spec_from_file_location as spec\n"
    "def task(x): return spec('late', 'fplate.py').loader.load_module()",
    "its import in a function": "def task(x):\n    from importlib import util\n"
    "    return util.spec_from_file_location('late', 'fplate.py')",
    "loader": "from importlib.machinery import SourceFileLoader\n"
    "def task(x): return SourceFileLoader('late', 'fplate.py').load_module()",
    "archive": "from zipimport import zipimporter\ndef task(x): return zipimporter('x.zip')",
    "relative": "from importlib import import_module\n"
    "def task(x): return import_module('.late', 'package')",
}


@pytest.mark.parametrize("name", LOADERS)
def test_all_that_a_file_may_import_counts(name, run):  # noqa: F811
    for package in ("pandas", "joblib"):
        if package in LOADERS[name]:
            pytest.importorskip(package)
    text = LOADERS[name]
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=text)) == before
    assert fingerprint(run(("fplate.py", "OFFSET + x", "OFFSET - x"), text=text)) != before


CURRIED = """
import importlib
import functools

class curry:
    def __init__(self, function, *arguments):
        self._partial = functools.partial(function, *arguments)

    def __call__(self, *arguments):
        return self._partial(*arguments)

    def __reduce__(self):
        name = self._partial.func.__module__ + ":" + self._partial.func.__name__
        return curry, (name, *self._partial.args)
"""

MADE = {
    "curried": ("from PACKAGE import curry", "task = curry(helper, 5)", "x * y", "x + y"),
    "what is curried": ("from PACKAGE import curry", "task = curry(helper, 5)", "5", "6"),
    "what uses it": (
        "from PACKAGE import curry",
        "c = curry(helper, 5)\ndef task(x): return c(x)",
        "x * y",
        "x + y",
    ),
    "layout": ("from struct import Struct", "S = Struct('<h')\ndef task(x): return S", "<h", ">h"),
}


@pytest.mark.parametrize("package", ["fpcurrying", "toolz"])
@pytest.mark.parametrize("name", MADE)
def test_what_packages_make_of_functions(name, package, run, monkeypatch):  # noqa: F811
    if package == "toolz":
        pytest.importorskip("toolz")
    module = types.ModuleType("fpcurrying")
    module.__file__ = np.__file__
    monkeypatch.setitem(sys.modules, "fpcurrying", module)
    exec(compile(CURRIED, np.__file__, "exec"), vars(module))
    imported, made, old, new = MADE[name]
    imported = imported.replace("PACKAGE", package)
    text = f"{imported}\ndef helper(x, y): return x * y\n{made}"
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=f"# A comment.\n\n{text}")) == before
    assert fingerprint(run(("script.py", old, new), text=text)) != before


def test_what_joblib_remembers_does_not_count_for_its_lines(run, tmp_path):  # noqa: F811
    pytest.importorskip("joblib")
    text = f"import joblib\nM = joblib.Memory({str(tmp_path)!r}, verbose=0)\n"
    text += "@M.cache(ignore=['y'])\ndef f(x, y=1): return x + y\ndef task(x): return f(x)"
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=f"# A comment.\n\n{text}")) == before
    assert fingerprint(run(("script.py", "x + y", "x - y"), text=text)) != before
    assert fingerprint(run(("script.py", "['y']", "['x']"), text=text)) != before


MODEL = """
class Model:
    __pydantic_fields__ = {"x": 1}
    __pydantic_core_schema__ = {"ref": f"Model:{id(object())}", "of": UNIQUE}

def task(x):
    return Model()
"""


def test_identities_that_pydantic_notes_do_not_count(run):  # noqa: F811
    text = MODEL.replace("UNIQUE", "1")
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=MODEL.replace("UNIQUE", "2"))) == before
    assert fingerprint(run(("script.py", '"x": 1', '"x": 2'), text=text)) != before
    text = MODEL.replace("__pydantic_fields__", "fields")
    one = fingerprint(run(text=text.replace("UNIQUE", "1")))
    assert fingerprint(run(text=text.replace("UNIQUE", "2"))) != one


VALIDATED = """
from typing import Annotated
import pydantic

FACTOR = 2

def scaled(x):
    return x * FACTOR

class Model(pydantic.BaseModel):
    x: int
    y: Annotated[int, pydantic.AfterValidator(scaled)] = 3
    text: str = pydantic.Field("a", max_length=4)

    @pydantic.field_validator("x", mode="before")
    @classmethod
    def checked(cls, x):
        return x + 7

def task(x):
    return Model(x=x)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2", "FACTOR = 3"),
        ("x: int", "x: float"),
        ("= 3", "= 4"),
        ("max_length=4", "max_length=5"),
        ('mode="before"', 'mode="after"'),
        ("x + 7", "x + 8"),
    ],
)
def test_models_of_pydantic(old, new, run):  # noqa: F811
    pytest.importorskip("pydantic")
    before = fingerprint(run(text=VALIDATED))
    assert fingerprint(run(text=f"# A comment.\n\n{VALIDATED}")) == before
    assert fingerprint(run(("script.py", old, new), text=VALIDATED)) != before
