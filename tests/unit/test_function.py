import multiprocessing.spawn
import os
import pickle
import random
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import without_privileges

from mpipar.base.errors import BadInput
from mpipar.inputs.function import load, load_callable


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Work in a folder of its own, and leave neither path nor modules behind."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    load.cache_clear()
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def write(path, source):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


def refusal_of(name, function=load):
    with pytest.raises(BadInput) as caught:
        function(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_function_of_a_module_is_loaded():
    assert load("os.path:join") is os.path.join
    assert load("pathlib:Path.home")() == Path.home()
    assert load_callable("random:random") is random.random


def test_module_in_the_current_folder_is_found():
    write("formulas_here.py", "def f(x): return 2 * x")
    assert load("formulas_here:f")(3) == 6
    write("package_here/inner.py", "value = 5")
    assert load("package_here.inner:value") == 5


@pytest.mark.parametrize(
    "path", ["sub/formulas_a.py", "./sub/../sub/formulas_a.py", "{cwd}/sub/formulas_a.py"]
)
def test_file_is_loaded_and_its_folder_is_importable(path, tmp_path):
    write("sub/formulas_a.py", "from formulas_b import g\nclass Outer:\n    inner = g\n")
    write("sub/formulas_b.py", "def g(): return 'b'")
    assert load(f"{path.format(cwd=tmp_path)}:Outer.inner")() == "b"
    assert sys.path[0] == str(tmp_path / "sub")
    assert sys.path.count(str(tmp_path / "sub")) == 1


def test_objects_of_a_file_can_be_pickled_and_workers_get_its_folder(tmp_path):
    write("sub/formulas_c.py", "def f(x): return x + 1")
    function = load("sub/formulas_c.py:f")
    assert pickle.loads(pickle.dumps(function)) is function
    assert str(tmp_path / "sub") in multiprocessing.spawn.get_preparation_data("worker")["sys_path"]


def test_module_is_run_once():
    write("counting.py", "runs = []\nruns.append(1)\ndef f(): ...")
    assert load("counting.py:f") is load("counting.py:f")
    assert load("counting.py:runs") == [1]
    assert load("./counting.py:runs") == [1]


def test_file_named_with_a_hyphen_or_in_a_folder_with_spaces_is_loaded():
    write("a folder/my-formulas.py", "x = 1")
    assert load("a folder/my-formulas.py:x") == 1


def test_link_to_a_file_is_loaded_by_the_name_of_the_link():
    write("real_one.py", "x = 1")
    Path("links").mkdir()
    Path("links/linked_one.py").symlink_to(Path("real_one.py").absolute())
    assert load("links/linked_one.py:x") == 1


@pytest.mark.parametrize("stem", ["random", "sys", "math"])
def test_file_with_the_name_of_another_module_is_refused(stem):
    write(f"{stem}.py", "x = 1")
    assert refusal_of(f"{stem}.py:x").endswith("; rename it")
    assert "taken by another module" in refusal_of(f"{stem}.py:x")


def test_two_files_of_the_same_name_are_refused(tmp_path):
    write("one/same_name.py", "x = 1")
    write("two/same_name.py", "x = 2")
    assert load("one/same_name.py:x") == 1
    assert str(tmp_path / "one" / "same_name.py") in refusal_of("two/same_name.py:x")


@pytest.mark.parametrize(
    "name", ["", ":", "f", "math", ":f", "math:", "math:.pi", "math:pi.", "math:a..b"]
)
def test_name_without_a_module_and_an_attribute_is_refused(name):
    assert "expected package.module:name or path/to/file.py:name" in refusal_of(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.py:f", "no such file or directory"),
        ("nowhere/else.py:f", "no such file or directory"),
        ("folder.py:f", "is a directory"),
        ("pipe.py:f", "not a regular file"),
        ("a\0b.py:f", "not a path"),
        ("\ud800.py:f", "not a path"),
        ("dotted.name.py:f", "rename it"),
        ("no_such_module:f", "no module named 'no_such_module'"),
        ("os.nonsense:f", "no module named 'os.nonsense'"),
        ("no_such.inner:f", "no module named 'no_such'"),
        ("path/to/file:f", "neither the name of a module nor of a .py file"),
        ("..relative:f", "neither the name of a module nor of a .py file"),
        ("a b:f", "neither the name of a module nor of a .py file"),
        ("math\n:f", "neither the name of a module nor of a .py file"),
    ],
)
def test_what_is_not_there_is_refused(name, reason):
    Path("folder.py").mkdir()
    os.mkfifo("pipe.py")
    write("dotted.name.py", "f = 1")
    assert reason in refusal_of(name)


def test_unreadable_file_is_refused():
    write("secret.py", "f = 1").chmod(0)
    with without_privileges():
        assert "permission denied" in refusal_of("secret.py:f")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: "),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("import os.not_there", "ModuleNotFoundError: No module named 'os.not_there'"),
        ("raise ValueError('first\\nsecond')", "ValueError: first"),
        ("raise RuntimeError", "imported: RuntimeError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("from . import sibling", "ImportError: attempted relative import"),
    ],
)
def test_module_that_raises_is_refused_with_what_it_raised(source, reason):
    write("raising.py", source)
    for name in ("raising.py:f", "raising:f"):
        message = refusal_of(name)
        assert "raised while it was imported" in message
        assert reason in message
        assert "second" not in message


def test_close_matches_are_named():
    write(
        "formulas_d.py",
        "def integrand(x): ...\nclass Box:\n    volume = 1\n    def __getattr__(self, _): 1 /"
        " 0\nbox = Box()",
    )
    assert "has no 'integrnd'; did you mean integrand?" in refusal_of("formulas_d.py:integrnd")
    assert "has no 'Box.volum'; did you mean volume?" in refusal_of("formulas_d.py:Box.volum")
    assert refusal_of("formulas_d:xyz").startswith("'formulas_d' has no 'xyz'; it has ")
    assert "ZeroDivisionError" in refusal_of("formulas_d:box.other")


def test_what_cannot_be_called_is_refused():
    assert "expected a function, got an object of type float" in refusal_of(
        "math:pi", load_callable
    )


def test_refused_name_may_work_later():
    refusal_of("later.py:x")
    write("later.py", "x = 1")
    assert load("later.py:x") == 1


def test_module_is_loaded_where_the_current_folder_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load("os.path:join") is os.path.join
