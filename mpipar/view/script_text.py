"""What ``mpipar show`` says of a script's outcomes."""

from __future__ import annotations

import shlex
import time
from typing import Any

from mpipar.base.text import several
from mpipar.store.script_summary import ScriptSummary
from mpipar.view.other_files import is_alive
from mpipar.view.text import Pairs
from mpipar.view.words import aligned, one_line, size

_FEW_CALLS = 20
_SHORT_DIGEST = 12

CALL_HEADS = ("call", "function", "tasks", "done", "known", "seconds", "digest")
RANK_HEADS = ("rank", "node", "tasks", "seconds")
WORKER_HEADS = ("rank", "node", "worker", "tasks", "seconds", "longest task")


def script_lines(found: ScriptSummary, *, full: bool, workers: bool) -> list[str]:
    """Return all that is said of a script, line by line."""
    lines = [headline(found), ""]
    for name, words in [*about_script(found), *about_time(found), *about_file(found)]:
        lines.append(f"{name:12}{words}")
    cells, is_whole = call_cells(found, full=full)
    lines += ["", *aligned([CALL_HEADS, *cells])]
    if not is_whole:
        lines.append(f"(of {len(found.calls)} calls; --ranks lists all)")
    lines += ["", *aligned([RANK_HEADS, *rank_cells(found)])]
    if workers:
        lines += ["", *aligned([WORKER_HEADS, *worker_cells(found)])]
    return lines


def headline(found: ScriptSummary) -> str:
    """Return how far a script is."""
    tasks = int(found.calls["tasks"].sum())
    calls = several(len(found.calls), "call")
    if found.finished:
        return f"{found.driver}: {found.done:_} of {several(tasks, 'task')} in {calls} are kept"
    return (
        f"{found.path} holds an unfinished run of {found.driver}:"
        f" {found.done:_} of {several(tasks, 'task')} in {calls} so far are done"
    )


def about_script(found: ScriptSummary) -> Pairs:
    """Return what was run, where and when."""
    about = found.about
    pairs = [("script", _command(about))]
    nodes = several(found.nodes, "node")
    processes = f"{several(found.ranks, 'rank')} × {several(found.workers, 'worker')} on {nodes}"
    hosts = ", ".join(found.hosts)
    pairs.append(("run", f"{processes} ({hosts})" if hosts else processes))
    made = found.provenance
    versions = {"mpipar": made.mpipar, "Python": made.python, "NumPy": made.numpy}
    told = [f"{name} {version}" for name, version in versions.items() if version]
    packages = about.get("packages")
    if isinstance(packages, dict):
        told += [f"{name} {packages[name]}" for name in packages if name != "python"]
    pairs.append(("made", one_line(", ".join([made.created or "", *told]))))
    return pairs + _how_to_go_on(found)


def _command(about: dict[str, Any]) -> str:
    words = [str(about.get("script", "?"))]
    arguments = about.get("arguments")
    if isinstance(arguments, list):
        words += map(str, arguments)
    return one_line(shlex.join(words))


def _how_to_go_on(found: ScriptSummary) -> Pairs:
    """Return who has the file of a script that hasn't come to its end, or what to do."""
    if found.finished:
        return []
    pairs = []
    if found.committed:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.committed))
        pairs.append(("last commit", when))
    if is_alive(found.writer):
        return [*pairs, ("", f"it goes on at the moment: {found.writer} has it")]
    reason = found.about.get("stopped")
    if reason is not None:
        pairs.append(("stopped", one_line(reason)))
    return [*pairs, ("to go on", "give the same command again with --resume")]


def about_time(found: ScriptSummary) -> Pairs:
    """Return how long the last run took, and how well its work was shared out."""
    processes = len(found.processes)
    took = f"{found.elapsed:.3f} s in its last run"
    if found.elapsed > 0 and processes:
        were = several(processes, "worker was", "workers were")
        share = found.busy / found.elapsed / processes
        took += f"; {were} {found.words.working} for {share:.1%} of that"
    pairs = [("elapsed", took)]
    if processes > 1:
        pairs.append(
            ("imbalance", f"{found.imbalance:.3f} (longest time with tasks over the mean)")
        )
    return pairs


def about_file(found: ScriptSummary) -> Pairs:
    """Return what is in the file."""
    return [("file", f"{found.path}, {size(found.size)}")]


def call_cells(found: ScriptSummary, *, full: bool) -> tuple[list[list[str]], bool]:
    """Return the columns of CALL_HEADS of each call, or of many of the last; and whether these are
    all.
    """
    rows = found.calls.tolist()
    shown = rows
    if not full:
        shown = rows[-_FEW_CALLS:]
    cells = []
    for number, function, tasks, done, known, seconds, digest in shown:
        counts = [str(count) for count in (tasks, done, known)]
        told = [f"{seconds:.3f}", digest[:_SHORT_DIGEST]]
        cells.append([str(number), one_line(function), *counts, *told])
    return cells, len(shown) == len(rows)


def rank_cells(found: ScriptSummary) -> list[list[str]]:
    """Return the columns of RANK_HEADS of each rank."""
    cells = []
    for rank, host, tasks, seconds in found.per_rank.tolist():
        cells.append([str(rank), host, str(tasks), f"{seconds:.3f}"])
    return cells


def worker_cells(found: ScriptSummary) -> list[list[str]]:
    """Return the columns of WORKER_HEADS of each worker."""
    cells = []
    rows = sorted(found.processes.tolist(), key=lambda row: (row[0], row[2]))
    for rank, host, worker, tasks, seconds, longest in rows:
        times = [f"{seconds:.3f}", f"{longest:.6f}"]
        cells.append([str(rank), host, str(worker), str(tasks), *times])
    return cells
