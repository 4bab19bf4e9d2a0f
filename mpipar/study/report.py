"""The table of a study as text, for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from mpipar.base.text import markdown_row, several
from mpipar.study.design import STRONG, WEAK
from mpipar.study.fit_words import about_fit
from mpipar.study.table import LOW_EFFICIENCY, OVERSUBSCRIBED, ScalingRow, ScalingTable

COLUMNS = (
    *("mode", "nodes", "ranks", "workers", "items", "repeats"),
    *("median_s", "fastest_s", "slowest_s"),
    *("speedup", "speedup_of_slowest", "speedup_of_fastest"),
    *("ideal", "efficiency", "serial_fraction", "startup_s", "note"),
)
_HEADS = (
    *("mode", "nodes", "ranks", "workers", "items", "repeats"),
    *("median time (s)", "fastest … slowest (s)", "speedup"),
    *("ideal", "efficiency", "serial fraction", "start-up (s)"),
)
_ALIGNMENT = ("---", *("---:",) * (len(_HEADS) - 1))
_MARKS = {LOW_EFFICIENCY: "†", OVERSUBSCRIBED: "‡"}
_TITLES = {STRONG: "Strong scaling", WEAK: "Weak scaling"}
_EXPLANATION = (
    "Times are the driver's own, from the barrier before the first block to the end of the"
    " reduction: medians over the repeats, with the fastest and the slowest run. Start-up is what"
    " the command took besides (launcher, Python, MPI, reading options), and is not part of any"
    " speedup."
)
_ABOUT_FITS = (
    "Fits, by least squares on the speedups, weighted by their scatter; ± is the 95 % confidence"
    " interval:"
)


def as_csv(tables: Iterable[ScalingTable]) -> str:
    """Return all rows as CSV; times are in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for table in tables:
        writer.writerows(map(values, table.rows))
    return text.getvalue()


def values(row: ScalingRow) -> tuple[str | int | float, ...]:
    """Return the columns of a row."""
    return (
        row.size.mode,
        row.nodes,
        row.size.ranks,
        row.size.workers,
        row.items,
        len(row.times),
        row.median,
        min(row.times),
        max(row.times),
        row.speedup,
        row.slowest,
        row.fastest,
        row.processes,
        row.efficiency,
        "" if math.isnan(row.serial) else row.serial,
        row.startup,
        "; ".join(row.notes),
    )


def as_markdown(
    title: str,
    tables: Sequence[ScalingTable],
    machine: Mapping[str, str],
    about: Mapping[str, str],
) -> str:
    """Return the report that goes into a proposal or a paper's appendix.

    Parameters
    ----------
    title : str
        What was studied.
    tables : sequence of ScalingTable
    machine, about : mapping
        Of the machine, and of what was run, in words.
    """
    lines = [f"# Scaling of {title}", ""]
    for name, text in {**about, **machine}.items():
        lines.append(f"* {name}: {text}")
    for table in tables:
        lines += ["", *_section(table)]
    lines += ["", _EXPLANATION, ""]
    return "\n".join(lines)


def _section(table: ScalingTable) -> list[str]:
    lines = [
        f"## {_TITLES[table.mode]}",
        "",
        _introduction(table),
        "",
        markdown_row(_HEADS),
        markdown_row(_ALIGNMENT),
    ]
    notes = set()
    for row in table.rows:
        notes.update(row.notes)
        lines.append(markdown_row(_cells(row, is_baseline=row is table.baseline)))
    if notes:
        lines.append("")
    for note, mark in _MARKS.items():
        if note in notes:
            lines.append(f"{mark} {note}  ")
    return [*lines, "", *_fits(table)]


def _introduction(table: ScalingTable) -> str:
    if table.mode != STRONG:
        return f"The problem grows with ranks × workers. {_baseline(table)}"
    runs = sum(len(row.times) for row in table.rows)
    return (
        f"The same problem for all sizes. {_baseline(table)}"
        f" All {runs} runs gave the same value, to the last bit."
    )


def _baseline(table: ScalingTable) -> str:
    """Return what speedups are relative to."""
    size = table.baseline.size
    name = several(size.ranks, "rank")
    if size.workers > 1:
        name += f" × {size.workers} workers"
    relative = f"relative to {name} ({table.baseline.median:.4g} s)"
    if table.mode != STRONG:
        return f"Speedup is the scaled one, p T({size.processes}) / T(p), {relative}."
    if size.processes > 1:
        return f"Speedup is {relative}, whose speedup is {size.processes} by definition."
    return f"Speedup is {relative}."


def _cells(row: ScalingRow, *, is_baseline: bool) -> list[str]:
    marks = [_MARKS[note] for note in row.notes]
    speedup = f"{row.speedup:.2f}"
    if is_baseline:
        speedup += " (baseline)"
    return [
        row.size.mode,
        str(row.nodes),
        str(row.size.ranks),
        str(row.size.workers),
        f"{row.items:_}",
        str(len(row.times)),
        f"{row.median:.4g}",
        f"{min(row.times):.4g} … {max(row.times):.4g}",
        speedup,
        str(row.processes),
        f"{row.efficiency:.3f}{''.join(marks)}",
        "" if math.isnan(row.serial) else f"{row.serial:.4f}",
        f"{row.startup:.2g}",
    ]


def _fits(table: ScalingTable) -> list[str]:
    """Return the laws that were fitted, or why there are none."""
    lines = []
    any_fitted = False
    for series in table.series:
        of = ""
        if len(table.series) > 1:
            of = f" ({several(series.workers, 'worker')} in each rank)"
        largest = max(row.processes for row in series.rows)
        for fit in series.fits:
            any_fitted = True
            lines.append(f"* {about_fit(fit, largest)}{of}")
        if not series.fits:
            why = "that takes two sizes besides the baseline, not oversubscribed"
            lines.append(f"* no law is fitted{of}: {why}")
    if any_fitted:
        return [_ABOUT_FITS, "", *lines]
    return lines
