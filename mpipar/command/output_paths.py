"""Where commands write pictures, pages and tables: what is there already must be one of these."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from mpipar.base.errors import BadInput
from mpipar.view.style import MAKER

PICTURES = {
    ".png": (b"\x89PNG",),
    ".pdf": (b"%PDF",),
    ".svg": (b"<?xml", b"<svg", b"<!DOCTYPE svg"),
}
"""How files with these endings begin."""


def check_target(option: str, path: Path, begins: Mapping[str, tuple[bytes, ...]]) -> None:
    """Raise BadInput if ``path`` can't be written, or would replace anything else than what it is
    going to be.

    Parameters
    ----------
    option : str
        Which names it.
    path : Path
    begins : mapping
        {ending that it may have: how such a file begins}.
    """
    ending = path.suffix.lower()
    if ending not in begins:
        endings = " or ".join(begins)
        raise BadInput(f"{option}: expected a name that ends in {endings}, got {str(path)!r}")
    _check_folder(option, path.parent)
    content = _content(option, path)
    if ending in PICTURES:
        what = "picture that mpipar drew"
        is_ours = content.startswith(begins[ending]) and MAKER.encode() in content
    else:
        what = "file that mpipar made"
        is_ours = content.startswith(begins[ending])
    if content and not is_ours:
        raise BadInput(f"{option}: {str(path)!r} exists and is not a {what}; it stays untouched")


def _check_folder(option: str, folder: Path) -> None:
    if not folder.is_dir():
        raise BadInput(f"{option}: there is no folder {str(folder)!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{option}: the folder {str(folder)!r} can't be written to")


def _content(option: str, path: Path) -> bytes:
    """Return what is in a file, or nothing if there is none. Raises BadInput for what is no regular
    file, or can't be read.
    """
    try:
        is_regular = stat.S_ISREG(path.stat().st_mode)
        content = path.read_bytes() if is_regular else b""
    except FileNotFoundError:
        return b""
    except (OSError, ValueError) as error:  # a zero byte in a name is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{option}: {reason}: {str(path)!r}") from None
    if not is_regular:
        raise BadInput(f"{option}: {str(path)!r} is not a regular file")
    return content
