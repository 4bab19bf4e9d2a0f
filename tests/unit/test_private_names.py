import ast
import concurrent.futures
import ctypes
import importlib
import logging
import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest

import mpipar
from mpipar.base.private_names import CLOUDPICKLE, NUMBA, NUMPY, PYTHON

ALL = {**CLOUDPICKLE, **PYTHON, **NUMPY, **NUMBA}


def gufunc_builder():
    from numba.np.ufunc.ufuncbuilder import GUFuncBuilder  # may not be installed

    return GUFuncBuilder


MADE = {
    "CDLL": lambda: ctypes.CDLL(None),
    "Future": concurrent.futures.Future,
    "GUFuncBuilder": lambda: gufunc_builder()(private_names, "()->()"),
    "Lock": multiprocessing.Lock,
    "ModuleSpec": lambda: ast.__spec__,
    "Queue": multiprocessing.Queue,
    "RLock": threading.RLock,
    "StreamHandler": logging.StreamHandler,
    "memmap": lambda: np.memmap(__file__, np.uint8, "r"),
}
"""How objects of a class are made, where it isn't by calling it."""

NAMED_BY_PYTHON = {  # documented
    "_asdict",
    "_exit",
    "_fields",
    "_fields_",
    "_getframe",
    "_length_",
    "_make",
    "_name_",
    "_replace",
    "_type_",
    "_value_",
}
NAMED_BY_NUMBA = {"_getvalue"}  # documented, for types of others
OTHERS = {  # of numpy, pandas and scikit-learn, whose settings are told in one line if they fail
    "_generator",
    "_global_config",
    "_registered_options",
}


@pytest.mark.parametrize("name", ALL)
def test_there_is_such_a_name(name):
    module, path = name.split(":")
    if name in NUMBA:
        pytest.importorskip("numba")
    found = importlib.import_module(module)
    for part in path.split("."):
        own = part.removesuffix("()")
        if own == part:
            found = getattr(found, own)
        else:
            found = MADE.get(own, getattr(found, own))()


def private_names(source):
    """Return the private names that a source takes from elsewhere, and those that it defines."""
    used, defined = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("mpipar"):
            used.update(alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
        elif isinstance(node, ast.Attribute):
            (defined if isinstance(node.ctx, ast.Store) else used).add(node.attr)
    return tuple(
        {name for name in names if name.startswith("_") and not name.startswith("__")}
        for names in (used, defined)
    )


def test_no_other_private_names_are_used():
    listed = {part.removesuffix("()") for name in ALL for part in name.split(":")[1].split(".")}
    used, defined = set(), set()
    for path in Path(mpipar.__file__).parent.rglob("*.py"):
        its_used, its_defined = private_names(path.read_text(encoding="utf-8"))
        used |= its_used
        defined |= its_defined
    assert used - defined - listed - NAMED_BY_PYTHON - NAMED_BY_NUMBA - OTHERS == set()
