"""Files that a table is written to beside the output: an option of runs for each format.

A further format is a module with ``check(path)`` and ``write(path, rows)``, a line here, and an
option of that name in :mod:`mpipar.runtime.run_options`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpipar.runtime.run_options import RunOptions

_WRITERS = {"csv": "mpipar.store.csv_file"}


def wanted(options: RunOptions) -> Iterator[tuple[Path, Any]]:
    """Yield the files that tables are to be written to, each with the module that does so."""
    for name, module in _WRITERS.items():
        path = getattr(options, name)
        if path is not None:
            yield path, importlib.import_module(module)
