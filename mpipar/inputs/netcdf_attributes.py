"""What netCDF's attributes say of a dataset."""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np

from mpipar.core.reduction import Array

_BARE_DIMENSION = "This is a netCDF dimension but not a netCDF variable"
_OWN = ("_Netcdf4Dimid", "_Netcdf4Coordinates", "DIMENSION_LIST")
_RENAMED = "_nc4_non_coord_"
_TIME = re.compile(r"\s*\w+\s+since\s+\S", re.IGNORECASE)
_TIME_TYPES = ("timedelta", "datetime")
_LARGEST_FLOAT = 9.969209968386869e36
"""What netCDF fills with where nothing was written (NC_FILL_FLOAT, NC_FILL_DOUBLE)."""
_DEFAULT_FILLS = {
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
}


def attribute_of(dataset: h5py.Dataset, name: str) -> Array:
    """Return the values of an attribute that is there."""
    value = dataset.attrs[name]
    if isinstance(value, h5py.Empty):
        return np.empty(0)
    return np.asarray(value)


def text_of(dataset: h5py.Dataset, name: str) -> str:
    """Return an attribute if it is text, or ""."""
    if name not in dataset.attrs:
        return ""
    value = attribute_of(dataset, name)
    if value.size != 1:
        return ""
    text = value.flat[0]
    if isinstance(text, bytes):
        return text.decode(errors="replace")
    if isinstance(text, str):
        return str(text)
    return ""


def is_netcdf(dataset: h5py.Dataset) -> bool:
    """Return whether a library for netCDF wrote the dataset."""
    if "_NCProperties" in dataset.file.attrs:
        return True
    return any(name in dataset.attrs for name in _OWN)


def is_bare_dimension(dataset: h5py.Dataset) -> bool:
    """Return whether it only says how long a dimension of netCDF is."""
    is_bare = text_of(dataset, "NAME").startswith(_BARE_DIMENSION)
    return is_bare and text_of(dataset, "CLASS") == "DIMENSION_SCALE"


def variable_name(name: str) -> str:
    """Return the name that netCDF shows for that of a dataset."""
    return name.removeprefix(_RENAMED)


def dimension_of(dataset: h5py.Dataset) -> str:
    """Return the dimension of a list, or "" if it isn't known."""
    if text_of(dataset, "CLASS") == "DIMENSION_SCALE":
        return str(dataset.name)
    if "DIMENSION_LIST" in dataset.attrs and len(dataset.dims[0]):
        return str(dataset.dims[0][0].name)
    return ""


def is_time(dataset: h5py.Dataset) -> bool:
    """Return whether its numbers stand for times."""
    if _TIME.match(text_of(dataset, "units")):
        return True
    return text_of(dataset, "dtype").startswith(_TIME_TYPES)


def is_true_or_false(dataset: h5py.Dataset) -> bool:
    """Return whether its numbers stand for true and false, as xarray or MATLAB stores them."""
    if text_of(dataset, "dtype") == "bool":
        return True
    return text_of(dataset, "MATLAB_class") == "logical"


def default_fill(dataset: h5py.Dataset) -> Any:
    """Return what netCDF put where nothing was written, or None."""
    if not is_netcdf(dataset) or "_FillValue" in dataset.attrs:
        return None
    dtype = dataset.dtype
    if dtype.kind == "f" and dtype.itemsize >= 4:
        return dtype.newbyteorder("=").type(_LARGEST_FLOAT)
    fill = _DEFAULT_FILLS.get(f"{dtype.kind}{dtype.itemsize}")
    if fill is None or dataset.fillvalue != fill:
        return None
    return fill
