"""What ``mpipar model`` writes: a file, or all that there are into a folder."""

from __future__ import annotations

import os
from pathlib import Path

from mpipar.base.errors import BadInput
from mpipar.command.output_paths import PICTURES, check_target
from mpipar.core.parameters import one_of
from mpipar.predict import picture
from mpipar.predict.report import COLUMNS, PAGE_HEAD, Prediction, as_csv, as_markdown
from mpipar.store.files import write_text
from mpipar.view import style

_TEXTS = {".md": as_markdown, ".csv": as_csv}
_BEGINS = {".md": (PAGE_HEAD.encode(),), ".csv": (",".join(COLUMNS)[:60].encode(),), **PICTURES}


def checked_output(path: Path | None) -> Path | None:
    """Return where to write; a folder may be new, but not the one that it is in.

    Raises
    ------
    BadInput
        If it can't be written to.
    """
    if path is None:
        return None
    is_other_kind = path.suffix and path.suffix not in _BEGINS and not path.is_dir()
    if is_other_kind:
        kinds = one_of(tuple(_BEGINS))
        raise _unfit(f"expected a folder, or a file of {kinds}, got {str(path)!r}")
    around = path.absolute().parent
    if not around.is_dir():
        raise _unfit(f"there is no folder {str(path.parent)!r}")
    if _is_single_file(path):
        _check_file(path)
    elif path.exists():
        _check_folder(path)
    elif not os.access(around, os.W_OK | os.X_OK):
        raise _unfit(f"the folder {str(path.parent)!r} can't be written to")
    return path


def _check_file(path: Path) -> None:
    check_target("--output", path, _BEGINS)
    if path.suffix in PICTURES and not style.is_possible():
        raise _unfit(style.HOW_TO)


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        raise _unfit(f"{str(path)!r} is not a folder")
    for file in _files(path):
        check_target("--output", file, _BEGINS)


def write(prediction: Prediction, output: Path) -> str:
    """Write all that goes to ``output``; return what is to be said about it."""
    wanted = _files(output)
    if not _is_single_file(output):
        output.mkdir(exist_ok=True)
    texts = [path for path in wanted if path.suffix in _TEXTS]
    pictures = [path for path in wanted if path.suffix in PICTURES]
    for path in texts:
        write_text(path, _TEXTS[path.suffix](prediction))
    if pictures:
        if not style.is_possible():
            return style.HOW_TO
        endings = [path.suffix.removeprefix(".") for path in pictures]
        picture.draw(prediction, pictures[0].with_suffix(""), endings)
    return f"written: {', '.join(map(str, wanted))}"


def _is_single_file(output: Path) -> bool:
    """Return whether it is one file, rather than a folder."""
    return output.suffix in _BEGINS and not output.is_dir()


def _files(output: Path) -> list[Path]:
    """Return what is written to: a file, or all that go into a folder."""
    if _is_single_file(output):
        return [output]
    return [output / f"model{kind}" for kind in _BEGINS]


def _unfit(what: str) -> BadInput:
    return BadInput(what, option="--output")
