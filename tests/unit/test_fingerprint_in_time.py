"""One process: what is changed while it runs, what is edited, what another process finds."""

import _json
import functools
import importlib.util
import math
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from test_fingerprint import SCRIPT, fingerprint, run  # noqa: F401 (run is a fixture)

from mpipar.store.fingerprint import Fingerprints, Unfingerprintable

LIVE = """
import enum
import functools
import os
import sys

import numpy as np

import fphelpers

FACTOR = 3
TABLE = {"a": [1, [2]]}
ARRAY = np.zeros(10)
LARGE = np.zeros(100_000)
MANY = list(range(10_000))
LARGE_TABLE = dict.fromkeys(range(10_000))


def helper(x, y=[1], *, z=2):
    return x + FACTOR


helper.note = 1


def counter():
    n = 0

    def add(step):
        nonlocal n
        n += step

    def value():
        return n

    return add, value


add, value = counter()


class Base:
    b = 1


class Other:
    b = 1


class Model(Base):
    k = 1
    many = [1]

    def __init__(self):
        self.size = 1

    def __call__(self, x):
        return self.k


@functools.singledispatch
def dispatched(x):
    return x


class Holder:
    pass


model = Model()
bound = functools.partial(helper, [1])
pair = (1, [2])


def task(x):
    late = SOMETIMES if x else 0
    return [
        *(helper(x), value(), model(x), dispatched(x), bound(x), pair, fphelpers.scaled(x), late),
        *(TABLE, ARRAY, LARGE, MANY, LARGE_TABLE, sum([x]), os.environ["FP_LIVE"], sys.argv),
    ]
"""


def set_item(place, name, value=5):
    place[name] = value


CHANGES = {
    "global": lambda m: setattr(m, "FACTOR", 4),
    "type of a global": lambda m: setattr(m, "FACTOR", 3.0),
    "no global": lambda m: delattr(m, "FACTOR"),
    "new global": lambda m: setattr(m, "SOMETIMES", 1),
    "hidden builtin": lambda m: setattr(m, "sum", len),
    "dict": lambda m: m.TABLE.update(b=1),
    "list in a list": lambda m: m.TABLE["a"][1].append(3),
    "array": lambda m: set_item(m.ARRAY, 3),
    "large array": lambda m: m.LARGE.fill(1),
    "long list": lambda m: m.MANY.append(1),
    "large dict": lambda m: m.LARGE_TABLE.pop(0),
    "list in a tuple": lambda m: m.pair[1].append(3),
    "default": lambda m: setattr(m.helper, "__defaults__", ([2],)),
    "default in place": lambda m: m.helper.__defaults__[0].append(2),
    "keyword-only default": lambda m: set_item(m.helper.__kwdefaults__, "z"),
    "code": lambda m: setattr(m.helper, "__code__", (lambda x, y=1, *, z: 9).__code__),
    "attribute of a function": lambda m: setattr(m.helper, "note", 2),
    "new attribute of a function": lambda m: setattr(m.task, "note", 2),
    "closure": lambda m: m.add(1),
    "class attribute": lambda m: setattr(m.Model, "k", 2),
    "class attribute in place": lambda m: m.Model.many.append(2),
    "new method": lambda m: setattr(m.Model, "__len__", lambda self: 3),
    "base": lambda m: setattr(m.Model, "__bases__", (m.Other,)),
    "attribute of a base": lambda m: setattr(m.Base, "b", 2),
    "object": lambda m: setattr(m.model, "size", 2),
    "class of an object": lambda m: setattr(m.model, "__class__", m.Holder),
    "method of an object": lambda m: setattr(m.model, "step", lambda: 3),
    "dispatch": lambda m: m.dispatched.register(int, lambda x: 3),
    "argument of partial": lambda m: m.bound.args[0].append(2),
    "global of a module": lambda m: setattr(m.fphelpers, "SCALE", 1),
    "function of a module": lambda m: setattr(m.fphelpers, "scaled", len),
    "environment": lambda m: set_item(m.os.environ, "FP_LIVE", "2"),
    "arguments": lambda m: m.sys.argv.append("2"),
}


@pytest.fixture
def live(run, monkeypatch):  # noqa: F811
    monkeypatch.setenv("FP_LIVE", "1")
    return functools.partial(run, text=LIVE)


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_meanwhile_changes_the_fingerprint(name, live):
    main = live()
    prints = Fingerprints()
    before = prints.function(main.task)
    assert prints.function(main.task) == before
    CHANGES[name](main)
    after = prints.function(main.task)
    assert after != before
    assert prints.function(main.task) == after


def test_what_is_set_back_has_the_fingerprint_it_had(live):
    main = live()
    prints = Fingerprints()
    before = prints.function(main.task)
    main.FACTOR, main.TABLE["c"] = 4, 1
    assert prints.function(main.task) != before
    main.FACTOR = 3
    del main.TABLE["c"]
    assert prints.function(main.task) == before


