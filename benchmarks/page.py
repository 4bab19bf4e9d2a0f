"""Makes the page of benchmarks from raw results: a pure function of them."""

from __future__ import annotations

import html
import statistics
from collections.abc import Iterable
from typing import Any

PICTURE = "pictures/benchmarks.svg"
SAME = 0.05  # ratios that differ from 1 by less are as good as 1
FEW = 3  # rows with fewer pairs say so
HEAD = """# Benchmarks

<!-- Made by `make bench` from {raw}; `python benchmarks --page` makes it again. Don't edit: edit benchmarks/. -->

**How to read the ratios.** Each is mpipar's time (memory, CPU time) over the other's, measured in turn in the same
run: **below 1, mpipar takes less; 1 is the same; above 1, mpipar takes more.** A ratio is the median of the pairs,
with the smallest and the largest in parentheses; so are the figures beside it. Differences of less than {same:.0%},
and any where the ratios of some pairs are above 1 and of others below, are noise. Compare no absolute figures
between machines, nor between two runs on one.

Measured on {date} in {minutes:.0f} min by {command} again where you are. Measured apart are how well `mpipar model`
predicts (`python benchmarks/model.py`, in [model.md](model.md)), and GPUs (`python benchmarks/gpu/compare.py`,
in [gpu.md](gpu.md)).
"""
DRAWN = "\n![Ratios of mpipar's pool to others, and how costs grow]({picture})\n"
WARNING = "\n**When this was begun, {warning}. Don't rely on the figures.**\n"
QUICK = (
    "\n**Made with `--quick`: one round of tiny problems, to see that everything works. The figures"
    " mean nothing.**\n"
)


def page(raw: dict[str, Any], raw_name: str, drawn: bool = True) -> str:
    """Return the page as Markdown, with the picture if it has been drawn."""
    only = raw.get("only")
    command = (
        f"`python benchmarks --only {' '.join(only)}`, which does these"
        if only
        else "`make bench`, which does all"
    )
    minutes = max(1.0, raw["seconds"] / 60)
    head = HEAD.format(raw=raw_name, date=raw["date"], minutes=minutes, same=SAME, command=command)
    head += WARNING.format(warning=raw["warning"]) if raw.get("warning") else ""
    head += (QUICK if raw["quick"] else "") + (DRAWN.format(picture=PICTURE) if drawn else "")
    parts = [head, reading(raw["tables"]), machine(raw["machine"])]
    parts += [section(table) for table in raw["tables"]]
    if raw["failed"]:
        parts.append(
            "## Not measured\n\n"
            + bullets(f"{name}: {reason}" for name, reason in raw["failed"].items())
        )
    return "\n".join(part.rstrip() + "\n" for part in parts)


def bullets(lines: Iterable[str]) -> str:
    """Return a list."""
    return "".join(f"* {line}\n" for line in lines)


def lines_of(head: list[str], cells: list[list[str]]) -> str:
    """Return a table."""
    rows = [head, ["---"] * len(head), *cells]
    return "".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |\n" for row in rows
    )


def machine(described: dict[str, str]) -> str:
    """Return the section on the machine."""
    return "## The machine\n\n" + lines_of(
        ["", ""], [[name, value] for name, value in described.items()]
    )


def ratios(row: dict[str, Any]) -> list[float]:
    """Return the ratio of each pair."""
    return [ours / theirs for ours, theirs in zip(row["ours"], row["theirs"], strict=True)]


def verdict(row: dict[str, Any]) -> int:
    """Return -1 if mpipar takes less beyond doubt, 1 if more, otherwise 0."""
    middle, low, high = statistics.median(ratios(row)), min(ratios(row)), max(ratios(row))
    if middle < 1 - SAME and high < 1:
        return -1
    return int(middle > 1 + SAME and low > 1)


