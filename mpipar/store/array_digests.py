"""Digests of what is in arrays, at the speed of the hash."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np

_LONG_DOUBLE = 10  # bytes of its 16 that mean something, on x86


def is_masked(kind: type) -> bool:
    """Return whether a type is that of masked arrays, whose module takes time to load."""
    return kind is getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)


def metadata_of(dtype: Any) -> str:
    """Return what the text of a type leaves out."""
    if dtype.metadata:
        return repr(dict(dtype.metadata))
    return ""


def in_memory_order(array: Any) -> Any:
    """Return all that is in an array, one after the other."""
    if array.flags.f_contiguous:
        return array.ravel(order="F")
    return array.ravel()


def digest_of_numbers(array: Any) -> bytes:
    """Return a digest of what is in an array, in the order of its memory."""
    numbers = in_memory_order(array)
    if not numbers.nbytes:
        return b""
    if not numbers.flags.c_contiguous:
        numbers = np.ascontiguousarray(numbers)
    data = numbers.view(np.uint8)
    if array.dtype.char in "gG" and np.finfo(np.longdouble).nmant == 63:
        data = np.ascontiguousarray(data.reshape(-1, 16)[:, :_LONG_DOUBLE])
    return hashlib.sha256(data).digest()
