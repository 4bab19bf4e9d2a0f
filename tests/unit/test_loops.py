"""The loops of docs/loops.md: each compiled one gives what its readable form does."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import pytest

from mpipar.runtime import code_cache, compiling

PAGE = "docs/loops.md"
PROGRAMS = Path(pages.ROOT) / "benchmarks" / "programs"
SIZES = {
    "mandelbrot": {"rows": 24, "most": 50},
    "ising": {"side": 30},
    "queens": {"queens": 6},
}


def loaded(name):
    """Return the kernel of a program."""
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


@pytest.mark.parametrize("name", SIZES)
def test_the_page_has_the_programs_that_are_measured(name):
    on_page = pages.saved_files(PAGE)[f"{name}.py"]
    assert on_page.strip() == (PROGRAMS / f"{name}.py").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("name", SIZES)
def test_a_compiled_loop_is_its_readable_form(name, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv(code_cache.VARIABLE, str(tmp_path))
    kernel = loaded(name)
    bound = kernel.bind(SIZES[name], device="compiled")
    shared = {
        array: bound.make_shared(array, lambda shape, dtype: np.empty(shape, dtype))
        for array in bound.shared_names
    }
    compiled = bound.evaluator(shared, compiling.compiler().open())
    readable = kernel.bind(SIZES[name]).evaluator(shared)
    for index in range(min(8, bound.plan.n_blocks)):
        block = bound.plan[index]
        assert compiled(block) == readable(block)


COMPILES = """
import sys
from mpipar.roots import roots
from mpipar.runtime import compiling
for f in sys.argv[1:]:
    bound = roots.bind({"f": f, "points": 4}, device="compiled")
    print(bound.evaluator({}, compiling.compiler().open())(bound.plan[0])[0])
"""


def test_code_that_other_processes_kept_is_taken_for_no_other(tmp_path):
    pytest.importorskip("numba")
    env = {**os.environ, code_cache.VARIABLE: str(tmp_path)}

    def first_values(*formulas):
        command = [sys.executable, "-c", COMPILES, *formulas]
        printed = subprocess.run(command, env=env, capture_output=True, check=True, timeout=120)
        return [float(value) for value in printed.stdout.split()]

    assert first_values("x + 1") == [1.0]
    assert first_values("x + 2") == [2.0]
    assert first_values("x + 1", "x + 2") == [1.0, 2.0]
