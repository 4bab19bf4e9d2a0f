"""Values that netCDF packed, with marks for what is missing.

Attributes as in the conventions for climate and forecast data (CF 1.11, sections 2.5.1 and 8.1),
decoded to the types that ``xarray.open_dataset`` gives. Where xarray and netCDF's own library
differ, and where values would need more than numbers, they are refused.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mpipar.base.errors import BadInput
from mpipar.core.reduction import Array
from mpipar.inputs.netcdf_attributes import attribute_of, default_fill, is_true_or_false

PAGE = 2**16
"""How many rows are checked at once."""

_MARKS = ("_FillValue", "missing_value")
_RANGES = ("valid_min", "valid_max", "valid_range")
CODING = ("scale_factor", "add_offset", *_MARKS, "_Unsigned", *_RANGES)
"""Attributes by which values aren't what they stand for, or not all of them."""
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
        self._attributes: dict[str, Array] = {}
        for name in CODING:
            if name in raw.attrs:
                self._attributes[name] = attribute_of(raw, name)
        self._stored = _stored_type(raw.dtype, self._attributes.get("_Unsigned"))
        self._is_signed_anew = self._stored != raw.dtype and self._stored.kind in "iu"
        self._scale = self._number("scale_factor")
        self._offset = self._number("add_offset")
        self._marks = [*self._marks_of("_FillValue"), *self._marks_of("missing_value")]
        self._ranges = [self._range_of(name) for name in _RANGES if name in self._attributes]
        self._fill = None if self._marks else default_fill(raw)
        self._is_bool = is_true_or_false(raw)
        self.dtype = self._type()

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, rows: Any) -> Array:
        """Return decoded values. Raises BadInput where it isn't sure what they stand for."""
        values = np.asarray(self.raw[rows])
        if self._stored.kind in "iu" and self._stored != values.dtype:
            values = _native(values).view(self._stored)
        missing = self._missing(values)
        self._check(values[~missing])
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
        is_packed = self._scale is not None or self._offset is not None
        if self._is_bool and (self._marks or is_packed):
            raise self._refusal(
                "true and false can't be packed, or have a mark for what is missing"
            )
        if self._is_bool:
            return np.dtype(bool)
        if is_packed:
            return self._unpacked_type()
        if not self._marks or self._stored.kind == "f":
            return self._stored
        if self._stored.itemsize <= 2:
            return np.dtype(np.float32)
        return np.dtype(np.float64)

    def _unpacked_type(self) -> np.dtype[Any]:
        if self._stored.kind == "f" and self._is_marked_by_nan():
            return self._stored
        if self._offset is None:
            return self._scaled_type()
        if self._scale is None or self._scale.dtype != self._offset.dtype:
            return np.dtype(np.float64)
        if self._stored in (np.int32, np.uint32):
            return np.dtype(np.float64)
        if self._offset.dtype == np.float32:
            return np.dtype(np.float32)
        return np.dtype(np.float64)

    def _is_marked_by_nan(self) -> bool:
        has_attribute = any(name in self._attributes for name in _MARKS)
        return has_attribute and not self._marks

    def _scaled_type(self) -> np.dtype[Any]:
        assert self._scale is not None
        if self._marks and self._scale.dtype.kind != "f":
            # Whole numbers have no value that stands for a missing one.
            return np.dtype(np.float64)
        return self._scale.dtype

    def _number(self, name: str) -> np.generic[Any] | None:
        value = self._attributes.get(name)
        if value is None:
            return None
        is_one_number = value.size == 1 and value.dtype.kind in "iuf"
        if not is_one_number or not np.isfinite(value.flat[0]):
            raise self._refusal(f"the attribute {name!r} should be a number, got {value.tolist()}")
        self._check_of_numbers(name)
        number: np.generic[Any] = value.flat[0]
        return number

    def _marks_of(self, name: str) -> list[Any]:
        """Return the values that stand for a missing one, as one attribute says."""
        value = self._attributes.get(name)
        if value is None:
            return []
        if value.dtype.kind not in "iuf" or self._stored.kind not in "iuf":
            raise self._refusal(
                f"its attribute {name!r} is {value.tolist()}, its values are {self._stored};"
                " only numbers can be missing"
            )
        marks = self._as_stored(value).ravel()
        return list(marks[~np.isnan(marks)])

    def _range_of(self, name: str) -> tuple[Any, Any]:
        """Return the least and the greatest of the values that are valid, as one attribute says."""
        value = self._attributes[name]
        expected = 2 if name == "valid_range" else 1
        if value.size != expected or value.dtype.kind not in "iuf":
            raise self._refusal(f"the attribute {name!r} should be numbers, got {value.tolist()}")
        self._check_of_numbers(name)
        value = self._as_stored(value)
        if name == "valid_min":
            return value.flat[0], None
        if name == "valid_max":
            return None, value.flat[0]
        return value.flat[0], value.flat[1]

    def _as_stored(self, value: Array) -> Array:
        """Return an attribute, which is in the type of the file, signed or not as values are."""
        if not self._is_signed_anew:
            return value
        in_file = value.astype(self.raw.dtype)
        return _native(in_file).view(self._stored)

    def _missing(self, values: Array) -> npt.NDArray[np.bool_]:
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

    def _check(self, present: Array) -> None:
        """Raise BadInput if it isn't sure what values that aren't missing stand for."""
        if self._fill is not None and (present == self._fill).any():
            raise self._refusal(
                f"there are values of {self._fill}, with which netCDF fills what was never written;"
                " write them, or give the variable the attribute '_FillValue'"
            )
        for least, greatest in self._ranges:
            self._check_range(present, least, greatest)
        if self._scale is not None and self.dtype.kind in "iu":
            self._check_product(present, int(self._scale))
        is_of_64_bits = self._stored in (np.int64, np.uint64)
        if is_of_64_bits and self.dtype == np.float64:
            self._check_exact(present)

    def _check_range(
        self,
        present: Array,
        least: Any,
        greatest: Any,
    ) -> None:
        outside = np.zeros(present.shape, bool)
        if least is not None:
            outside |= present < least
        if greatest is not None:
            outside |= present > greatest
        if outside.any():
            raise self._refusal(
                f"{present[outside].flat[0]} isn't in its valid range"
                " (attributes 'valid_min', 'valid_max', 'valid_range'),"
                " where xarray takes it and netCDF4 doesn't;"
                " mark such values by '_FillValue', or remove the attributes"
            )

    def _check_product(self, present: Array, scale: int) -> None:
        """Raise BadInput for whole numbers that, times a whole scale, are beyond its type, where
        xarray wraps them around.
        """
        limits = np.iinfo(self.dtype)
        for number in (present.min(), present.max()) if present.size else ():
            product = int(number) * scale
            if not limits.min <= product <= limits.max:
                raise self._refusal(
                    f"{number} times 'scale_factor' is {product}, beyond {self.dtype};"
                    " give 'scale_factor' a wider type"
                )

    def _check_exact(self, present: Array) -> None:
        """Raise BadInput for whole numbers of 64 bits that floats can't hold."""
        if not present.size:
            return
        least = int(present.min())
        greatest = int(present.max())
        if least < -_EXACT or greatest > _EXACT:
            raise self._refusal("whole numbers beyond 2**53, with missing ones, have no exact type")

    def _check_of_numbers(self, name: str) -> None:
        if self._stored.kind not in "iuf":
            raise self._refusal(f"{name!r} is for numbers, not for {self._stored}")

    def _refusal(self, why: str) -> BadInput:
        return BadInput(f"{self.where!r}: {why}")


def _stored_type(dtype: np.dtype[Any], unsigned: Array | None) -> np.dtype[Any]:
    """Return the type of what is stored, signed or not as ``_Unsigned`` says."""
    if unsigned is None or dtype.kind not in "iu":
        return dtype.newbyteorder("=")
    word = _first_word(unsigned).lower()
    if word == "true":
        return np.dtype(f"u{dtype.itemsize}")
    if word == "false":
        return np.dtype(f"i{dtype.itemsize}")
    raise BadInput(f'the attribute \'_Unsigned\' should be "true" or "false", got {word!r}')


def _native(values: Array) -> Array:
    """Return values in the byte order of this machine."""
    return values.astype(values.dtype.newbyteorder("="))


def _first_word(attribute: Array) -> str:
    if not attribute.size:
        return ""
    [word] = attribute.ravel()[:1].tolist()
    if isinstance(word, bytes):
        return word.decode()
    return str(word)
