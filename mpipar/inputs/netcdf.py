"""Datasets of HDF5 that netCDF wrote, or MATLAB: their values, or why they can't be had."""

from __future__ import annotations

import functools

import h5py

from mpipar.base.errors import BadInput
from mpipar.inputs.netcdf_attributes import (
    default_fill,
    dimension_of,
    is_bare_dimension,
    is_netcdf,
    is_time,
    is_true_or_false,
    text_of,
)
from mpipar.inputs.packed import CODING, Variable

_ENCODINGS = ("", "utf-8", "utf8", "ascii", "us-ascii")
_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")


def decoded(dataset: h5py.Dataset) -> h5py.Dataset | Variable:
    """Return a dataset as it is if its values are what they stand for, or as a Variable.

    Raises BadInput.
    """
    if not len(dataset.attrs):
        return dataset
    where = f"{dataset.file.filename}:{dataset.name}"
    if is_bare_dimension(dataset):
        raise BadInput(f"{where!r}: a dimension of netCDF without values")
    _check_matlab(where, dataset)
    if dataset.shape is None:
        return dataset
    if dataset.dtype.kind in "iuf" and is_time(dataset):
        raise BadInput(
            f"{where!r}: times ({text_of(dataset, 'units')!r}) aren't decoded;"
            " save them as numbers without the attribute 'units', or as text"
        )
    _check_encoding(where, dataset)
    _check_complete(where, dataset)
    return Variable(dataset) if _is_coded(dataset) else dataset


def _is_coded(dataset: h5py.Dataset) -> bool:
    """Return whether some values aren't, or may not be, what they stand for."""
    if any(name in dataset.attrs for name in CODING):
        return True
    return is_true_or_false(dataset) or default_fill(dataset) is not None


def check_same_dimension(where: str, datasets: dict[str, h5py.Dataset]) -> None:
    """Raise BadInput if columns have different dimensions of netCDF.

    Their rows don't belong together.
    """
    column_along: dict[str, str] = {}
    for name, dataset in datasets.items():
        dimension = dimension_of(dataset) if is_netcdf(dataset) else ""
        if dimension:
            column_along.setdefault(dimension, name)
    if len(column_along) > 1:
        (one, first), (other, second), *_ = column_along.items()
        raise BadInput(
            f"{where!r}: {first!r} is along the dimension {one!r}, {second!r} along {other!r}:"
            " not the columns of one table"
        )


def check_signature(path: str) -> None:
    """Raise BadInput for netCDF's older formats, which aren't HDF5."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start in _CLASSIC:
        raise BadInput(
            f"{path!r}: netCDF of the classic format (version {start[3]}), not HDF5;"
            " convert it: nccopy -k netCDF-4 OLD.nc NEW.nc"
        )


def _check_complete(where: str, dataset: h5py.Dataset) -> None:
    """Refuse a list that is shorter than its dimension: netCDF fills the rest."""
    if not is_netcdf(dataset) or "DIMENSION_LIST" not in dataset.attrs:
        return
    for axis, length in enumerate(dataset.shape):
        scales = dataset.dims[axis]
        if not len(scales) or not scales[0].shape:
            continue
        expected = _length_of(scales[0])
        if length < expected:
            raise BadInput(
                f"{where!r}: {length} values were written of the {expected}"
                f" of its dimension {scales[0].name!r}"
            )


@functools.lru_cache(maxsize=16)
def _length_of(scale: h5py.Dataset) -> int:
    """Return how long a dimension is: an unlimited one is as long as the longest that is along
    it.
    """
    longest: int = scale.shape[0]
    if "REFERENCE_LIST" not in scale.attrs:
        return longest
    for reference, axis in scale.attrs["REFERENCE_LIST"]:
        shape = scale.file[reference].shape if reference else ()
        if axis < len(shape):
            longest = max(longest, shape[axis])
    return longest


def _check_encoding(where: str, dataset: h5py.Dataset) -> None:
    encoding = text_of(dataset, "_Encoding").lower().replace("_", "-")
    if encoding not in _ENCODINGS:
        raise BadInput(f"{where!r}: its text is in {encoding}; save it in UTF-8")


def _check_matlab(where: str, dataset: h5py.Dataset) -> None:
    kind = text_of(dataset, "MATLAB_class")
    if dataset.attrs.get("MATLAB_empty"):
        raise BadInput(f"{where!r}: an empty array of MATLAB")
    if kind == "char":
        raise BadInput(f"{where!r}: text of MATLAB is stored as numbers, and isn't decoded")
    if "MATLAB_sparse" in dataset.parent.attrs:
        raise BadInput(f"{where!r}: a part of a sparse matrix of MATLAB, which isn't decoded")
