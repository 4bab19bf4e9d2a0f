"""Draws the raw results: ratios of the pools, and how costs grow. Needs matplotlib."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from page import ratio, ratios, verdict

LARGEST = 1000.0  # colours end here


def matrix(
    tables: list[dict[str, Any]],
) -> tuple[list[str], list[str], dict[tuple[str, str], tuple[float, int]]]:
    """Return the others, the workloads, and the median ratio and the verdict of each pair of
    these.
    """
    others: dict[str, None] = {}
    workloads: dict[str, None] = {}
    found = {}
    for table in tables:
        if not table["name"].startswith("pools-"):
            continue
        for row in table["rows"]:
            name = (
                row["other"]
                .replace("np 5 (4 work)", "np 3 (2 work)")
                .replace("np 4 (3 work)", "np 2 (1 work)")
            )
            title = (
                table["title"]
                if row["what"] == table["title"].lower()
                else f"{table['title']}: {row['what']}"
            )
            workloads[title] = others[name] = None
            if row["ours"]:
                found[name, title] = statistics.median(ratios(row)), verdict(row)
    return list(others), list(workloads), found


def draw(raw: dict[str, Any], path: Path) -> None:
    """Write the picture."""
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 8,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.hashsalt": "mpipar",
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        figure: Any = Figure(figsize=(8.5, 8.0), layout="constrained")
        top, bottom = figure.subfigures(2, 1, height_ratios=(1.9, 1))
        draw_matrix(top.subplots(), raw["tables"])
        left, right = bottom.subplots(1, 2)
        cells = {
            table["name"]: [row for row in table["cells"] if len(row) > 2]
            for table in raw["tables"]
        }
        draw_ranks(left, cells.get("growth-ranks", []))
        draw_blocks(right, cells.get("growth-blocks", []))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def draw_matrix(panel: Any, tables: list[dict[str, Any]]) -> None:
    """Draw the ratios as coloured fields: blue where mpipar takes less, red where more, white where
    that is noise.
    """
    import numpy as np
    from matplotlib.colors import SymLogNorm

    others, workloads, found = matrix(tables)
    panel.set_title(
        "(a) mpipar's time over the other's: below 1 (blue) mpipar takes less; white is noise"
    )
    if not others:
        panel.set_axis_off()
        return
    values = np.full((len(others), len(workloads)), np.nan)
    for (other, workload), (middle, which) in found.items():
        values[others.index(other), workloads.index(workload)] = np.log10(middle) if which else 0.0
    edge = float(np.log10(LARGEST))
    panel.imshow(
        values,
        cmap="RdBu_r",
        norm=SymLogNorm(0.1, vmin=-edge, vmax=edge),
        aspect="auto",
        alpha=0.75,
    )
    for row, other in enumerate(others):
        for column, workload in enumerate(workloads):
            text = ratio(found[other, workload][0]) if (other, workload) in found else "–"
            panel.text(column, row, text, ha="center", va="center", fontsize=7.5)
    panel.set_xticks(range(len(workloads)), [broken(title) for title in workloads], fontsize=7)
    panel.set_yticks(range(len(others)), others)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)


def broken(title: str) -> str:
    """Return a title on several lines."""
    words, lines = title.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 11:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def draw_ranks(panel: Any, cells: list[list[Any]]) -> None:
    """Draw what grows with the number of ranks."""
    panel.set_title("(b) costs over ranks, oversubscribed")
    names = (
        ("start of mpipar.pi", 1, 1.0, "o-"),
        ("import of MPI and NumPy", 2, 1.0, "s--"),
        ("run of one block a rank", 4, 1e-3, "^-"),
        ("barrier and allreduce", 5, 1e-3, "v--"),
    )
    for label, column, factor, how in names:
        if cells:
            panel.plot(
                [row[0] for row in cells],
                [row[column] * factor for row in cells],
                how,
                label=label,
                markersize=4,
            )
    panel.set(xscale="log", yscale="log", xlabel="ranks", ylabel="s")
    if cells:
        panel.set_xticks([row[0] for row in cells], [str(row[0]) for row in cells])
        panel.minorticks_off()
        panel.legend(fontsize=7)


def draw_blocks(panel: Any, cells: list[list[Any]]) -> None:
    """Draw what a block costs."""
    panel.set_title("(c) a block beyond its kernel, np 2")
    if cells:
        panel.plot(
            [row[0] for row in cells],
            [row[2] for row in cells],
            "o-",
            color="#009E73",
            markersize=4,
        )
    panel.set(xscale="log", yscale="log", xlabel="blocks", ylabel="µs a block and rank")