def reading(tables: list[dict[str, Any]]) -> str:
    """Return the section on where mpipar loses, and how often it does."""
    rows = [
        (table, row)
        for table in tables
        for row in table["rows"]
        if row["ours"] and not row["bound"]
    ]
    verdicts = [verdict(row) for _, row in rows if not row.get("aside")]
    text = (
        f"## Where mpipar loses\n\nOf {len(verdicts)} comparisons with what one could use instead,"
        f" mpipar takes less in {verdicts.count(-1)}, more in {verdicts.count(1)}, and in"
        f" {verdicts.count(0)} the difference is noise. Each workload of pools counts once, at its"
        " best, and against as many processes that work as mpipar has; the list has all rows. "
    )
    lost = [pair for pair in rows if verdict(pair[1]) == 1]
    lost.sort(key=lambda pair: -statistics.median(ratios(pair[1])))
    listed = (
        f"**{ratio(statistics.median(ratios(row)))}** against {row['other']}: {row['what']} "
        f"([{table['title']}](#{anchor(table['title'])}))"
        for table, row in lost
    )
    text += "Where it takes more, the worst first:\n\n" + bullets(listed) if lost else "\n"
    return (
        text
        + "\nNot counted are comparisons with what nobody can do without: a schedule that costs"
        " nothing, a start that only imports, a run that never commits.\n"
    )


def anchor(title: str) -> str:
    """Return the anchor that GitHub and MkDocs make of a title of letters, digits, spaces and
    commas.
    """
    return "".join(
        letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_"
    )


def section(table: dict[str, Any]) -> str:
    """Return the section of a table."""
    text = f"## {table['title']}\n\n{table['text']}\n\n"
    if table["cells"]:
        width = len(table["head"])
        cells = [
            [plain(cell) for cell in row] + [""] * (width - len(row)) for row in table["cells"]
        ]
        text += lines_of(table["head"], cells)
    if table["rows"]:
        with_command = not table["commands"]
        head = [
            "what",
            "against",
            "mpipar",
            "the other",
            "ratio",
            *(["command"] if with_command else []),
        ]
        text += lines_of(head, [cells_of(row, with_command) for row in table["rows"]])
    if table["commands"]:  # not a list in Markdown, which MkDocs would not see inside of HTML
        commands = html.escape("\n".join(table["commands"]), quote=False)
        text += f"\n<details><summary>Commands</summary><pre>{commands}</pre></details>\n"
    return text


def cells_of(row: dict[str, Any], with_command: bool) -> list[str]:
    """Return the cells of a row."""
    command = [f"`{row['command']}`" if row["command"] else ""] if with_command else []
    if not row["ours"]:
        return [row["what"], row["other"], "–", "–", row["failed"] or "not measured", *command]
    found = ratios(row)
    middle = ratio(statistics.median(found))
    marked = f"**{middle}**" if verdict(row) == 1 else middle
    spread = f"{ratio(min(found))}–{ratio(max(found))}" if len(found) > 1 else ""
    few = f"{len(found)} pair{'s' if len(found) > 1 else ''} only" if len(found) < FEW else ""
    noted = ", ".join(filter(None, (spread, few)))
    return [
        row["what"],
        row["other"],
        quantity(row["ours"], row["unit"]),
        quantity(row["theirs"], row["unit"]),
        marked + (f" ({noted})" if noted else ""),
        *command,
    ]


def ratio(value: float) -> str:
    """Return a ratio with two digits after the point, or two digits that count."""
    return (
        f"{value:.2f}" if 0.1 <= value < 10 else f"{value:.2g}" if value < 0.1 else f"{value:.0f}"
    )


def quantity(values: list[float], unit: str) -> str:
    """Return the median, the smallest and the largest of some values, with a unit that suits the
    median.
    """
    middle = statistics.median(values)
    factor = 1.0
    if unit == "s":
        factor, unit = next(
            one
            for one in ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))
            if middle * one[0] >= 1 or one[0] == 1e9
        )
    spread = (
        f" ({digits(min(values) * factor)}–{digits(max(values) * factor)})"
        if len(values) > 1
        else ""
    )
    return f"{digits(middle * factor)} {unit}{spread}"


def digits(value: float) -> str:
    """Return a number with three digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def plain(cell: Any) -> str:
    """Return a cell as text."""
    if isinstance(cell, int):
        return f"{cell:,}"
    return digits(cell) if isinstance(cell, float) else str(cell)
