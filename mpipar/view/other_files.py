"""What ``mpipar show`` says of files that hold no result: an unfinished run, or a study."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import time
from pathlib import Path
from typing import Any

from mpipar.base.drivers import DRIVERS
from mpipar.base.text import several
from mpipar.store.summary import Study, Unfinished
from mpipar.view.words import aligned, one_line

_PARAMETER = "parameter "
_STUDY_COLUMNS = (
    "mode",
    "nodes",
    "ranks",
    "workers",
    "items",
    "repeats",
    "median_s",
    "speedup",
    "efficiency",
)


def unfinished_lines(found: Unfinished) -> list[str]:
    """Return how much of a run is done, and how to go on."""
    progress = found.progress
    lines = [f"{found.path} holds {how_far(found)}"]
    if not progress.whole:
        lines.append("more may be done: not all of what its ranks have committed could be read")
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(progress.committed))
    lines.append(f"last commit: {when}")
    given = []
    for name, value in found.identity.items():
        if name != "driver":
            given.append(f"{name.removeprefix(_PARAMETER)} = {one_line(value)}")
    lines.append(f"of: {', '.join(given)}")
    if is_alive(found.writer):
        return [*lines, f"it goes on at the moment: {found.writer} has it"]
    if found.writer:
        lines.append(f"{found.writer} had it last: if that still runs, leave it alone")
    lines.append(
        "to go on, give the same command again with --resume;"
        " ranks, workers and schedule may be others"
    )
    command = resume_command(found)
    if command:
        lines.append(f"  {command}")
    return lines


def how_far(found: Unfinished) -> str:
    """Return whose run it is, and how much of it is done."""
    progress = found.progress
    percent = 100 * progress.done // max(1, progress.n_blocks)
    told = (
        f"an unfinished run of {found.identity.get('driver')}:"
        f" {progress.done:_} of {progress.n_blocks:_} blocks ({percent} %) are done"
    )
    if progress.skipped:
        told += f", {several(progress.skipped, 'block')} skipped"
    return told


def resume_command(found: Unfinished) -> str | None:
    """Return a command that goes on with a run of one of mpipar's own drivers."""
    driver = found.identity.get("driver")
    if driver not in DRIVERS:
        return None
    words = ["python", "-m", f"mpipar.{driver}"]
    for name, value in found.identity.items():
        words += _option(name, value)
    words += ["--output", str(found.path), "--resume"]
    if not all(map(str.isprintable, words)):
        return None
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    """Return an item of an identity as an option of the command, if it is one."""
    option = f"--{name.removeprefix(_PARAMETER).replace('_', '-')}"
    if value is True:
        return [option]
    if value is None or value is False or value == []:
        return []
    if name not in ("block", "seed") and not name.startswith(_PARAMETER):
        return []
    if isinstance(value, list):
        return [option, *map(str, value)]
    return [option, str(value)]


def is_alive(writer: str) -> bool:
    """Return whether a process that a lock names runs on this node."""
    match writer.split():
        case ["process", number, "on", host]:
            return number.isdecimal() and host == os.uname().nodename and _runs(number)
    return False


def _runs(process: str) -> bool:
    """Return whether a process of this node runs, and isn't a zombie."""
    with contextlib.suppress(OSError, IndexError):
        told = Path(f"/proc/{process}/stat").read_text(errors="replace")
        _, _, after_name = told.rpartition(")")
        return after_name.split()[0] not in "ZX"
    return False


def study_lines(found: Study) -> list[str]:
    """Return the table of a study."""
    lines = [f"{found.path} holds a scaling study, of {several(found.runs, 'run')}"]
    for name, value in found.about.items():
        lines.append(f"{name.replace('_', ' ')}: {one_line(value)}")
    if not found.table:
        lines.append(
            "it has no table of sizes; crossover.md beside it tells from which size on parallel is"
            " faster"
        )
        return lines
    columns = [name for name in _STUDY_COLUMNS if name in found.table[0]]
    rows = [columns]
    for row in found.table:
        rows.append([*(_cell(row[name]) for name in columns), _cell(row.get("note", ""))])
    return [*lines, "", *aligned(rows)]


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    return f"{value:.4g}"
