"""The datasets of a result file, which are read when they are looked at."""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

from mpipar.core.reduction import Array
from mpipar.store.sealed_rows import SealedRows, bytes_of, sealed_rows
from mpipar.store.wide import StoredColumns

Stored: TypeAlias = h5py.Dataset | StoredColumns


class LazyRows(ABC):
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
        self.path = path
        self.name = name

    @abstractmethod
    def _stored(self) -> AbstractContextManager[Stored]:
        """Give what reads the rows."""

    @abstractmethod
    def _sealed(self) -> AbstractContextManager[Mapping[int, SealedRows]]:
        """Give the rows that are to be compared with their checksums, by their places."""

    def __getitem__(self, selection: Any) -> Array:
        with self._stored() as stored:
            self._check(stored, selection)
            return as_text(np.asarray(stored[selection]))

    def _check(self, stored: Stored, selection: Any) -> None:
        """Raise BadInput if what is selected is in large rows that are damaged."""
        if not isinstance(stored, h5py.Dataset):
            return
        with self._sealed() as sealed:
            place = stored.id.get_offset()
            rows = sealed.get(place)
            if rows is None:
                return
            size = stored.id.get_storage_size()
            begin, end = bytes_of(selection, stored.shape, size)
            rows.check(begin, end)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        rows = self[:]
        return rows if dtype is None else rows.astype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many rows there are, and of which shape."""
        with self._stored() as stored:
            shape: tuple[int, ...] = stored.shape
            return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the rows, as they are stored."""
        with self._stored() as stored:
            dtype: np.dtype[Any] = stored.dtype
            return dtype

    def __repr__(self) -> str:
        return f"<rows of /{self.name} in {str(self.path)!r}: {self.shape}, {self.dtype}>"


class StoredRows(LazyRows):
    """The rows of a dataset in a file that is opened for each look at them, and can be sent to
    other processes.
    """

    @contextmanager
    def _stored(self) -> Iterator[Stored]:
        with h5py.File(self.path, "r") as file:
            yield _in(file, self.name)

    @contextmanager
    def _sealed(self) -> Iterator[Mapping[int, SealedRows]]:
        with self.path.open("rb") as file:
            yield sealed_rows(self.path, file)

    @contextmanager
    def kept_open(self) -> Iterator[OpenRows]:
        """Give the same rows for many looks at them, for which the file is opened once."""
        with h5py.File(self.path, "r") as file, self._sealed() as sealed:
            yield OpenRows(file, self.path, self.name, sealed)


class OpenRows(LazyRows):
    """The rows of a dataset in a file that is open.

    Parameters
    ----------
    file : h5py.File
    path : Path
        Its name.
    name : str
        The dataset.
    sealed : mapping
        {place: rows} of those that are to be compared with their checksums.
    """

    def __init__(
        self,
        file: h5py.File,
        path: Path,
        name: str,
        sealed: Mapping[int, SealedRows],
    ) -> None:
        super().__init__(path, name)
        self._file = file
        self._large = sealed

    def _stored(self) -> AbstractContextManager[Stored]:
        if not self._file:
            raise ValueError(f"the result of {str(self.path)!r} was closed")
        return nullcontext(self._found)

    @functools.cached_property
    def _found(self) -> Stored:
        """What reads the rows; to open each of thousands of columns takes seconds."""
        return _in(self._file, self.name)

    def _sealed(self) -> AbstractContextManager[Mapping[int, SealedRows]]:
        return nullcontext(self._large)


def _in(file: h5py.File, name: str) -> Stored:
    item = file[name]
    return StoredColumns(item) if isinstance(item, h5py.Group) else item


class StoredDatasets(Mapping[str, StoredRows]):
    """The datasets with these names in a file, {name: rows}; nothing is read until rows are looked
    at.
    """

    def __init__(self, path: str | Path, names: tuple[str, ...]) -> None:
        self.path = Path(os.path.abspath(path))
        self._names = names

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
        return _table_as_text(rows)
    is_text = h5py.check_string_dtype(rows.dtype) is not None and rows.dtype.kind == "O"
    if not is_text:
        return rows
    texts = []
    for item in rows.flat:
        texts.append(item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item))
    return np.array(texts, dtype=np.str_).reshape(rows.shape)


def _table_as_text(rows: Array) -> Array:
    columns = {name: as_text(rows[name]) for name in rows.dtype.names or ()}
    types = []
    for name, column in columns.items():
        types.append((name, column.dtype, column.shape[rows.ndim :]))
    made = np.zeros(rows.shape, types)
    for name, column in columns.items():
        made[name] = column
    return made