def test_data_changed_in_place_is_not_taken_for_new_data_like_it(live):
    # as workers have it as it was when it was handed to them
    changed, new = live(), live()
    prints = Fingerprints()
    prints.function(changed.task)
    changed.TABLE["b"] = 1
    new.TABLE["b"] = 1
    assert prints.function(changed.task) != Fingerprints().function(new.task)
    assert Fingerprints().function(changed.task) == Fingerprints().function(new.task)


def test_an_object_changed_in_place_is_not_taken_for_a_new_one_like_it(live):
    changed, new = live(), live()
    prints = Fingerprints()
    prints.function(changed.task)
    changed.model.size = 2
    new.model.size = 2
    assert prints.function(changed.task) != Fingerprints().function(new.task)
    assert Fingerprints().function(changed.task) == Fingerprints().function(new.task)


def test_a_name_that_is_bound_to_new_data_means_that(live):
    rebound, new = live(), live()
    prints = Fingerprints()
    prints.function(rebound.task)
    rebound.TABLE, new.TABLE = {"b": 1}, {"b": 1}
    assert prints.function(rebound.task) == Fingerprints().function(new.task)


def test_the_salt_is_part_of_it(live):
    main = live()
    assert fingerprint(main, salt=b"1") != fingerprint(main, salt=b"2")
    assert fingerprint(main, salt=b"1") == fingerprint(main, salt=b"1")
    partial = Fingerprints(b"1").function(functools.partial(main.task, 1))
    assert partial != Fingerprints(b"2").function(functools.partial(main.task, 1))


def test_a_source_that_is_edited_meanwhile_is_not_taken_for_what_runs(run):  # noqa: F811
    main = run()
    path = Path(main.__file__)
    text = path.read_text()
    path.write_text(text.replace("FACTOR * innermost", "FACTOR + innermost"))
    edited = run(("script.py", "FACTOR * innermost", "FACTOR + innermost"))
    assert fingerprint(main) != fingerprint(edited)


@pytest.mark.parametrize("added", ["# A comment.\n\n", "import base64\n"])
def test_an_edit_that_does_not_concern_a_function_changes_nothing(added, run):  # noqa: F811
    main = run()
    before = fingerprint(run())
    path = Path(main.__file__)
    path.write_text(added + path.read_text())
    assert fingerprint(main) == before


def test_the_order_of_definitions_does_not_matter(run):  # noqa: F811
    one = "def a(x): return x\n\n\ndef b(x): return a(x)\n\n\n"
    other = "K = 3\n\n\n"
    task = "def task(x): return b(x) + K\n"
    found = {fingerprint(run(text=text)) for text in (one + other + task, task + other + one)}
    assert len(found) == 1


def test_long_chains_of_functions_have_one(run):  # noqa: F811
    lines = [f"def f{n}(x): return f{n + 1}(x)" for n in range(1500)]
    text = "\n".join([*lines, "def f1500(x): return 1", "task = f0"])
    before = fingerprint(run(text=text))
    assert fingerprint(run(("script.py", "return 1", "return 2"), text=text)) != before


def test_locks_of_the_script_do_not_matter(run):  # noqa: F811
    text = "import threading\nlock = threading.Lock()\ndef task(x):\n    with lock: return x\n"
    assert fingerprint(run(text=text)) == fingerprint(run(text=text))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("import io\nf = io.TextIOWrapper(io.BytesIO())\ndef task(x): return f", "TextIOWrapper"),
        ("g = (i for i in range(3))\ndef task(x): return next(g)", "generator"),
        (
            "import multiprocessing as m\nv = m.Value('i')\ndef task(x): return v.value",
            "Synchronized",
        ),
        ("import multiprocessing as m\nq = m.Queue()\ndef task(x): q.put(x)", "Queue"),
        ("import threading\nl = [threading.local()]\ndef task(x): return l", "local"),
        ("import numpy as np\nf = np.frompyfunc(len, 1, 1)\ndef task(x): return f(x)", "ufunc"),
    ],
)
def test_what_uses_something_that_cannot_be_told_from_others_has_none(text, kind, run):  # noqa: F811
    main = run(text=text)
    with pytest.raises(Unfingerprintable, match=kind):
        fingerprint(main)


def test_what_is_told_by_numba_is_its_function_and_its_options(run):  # noqa: F811
    text = """
        import uuid

        class Dispatcher:
            __module__ = "numba.core.registry"

            def __init__(self, function, **options):
                self.py_func, self.targetoptions, self.id = function, options, uuid.uuid4()

        jitted = Dispatcher(lambda x: x + 1, fastmath=True)
        def task(x): return jitted(x)
    """
    text = textwrap.dedent(text)
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=text)) == before
    assert fingerprint(run(("script.py", "x + 1", "x + 2"), text=text)) != before
    assert fingerprint(run(("script.py", "h=True", "h=False"), text=text)) != before


