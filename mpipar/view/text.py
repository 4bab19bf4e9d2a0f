"""What ``mpipar show`` says of a file: words, tables and JSON.

What comes from the file is not made printable here: whoever prints it does that, line by line.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpipar.base.drivers import DRIVERS
from mpipar.base.text import items_in_blocks, printable, several
from mpipar.store.summary import Study, Summary, Unfinished
from mpipar.view.result_text import plain, shown, value_lines

_FEW_RANKS, _FEW_HOSTS, _FEW_SKIPPED = 16, 6, 5
_LONGEST_TEXT = 300
_VERSIONS = {"mpipar": "mpipar", "mpi": "", "python": "Python", "numpy": "NumPy", "h5py": "h5py"}
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

Pairs = list[tuple[str, str]]


def value_text(summary: Summary) -> str:
    """Return the result with its error, as the run has printed it."""
    lines = value_lines(summary.driver, summary.value, summary.error)
    if summary.error is not None and not isinstance(summary.error, float):
        lines.append(f"error = {shown(summary.error)}")
    return "\n".join(lines)


def about_problem(summary: Summary) -> Pairs:
    """Return what was computed."""
    about = summary.about
    plan = items_in_blocks(about["n"], about["n_blocks"], about["block"])
    pairs = [("problem", f"{plan}, seed {about['seed']}")]
    return pairs + [("parameters", parameters(summary))] * bool(summary.parameters)


def parameters(summary: Summary) -> str:
    """Return names and values in one line."""
    return ", ".join(f"{name} = {one_line(value)}" for name, value in summary.parameters.items())


def about_run(summary: Summary) -> Pairs:
    """Return where and when that was, and with which software."""
    about = summary.about
    where = f"{several(about['ranks'], 'rank')} × {several(about['workers'], 'worker')} on "
    where += f"{several(about['nodes'], 'node')} ({_hosts(summary)}), {about['schedule']} schedule"
    if about.get("gpus"):
        where += f", on GPUs ({about['gpus']})"
    versions = [f"{name} {about[key]}".strip() for key, name in _VERSIONS.items() if about.get(key)]
    return [
        ("run", where),
        ("made", f"{about.get('created', 'at an unknown time')}, {', '.join(versions)}"),
    ]


def about_time(summary: Summary) -> Pairs:
    """Return how long it took, and how well the work was balanced."""
    elapsed, processes = summary.elapsed, len(summary.processes)
    took = f"{elapsed:.3f} s"
    if elapsed > 0 and not summary.about["resumed_blocks"]:
        took += f", {summary.about['n'] / elapsed:.3g} items/s"
    if elapsed > 0 and processes:
        share = summary.busy / elapsed / processes
        took += (
            f"; {several(processes, 'process was', 'processes were')} in kernels for {share:.1%} of"
            " that"
        )
    pairs = [("elapsed", took)]
    if processes > 1:
        pairs.append(
            ("imbalance", f"{summary.imbalance:.3f} (longest time in kernels over the mean)")
        )
    if summary.lower_bound > 0:
        why = (
            "the longest block"
            if summary.longest_block == summary.lower_bound
            else "an equal share for each process"
        )
        pairs.append(
            (
                "bound",
                f"{summary.lower_bound:.3f} s ({why}) is what no schedule can beat: this run took "
                f"{elapsed / summary.lower_bound:.3f} × that",
            )
        )
    if len(summary.finishes) > 1:
        finishes = summary.finishes
        idle = f"; {several(processes - len(finishes), 'process', 'processes')} had none" * (
            len(finishes) < processes
        )
        pairs.append(
            (
                "finish",
                f"last blocks ended from {finishes.min():.3f} s to {finishes.max():.3f} s, "
                f"mean {finishes.mean():.3f} s{idle}",
            )
        )
    return pairs


def about_trouble(summary: Summary) -> Pairs:
    """Return what went wrong, or was done before."""
    about, pairs = summary.about, []
    if about["resumed_blocks"]:
        before, here = about["resumed_blocks"], summary.evaluated_blocks
        pairs.append(
            (
                "resumed",
                f"{before:_} blocks were done before, {here:_} in this run, which all times are of",
            )
        )
    if about["retried_blocks"]:
        pairs.append(
            ("retried", f"blocks were evaluated again {several(about['retried_blocks'], 'time')}")
        )
    lost = [
        several(about[f"lost_{what}s"], what)
        for what in ("rank", "worker")
        if about[f"lost_{what}s"]
    ]
    if lost:
        pairs.append(("lost", f"{' and '.join(lost)} died on the way, and others did their blocks"))
    if about["skipped_blocks"]:
        pairs.append(
            (
                "skipped",
                (
                    f"{several(about['skipped_blocks'], 'block')} failed, and the result is without"
                    " them"
                ),
            )
        )
        for block in summary.skipped[:_FEW_SKIPPED]:
            items = f"items {block['start']} to {block['stop'] - 1}"
            pairs.append(("", f"block {block['block']} ({items}): {one_line(block['reason'])}"))
        if len(summary.skipped) > _FEW_SKIPPED:
            pairs.append(
                (
                    "",
                    (
                        f"… and {len(summary.skipped) - _FEW_SKIPPED} more: /skipped in the file"
                        " has them all"
                    ),
                )
            )
    return pairs


def about_file(summary: Summary) -> Pairs:
    """Return what is in the file."""
    pairs = [("file", f"{summary.path}, {size(summary.size)}")]
    for rows in summary.rows:
        shape = " × ".join(map(str, rows.shape)) or "one"
        units = f" in {rows.units}" if rows.units else ""
        described = f": {one_line(rows.description)}" if rows.description else ""
        pairs.append(
            ("rows", f"/{rows.name}, {shape} {rows.dtype}{units}, {size(rows.bytes)}{described}")
        )
    if summary.why_no_timeline:
        pairs.append(("timeline", f"none: {summary.why_no_timeline}"))
    return pairs


RANK_HEADS = ("rank", "node", "blocks", "seconds", "of the mean")


def rank_table(summary: Summary, *, full: bool) -> list[str]:
    """Return a line for each rank; of many, for some of them."""
    lines, is_whole = rank_cells(summary, full=full)
    return [
        *aligned([RANK_HEADS, *lines]),
        *([] if is_whole else [f"(of {len(summary.per_rank)} ranks; --ranks tells of all)"]),
    ]


def rank_cells(summary: Summary, *, full: bool = False) -> tuple[list[list[str]], bool]:
    """Return the columns of RANK_HEADS and a remark for each rank, or of many for some; and whether
    these are all.
    """
    table = summary.per_rank
    order = np.argsort(table["seconds"], kind="stable")
    few = full or len(table) <= _FEW_RANKS
    chosen = {int(rank): "" for rank in range(len(table))}
    if not few:
        named = {int(order[0]): "fastest", int(order[len(table) // 2]): "median"}
        chosen = {**{int(row): "slowest" for row in order[:-4:-1]}, **dict(reversed(named.items()))}
    mean = float(table["seconds"].mean())
    lines = []
    for row, word in chosen.items():
        one = table[row]
        share = f"{one['seconds'] / mean:.3f}" if mean > 0 else ""
        marked = word or ("slowest" if len(table) > 1 and row == order[-1] and mean > 0 else "")
        lines.append(
            [
                str(one["rank"]),
                one["host"],
                str(one["blocks"]),
                f"{one['seconds']:.3f}",
                share,
                marked,
            ]
        )
    return lines, few


def worker_table(summary: Summary) -> list[str]:
    """Return a line for each process."""
    lines = [["rank", "node", "pid", "blocks", "seconds", "longest block"]]
    for one in summary.processes:
        times = [f"{one['seconds']:.3f}", f"{one['longest']:.6f}"]
        lines.append([str(one["rank"]), one["host"], str(one["pid"]), str(one["blocks"]), *times])
    return aligned(lines)


def unfinished_lines(found: Unfinished) -> list[str]:
    """Return how much of a run is done, and how to go on."""
    progress, identity = found.progress, found.identity
    share = 100 * progress.done // max(1, progress.n_blocks)
    head = (
        f"{found.path} holds an unfinished run of {identity.get('driver')}: {progress.done:_} of "
    )
    head += f"{progress.n_blocks:_} blocks ({share} %) are done"
    lines = [head + (f", {several(progress.skipped, 'block')} skipped" if progress.skipped else "")]
    if not progress.whole:
        lines.append("more may be done: not all of what its ranks have committed could be read")
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(progress.committed))
    lines.append(f"last commit: {when}")
    given = {
        name.removeprefix("parameter "): one_line(value)
        for name, value in identity.items()
        if name != "driver"
    }
    lines.append("of: " + ", ".join(f"{name} = {value}" for name, value in given.items()))
    if _is_alive(found.writer):
        return [*lines, f"it goes on at the moment: {found.writer} has it"]
    if found.writer:
        lines.append(f"{found.writer} had it last: if that still runs, leave it alone")
    lines.append(
        "to go on, give the same command again with --resume; ranks, workers and schedule may be"
        " others"
    )
    return lines + [f"  {command}" for command in [resume_command(found)] if command]


def resume_command(found: Unfinished) -> str | None:
    """Return a command that goes on with a run of one of mpipar's own drivers."""
    driver = found.identity.get("driver")
    if driver not in DRIVERS:
        return None
    words = ["python", "-m", f"mpipar.{driver}"]
    for name, value in found.identity.items():
        option = f"--{name.removeprefix('parameter ').replace('_', '-')}"
        if name in ("block", "seed") or (
            name.startswith("parameter ") and not isinstance(value, bool)
        ):
            if value is not None and value != []:
                words += [option, *map(str, value if isinstance(value, list) else [value])]
        elif value is True:
            words.append(option)
    words += ["--output", str(found.path), "--resume"]
    return shlex.join(words) if all(word.isprintable() for word in words) else None


