"""Scripts whose tasks look around: they find what they find under plain Python, whose workers are forked."""

import functools
from pathlib import Path

import pytest
from conftest import chosen_ranks, over, python
from suite.rings import in_ci

SCRIPTS = Path(__file__).parent / "as_plain"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if not path.stem.startswith("helper"))
UNGUARDED = [
    f"{name}_unguarded"
    for name in (
        *("classes", "large_modules", "names", "objects", "patches", "patches_by_main"),
        *("registries", "shared_in_modules", "state_of_modules"),
    )
]
MODULES = ["package.guarded", "package.unguarded"]
FIRST = {
    "looks_around",
    "set_by_main",
    "shared_in_modules",
    "state_of_modules_unguarded",
    "writes_at_top",
    "package.guarded",
}  # the others in the second ring
RUN = ("-m", "mpipar", "run")
NOT_IMPORTED = {  # because of what their top level does, which is told
    "dies_at_top": None,
    "exits_at_top": "SystemExit: no",
    "lock_at_top": None,  # nothing is lost
    "manager_in_module": "a pool or a manager is opened outside of the main part",
    "removes_at_top": "os.remove",
    "starts_at_top": "subprocess.Popen",
    "swallows_at_top": "os.mkdir",
    "writes_at_top": "line 4 opens a file to write to it",
}


def arguments(name, folder):
    """Return how a script is named; one of UNGUARDED is made of another that has a guard."""
    if "." in name:
        return ("-m", name)
    if name not in UNGUARDED:
        return (str(SCRIPTS / f"{name}.py"),)
    text = (SCRIPTS / f"{name.removesuffix('_unguarded')}.py").read_text()
    guard = 'if __name__ == "__main__":'
    assert text.count(guard) == 1
    (folder / f"{name}.py").write_text(text.replace(guard, "if True:"))
    return (str(folder / f"{name}.py"),)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return what a script does with the processes of multiprocessing itself."""
    return functools.cache(lambda name: run(python, tmp_path_factory.mktemp("reference"), name))


def run(start, folder, name, *options):
    env = {"PYTHONPATH": str(SCRIPTS), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return start(*options, *arguments(name, folder), cwd=folder, env=env)


def chosen():
    for name in [*NAMES, *UNGUARDED, *MODULES]:
        yield pytest.param(name, None, marks=[pytest.mark.ci] * (name not in FIRST))
        for ranks in in_ci(*chosen_ranks(2)):
            yield pytest.param(name, *ranks.values, marks=ranks.marks)


@pytest.mark.parametrize(("name", "ranks"), list(chosen()))
def test_tasks_find_what_they_find_without_mpipar(name, ranks, reference, tmp_path):
    finished = run(over(ranks), tmp_path, name, *RUN)
    expected = reference(name)
    assert expected.stdout
    assert finished.stdout == expected.stdout, finished.stderr
    assert finished.code == expected.code
    told = NOT_IMPORTED.get(name)
    if told is None:
        assert finished.own_errors == expected.own_errors
    else:
        assert len(finished.own_errors) == 1
        assert finished.own_errors[0].startswith("mpipar: workers don't import")
        assert told in finished.own_errors[0]


DIFFERENT = {  # from plain Python, as docs/pools.md says
    "helper_differences": [
        "look AttributeError",
        "look (100000, 1)",
        "twin True",
        "changed False",
        "gen 0",
    ],
    "helper_differences_unguarded": [
        "look AttributeError",
        "twin False",
        (
            "gen NameError 'GEN' of the script could not be sent to workers: cannot pickle"
            " 'generator' object"
        ),
    ],
}


@pytest.mark.parametrize(("name", "lines"), DIFFERENT.items())
def test_what_is_different_is_as_the_guide_tells(name, lines, reference, tmp_path):
    assert run(python, tmp_path, name, *RUN).stdout.splitlines() == lines
    plain = reference(name).stdout.splitlines()
    assert not {*plain} & {*lines} - {"twin True", "gen 0"}


def test_what_only_forked_processes_can_share_is_refused_where_it_is_used(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
from multiprocessing import Pool

import helper_anonymous

if __name__ == "__main__":
    with Pool(2) as pool:
        for function in (helper_anonymous.write, helper_anonymous.set_item):
            try:
                pool.map(function, range(3))
            except RuntimeError as error:
                print(error)
"""
    )
    finished = python(*RUN, str(script), env={"PYTHONPATH": str(SCRIPTS)})
    assert finished.code == 0
    assert finished.stdout.splitlines() == [
        "workers can't have helper_anonymous.memory: cannot pickle 'mmap.mmap' object",
        (
            "workers can't have helper_anonymous.view: it is a view of an anonymous mmap, which"
            " only forked processes share: take multiprocessing.shared_memory"
        ),
    ]


def test_what_a_module_has_that_cant_be_sent_is_refused_where_it_is_used(tmp_path):
    (tmp_path / "hers.py").write_text(
        """
rules = {"scale": 1}
lines = None
_lazy = None

def set_up():
    global lines, _lazy
    rules["scale"] = 2
    rules["more"] = (x for x in range(2))
    lines = (x for x in range(3))
    _lazy = (x for x in range(4))

def first():
    global _lazy
    if _lazy is None:
        _lazy = iter([5])
    return next(_lazy)
"""
    )
    script = tmp_path / "script.py"
    script.write_text(
        """
from multiprocessing import Pool
import hers

def scale(_):
    return hers.rules["scale"]

def of_rules(_):
    return next(hers.rules["more"])

def of_lines(_):
    return sum(hers.lines)

def lazily(_):
    return hers.first()

if __name__ == "__main__":
    hers.set_up()
    with Pool(1) as pool:
        for function in (scale, of_rules, of_lines, lazily):
            try:
                print(pool.map(function, [0]))
            except RuntimeError as error:
                print(error)
"""
    )
    finished = python(*RUN, str(script))
    assert (finished.code, finished.own_errors) == (0, [])
    assert finished.stdout.splitlines() == [
        "[2]",
        "workers can't have hers.rules: cannot pickle 'generator' object",
        "workers can't have hers.lines: cannot pickle 'generator' object",
        "[5]",
    ]


def test_there_are_such_scripts():
    assert {*NOT_IMPORTED, *FIRST} <= {*NAMES, *UNGUARDED, *MODULES}
