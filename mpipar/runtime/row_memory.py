"""Memory for the rows of many blocks that are kept.

An array by itself has pages of 4 KiB, and to get each of them from the system takes longer than to
compute what is on it. Large pieces of memory have huge pages, where the system has them.
"""

from __future__ import annotations

import numpy as np

from mpipar.core.partials import Array

LARGEST_PIECE = 2**25
"""Bytes of a piece, at most; each is as large as all before it, so that few rows take little."""

_LINE = 64  # bytes of a line of the cache, where each array begins


class RowMemory:
    """Where arrays are copied to, one after the other."""

    def __init__(self) -> None:
        self._room = np.empty(0, np.uint8)
        self._used = 0

    def copy(self, array: Array) -> Array:
        """Return a copy of an array."""
        if array.dtype.hasobject or not array.nbytes:
            return array.copy()
        size = -(-array.nbytes // _LINE) * _LINE
        self._used += size
        if size > self._room.size:
            piece = min(self._used, LARGEST_PIECE)
            self._room = np.empty(max(size, piece), np.uint8)
        place, self._room = self._room[: array.nbytes], self._room[size:]
        copied = place.view(array.dtype).reshape(array.shape)
        copied[...] = array
        return copied