@pytest.mark.parametrize(
    ("decorator", "other"),
    [
        ("njit('f4(f8)')", "njit('f8(f8)')"),
        ("njit(['f8(f4)', 'f8(f8)'])", "njit(['f8(f4)'])"),
        ("njit('f8(f8)')", "njit"),
        ("njit(locals={'y': numba.f4})", "njit(locals={'y': numba.f8})"),
        ("vectorize(['f4(f4)'])", "vectorize(['f8(f8)'])"),
        ("vectorize(['f8(f8)'], identity=0)", "vectorize(['f8(f8)'], identity=1)"),
        ("guvectorize(['f8[:], f8[:]'], '(n)->()')", "guvectorize(['f8[:], f8[:]'], '(n)->(n)')"),
        ("guvectorize(['f8, f8[:]'], '()->()')", "guvectorize(['f4, f8[:]'], '()->()')"),
    ],
)
def test_the_types_that_are_declared_for_numba_count(decorator, other, run):  # noqa: F811
    pytest.importorskip("numba")
    result = ", r" * decorator.startswith("guvectorize")
    text = textwrap.dedent(f"""
        import numba

        @numba.{decorator}
        def compiled(x{result}):
            y = x
            {"r[0] = 1.0" if result else "return y"}

        def task(x): return compiled(x)
    """)
    main = run(text=text)
    before = fingerprint(main)
    assert fingerprint(run(text=text)) == before
    assert fingerprint(run(("script.py", decorator, other), text=text)) != before


@pytest.mark.parametrize("decorator", ["njit", "vectorize"])
def test_what_numba_compiled_when_it_was_called_does_not_count(decorator, run):  # noqa: F811
    pytest.importorskip("numba")
    main = run(text=f"import numba\n@numba.{decorator}\ndef task(x): return x + 1")
    before = fingerprint(main)
    main.task(1.5)
    assert fingerprint(main) == before


has_library = pytest.mark.skipif(
    not hasattr(_json, "__file__"), reason="this Python has its library built in"
)


@has_library
def test_a_library_of_the_users_counts_by_its_bytes(run, tmp_path):  # noqa: F811
    library = tmp_path / "own.so"
    text = f"import ctypes\nL = ctypes.CDLL({str(library)!r})\ndef task(x): return L.f(x)\n"
    shutil.copy(_json.__file__, library)
    before = fingerprint(run(text=text))
    assert fingerprint(run(text=text)) == before
    with library.open("ab") as file:
        file.write(b"\0")
    assert fingerprint(run(text=text)) != before


@has_library
def test_a_module_of_the_users_that_is_not_python_counts_by_its_bytes(tmp_path, monkeypatch):
    copied = tmp_path / Path(_json.__file__).name
    shutil.copy(_json.__file__, copied)
    spec = importlib.util.spec_from_file_location("_json", copied)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "_json", module)
    before = Fingerprints().function(module.scanstring)
    assert Fingerprints().function(module.scanstring) == before
    with copied.open("ab") as file:
        file.write(b"\0")
    assert Fingerprints().function(module.scanstring) != before


def test_packages_that_are_used_are_told_with_their_versions(run):  # noqa: F811
    prints = Fingerprints()
    prints.function(run().task)
    assert prints.packages["numpy"] == np.__version__
    assert prints.packages["python"] == "{}.{}".format(*sys.version_info)
    assert "math" not in prints.packages


def test_functions_of_several_threads_have_theirs(live):
    main = live()
    prints = Fingerprints()
    expected = Fingerprints().function(main.task)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(prints.function(main.task))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_functions_that_are_made_for_each_call_are_not_kept():
    prints = Fingerprints()
    found = {prints.function(lambda x, n=n: x + n) for n in range(1000)}
    assert len(found) == 1000
    assert len(prints._known) < 1000


IN_A_PROCESS = """
import sys
from mpipar.store.fingerprint import Fingerprints
import __main__
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), vars(__main__))
sys.argv = ["script.py", "one"]
prints = Fingerprints()
print(prints.function(task).hex(), prints.item({"a", "b", "c", (1, "d")}).hex())
"""


def test_another_process_finds_the_same(run):  # noqa: F811
    main = run()
    folder = Path(main.__file__).parent
    found = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", IN_A_PROCESS, main.__file__],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        found.add(done.stdout.splitlines()[-1])
    prints = Fingerprints()
    item = prints.item({"a", "b", "c", (1, "d")}).hex()
    assert found == {f"{prints.function(main.task).hex()} {item}"}


def test_the_scripts_of_these_tests_do_something(run):  # noqa: F811
    main = run()
    assert "task" in SCRIPT
    assert math.isfinite(float(np.sum(main.task(1))))
