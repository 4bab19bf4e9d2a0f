import ast
import functools
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mpipar

ROOT = Path(mpipar.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = (
    "base",
    "core",
    "inputs",
    "runtime",
    "kernels",
    "store",
    "pool",
    "batch",
    "view",
    "study",
    "predict",
    "command",
    "testing",
)
"""The rooms, from the ground up: a module imports from its own room and from those before it."""
TOP = len(LAYERS)


def module_name(path: Path) -> str:
    parts = ("mpipar", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def layer(module: str) -> int:
    """Return the number of a module's layer, from 0; what isn't in a subpackage is the topmost."""
    parts = module.split(".")
    return LAYERS.index(parts[1]) if len(parts) > 1 and parts[1] in LAYERS else TOP


BELOW_DRIVERS = [name for name in MODULES if layer(name) < TOP]


def imports(source: str, package: str, known=frozenset(MODULES)) -> set[str]:
    """Return all modules that a source imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in known or base in ("mpi4py", "mpipar") else base)
        elif isinstance(node, ast.Call) and getattr(
            node.func, "attr", getattr(node.func, "id", "")
        ) in (
            "import_module",
            "__import__",
        ):
            found.update(arg.value for arg in node.args if isinstance(arg, ast.Constant))
    return found


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return frozenset(imports(path.read_text(encoding="utf-8"), package))


def loads(module: str, *packages: str) -> bool:
    return any(name.split(".")[0] in packages for name in imports_of(module))


def test_imports_are_found_wherever_they_are():
    source = """
import os.path
from mpipar.core import plan
from mpipar import driver
from ..core.exact import to_fixed
from . import comm
def f():
    from mpi4py import MPI
    if True: import h5py as h
"""
    found = imports(source, "mpipar.runtime")
    assert found >= {
        "os.path",
        "mpipar.core.plan",
        "mpipar.driver",
        "mpipar.core.exact",
        "mpipar.runtime.comm",
    }
    assert found >= {"mpi4py.MPI", "h5py"}


def test_all_layers_and_modules_are_looked_at():
    assert {name.split(".")[1] for name in MODULES if name.count(".") == 2} == set(LAYERS)
    assert {"mpipar", "mpipar.pi", "mpipar.__main__", "mpipar.core.exact"} <= MODULES.keys()


def imports_from_above(module: str) -> list[str]:
    own = {name for name in imports_of(module) if name.split(".")[0] == "mpipar"}
    above = {name for name in own - {"mpipar._version"} if layer(name) > layer(module)}
    return [f"{module} imports {name}" for name in sorted(above)]


def test_subpackages_import_only_from_layers_at_or_under_their_own():
    assert [line for module in BELOW_DRIVERS for line in imports_from_above(module)] == []


def test_no_module_needs_itself():
    """Not even for the type checker, or in a function: each module can be understood after those
    that it imports.
    """
    own = {module: imports_of(module) & MODULES.keys() for module in MODULES}
    try:
        TopologicalSorter(own).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def importers_of(room: str) -> dict[str, set[str]]:
    """Return what each module imports of a room, for those below drivers and outside of it."""
    found = {}
    for module in BELOW_DRIVERS:
        known = {name for name in imports_of(module) if name.startswith(f"mpipar.{room}")}
        if known and not module.startswith(f"mpipar.{room}"):
            found[module] = known
    return found


def test_inputs_import_core_alone():
    inputs = [name for name in MODULES if name.startswith("mpipar.inputs")]
    imported = set().union(*map(imports_of, inputs))
    own = {name for name in imported if name.startswith("mpipar.")}
    under = ("mpipar.base", "mpipar.core", "mpipar.inputs")
    assert {name for name in own if not name.startswith(under)} == set()


def test_only_drivers_and_inputs_themselves_know_of_inputs():
    found = importers_of("inputs")
    # It must know when a script is imported as an input, and not run it.
    assert found.pop("mpipar.command.driver") == {"mpipar.inputs.function"}
    # It compiles them, for drivers.
    compiled = found.pop("mpipar.kernels.formula", set())
    assert compiled <= {f"mpipar.inputs.{name}" for name in ("arithmetic", "common", "expression")}
    assert found == {}


def test_only_drivers_know_of_kernels():
    assert importers_of("kernels") == {}


def test_pi_is_read_in_a_minute():
    assert len(MODULES["mpipar.pi"].read_text(encoding="utf-8").splitlines()) <= 60


def test_one_module_alone_imports_mpi():
    assert [module for module in MODULES if loads(module, "mpi4py")] == ["mpipar.runtime.comm"]


def test_one_module_alone_imports_numba():
    """What asks whether it is there imports it by its name, where compiled code is wanted. The rules of
    checked code are a part of that module.
    """
    rules = {"numbers", "instructions", "types", "code", "recursion"}
    parts = {f"mpipar.runtime.checked_{name}" for name in rules}
    parts |= {"mpipar.runtime.refusals", "mpipar.runtime.numba_functions"}
    doors = {"mpipar.runtime.numba_compiler", "mpipar.runtime.compiling"}
    assert {module for module in MODULES if loads(module, "numba", "llvmlite")} == doors | parts
    inside = {*parts, "mpipar.runtime.numba_compiler"}
    for module in MODULES.keys() - inside:
        assert not inside & set(imports_of(module)), module


def test_files_are_the_business_of_the_store_and_of_inputs():
    assert {module.split(".")[1] for module in MODULES if loads(module, "h5py")} == {
        "store",
        "inputs",
    }


def test_pickle_is_for_processes_of_one_run_alone():
    found = {module for module in MODULES if loads(module, "pickle", "cloudpickle")}
    others = {module for module in found if not module.startswith("mpipar.pool")}
    # study.costs measures what it takes; store.apart hears from a copy of its own process
    # store.pickled_outcomes has what the user alone may have written, signed: --keep-pickled
    # machine code is kept in a folder that the user alone can write to
    assert others == {
        "mpipar.runtime.pool_worker",
        "mpipar.predict.costs",
        "mpipar.store.apart",
        "mpipar.store.pickled_outcomes",
        "mpipar.runtime.numba_compiler",
    }


def calls_of(module: str) -> set[str]:
    """Return the names of the functions that a module calls by their bare names."""
    tree = ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    return {
        node.func.id
        for node in tree
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def test_expressions_and_scripts_are_evaluated_in_one_module_each():
    found = {module for module in MODULES if calls_of(module) & {"eval", "exec"}}
    assert found == {"mpipar.inputs.expression", "mpipar.pool.script", "mpipar.pool.importing"}


def test_nothing_is_printed_outside_commands():
    """What mpipar has to tell goes through :mod:`mpipar.runtime.outlets`."""
    found = {module for module in MODULES if "print" in calls_of(module)}
    of_commands = {module for module in found if module.startswith("mpipar.command.")}
    assert found - of_commands == {"mpipar.runtime.outlets"}


def test_core_is_free_of_mpi_files_processes_and_printing():
    core = [name for name in MODULES if layer(name) <= LAYERS.index("core")]
    packages = ("h5py", "multiprocessing", "mpi4py", "subprocess", "tqdm", "matplotlib")
    assert [module for module in core if loads(module, *packages)] == []
    functions = {"print", "open", "input", "exec", "eval"}
    assert [module for module in core if calls_of(module) & functions] == []


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that a new process of Python loads, by its arguments."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {
        line.rpartition("|")[2].strip()
        for line in ended.stderr.splitlines()
        if line.startswith("import time:")
    }


def test_import_of_mpipar_loads_nothing_heavy():
    loaded = loaded_by("-c", "import mpipar")
    assert "mpipar._version" in loaded
    assert not loaded & {
        "mpi4py",
        "mpi4py.MPI",
        "h5py",
        "matplotlib",
        "numpy",
        "tqdm",
        "multiprocessing",
        "argparse",
    }


MOST_MODULES_OF_A_PLAIN_RUN = 70
MOST_OTHERS_OF_A_PLAIN_RUN = 30  # Python's and libraries'


def test_a_plain_run_loads_what_it_needs():
    """Each module takes some 0.3 ms of the start of each rank; those named here took longest."""
    without_us = loaded_by("-c", "import numpy, runpy, threadpoolctl")
    loaded = loaded_by("-m", "mpipar.pi", "--steps", "1e4") - without_us
    assert not loaded & {
        "concurrent.futures",
        "difflib",
        "h5py",
        "html",
        "json",
        "logging",
        "mpi4py.MPI",
        "multiprocessing",
        "numpy.random",
        "numpy.typing",
        "shutil",
        "socket",
        "subprocess",
        "tqdm",
        "traceback",
    }
    of_mpipar = {name for name in loaded if name.startswith("mpipar")}
    assert len(of_mpipar) <= MOST_MODULES_OF_A_PLAIN_RUN
    assert len(loaded - of_mpipar) <= MOST_OTHERS_OF_A_PLAIN_RUN


def test_a_script_loads_no_package_that_it_does_not_use(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from multiprocessing import Pool\nprint(Pool)\n")
    loaded = loaded_by("-m", "mpipar", "run", str(script))
    assert "mpipar.pool.script" in loaded
    assert not loaded & {"mpi4py.MPI", "h5py", "numpy", "tqdm"}


def test_names_of_mpipar_are_loaded_when_they_are_used():
    assert set(dir(mpipar)) == {*mpipar.__all__, "map"}  # which "import *" must leave as Python's
    for name in mpipar.__all__:
        assert getattr(mpipar, name) is not None
    with pytest.raises(AttributeError, match="'mpipar' has no attribute 'nonsense'"):
        mpipar.nonsense  # noqa: B018
