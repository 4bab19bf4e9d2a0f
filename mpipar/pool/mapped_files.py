"""Arrays of NumPy over mapped files, in global variables: workers map the file, and copy nothing.

So they see what others write there, and what they write is in the file, as with forked workers.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any


def reduced(array: Any) -> Any:
    """Reduce an array over a mapped file to the file and where in it it is.

    Returns
    -------
    tuple or None
        None if it is no such array, or its changes don't reach the file.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or type(array) not in (numpy.ndarray, numpy.memmap, numpy.recarray):
        return None
    whole = _mapped(array, numpy)
    if whole is None or whole.mode == "c" or whole.filename is None:
        return None
    mode = "r"
    if whole.mode != "r":
        whole.flush()
        mode = "r+"
    start = whole.offset - whole.offset % mmap.ALLOCATIONGRANULARITY
    size = len(whole._mmap)
    position = _address(array) - _address(numpy.frombuffer(whole._mmap, numpy.uint8))
    if not 0 <= position < size:
        return None
    file = str(whole.filename), mode, start, size
    place = array.shape, array.dtype, position, array.strides
    return _array, (type(array), file, place, whole.offset, array.flags.writeable)


def _mapped(array: Any, numpy: Any) -> Any:
    """Return the mapped file that an array is, or is a view of; None if there is none."""
    while isinstance(array, numpy.ndarray):
        if isinstance(array, numpy.memmap) and array._mmap is not None:
            return array
        array = array.base
    return None


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def _array(
    kind: Any,
    file: tuple[str, str, int, int],
    place: tuple[Any, Any, int, Any],
    offset: int,
    writeable: bool,
) -> Any:
    """Return an array over a mapped file: what such a pickle calls."""
    import numpy

    path, mode, start, size = file
    shape, dtype, position, strides = place
    whole = numpy.memmap(path, numpy.uint8, mode, start, (size,))  # type: ignore[call-overload]
    buffer = whole
    if kind is numpy.memmap:
        buffer = whole._mmap
    array = numpy.ndarray.__new__(kind, shape, dtype, buffer, position, strides)
    if kind is numpy.memmap:
        vars(array).update(vars(whole))
        array.offset = offset
    if not writeable:
        array.flags.writeable = False
    return array
