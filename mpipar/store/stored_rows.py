"""The datasets of a result file, which are read when they are looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mpipar.core.reduction import Array


class StoredRows:
    """The rows of one dataset in a file: what is asked for is read then, and nothing else.

    ``rows[10:20]`` reads some of them, ``rows[:]`` or ``numpy.asarray(rows)`` all, as an array.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The dataset.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def __getitem__(self, selection: Any) -> Array:
        with h5py.File(self.path, "r") as file:
            return as_text(np.asarray(file[self.name][selection]))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return self[:].astype(dtype) if dtype is not None else self[:]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many rows there are, and of which shape."""
        with h5py.File(self.path, "r") as file:
            shape: tuple[int, ...] = file[self.name].shape
            return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the rows, as they are stored."""
        with h5py.File(self.path, "r") as file:
            dtype: np.dtype[Any] = file[self.name].dtype
            return dtype

    def __repr__(self) -> str:
        return f"<rows of /{self.name} in {str(self.path)!r}: {self.shape}, {self.dtype}>"


class StoredDatasets(Mapping[str, StoredRows]):
    """The datasets with these names in a file, {name: rows}; nothing is read until rows are looked
    at.
    """

    def __init__(self, path: str | Path, names: tuple[str, ...]) -> None:
        self.path, self._names = Path(os.path.abspath(path)), names

    def __getitem__(self, name: str) -> StoredRows:
        if name not in self._names:
            raise KeyError(name)
        return StoredRows(self.path, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<datasets {', '.join(self._names) or 'none'} in {str(self.path)!r}>"


def as_text(rows: Array) -> Array:
    """Return rows with text where HDF5 gives objects of bytes."""
    if rows.dtype.names:
        columns = {name: as_text(rows[name]) for name in rows.dtype.names}
        made = np.zeros(
            rows.shape,
            [(name, column.dtype, column.shape[rows.ndim :]) for name, column in columns.items()],
        )
        for name, column in columns.items():
            made[name] = column
        return made
    if h5py.check_string_dtype(rows.dtype) is None or rows.dtype.kind != "O":
        return rows
    texts = [
        item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        for item in rows.flat
    ]
    return np.array(texts, dtype=np.str_).reshape(rows.shape)
