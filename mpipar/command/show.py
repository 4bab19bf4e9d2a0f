"""``mpipar show``: what came out of a run.

::

    FILE.h5 ─▶ store.look.look ─▶ text or JSON on stdout
                                     --timeline: a picture      --html: a page
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mpipar.base.arguments import Parser, named_path
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE
from mpipar.base.text import printable
from mpipar.command.entry import command, print_text
from mpipar.command.output_paths import PICTURES, check_target
from mpipar.runtime.launcher import launch
from mpipar.store.files import write_bytes, write_text
from mpipar.store.look import look
from mpipar.store.script_summary import ScriptSummary
from mpipar.store.summary import Study, Summary, Unfinished
from mpipar.view import page, script_text, style
from mpipar.view import text as view_text
from mpipar.view.as_object import as_object
from mpipar.view.other_files import study_lines, unfinished_lines
from mpipar.view.rank_table import RANK_HEADS, rank_cells, rank_table, worker_table
from mpipar.view.script_text import script_lines
from mpipar.view.words import one_line

_PROGRAM = "mpipar show"
_PAGES = dict.fromkeys((".html", ".htm"), (page.HEAD.encode(),))
_LABEL = 12  # characters


@command(_PROGRAM)
def main(arguments: Sequence[str]) -> int:
    """Tell what is in a file, draw it, and return the exit code."""
    launched = launch()
    if launched is not None and launched.size > 1:
        raise BadInput(f"it needs no launcher, which started it {launched.size} times")
    options = _parser().parse_args(arguments)
    if options.timeline is not None:
        check_target("--timeline", options.timeline, PICTURES)
    if options.html is not None:
        check_target("--html", options.html, _PAGES)
    found = look(options.file)
    _check_wishes(found, options)
    if options.json:
        print_text(json.dumps(as_object(found), allow_nan=False))
    else:
        print_text(text(found, options))
    if isinstance(found, Summary):
        _write(found, options)
    return DONE


def text(found: Summary | Unfinished | Study, options: Any) -> str:
    """Return what is said of a file."""
    if isinstance(found, ScriptSummary):
        lines = script_lines(found, full=options.ranks, workers=options.workers)
    elif isinstance(found, Unfinished):
        lines = unfinished_lines(found)
    elif isinstance(found, Study):
        lines = study_lines(found)
    else:
        lines = [*view_text.value_text(found).splitlines(), ""]
        pairs = [
            *view_text.about_problem(found),
            *view_text.about_run(found),
            *view_text.about_time(found),
            *view_text.about_trouble(found),
            *view_text.about_file(found),
        ]
        for name, words in pairs:
            lines.append(f"{name:{_LABEL}}{words}")
        lines += ["", *rank_table(found, full=options.ranks)]
        if options.workers:
            lines += ["", *worker_table(found)]
    return "\n".join(map(printable, lines))


def _write(found: Summary, options: Any) -> None:
    """Write the picture and the page that are asked for."""
    if options.timeline is not None:
        from mpipar.view.timeline import draw_timeline

        kind = options.timeline.suffix.lower().removeprefix(".")
        write_bytes(options.timeline, draw_timeline(found, kind))
    if options.html is not None:
        made = script_page(found) if isinstance(found, ScriptSummary) else as_page(found)
        write_text(options.html, made)


def script_page(found: ScriptSummary) -> str:
    """Return the page of a script."""
    cards = [
        ("tasks done", f"{found.done:_}"),
        ("elapsed", f"{found.elapsed:.3f} s"),
        ("ranks × workers", f"{found.ranks} × {found.workers}"),
    ]
    if len(found.processes) > 1:
        cards.append(("imbalance", f"{found.imbalance:.3f}"))
    if len(found.processes):
        cards.append(("longest task", f"{found.longest_block:.4g} s"))
    about = [*script_text.about_script(found), *script_text.about_time(found)]
    sections = [("The run", about), ("The file", script_text.about_file(found))]
    cells, is_whole = script_text.call_cells(found, full=False)
    title = "Calls" if is_whole else f"Some of {len(found.calls)} calls"
    calls = (title, script_text.CALL_HEADS, cells)
    return page.page(found, script_text.headline(found), cards, [], sections, calls)


def as_page(found: Summary) -> str:
    """Return the page of a result."""
    cards = [("elapsed", f"{found.elapsed:.3f} s"), ("schedule", found.schedule)]
    cards.append(("ranks × workers", f"{found.ranks} × {found.workers}"))
    if len(found.processes) > 1:
        cards.append(("imbalance", f"{found.imbalance:.3f}"))
    if found.lower_bound > 0:
        cards.append(("× what no schedule can beat", f"{found.elapsed / found.lower_bound:.3f}"))
    cards.append(("longest block", f"{found.longest_block:.4g} s"))
    trouble = []
    for name, words in view_text.about_trouble(found):
        trouble.append(f"{name}: {words}" if name else words)
    given = [(name, one_line(value)) for name, value in found.parameters.items()]
    sections = [
        (
            "The run",
            [
                *view_text.about_problem(found)[:1],
                *view_text.about_run(found),
                *view_text.about_time(found),
            ],
        ),
        ("Parameters", given),
        ("The file", view_text.about_file(found)),
    ]
    cells, is_whole = rank_cells(found)
    lines = [
        [*line[:-2], " ".join(filter(None, line[-2:]))] for line in cells
    ]  # the remark has no head
    title = "Ranks" if is_whole else f"Some of {len(found.per_rank)} ranks"
    return page.page(
        found,
        view_text.value_text(found),
        cards,
        trouble,
        sections,
        (title, RANK_HEADS, lines),
    )


def _check_wishes(found: Summary | Unfinished | Study, options: Any) -> None:
    """Raise BadInput if there is nothing to draw, or nothing to draw with."""
    if not isinstance(found, Summary):
        _check_nothing_wished(found, options)
        return
    if options.timeline is None:
        return
    if found.why_no_timeline:
        raise BadInput(
            f"--timeline: {str(options.file)!r} has no timeline: {found.why_no_timeline}"
        )
    if not style.is_possible():
        raise BadInput("--timeline: that takes matplotlib: pip install 'mpipar[plot]'")


def _check_nothing_wished(found: Unfinished | Study, options: Any) -> None:
    """Raise BadInput if something is to be drawn of what has nothing to draw."""
    if options.timeline is None and options.html is None:
        return
    option = "--timeline" if options.timeline else "--html"
    what = "a study, which has pictures of its own"
    if isinstance(found, Unfinished):
        what = "an unfinished run"
    raise BadInput(f"{option}: {str(options.file)!r} holds {what}")


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        allow_abbrev=False,
        description=(
            "Show what is in a result file: value, parameters, where and when it was computed, how"
            " long that took, and how well it was balanced. Of an unfinished run, how far it is,"
            " and how to go on."
        ),
        epilog="example: mpipar show run.h5 --timeline run.png --html run.html",
    )
    add = parser.add_argument
    add(
        "file",
        type=named_path,
        metavar="FILE.h5",
        help="what a run has written to --output, or mpipar scale as scaling.h5",
    )
    add(
        "--timeline",
        type=named_path,
        metavar="OUT",
        help=(
            "draw which process evaluated which blocks when: a name "
            "that ends in .png, .svg or .pdf (needs matplotlib)"
        ),
    )
    add(
        "--html",
        type=named_path,
        metavar="OUT",
        help="write a page with all of it, which needs no other file",
    )
    add("--ranks", action="store_true", help="list every rank, however many there are")
    add("--workers", action="store_true", help="list every process")
    add("--json", action="store_true", help="print one JSON object")
    return parser
