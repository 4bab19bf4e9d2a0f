"""``mpipar show``: what came out of a run. Imports mpipar.core, store, study and mpipar.command.

::

    FILE.h5 ─▶ store.summary.look ─▶ text or JSON on stdout
                                     --timeline: a picture      --html: a page
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpipar.command import shown
from mpipar.command.driver import say_bad_input
from mpipar.core.arguments import Parser
from mpipar.core.errors import BadInput
from mpipar.core.exit_codes import DONE, FAILED, INTERRUPTED
from mpipar.core.text import printable
from mpipar.store.careful import SIGNATURE
from mpipar.store.files import write_bytes, write_text
from mpipar.store.summary import Study, Summary, Unfinished, look
from mpipar.study import page, pictures

_PROGRAM = "mpipar show"
_BEGINS = {
    ".png": (b"\x89PNG",),
    ".pdf": (b"%PDF",),
    ".svg": (b"<?xml", b"<svg", b"<!DOCTYPE svg"),
    ".html": (page.HEAD.encode(),),
    ".htm": (page.HEAD.encode(),),
}
_LABEL = 12  # characters


def main(arguments: Sequence[str]) -> int:
    """Tell what is in a file, draw it, and return the exit code."""
    try:
        options = _parser().parse_args(arguments)
        drawn = tuple(f".{kind}" for kind in pictures.KINDS)
        for option, path, kinds in (("timeline", options.timeline, drawn), ("html", options.html, (".html", ".htm"))):
            if path is not None:
                _check_target(f"--{option}", path, kinds)
        found = look(options.file)
        if isinstance(found, Summary):
            _check_wishes(found, options)
        elif options.timeline is not None or options.html is not None:
            what = "an unfinished run" if isinstance(found, Unfinished) else "a study, which has pictures of its own"
            raise BadInput(f"{'--timeline' if options.timeline else '--html'}: {str(options.file)!r} holds {what}")
    except BadInput as error:
        return say_bad_input(f"{_PROGRAM}: error: {error}")
    try:
        if isinstance(found, Summary):
            _write(found, options)
        print(json.dumps(shown.as_object(found), allow_nan=False) if options.json else text(found, options))
        sys.stdout.flush()
    except BrokenPipeError:  # as in "| head -1"; Python would complain again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(printable(f"{_PROGRAM}: {error.strerror or error}: {error.filename or ''}"), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def text(found: Summary | Unfinished | Study, options: Any) -> str:
    """Return what is said of a file."""
    if isinstance(found, Unfinished):
        lines = shown.unfinished_lines(found)
    elif isinstance(found, Study):
        lines = shown.study_lines(found)
    else:
        lines = [*shown.value_text(found).splitlines(), ""]
        pairs = [pair for about in (shown.about_problem, shown.about_run, shown.about_time, shown.about_trouble,
                                    shown.about_file) for pair in about(found)]  # fmt: skip
        lines += [f"{name:{_LABEL}}{words}" for name, words in pairs]
        lines += ["", *shown.rank_table(found, full=options.ranks)]
        if options.workers:
            lines += ["", *shown.worker_table(found)]
    return "\n".join(map(printable, lines))


def _write(found: Summary, options: Any) -> None:
    """Write the picture and the page that are asked for."""
    if options.timeline is not None:
        from mpipar.study.timeline import draw_timeline

        write_bytes(options.timeline, draw_timeline(found, options.timeline.suffix.lower().removeprefix(".")))
    if options.html is not None:
        write_text(options.html, as_page(found))


def as_page(found: Summary) -> str:
    """Return the page of a result."""
    about = found.about
    cards = [("elapsed", f"{found.elapsed:.3f} s"), ("schedule", str(about["schedule"]))]
    cards.append(("ranks × workers", f"{about['ranks']} × {about['workers']}"))
    if len(found.processes) > 1:
        cards.append(("imbalance", f"{found.imbalance:.3f}"))
    if found.lower_bound > 0:
        cards.append(("× what no schedule can beat", f"{found.elapsed / found.lower_bound:.3f}"))
    cards.append(("longest block", f"{found.longest_block:.4g} s"))
    trouble = [f"{name}: {words}" if name else words for name, words in shown.about_trouble(found)]
    given = [(name, shown.one_line(value)) for name, value in found.parameters.items()]
    sections = [
        ("The run", [*shown.about_problem(found)[:1], *shown.about_run(found), *shown.about_time(found)]),
        ("Parameters", given),
        ("The file", shown.about_file(found)),
    ]
    return page.page(found, shown.value_text(found), cards, trouble, sections)


def _check_wishes(found: Summary, options: Any) -> None:
    """Raise BadInput if there is nothing to draw, or nothing to draw with."""
    if options.timeline is None:
        return
    if found.timeline is None or not len(found.timeline):
        why = "no block was evaluated in its last run" if not found.evaluated_blocks else "it is of an older mpipar"
        raise BadInput(f"--timeline: {str(options.file)!r} has no timeline ({why})")
    if not pictures.is_possible():
        raise BadInput("--timeline: that takes matplotlib: pip install 'mpipar[plot]'")


def _check_target(option: str, path: Path, kinds: Sequence[str]) -> None:
    """Raise BadInput if a picture or page can't be written to ``path``, or would replace anything else than one."""
    if path.suffix.lower() not in kinds:
        raise BadInput(f"{option}: expected a name that ends in {' or '.join(kinds)}, got {str(path)!r}")
    folder = path.parent
    if not folder.is_dir():
        raise BadInput(f"{option}: there is no folder {str(folder)!r}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{option}: the folder {str(folder)!r} can't be written to")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadInput(f"{option}: {str(path)!r} is not a regular file")
        with path.open("rb") as file:
            begin = file.read(64)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(f"{option}: {error.strerror}: {str(path)!r}") from None
    if begin.startswith(SIGNATURE) or (begin and not begin.startswith(_BEGINS[path.suffix.lower()])):
        what = "page of mpipar" if path.suffix.lower() in (".html", ".htm") else f"{path.suffix[1:].upper()} picture"
        raise BadInput(f"{option}: {str(path)!r} exists and is not a {what}; it is left as it is")


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM, allow_abbrev=False,
        description="Tell what is in a result file: value, parameters, where and when it was computed, how long that "
        "took, and how well it was balanced. Of an unfinished run, how far it is, and how to go on.",
        epilog="example: mpipar show run.h5 --timeline run.png --html run.html",
    )  # fmt: skip
    add = parser.add_argument
    add("file", type=Path, metavar="FILE.h5", help="what a run has written to --output, or mpipar scale as scaling.h5")
    add("--timeline", type=Path, metavar="OUT", help="draw which process evaluated which blocks when: a name that ends "
        "in .png, .svg or .pdf (needs matplotlib)")  # fmt: skip
    add("--html", type=Path, metavar="OUT", help="write a page with all of it, which needs no other file")
    add("--ranks", action="store_true", help="tell of each rank, however many there are")
    add("--workers", action="store_true", help="tell of each process")
    add("--json", action="store_true", help="print one JSON object")
    return parser
