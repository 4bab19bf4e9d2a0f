"""The raw times of a study as an HDF5 file.

::

    /                 attributes: what was run, on what machine
    /runs             table: one row a run, as measured
    /table            table: one row a size, as in scaling.csv
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpipar.store.attributes import STUDY_FORMAT
from mpipar.store.files import write_hdf5
from mpipar.study.design import Measured, Run
from mpipar.study.report import COLUMNS, values
from mpipar.study.run_study import startup
from mpipar.study.table import ScalingTable

_RUNS = np.dtype(
    [
        ("mode", "S8"),
        ("nodes", "i8"),
        ("ranks", "i8"),
        ("workers", "i8"),
        ("items", "i8"),
        ("repeat", "i8"),
        ("elapsed", "f8"),
        ("wall", "f8"),
        ("startup", "f8"),
        ("imbalance", "f8"),
    ]
)
_RUN_UNITS = "elapsed: s, wall: s, startup: s, all others: 1"
_RUN_DESCRIPTION = (
    "every run: the driver's own time, that of the whole command, and the difference; items are"
    " the size of the problem, imbalance is the longest time in kernels over the mean"
)
_TABLE_UNITS = "median_s, fastest_s, slowest_s, startup_s: s, all others: 1"
_TABLE_DESCRIPTION = "every size: medians over its runs, and what follows; nan where there is none"
_TEXTS = {"mode": "S8", "note": "S120"}
_WHOLE = ("nodes", "ranks", "workers", "items", "repeats", "ideal")


def write_data(
    path: Path,
    runs: Mapping[Run, Measured],
    tables: Sequence[ScalingTable],
    about: Mapping[str, str],
) -> None:
    """Write all raw times, and the tables that were made of them."""

    def fill(file: Any) -> None:
        file.attrs["study_format"] = STUDY_FORMAT
        for name, text in about.items():
            file.attrs[name.replace(" ", "_")] = text
        _put(file, "runs", _raw(runs), _RUN_DESCRIPTION, _RUN_UNITS)
        if tables:
            _put(file, "table", _table(tables), _TABLE_DESCRIPTION, _TABLE_UNITS)

    aside = path.with_name(f".{path.name}.{os.getpid()}")
    write_hdf5(aside, fill)
    os.replace(aside, path)


def _put(
    file: Any,
    name: str,
    rows: np.ndarray[Any, Any],
    description: str,
    units: str,
) -> None:
    dataset = file.create_dataset(name, data=rows)
    dataset.attrs["description"] = description
    dataset.attrs["units"] = units


def _raw(runs: Mapping[Run, Measured]) -> np.ndarray[Any, Any]:
    rows = []
    for run, measured in runs.items():
        report = measured.report
        rows.append(
            (
                run.size.mode.encode(),
                report.get("nodes") or 1,
                run.size.ranks,
                run.size.workers,
                report.get("n") or 0,
                run.repeat,
                measured.elapsed,
                measured.wall,
                startup(measured),
                report.get("imbalance") or math.nan,
            )
        )
    return np.array(rows, _RUNS)


def _table(tables: Sequence[ScalingTable]) -> np.ndarray[Any, Any]:
    kinds = [(name, _kind(name)) for name in COLUMNS]
    rows = []
    for table in tables:
        for row in table.rows:
            cells = zip(COLUMNS, values(row), strict=True)
            rows.append(tuple(_stored(name, value) for name, value in cells))
    return np.array(rows, np.dtype(kinds))


def _kind(column: str) -> str:
    if column in _TEXTS:
        return _TEXTS[column]
    return "i8" if column in _WHOLE else "f8"


def _stored(name: str, value: str | int | float) -> bytes | int | float:
    if name in _TEXTS:
        return str(value).encode()
    return math.nan if isinstance(value, str) else value
