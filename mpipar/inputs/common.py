"""What the readers share: checking and reading files, and words for messages."""

from __future__ import annotations

import codecs
import itertools
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput

Function = Callable[..., Any]
"""What a user's function is."""

_HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".nc")
_ANY_SUFFIX = "|".join(map(re.escape, _HDF5_SUFFIXES))
_IN_HDF5 = rf"(.*(?:{_ANY_SUFFIX})):(.*)"


_OF_OTHERS = {
    b"\x1f\x8b": "compressed (gzip); unpack it",
    b"PK\x03\x04": "a spreadsheet, or another zip archive; export it as CSV",
    codecs.BOM_UTF16_LE: "text in UTF-16; save it as UTF-8",
    codecs.BOM_UTF16_BE: "text in UTF-16; save it as UTF-8",
}
"""What files that aren't text, or not in UTF-8, begin with, and what to do."""


def split_where(where: str) -> tuple[Path, str]:
    """Return the file and what is named in it, or "", of ``file.h5:/group/name``."""
    found = re.fullmatch(_IN_HDF5, where, re.IGNORECASE | re.DOTALL)
    if found is None:
        return Path(where), ""
    return Path(found[1]), found[2]


def is_hdf5(where: str) -> bool:
    """Return whether ``where`` is ``file.h5`` or ``file.h5:/name``, by its look."""
    return split_where(where)[0].suffix.lower() in _HDF5_SUFFIXES


def check_file(path: Path) -> None:
    """Raise BadInput unless ``path`` is a regular file that can be read."""
    try:
        # A pipe or a device isn't opened: that could wait forever.
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise BadInput(f"{str(path)!r}: not a regular file")
        path.open("rb").close()
    except OSError as error:
        raise BadInput(f"{str(path)!r}: {(error.strerror or one_line(error)).lower()}") from None
    except BadInput:
        raise
    except ValueError as error:  # a NUL byte, or what UTF-8 can't hold
        raise BadInput(f"{str(path)!r}: not a path ({error})") from None


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, with a line feed at each line end.

    Raises BadInput, naming the line.
    """
    text = read_text_as_is(path)
    text = text.replace("\r\n", "\n")
    return text.replace("\r", "\n")


def read_text_as_is(path: Path) -> str:
    """Return the text of a file in UTF-8. Raises BadInput, naming the line."""
    check_file(path)
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise BadInput(f"{str(path)!r}: the file is empty")
    for start, kind in _OF_OTHERS.items():
        if data.startswith(start):
            raise BadInput(f"{str(path)!r}: {kind}")
    nul = data.find(b"\0")
    if nul >= 0:
        raise _not_utf8(path, data, nul, "there is a NUL byte")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, data, error.start, "not UTF-8 text") from None


def _not_utf8(
    path: Path,
    data: bytes,
    where: int,
    reason: str,
) -> BadInput:
    line = data.count(b"\n", 0, where) + 1
    return at_line(path, line, f"{reason}; save it as UTF-8")


def at_line(path: Path, line: int, what: object) -> BadInput:
    """Return the exception that says what is wrong in a line of a file."""
    return BadInput(f"{str(path)!r}, line {line}: {what}")


def one_line(error: BaseException) -> str:
    """Return the type and the first line of the message of an exception."""
    name = type(error).__name__
    reason = reason_of(error)
    return f"{name}: {reason}" if reason else name


def reason_of(error: BaseException) -> str:
    """Return the first line of the message of an exception."""
    message: object = error
    if isinstance(error, KeyError) and error.args:
        message = error.args[0]  # unquoted
    lines = str(message).splitlines()
    return lines[0] if lines else ""


def listed(names: Iterable[str], most: int = 10) -> str:
    """Return "a, b, c", with at most so many of the names."""
    first = list(itertools.islice(names, most + 1))
    if not first:
        return "none"
    if len(first) > most:
        first[most] = "…"
    return ", ".join(first)


def shortened(text: str, most: int = 60) -> str:
    """Return ``text``, quoted, on one line, and cut if it is long."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    return repr(text)
