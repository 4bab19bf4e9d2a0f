"""What happened to a batch job, one JSON object a line, for who looks after it.

The batch step (mpipar.batch.step) names the file in the environment, and writes into it when ranks
are started and how they ended; the root writes what only it knows: that all ranks have found each
other, where the result goes, and that it ended on purpose. What ends without a last word was
killed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

VARIABLE = "MPIPAR_JOURNAL"
"""The environment variable with the file's name."""

ALLOCATION, STARTED, OUTPUT, SIGNAL = "allocation", "started", "output", "signal"
ENDED, NEXT, CANCEL = "ended", "next", "cancel"
STEP, LOOK = "step", "look"
"""Events: ranks are being started; they have found each other; the result file is theirs; a signal
came; the program ended by itself; what the step does about that; the user has cancelled the job;
the
step has begun; it has looked whether the journal can be written to."""


def tell(event: str, /, **details: Any) -> None:
    """Append an event, if this process is part of a batch job; an error is no harm."""
    name = os.environ.get(VARIABLE)
    if name:
        append(Path(name), event, **details)


def append(path: Path, event: str, /, **details: Any) -> None:
    """Append an event to a file; an error is no harm."""
    with contextlib.suppress(OSError):  # a full disk: the run is more than what is told of it
        append_line(path, {"event": event, "time": time.time(), **details})


def read(path: Path) -> list[dict[str, Any]]:
    """Return all events, in order; lines that aren't whole are left out, a file that isn't there
    has none.
    """
    return [line for line in read_lines(path) if isinstance(line.get("event"), str)]


def is_cancelled_now(path: Path) -> bool:
    """Return whether the user has cancelled a job, and wants no commit."""
    last = [event for event in read(path) if event["event"] in (CANCEL, STEP)][-1:]
    return bool(last) and last[0]["event"] == CANCEL and last[0].get("now") is True


def append_line(path: Path, values: Mapping[str, Any], *, flush: bool = False) -> None:
    """Append a JSON object to a file, as a line; ``flush`` waits until it is on the disk. Raises
    OSError.
    """
    import json  # each rank loads this module

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, (json.dumps(values) + "\n").encode())
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file, one a line; what isn't one is left out, a file that isn't
    there has none.
    """
    import json

    with (
        contextlib.suppress(OSError, ValueError),
        path.open(encoding="utf-8", errors="replace") as file,
    ):
        for line in file:  # ValueError: a name with NUL in it
            with contextlib.suppress(ValueError, RecursionError):
                values = json.loads(line)
                if isinstance(values, dict):
                    yield values
