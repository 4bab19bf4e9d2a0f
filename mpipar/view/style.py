"""How all pictures look, and how they are written.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers and dashes
differ as well.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpipar.store.files import write_bytes

KINDS = ("png", "svg", "pdf")
HOW_TO = "for pictures, pip install 'mpipar[plot]', and give the same command again"

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vP"
GREY = "#666666"
WIDTH = 7.1
"""In inches: of two columns of a journal."""
HEIGHT = 2.9
"""In inches: of a row of panels."""
STYLE: Any = {
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.5,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "mpipar",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
}
MAKER = "drawn by mpipar"
"""What is in each picture, so that it can be told from those of others."""
METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Comment": MAKER},
    "svg": {"Date": None, "Creator": MAKER},
    "pdf": {"CreationDate": None, "Creator": MAKER},
}


def is_possible() -> bool:
    """Return whether matplotlib is here."""
    return importlib.util.find_spec("matplotlib") is not None


def figure_of_pairs(rows: int = 1) -> tuple[Any, Any]:
    """Return a figure with so many rows of two panels, and its panels, of shape (rows, 2)."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(WIDTH, HEIGHT * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08)
    return figure, figure.subplots(rows, 2, squeeze=False)


def mark_efficiencies(panel: Any, low: float) -> None:
    """Draw the lines that an efficiency is held against: 1, and what is low."""
    panel.axhline(1, color=GREY, linestyle="--", zorder=1, label="ideal")
    panel.axhline(
        low, color="k", linestyle="-.", linewidth=0.8, zorder=1, label=f"efficiency {low}"
    )


def save(figure: Any, stem: Path, kinds: Sequence[str] = KINDS) -> list[Path]:
    """Write a figure as a whole or not at all; return the files: stem.png and so on."""
    paths = []
    for kind in kinds:
        made = io.BytesIO()
        figure.savefig(made, format=kind, dpi=300, metadata=METADATA[kind])
        path = stem.with_name(f"{stem.name}.{kind}")  # a dot in the stem's name begins no suffix
        write_bytes(path, made.getvalue())
        paths.append(path)
    return paths
