"""The colours of pictures of one run, on light and on dark paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpipar.view.style import STYLE


@dataclass(frozen=True)
class Theme:
    """Colours; all can be told apart by those who see fewer.

    Attributes
    ----------
    ink, paper, idle, grid : str
        Of text and lines, of the background, of time without work, of lines behind.
    longest, bound : str
        What marks the longest block, and the time that no schedule can beat.
    work : str
        Of the share of processes that work.
    blocks : str
        The colour map of block times.
    ends : tuple of float
        The part of it that is used, from short to long.
    """

    ink: str
    paper: str
    idle: str
    grid: str
    longest: str
    bound: str
    work: str
    blocks: str
    ends: tuple[float, float]

    def style(self) -> Any:
        """Return the settings of matplotlib."""
        inks = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
        papers = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
        return {
            **STYLE,
            **dict.fromkeys(inks, self.ink),
            **dict.fromkeys(papers, self.paper),
            "grid.color": self.grid,
        }


LIGHT = Theme(
    ink="#1a1a1a",
    paper="#ffffff",
    idle="#ebebeb",
    grid="#dddddd",
    longest="#D55E00",
    bound="#0072B2",
    work="#8a94a3",
    blocks="viridis",
    ends=(0.97, 0.0),
)
DARK = Theme(
    ink="#e8e8e8",
    paper="#17191c",
    idle="#2a2d31",
    grid="#3a3d41",
    longest="#FF7F32",
    bound="#56B4E9",
    work="#6b7684",
    blocks="viridis",
    ends=(0.22, 1.0),
)
