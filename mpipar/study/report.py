"""The table of a study as text, for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from mpipar.base.text import markdown_row, several
from mpipar.study import laws
from mpipar.study.design import STRONG
from mpipar.study.table import LOW_EFFICIENCY, OVERSUBSCRIBED, ScalingRow, ScalingTable

COLUMNS = (
    "mode",
    "nodes",
    "ranks",
    "workers",
    "items",
    "repeats",
    "median_s",
    "fastest_s",
    "slowest_s",
    "speedup",
    "speedup_of_slowest",
    "speedup_of_fastest",
    "ideal",
    "efficiency",
    "serial_fraction",
    "startup_s",
    "note",
)

_MARKS = {LOW_EFFICIENCY: "†", OVERSUBSCRIBED: "‡"}
_TITLES = {"strong": "Strong scaling", "weak": "Weak scaling"}
_HEADS = (
    "mode",
    "nodes",
    "ranks",
    "workers",
    "items",
    "repeats",
    "median time (s)",
    "fastest … slowest (s)",
    "speedup",
    "ideal",
    "efficiency",
    "serial fraction",
    "start-up (s)",
)


def as_csv(parts: Iterable[ScalingTable]) -> str:
    """Return all rows as CSV; times are in seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for part in parts:
        writer.writerows(values(row) for row in part.rows)
    return text.getvalue()


def values(row: ScalingRow) -> tuple[str | int | float, ...]:
    """Return the columns of a row."""
    serial = "" if math.isnan(row.serial) else row.serial
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
        serial,
        row.startup,
        "; ".join(row.notes),
    )


def as_markdown(
    title: str, parts: Sequence[ScalingTable], machine: Mapping[str, str], about: Mapping[str, str]
) -> str:
    """Return the report that goes into a proposal or a paper's appendix.

    Parameters
    ----------
    title : str
        What was studied.
    parts : sequence of ScalingTable
    machine, about : mapping
        Of the machine, and of what was run, in words.
    """
    lines = [f"# Scaling of {title}", ""]
    lines += [f"* {name}: {text}" for name, text in {**about, **machine}.items()]
    for part in parts:
        lines += ["", *_part(part)]
    lines += [
        "",
        (
            "Times are the driver's own, from the barrier before the first block to the end of the"
            " reduction: medians over the repeats, with the fastest and the slowest run. Start-up"
            " is what the command took besides (launcher, Python, MPI, reading options), and is not"
            " part of any speedup."
        ),
        "",
    ]
    return "\n".join(lines)


def _part(part: ScalingTable) -> list[str]:
    base = part.baseline
    what = (
        "The same problem for all sizes"
        if part.mode == STRONG
        else "The problem grows with ranks × workers"
    )
    relative = f"{what}. {_baseline(part)}"
    if part.mode == STRONG:
        relative += (
            f" All {sum(len(row.times) for row in part.rows)} runs gave the same value, to the last"
            " bit."
        )
    lines = [
        f"## {_TITLES[part.mode]}",
        "",
        relative,
        "",
        markdown_row(_HEADS),
        markdown_row(["---"] + ["---:"] * (len(_HEADS) - 1)),
    ]
    for row in part.rows:
        own = "".join(_MARKS[note] for note in row.notes)
        lines.append(markdown_row(_cells(row, own, is_base=row is base)))
    used = [note for note in _MARKS if any(note in row.notes for row in part.rows)]
    lines += ["", *(f"{_MARKS[note]} {note}  " for note in used)] if used else []
    return [*lines, "", *_fits(part)]


def _baseline(part: ScalingTable) -> str:
    base = part.baseline.size
    name = several(base.ranks, "rank") + (f" × {base.workers} workers" if base.workers > 1 else "")
    if part.mode == STRONG:
        times = f", whose speedup is {base.processes} by definition" if base.processes > 1 else ""
        return f"Speedup is relative to {name} ({part.baseline.median:.4g} s){times}."
    return (
        f"Speedup is the scaled one, p T({base.processes}) / T(p), relative to {name}"
        f" ({part.baseline.median:.4g} s)."
    )


def _cells(row: ScalingRow, mark: str, *, is_base: bool) -> list[str]:
    serial = "" if math.isnan(row.serial) else f"{row.serial:.4f}"
    return [
        row.size.mode,
        str(row.nodes),
        str(row.size.ranks),
        str(row.size.workers),
        f"{row.items:_}",
        str(len(row.times)),
        f"{row.median:.4g}",
        f"{min(row.times):.4g} … {max(row.times):.4g}",
        f"{row.speedup:.2f}{' (baseline)' if is_base else ''}",
        str(row.processes),
        f"{row.efficiency:.3f}{mark}",
        serial,
        f"{row.startup:.2g}",
    ]


def _fits(part: ScalingTable) -> list[str]:
    """Return the laws that were fitted, or why there are none."""
    lines = []
    for series in part.series:
        of = f" ({several(series.workers, 'worker')} in each rank)" if len(part.series) > 1 else ""
        lines += [
            f"* {about_fit(fit, max(row.processes for row in series.rows))}{of}"
            for fit in series.fits
        ]
        if not series.fits:
            lines.append(
                f"* no law is fitted{of}: that takes two sizes besides the baseline, not"
                " oversubscribed"
            )
    head = (
        "Fits, by least squares on the speedups, weighted by their scatter; ± is the 95 %"
        " confidence interval:"
    )
    return [head, "", *lines] if any(series.fits for series in part.series) else lines


_MEANINGS = {
    "Amdahl": {"f": "serial fraction f"},
    "Gustafson": {"a": "serial part a"},
    "USL": {"s": "contention s", "k": "coherency k"},
}
_NAMES = {
    "Amdahl": "Amdahl's law",
    "Gustafson": "Gustafson's law",
    "USL": "universal scalability law",
}


def about_fit(fit: laws.Fit, largest: int) -> str:
    """Return a law's parameters, how sure they are, and what follows; ``largest`` is the largest
    size measured.
    """
    found = [
        f"{_MEANINGS[fit.law][parameter.name]} = {with_interval(parameter)}"
        for parameter in fit.parameters
    ]
    text = f"{_NAMES[fit.law]}: {', '.join(found)}, from {several(fit.points, 'point')}"
    if (
        fit.peak is not None
        and fit.peak < 1e6
        and all(parameter.is_positive for parameter in fit.parameters[-1:])
    ):
        beyond = (
            f", if it holds that far beyond the {largest} that were measured"
            if fit.peak > 2 * largest
            else ""
        )
        return (
            f"{text}; fastest with about {fit.peak:.0f} processes, at a speedup of"
            f" {fit.limit:.3g}{beyond}"
        )
    if fit.law == "Amdahl" and fit.limit is not None:
        return f"{text}; no number of processes goes beyond a speedup of {fit.limit:.3g}"
    return text


def with_interval(parameter: laws.FittedParameter) -> str:
    """Return a value with its confidence interval."""
    if parameter.at_bound:
        return f"{parameter.value:.3g} (at its bound)"
    if parameter.half_width is None:
        return f"{parameter.value:.3g} (no interval: as many parameters as points)"
    return f"{parameter.value:.3g} ± {parameter.half_width:.2g}"
