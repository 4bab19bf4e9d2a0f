"""The files that values of parameters name."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def named_files(values: Iterable[Any]) -> Iterator[Path]:
    """Yield the regular files that values name, or texts in them."""
    for value in values:
        for text in texts(value):
            file = file_in(text)
            if file is not None:
                yield Path(file)


def texts(value: Any) -> Iterator[str]:
    """Yield the texts of a value: itself, or those in it."""
    if isinstance(value, (str, Path)):
        yield str(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)


def file_in(text: str) -> str | None:
    """Return the regular file that a text names, also as FILE.h5:/NAME."""
    inside = re.match(r"(.+\.\w+):", text)
    names = [text]
    if inside:
        names.append(inside[1])
    for name in names:
        try:
            if name and stat.S_ISREG(os.stat(name).st_mode):
                return name
        except (OSError, ValueError):
            continue
    return None
