"""Rows as data frames of pandas, which mpipar doesn't need otherwise."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput


def data_frame(name: str, rows: np.ndarray[Any, Any]) -> Any:
    """Return rows as a data frame: a column for each of the table's, or for each number of a row.

    Parameters
    ----------
    name : str
        What the rows are called: the column of what has but one.
    rows : numpy.ndarray

    Raises
    ------
    BadInput
        If rows have more dimensions than a data frame.
    ImportError
        If pandas isn't installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        raise ImportError("to_dataframe() takes pandas: pip install pandas") from None
    return pandas.DataFrame(_columns(name, rows))


def _columns(name: str, rows: np.ndarray[Any, Any]) -> Any:
    if rows.dtype.names is not None:
        columns = {column: rows[column] for column in rows.dtype.names}
        for column, values in columns.items():
            if values.ndim != 1:
                raise BadInput(
                    f"to_dataframe: {column!r} has {values.shape[1:]} numbers a row, which no"
                    " column can hold; take datasets[…] as an array"
                )
        return columns
    if rows.ndim == 1:
        return {name: rows}
    if rows.ndim == 2:
        return rows
    raise BadInput(
        f"to_dataframe: rows of shape {rows.shape[1:]} are no table; take datasets[…] as an array"
    )
