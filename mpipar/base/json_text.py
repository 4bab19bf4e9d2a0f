"""JSON as mpipar writes and reads it, whatever a script has changed in :mod:`json`.

A script may put other functions in the place of :func:`json.dumps` and :func:`json.loads`, or
other separators in the class of its encoders.
"""

from __future__ import annotations

from json.decoder import JSONDecoder
from json.encoder import JSONEncoder
from typing import Any


def json_text(value: Any) -> str:
    """Return a value as JSON."""
    return JSONEncoder(separators=(", ", ": ")).encode(value)


def compact_json(value: Any) -> str:
    """Return a value as JSON without spaces. Raises ValueError for a NaN."""
    return JSONEncoder(separators=(",", ":"), allow_nan=False).encode(value)


def json_value(text: str | bytes | bytearray) -> Any:
    """Return what a JSON text says.

    Raises
    ------
    ValueError
        The text isn't JSON, or isn't UTF-8.
    """
    if not isinstance(text, str):
        text = text.decode()
    return JSONDecoder().decode(text)
