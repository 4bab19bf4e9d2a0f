"""The result file: one HDF5 file that plain h5py, pandas or xarray can read.

::

    /                 attributes: driver, n, block, seed, device, schedule, ranks, workers, nodes, elapsed, versions, …
    /parameters       attributes: the kernel's parameters; datasets for long lists
    /value  /error    the result; a group with one dataset a field, where the result has several
    /ranks            table: rank, host, blocks, seconds
    /workers          table: rank, host, pid, blocks, seconds, longest (one row a process that evaluated blocks)
    /timeline         table: worker (a row of /workers), block, blocks, begin, end: who evaluated which, and when
    /skipped          table: block, start, stop, reason, traceback of blocks that failed, if there are any
    /partials         the partial of each block, for small plans and partials of one shape

and beside these the datasets that the kernel makes.
"""  # noqa: E501

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from mpipar.base.text import distinct_names
from mpipar.core.partials import unmasked
from mpipar.core.row_types import storable
from mpipar.runtime.result import Result
from mpipar.store import attributes
from mpipar.store.attributes import as_stored

LONGEST_ATTRIBUTE = 2**10
"""Items of a list that is an attribute; HDF5 has 64 KiB for one, and 16 bytes for a text of any
length.
"""

_TEXT = h5py.string_dtype()


def fill(file: h5py.File, result: Result) -> None:
    """Put a result into a file, which may have datasets of rows already."""
    attributes.write(file, result.run)
    parameters = file.create_group("parameters")
    for name, value in result.parameters.items():
        _put_parameter(parameters, name, _attribute(value))
    _put(file, "value", result.value, "result of the run")
    if result.error is not None:
        _put(file, "error", result.error, "standard error of the value")
    _put_tables(file, result)
    _put_timeline(file, result)
    _put_skipped(file, result)
    _put_partials(file, result)


def _put_parameter(group: h5py.Group, name: str, value: Any) -> None:
    """Store a parameter as an attribute, or as a dataset if it is too long for one."""
    if isinstance(value, list) and len(value) > LONGEST_ATTRIBUTE:
        group.create_dataset(name, data=value)
    else:
        group.attrs[name] = value


def _put(
    group: h5py.Group,
    name: str,
    value: Any,
    description: str,
) -> None:
    """Store a number, an array, text, or a group of such; what HDF5 can't hold is stored as
    text, and what is masked as nan.
    """
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        inner = group.create_group(name)
        names = distinct_names(map(_storable_name, distinct_names(value)))
        for key, item in zip(names, value.values(), strict=True):
            _put(inner, key, item, f"{key} of the {description}")
        made: Any = inner
    else:
        made = group.create_dataset(name, data=_data(value))
    made.attrs["description"] = description


def _storable_name(name: str) -> str:
    """Return a name as HDF5 can have it: a slash would make a group."""
    if name in ("", "."):
        return repr(name)
    return storable(name).replace("/", "\\x2f")


def _data(value: Any) -> Any:
    """Return a value as what HDF5 can hold: numbers as an array, anything else as text."""
    if isinstance(value, str):
        return storable(value)
    array = unmasked(value)
    if array is None or array.dtype.kind not in "biufc":
        return storable(_whole_text(value))
    return array


def _whole_text(value: Any) -> str:
    """Return what Python prints of a value, with all elements of arrays and all of their digits."""
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
        return repr(value)


def _put_tables(file: h5py.File, result: Result) -> None:
    processes = [
        ("rank", "i8"),
        ("host", _TEXT),
        ("pid", "i8"),
        ("blocks", "i8"),
        ("seconds", "f8"),
        ("longest", "f8"),
    ]
    rows = np.zeros(len(result.records), np.dtype(processes))
    for row, one in enumerate(result.records):
        who = (one.rank, one.host, one.pid)
        rows[row] = (*who, one.blocks, one.seconds, one.longest)
    table = file.create_dataset("workers", data=rows)
    table.attrs["description"] = (
        "processes that evaluated blocks, and for how long they were in kernels"
    )
    table.attrs["units"] = "blocks: 1, seconds: s, longest: s"

    of_rank = [column for column in processes if column[0] not in ("pid", "longest")]
    ranks = np.zeros(result.ranks, np.dtype(of_rank))
    for rank, host in enumerate(result.hosts):
        own = rows[rows["rank"] == rank]
        ranks[rank] = (rank, host, own["blocks"].sum(), own["seconds"].sum())
    table = file.create_dataset("ranks", data=ranks)
    table.attrs["description"] = (
        "blocks that each rank and its workers evaluated, and the sum of their times in kernels"
    )
    table.attrs["units"] = "blocks: 1, seconds: s"


def _put_timeline(file: h5py.File, result: Result) -> None:
    columns = [
        ("worker", "i4"),
        ("block", "i8"),
        ("blocks", "i8"),
        ("begin", "f8"),
        ("end", "f8"),
    ]
    rows = []
    for worker, timeline in enumerate(result.timelines):
        for span in timeline:
            rows.append((worker, *span))
    if rows:
        table = file.create_dataset("timeline", data=np.array(rows, np.dtype(columns)))
        table.attrs["description"] = (
            "spans of time in which a process (a row of workers) evaluated blocks, the first of"
            " which is named; times count from the barrier before the first block"
        )
        table.attrs["units"] = "blocks: 1, begin: s, end: s"


def _put_skipped(file: h5py.File, result: Result) -> None:
    if result.skipped:
        columns = [
            ("block", "i8"),
            ("start", "i8"),
            ("stop", "i8"),
            ("reason", _TEXT),
            ("traceback", _TEXT),
        ]
        rows = [
            (*block[:3], storable(block.reason), storable(block.details))
            for block in result.skipped
        ]
        table = file.create_dataset("skipped", data=np.array(rows, np.dtype(columns)))
        table.attrs["description"] = "blocks that failed, their items, and why"


def _put_partials(file: h5py.File, result: Result) -> None:
    try:
        in_order = range(result.plan.n_blocks)
        partials = unmasked([result.partials[index] for index in in_order])
    except KeyError:  # not kept
        return
    if partials is None:  # not of one shape, or type
        return
    if partials.dtype.kind in "biuf" and len(partials):
        _put(file, "partials", partials, "partial of each block, in block order")


def _attribute(value: Any) -> Any:
    if value is None:
        return h5py.Empty("f8")
    if isinstance(value, int):
        return as_stored(value)
    if isinstance(value, list):
        return [_attribute(item) for item in value] if value else h5py.Empty("f8")
    return value if isinstance(value, (bool, float)) else storable(str(value))
