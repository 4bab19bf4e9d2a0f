"""Which types of rows HDF5 can hold, and as what."""

from __future__ import annotations

import functools
from typing import Any

import h5py
import numpy as np

from mpipar.core.row_types import common_dtype
from mpipar.store.wide import check_names, fits_one_type


@functools.lru_cache(maxsize=16)
def check_type(dtype: np.dtype[Any]) -> None:
    """Raise TypeError for rows that HDF5 can't hold."""
    if not fits_one_type(in_hdf5(common_dtype([dtype]))):
        check_names(dtype)
    for name in dtype.names or ():
        check_type(dtype[name])
    if dtype.base.kind not in "biufcSUV":
        raise TypeError(f"datasets can't hold {dtype}")


def in_hdf5(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type as HDF5 stores it: text of any length for NumPy's text of fixed length."""
    if dtype.names:
        return np.dtype([(name, in_hdf5(dtype[name])) for name in dtype.names])
    if dtype.kind != "U":
        return dtype
    text: np.dtype[Any] = h5py.string_dtype()
    return text