def study_lines(found: Study) -> list[str]:
    """Return the table of a study."""
    lines = [f"{found.path} holds a scaling study, of {several(found.runs, 'run')}"]
    lines += [f"{name.replace('_', ' ')}: {one_line(value)}" for name, value in found.about.items()]
    if not found.table:
        return [
            *lines,
            (
                "it has no table of sizes; crossover.md beside it tells from which size on parallel"
                " is faster"
            ),
        ]
    columns = [name for name in _STUDY_COLUMNS if name in found.table[0]]
    rows = [
        [_cell(row[name]) for name in columns] + [_cell(row.get("note", ""))] for row in found.table
    ]
    return [*lines, "", *aligned([columns, *rows])]


def as_object(found: Summary | Unfinished | Study) -> dict[str, Any]:
    """Return all of it as what JSON has; the names are those of a run's own ``--json``."""
    if isinstance(found, Study):
        return {
            "file": str(found.path),
            "kind": "study",
            "runs": found.runs,
            "about": plain(found.about),
            "table": plain(found.table),
        }
    if isinstance(found, Unfinished):
        told = {
            "identity": plain(found.identity),
            "writer": found.writer,
            "resume": resume_command(found),
        }
        return {"file": str(found.path), "kind": "unfinished", **found.progress._asdict(), **told}
    about, finishes = found.about, found.finishes
    names = (
        "n",
        "block",
        "n_blocks",
        "seed",
        "ranks",
        "workers",
        "nodes",
        "schedule",
        "elapsed",
        "resumed_blocks",
        "retried_blocks",
        "skipped_blocks",
        "lost_ranks",
        "lost_workers",
        "created",
    )
    return {
        "file": str(found.path),
        "kind": "result",
        "driver": plain(found.about["driver"]),
        "value": plain(found.value),
        "error": plain(found.error),
        **{name: plain(about.get(name)) for name in names},
        "device": str(about.get("device", "cpu")),
        "gpus": [gpu for gpu in str(about.get("gpus", "")).split(", ") if gpu],
        "evaluated_blocks": found.evaluated_blocks,
        "imbalance": found.imbalance,
        "lower_bound": found.lower_bound,
        "longest_block": found.longest_block,
        "mean_finish": float(finishes.mean()) if len(finishes) else None,
        "last_finish": float(finishes.max()) if len(finishes) else None,
        "parameters": plain(found.parameters),
        "versions": {name: plain(about.get(name)) for name in _VERSIONS},
        "hosts": found.hosts,
        "per_rank": _objects(found.per_rank),
        "per_worker": _objects(found.processes),
        "skipped": _objects(found.skipped),
        "datasets": [rows._asdict() for rows in found.rows],
        "spans": None if found.timeline is None else len(found.timeline),
        "bytes": found.size,
    }


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return several(count, "byte")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines whose columns are under each other: numbers to the right, words to the left."""
    rows = [[printable(cell) for cell in row] for row in rows]
    columns = range(max(map(len, rows)))
    cells = [[row[column] for row in rows if column < len(row)] for column in columns]
    widths = [max(map(len, column)) for column in cells]
    numeric = [all(_is_number(cell) for cell in column[1:]) for column in cells]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=False)
        ).rstrip()
        for row in rows
    ]


def _objects(table: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    return [plain(dict(zip(table.dtype.names or (), row, strict=True))) for row in table.tolist()]


def _hosts(summary: Summary) -> str:
    hosts = summary.hosts
    if len(hosts) == 1:
        return next(iter(hosts))
    if len(hosts) > _FEW_HOSTS and len(set(hosts.values())) == 1:
        first, *_, last = hosts
        return f"{first} to {last}, {several(hosts[first], 'rank')} each"
    told = [f"{host}: {count}" for host, count in list(hosts.items())[:_FEW_HOSTS]]
    return ", ".join(
        [*told, *([f"{len(hosts) - _FEW_HOSTS} more"] if len(hosts) > _FEW_HOSTS else [])]
    )


def _is_alive(writer: str) -> bool:
    """Return whether a process that a lock names runs on this node."""
    match writer.split():
        case ["process", number, "on", host] if number.isdecimal() and host == os.uname().nodename:
            with contextlib.suppress(OSError, IndexError):
                state = (
                    Path(f"/proc/{number}/stat")
                    .read_text(errors="replace")
                    .rpartition(")")[2]
                    .split()[0]
                )
                return state not in "ZX"
    return False


def _is_number(cell: str) -> bool:
    return cell.replace("_", "").replace(".", "").replace("-", "").replace(
        "e+", ""
    ).isdigit() or cell in ("", "nan")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def one_line(value: Any) -> str:
    """Return a value in one line that isn't too long."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        rest = f", … ({len(value)} in all)" if len(value) > 8 else ""
        value = f"[{', '.join(map(str, value[:8]))}{rest}]"
    words = " ".join(str(value).split())
    return words if len(words) <= _LONGEST_TEXT else f"{words[:_LONGEST_TEXT]}…"
