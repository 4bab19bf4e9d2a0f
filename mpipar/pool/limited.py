"""A buffer for pickles that may not become large."""

from __future__ import annotations

import io
from typing import Any


class TooLarge(Exception):
    """A pickle has become larger than it may."""


class Limited(io.BytesIO):
    """What is pickled, up to a limit.

    Parameters
    ----------
    limit : int or None
        Bytes.
    """

    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any) -> int:  # noqa: D102
        size = memoryview(data).nbytes  # of a large array it is the buffer that comes
        if self._limit is not None and self.tell() + size > self._limit:
            raise TooLarge(f"it has more than {self._limit} bytes")
        return super().write(data)
