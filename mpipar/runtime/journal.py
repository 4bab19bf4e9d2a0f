"""What happened to a batch job, one JSON object a line, for who looks after it.

The batch step (mpipar.batch.step) names the file in the environment, and writes into it when ranks
are started and how they ended; the root writes what only it knows: that all ranks have found each
other, where the result goes, and that it ended on purpose. What ends without a last word was
killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import time as now  # which a script may replace
from typing import Any

VARIABLE = "MPIPAR_JOURNAL"
"""The environment variable with the file's name."""

ALLOCATION = "allocation"
"""Ranks are being started."""

STARTED = "started"
"""The ranks have found each other."""

OUTPUT = "output"
"""The result file is theirs."""

SIGNAL = "signal"
"""A signal came."""

ENDED = "ended"
"""The program ended by itself."""

NEXT = "next"
"""What the step does about that."""

CANCEL = "cancel"
"""The user has cancelled the job."""

STEP = "step"
"""The step has begun."""

LOOK = "look"
"""The step has looked whether the journal can be written to."""


def tell(event: str, /, **details: Any) -> None:
    """Append an event, if this process is part of a batch job; an error is no harm."""
    name = os.environ.get(VARIABLE)
    if name:
        append(Path(name), event, **details)


def append(path: Path, event: str, /, **details: Any) -> None:
    """Append an event to a file; an error is no harm."""
    with contextlib.suppress(OSError):  # a full disk: the run is more than what is told of it
        append_line(path, {"event": event, "time": now(), **details})


def read(path: Path) -> list[dict[str, Any]]:
    """Return all events, in order; lines that aren't whole are left out, a file that isn't there
    has none.
    """
    return [line for line in read_lines(path) if isinstance(line.get("event"), str)]


def is_cancelled_now(path: Path) -> bool:
    """Return whether the user has cancelled a job, and wants no commit."""
    is_cancelled = False
    for event in read(path):
        if event["event"] == CANCEL:
            is_cancelled = event.get("now") is True
        elif event["event"] == STEP:
            is_cancelled = False
    return is_cancelled


def append_line(
    path: Path,
    values: Mapping[str, Any],
    *,
    flush: bool = False,
) -> None:
    """Append a JSON object to a file, as a line; ``flush`` waits until it is on the disk. Raises
    OSError.
    """
    from mpipar.base.json_text import json_text  # here, as each rank loads this module

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, (json_text(values) + "\n").encode())
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file, one a line; what isn't one is left out, a file that isn't
    there has none.
    """
    from mpipar.base.json_text import json_value

    with (
        contextlib.suppress(OSError, ValueError),
        path.open(encoding="utf-8", errors="replace") as file,
    ):
        for line in file:  # ValueError: a name with NUL in it
            with contextlib.suppress(ValueError, RecursionError):
                values = json_value(line)
                if isinstance(values, dict):
                    yield values
