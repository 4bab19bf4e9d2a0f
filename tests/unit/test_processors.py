"""Bits that don't depend on the processor: kernels of NumPy's +, −, ×, ÷ and √, with the instruction sets
beyond the plainest turned off. What is compiled is in test_compiled.py.
"""

import os
import subprocess
import sys

import pytest

PARTIALS = """
import sys
import numpy as np
from mpipar import ExactSum
from mpipar.core.kernel import Kernel
from mpipar.mcpi import mcpi
from mpipar.pi import pi
from mpipar.primes import primes

def plain(block, *, n: int) -> float:
    x = np.arange(block.start, block.stop) * 0.1 + 0.3
    return np.sum(np.sqrt(x) * x - 1.0 / x)

own = Kernel(plain, n="n", reduction=ExactSum)
for kernel, parameters in (
    (pi, {"steps": 10**6 + 3}),
    (mcpi, {"samples": 10**5}),
    (primes, {"below": 10**5}),
    (own, {"n": 10**5}),
):
    bound = kernel.bind(parameters)
    evaluate = bound.evaluator()
    for index in range(min(3, bound.plan.n_blocks)):
        print(kernel.name, index, float(evaluate(bound.plan[index])).hex())
print([name for name, there in FEATURES.items() if there], file=sys.stderr)
"""


def features():
    """Return the instruction sets that this NumPy has code for and this processor has, and how a program
    gets them.
    """
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            core = __import__(module, fromlist=["__cpu_features__"])
        except ImportError:
            continue
        there = core.__cpu_features__
        return [name for name in core.__cpu_dispatch__ if there.get(name)], module
    return [], ""


def partials(module, **env):
    program = f"from {module} import __cpu_features__ as FEATURES\n{PARTIALS}"
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout, finished.stderr


def test_bits_of_numpy_do_not_depend_on_the_processor():
    names, module = features()
    if not names:
        pytest.skip("this NumPy has one code for all processors, or this is the plainest")
    with_all, told = partials(module)
    assert names[0] in told
    without, told = partials(module, NPY_DISABLE_CPU_FEATURES=" ".join(names))
    assert not any(f"'{name}'" in told for name in names)
    assert with_all == without
    assert len(with_all.splitlines()) >= 8
