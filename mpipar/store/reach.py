"""Which installed libraries a task can reach, by the modules that it was seen to use."""

from __future__ import annotations

import sys

from mpipar.store.own_code import ANY

_DRAWS_NOTHING = (
    *("numpy", "numba", "llvmlite", "numexpr", "h5py", "mpi4py", "mpipar"),
    *("cloudpickle", "joblib", "threadpoolctl", "tqdm", "gmpy2"),
    *("scipy.constants", "scipy.fft", "scipy.integrate", "scipy.interpolate", "scipy.io"),
    *("scipy.linalg", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.sparse"),
    "scipy.special",
)
"""Modules that no library for pictures is reached by."""


def reaches_pictures(modules: set[str]) -> bool:
    """Return whether what uses these modules may draw something, and so whether settings of
    libraries for that count.
    """
    return any(map(_may_draw, modules))


def _may_draw(module: str) -> bool:
    if module == ANY:
        return True
    top, *_ = module.split(".")
    if top in sys.stdlib_module_names or top in ("__main__", "builtins"):
        return False
    return not any(module == each or module.startswith(f"{each}.") for each in _DRAWS_NOTHING)
