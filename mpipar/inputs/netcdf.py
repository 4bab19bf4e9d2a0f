"""How netCDF stores values in HDF5: packed, with marks for what is missing.

Attributes as in the conventions for climate and forecast data (CF 1.11, sections 2.5.1 and 8.1),
decoded to the types that ``xarray.open_dataset`` gives. Where xarray and netCDF's own library
differ, and where values would need more than numbers, they are refused.
"""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mpipar.base.errors import BadInput

PAGE = 2**16
"""How many rows are checked at once."""

_BARE_DIMENSION = "This is a netCDF dimension but not a netCDF variable"
_RENAMED = "_nc4_non_coord_"
_RANGES = ("valid_min", "valid_max", "valid_range")
_CODING = ("scale_factor", "add_offset", "_FillValue", "missing_value", "_Unsigned", *_RANGES)
_TIME = re.compile(r"\s*\w+\s+since\s+\S", re.IGNORECASE)
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
_EXACT = 2**53
"""Up to where a float64 holds each whole number."""


class Variable:
    """A dataset whose values are decoded as they are read. It is used as an ``h5py.Dataset`` is."""

    def __init__(self, raw: h5py.Dataset) -> None:
        self.raw = raw
        self.where = f"{raw.file.filename}:{raw.name}"
        self.shape: tuple[int, ...] = raw.shape
        self.size: int = raw.size
        self.name: str = raw.name
        self.file: h5py.File = raw.file
        attributes = {name: _attribute(raw, name) for name in _CODING if name in raw.attrs}
        self._stored = _stored_type(raw.dtype, attributes)
        self._scale = self._number(attributes, "scale_factor")
        self._offset = self._number(attributes, "add_offset")
        self._marks = self._marks_of(attributes)
        self._ranges = self._ranges_of(attributes)
        self._fill = None if self._marks else _default_fill(raw)
        self._is_bool = _text(raw, "dtype") == "bool" or _is_logical(raw)
        self.dtype = self._type()

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        """Return decoded values. Raises BadInput for those of which it isn't sure what they stand
        for.
        """
        values = np.asarray(self.raw[rows])
        if self._stored.kind in "iu" and self._stored != values.dtype:
            values = values.astype(values.dtype.newbyteorder("=")).view(self._stored)
        missing = self._missing(values)
        self._check(values, missing)
        decoded = values.astype(self.dtype)
        if self._scale is not None:
            decoded *= self._scale
        if self._offset is not None:
            decoded += self._offset
        if self._marks and self.dtype.kind == "f":
            decoded[missing] = np.nan
        return decoded

    def check(self) -> None:
        """Read all values. Raises BadInput for what :meth:`__getitem__` refuses."""
        for start in range(0, len(self), PAGE):
            self[start : start + PAGE]

    def _type(self) -> np.dtype[Any]:
        """Return the type of decoded values, by the rules of xarray."""
        if self._is_bool:
            if self._marks or self._scale is not None or self._offset is not None:
                raise BadInput(
                    f"{self.where!r}: true and false can't be packed, or have a mark for what is"
                    " missing"
                )
            return np.dtype(bool)
        if self._scale is not None or self._offset is not None:
            return self._unpacked_type()
        if not self._marks or self._stored.kind == "f":
            return self._stored
        return np.dtype(np.float32 if self._stored.itemsize <= 2 else np.float64)

    def _unpacked_type(self) -> np.dtype[Any]:
        scale, offset = self._scale, self._offset
        is_marked_by_nan = "_FillValue" in self.raw.attrs or "missing_value" in self.raw.attrs
        if self._stored.kind == "f" and is_marked_by_nan and not self._marks:
            return self._stored
        if offset is None:
            assert scale is not None
            # Whole numbers have no value that stands for a missing one.
            return np.dtype(np.float64) if self._marks and scale.dtype.kind != "f" else scale.dtype
        alike = (
            scale is not None
            and scale.dtype == offset.dtype
            and offset.dtype in (np.float32, np.float64)
        )
        if not alike or (self._stored.itemsize == 4 and self._stored.kind in "iu"):
            return np.dtype(np.float64)
        return offset.dtype

    def _number(self, attributes: dict[str, Any], name: str) -> np.generic[Any] | None:
        if name not in attributes:
            return None
        value = attributes[name]
        if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value.flat[0]):
            raise BadInput(
                f"{self.where!r}: the attribute {name!r} should be a number, got {value.tolist()}"
            )
        if self._stored.kind not in "iuf":
            raise BadInput(f"{self.where!r}: {name!r} is for numbers, not for {self._stored}")
        number: np.generic[Any] = value.flat[0]
        return number

    def _marks_of(self, attributes: dict[str, Any]) -> list[Any]:
        """Return the values that stand for a missing one."""
        marks = []
        for name in ("_FillValue", "missing_value"):
            value = attributes.get(name)
            if value is None:
                continue
            if value.dtype.kind not in "iuf" or self._stored.kind not in "iuf":
                raise BadInput(
                    f"{self.where!r}: its attribute {name!r} is {value.tolist()}, its values are"
                    f" {self._stored}; only numbers can be missing"
                )
            if self._stored != self.raw.dtype and self._stored.kind in "iu":
                # A mark is written in the type of the file.
                value = value.astype(self.raw.dtype.newbyteorder("=")).view(self._stored)
            marks += [mark for mark in value.ravel() if not np.isnan(mark)]
        return marks

    def _ranges_of(self, attributes: dict[str, Any]) -> list[tuple[Any, Any]]:
        """Return the least and the greatest of the values that are valid."""
        ranges = []
        for name in _RANGES:
            value = attributes.get(name)
            if value is None:
                continue
            if value.size != (2 if name == "valid_range" else 1) or value.dtype.kind not in "iuf":
                raise BadInput(
                    f"{self.where!r}: the attribute {name!r} should be numbers, got"
                    f" {value.tolist()}"
                )
            if self._stored.kind not in "iuf":
                raise BadInput(f"{self.where!r}: {name!r} is for numbers, not for {self._stored}")
            if self._stored != self.raw.dtype and self._stored.kind in "iu":
                value = value.astype(self.raw.dtype.newbyteorder("=")).view(self._stored)
            first, last = value.flat[0], value.flat[-1]
            ranges.append(
                (None if name == "valid_max" else first, None if name == "valid_min" else last)
            )
        return ranges

    def _missing(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        missing = np.zeros(values.shape, bool)
        if values.dtype.kind not in "iuf":
            return missing
        for mark in self._marks:
            missing |= values == mark
            if values.dtype.kind == "f":
                missing |= values == values.dtype.type(mark)  # 1e20 of 64 bits marks that of 32
        if values.dtype.kind == "f":
            missing |= np.isnan(values)
        return missing

    def _check(self, values: npt.NDArray[Any], missing: npt.NDArray[np.bool_]) -> None:
        present = values[~missing]
        if self._fill is not None and (present == self._fill).any():
            raise BadInput(
                f"{self.where!r}: there are values of {self._fill}, with which netCDF fills what"
                " was never written; write them, or give the variable the attribute '_FillValue'"
            )
        for least, greatest in self._ranges:
            outside = np.zeros(present.shape, bool)
            if least is not None:
                outside |= present < least
            if greatest is not None:
                outside |= present > greatest
            if outside.any():
                raise BadInput(
                    f"{self.where!r}: {present[outside].flat[0]} isn't in its valid range"
                    " (attributes 'valid_min', 'valid_max', 'valid_range'), where xarray takes it"
                    " and netCDF4 doesn't; mark such values by '_FillValue', or remove the"
                    " attributes"
                )
        into_floats = (
            self.dtype == np.float64 and self._stored.kind in "iu" and self._stored.itemsize == 8
        )
        if (
            into_floats
            and present.size
            and (int(present.max()) > _EXACT or int(present.min()) < -_EXACT)
        ):
            raise BadInput(
                f"{self.where!r}: whole numbers beyond 2**53, with missing ones, have no exact type"
            )


def decoded(dataset: h5py.Dataset) -> h5py.Dataset | Variable:
    """Return a dataset as it is if its values are what they stand for, or as a :class:`Variable`.
    Raises BadInput.
    """
    where = f"{dataset.file.filename}:{dataset.name}"
    attributes = dataset.attrs
    if not len(attributes):
        return dataset
    if is_bare_dimension(dataset):
        raise BadInput(f"{where!r}: a dimension of netCDF without values")
    _check_matlab(where, dataset)
    if dataset.shape is None:
        return dataset
    if dataset.dtype.kind in "iuf" and _is_time(dataset):
        raise BadInput(
            f"{where!r}: times ({_text(dataset, 'units')!r}) aren't decoded; save them as numbers"
            " without the attribute 'units', or as text"
        )
    _check_encoding(where, dataset)
    _check_complete(where, dataset)
    is_coded = (
        any(name in attributes for name in _CODING)
        or _text(dataset, "dtype") == "bool"
        or _is_logical(dataset)
    )
    if is_coded or _default_fill(dataset) is not None:
        return Variable(dataset)
    return dataset


def is_bare_dimension(dataset: h5py.Dataset) -> bool:
    """Return whether it only says how long a dimension of netCDF is."""
    return (
        _text(dataset, "NAME").startswith(_BARE_DIMENSION)
        and _text(dataset, "CLASS") == "DIMENSION_SCALE"
    )


def variable_name(name: str) -> str:
    """Return the name that netCDF shows for that of a dataset."""
    return name.removeprefix(_RENAMED)


def check_same_dimension(where: str, datasets: dict[str, h5py.Dataset]) -> None:
    """Raise BadInput if columns have different dimensions of netCDF: their rows don't belong
    together.
    """
    dimensions: dict[str, str] = {}
    for name, dataset in datasets.items():
        if is_netcdf(dataset) and (dimension := _dimension(dataset)):
            dimensions.setdefault(dimension, name)
    if len(dimensions) > 1:
        (one, first), (other, second) = list(dimensions.items())[:2]
        raise BadInput(
            f"{where!r}: {first!r} is along the dimension {one!r}, {second!r} along {other!r}: "
            "not the columns of one table"
        )


def is_netcdf(dataset: h5py.Dataset) -> bool:
    """Return whether a library for netCDF wrote the dataset."""
    own = ("_Netcdf4Dimid", "_Netcdf4Coordinates", "DIMENSION_LIST")
    return "_NCProperties" in dataset.file.attrs or any(name in dataset.attrs for name in own)


def check_signature(path: str) -> None:
    """Raise BadInput for netCDF's older formats, which aren't HDF5."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start in (b"CDF\x01", b"CDF\x02", b"CDF\x05"):
        raise BadInput(
            f"{path!r}: netCDF of the classic format (version {start[3]}), not HDF5; convert it: "
            "nccopy -k netCDF-4 OLD.nc NEW.nc"
        )


def _attribute(dataset: h5py.Dataset, name: str) -> npt.NDArray[Any]:
    value = dataset.attrs[name]
    return np.empty(0) if isinstance(value, h5py.Empty) else np.asarray(value)


def _text(dataset: h5py.Dataset, name: str) -> str:
    """Return an attribute if it is text, or ""."""
    if name not in dataset.attrs:
        return ""
    value = _attribute(dataset, name)
    text = value.flat[0] if value.size == 1 else ""
    if isinstance(text, bytes):
        return text.decode(errors="replace")
    return str(text) if isinstance(text, str) else ""


def _is_time(dataset: h5py.Dataset) -> bool:
    return bool(_TIME.match(_text(dataset, "units"))) or _text(dataset, "dtype").startswith(
        ("timedelta", "datetime")
    )


def _is_logical(dataset: h5py.Dataset) -> bool:
    return _text(dataset, "MATLAB_class") == "logical"


def _stored_type(dtype: np.dtype[Any], attributes: dict[str, Any]) -> np.dtype[Any]:
    """Return the type of what is stored, signed or not as ``_Unsigned`` says."""
    native = dtype.newbyteorder("=")
    if "_Unsigned" not in attributes or dtype.kind not in "iu":
        return native
    text = attributes["_Unsigned"].ravel()[:1].tolist()
    is_unsigned = (
        text[0].decode() if text and isinstance(text[0], bytes) else "".join(map(str, text))
    ).lower()
    if is_unsigned not in ("true", "false"):
        raise BadInput(
            f'the attribute \'_Unsigned\' should be "true" or "false", got {is_unsigned!r}'
        )
    return np.dtype(f"{'u' if is_unsigned == 'true' else 'i'}{dtype.itemsize}")


def _default_fill(dataset: h5py.Dataset) -> Any:
    """Return what netCDF put where nothing was written, or None."""
    if not is_netcdf(dataset) or "_FillValue" in dataset.attrs:
        return None
    dtype = dataset.dtype
    if dtype.kind == "f" and dtype.itemsize >= 4:
        return dtype.newbyteorder("=").type(_LARGEST_FLOAT)
    fill = _DEFAULT_FILLS.get(f"{dtype.kind}{dtype.itemsize}")
    is_filled = fill is not None and dataset.fillvalue == fill
    return fill if is_filled else None


def _dimension(dataset: h5py.Dataset) -> str:
    """Return the dimension of a list, or "" if it isn't known."""
    if _text(dataset, "CLASS") == "DIMENSION_SCALE":
        return str(dataset.name)
    if "DIMENSION_LIST" in dataset.attrs and len(dataset.dims[0]):
        return str(dataset.dims[0][0].name)
    return ""


def _check_complete(where: str, dataset: h5py.Dataset) -> None:
    """Refuse a list that is shorter than its dimension: netCDF fills the rest."""
    if not is_netcdf(dataset) or "DIMENSION_LIST" not in dataset.attrs:
        return
    for axis, length in enumerate(dataset.shape):
        scales = dataset.dims[axis]
        if len(scales) and scales[0].shape and scales[0].shape[0] > length:
            raise BadInput(
                f"{where!r}: {length} values were written of the {scales[0].shape[0]} "
                f"of its dimension {scales[0].name!r}"
            )


def _check_encoding(where: str, dataset: h5py.Dataset) -> None:
    encoding = _text(dataset, "_Encoding").lower().replace("_", "-")
    if encoding not in ("", "utf-8", "utf8", "ascii", "us-ascii"):
        raise BadInput(f"{where!r}: its text is in {encoding}; save it in UTF-8")


def _check_matlab(where: str, dataset: h5py.Dataset) -> None:
    kind = _text(dataset, "MATLAB_class")
    if dataset.attrs.get("MATLAB_empty"):
        raise BadInput(f"{where!r}: an empty array of MATLAB")
    if kind == "char":
        raise BadInput(f"{where!r}: text of MATLAB is stored as numbers, and isn't decoded")
    if "MATLAB_sparse" in dataset.parent.attrs:
        raise BadInput(f"{where!r}: a part of a sparse matrix of MATLAB, which isn't decoded")
