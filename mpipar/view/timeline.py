"""A picture of who evaluated which blocks when. Matplotlib is loaded when it draws.

Few blocks are drawn one by one; of many, an image is made whose cells have the colour of the
longest block in them, and the more of the colour of idle time, the less of the cell's time was in
kernels.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpipar.base.text import printable, several
from mpipar.store.summary import Summary
from mpipar.view.lane_names import MOST_LANES, NAMED_LANES, name_lanes
from mpipar.view.lanes import Lanes, cells, columns_for, share_busy
from mpipar.view.style import METADATA
from mpipar.view.themes import LIGHT, Theme

WIDE = 9.6
NARROW = 4.4
"""Widths in inches: of a slide or a page, and of a telephone."""

_MOST_SPANS_OF_A_LANE = 300  # drawn one by one
_MOST_VECTORS = 4000  # beyond, SVG and PDF have an image inside
_IMAGE_ROWS = 300
_IMAGE_COLUMNS = 900
_PALEST = 0.25  # so that one process that works while its neighbours are idle is seen


@dataclass(frozen=True)
class _Form:
    """How a picture is laid out.

    Attributes
    ----------
    beside : float
        Its height in inches beside that of the lanes.
    heading : float
        Size of the heading's letters.
    legend_columns : int
    bar : dict
        Where the colour bar is.
    """

    is_wide: bool
    beside: float
    heading: float
    legend_columns: int
    bar: dict[str, Any]


_WIDE_FORM = _Form(
    is_wide=True,
    beside=2.25,
    heading=11,
    legend_columns=4,
    bar={"pad": 0.01, "fraction": 0.05, "aspect": 25},
)
_NARROW_FORM = _Form(
    is_wide=False,
    beside=3.5,
    heading=9.5,
    legend_columns=1,
    bar={"location": "bottom"},
)


def draw_timeline(
    summary: Summary,
    kind: str = "png",
    theme: Theme = LIGHT,
    width: float = WIDE,
) -> bytes:
    """Return a picture of the timeline.

    Parameters
    ----------
    summary : Summary
        Of a run with a timeline that isn't empty.
    kind : str
        "png", "svg" or "pdf".
    theme : Theme
    width : float
        In inches.
    """
    import matplotlib
    from matplotlib.figure import Figure

    lanes = Lanes.of(summary)
    form = _WIDE_FORM if width > NARROW else _NARROW_FORM
    tall = float(np.clip(0.27 * lanes.count, 0.9, 4.6))
    with matplotlib.rc_context(theme.style()):
        figure: Any = Figure(figsize=(width, tall + form.beside), layout="constrained")
        figure.get_layout_engine().set(h_pad=0.03, hspace=0.0)
        top, main = figure.subplots(2, 1, sharex=True, height_ratios=(0.55, tall))
        _share(top, lanes, theme)
        shades = _lanes(main, lanes, theme)
        name_lanes(main, lanes, summary, form.is_wide)
        marks = _marks((top, main), lanes, summary, theme)
        main.set_xlabel(f"time since {summary.words.origin} (s)")
        main.set_xlim(lanes.since, lanes.until * 1.004 or 1.0)
        _colour_bar(figure, shades, main, lanes, form, summary.words.item)
        heading, numbers = titles(summary)
        if not form.is_wide:
            numbers = numbers.replace("; ", "\n")
        figure.suptitle(
            heading,
            x=0.008,
            ha="left",
            fontsize=form.heading,
            fontweight="bold",
            parse_math=False,
        )
        top.set_title(numbers, fontsize=8.5, fontweight="normal", parse_math=False, pad=5)
        figure.legend(
            handles=marks,
            loc="outside lower left",
            ncols=form.legend_columns,
            fontsize=7.5,
            handlelength=1.6,
            columnspacing=1.4,
        )
        return saved(figure, kind)


def titles(summary: Summary) -> tuple[str, str]:
    """Return what was run, and how well it was balanced."""
    what = f"{printable(summary.driver)[:60]}: {printable(summary.schedule)[:20]} schedule"
    what += f", {several(summary.ranks, 'rank')}"
    if summary.workers > 1:
        what += f" × {several(summary.workers, 'worker')}"
    if summary.nodes > 1:
        what += f" on {several(summary.nodes, 'node')}"
    numbers = (
        f"imbalance {summary.imbalance:.3f} (longest time {summary.words.working} over the mean);"
        f" {seconds(summary.elapsed)}"
    )
    if summary.lower_bound > 0:
        numbers += f", {summary.elapsed / summary.lower_bound:.2f} × what no schedule can beat"
    return what, numbers


def saved(figure: Any, kind: str) -> bytes:
    """Return the bytes of a figure."""
    made = io.BytesIO()
    with warnings.catch_warnings():
        # Of names in letters that the font hasn't.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(made, format=kind, dpi=200, metadata=METADATA[kind])
    return made.getvalue()


def _share(panel: Any, lanes: Lanes, theme: Theme) -> None:
    """Draw how many of the processes were in kernels, over time."""
    edges, share = share_busy(lanes, 300)
    panel.set_facecolor(theme.idle)
    panel.stairs(100 * share, edges, fill=True, color=theme.work, linewidth=0)
    panel.set_ylim(0, 100)
    panel.set_yticks([0, 100], ["0", "100 %"])
    panel.set_ylabel("busy", labelpad=-8)
    panel.tick_params(axis="x", labelbottom=False, length=0)
    panel.grid(visible=False)


def _lanes(panel: Any, lanes: Lanes, theme: Theme) -> Any:
    """Draw the blocks of all lanes; return what has their colours."""
    from matplotlib.collections import PolyCollection

    colours, norm = _colours(lanes, theme)
    panel.set_facecolor(theme.paper)
    panel.set_ylim(lanes.count, 0)
    panel.grid(visible=False)
    if lanes.count > MOST_LANES or len(lanes.lane) > _MOST_SPANS_OF_A_LANE * lanes.count:
        return _image(panel, lanes, theme, colours, norm)
    gap = 0.08 if lanes.count <= 48 else 0.0
    for lane in range(lanes.count):
        panel.axhspan(lane + gap, lane + 1 - gap, color=theme.idle, linewidth=0, zorder=0)
    low = lanes.lane + gap
    high = lanes.lane + 1 - gap
    corners = [
        (lanes.begin, low),
        (lanes.end, low),
        (lanes.end, high),
        (lanes.begin, high),
    ]
    stacked = [np.stack(corner, axis=-1) for corner in corners]
    vertices = np.stack(stacked, axis=1)
    lane_seconds = (lanes.until - lanes.since) or 1.0
    wide = np.median(lanes.end - lanes.begin) / lane_seconds > 1 / 250
    blocks = PolyCollection(
        list(vertices),
        array=lanes.each,
        cmap=colours,
        norm=norm,
        zorder=1,
        linewidths=0.35,
        edgecolors=theme.paper if wide else "face",
        rasterized=len(vertices) > _MOST_VECTORS,
    )
    panel.add_collection(blocks)
    return blocks


def _image(panel: Any, lanes: Lanes, theme: Theme, colours: Any, norm: Any) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import to_rgb

    shades = ScalarMappable(norm, colours)
    busy, longest = cells(lanes, min(lanes.count, _IMAGE_ROWS), columns_for(lanes, _IMAGE_COLUMNS))
    idle = np.array(to_rgb(theme.idle))
    depth = np.where(busy > 0, _PALEST + (1 - _PALEST) * busy, 0.0)
    full = shades.to_rgba(longest)[..., :3]
    panel.imshow(
        idle + (full - idle) * depth[..., None],
        extent=(lanes.since, lanes.until, lanes.count, 0),
        aspect="auto",
        interpolation="nearest",
        zorder=1,
    )
    if lanes.count <= NAMED_LANES:
        for lane in range(1, lanes.count):
            panel.axhline(lane, color=theme.paper, linewidth=2, zorder=2)
    return shades


def _colours(lanes: Lanes, theme: Theme) -> tuple[Any, Any]:
    """Return the colours of block times, and their scale: logarithmic where times are of several
    magnitudes.
    """
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize

    whole = matplotlib.colormaps[theme.blocks]
    used = whole(np.linspace(*theme.ends, 256))
    drawn = LinearSegmentedColormap.from_list("blocks", used)
    colours = drawn.with_extremes(bad=tuple(used[0]))  # the logarithm of nothing
    each = lanes.each[lanes.each > 0]
    if not len(each):
        return colours, Normalize(0.0, 1.0)
    low = float(np.percentile(each, 5))
    high = float(each.max())
    if high > 30 * low:
        return colours, LogNorm(low, high, clip=True)
    return colours, Normalize(0.0, high, clip=True)


def _marks(panels: tuple[Any, Any], lanes: Lanes, summary: Summary, theme: Theme) -> list[Any]:
    """Mark the longest block, the lower bound and the last finish; return what the legend has."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    mark = _mark_longest(panels[1], lanes, theme, summary.words.item)
    bound = summary.lower_bound
    last = float(summary.finishes.max())
    at_bound: dict[str, Any] = {"color": theme.bound, "linestyle": (0, (4, 2)), "linewidth": 1.6}
    at_last: dict[str, Any] = {"color": theme.ink, "linewidth": 1.4}
    for panel in panels:
        panel.axvline(bound, zorder=5, **at_bound)
        panel.axvline(last, zorder=5, **at_last)
    return [
        Patch(facecolor=theme.idle, label="idle"),
        Line2D([], [], label=f"no schedule can end before: {seconds(bound)}", **at_bound),
        Line2D([], [], label=f"end of the last {summary.words.item}: {seconds(last)}", **at_last),
        mark,
    ]


def _mark_longest(panel: Any, lanes: Lanes, theme: Theme, item: str) -> Any:
    """Mark the longest block by a frame, or where lanes are thin by a circle; return the mark."""
    from matplotlib.patches import Rectangle

    one = lanes.longest
    begin = lanes.begin[one]
    lane = lanes.lane[one]
    length = max(lanes.end[one] - begin, (lanes.until - lanes.since) / 400)
    what = f"longest {item}: no. {lanes.block[one]} ({seconds(lanes.each[one])})"
    if lanes.blocks[one] > 1:
        what = f"longest {item}s: from no. {lanes.block[one]} on ({seconds(lanes.each[one])} each)"
    if lanes.count > MOST_LANES:
        (circle,) = panel.plot(
            begin + length / 2,
            lane + 0.5,
            "o",
            markersize=9,
            markerfacecolor="none",
            markeredgewidth=1.6,
            color=theme.longest,
            zorder=4,
            label=what,
        )
        return circle
    frame = Rectangle(
        (begin, lane + 0.04),
        length,
        0.92,
        fill=False,
        edgecolor=theme.longest,
        linewidth=1.8,
        zorder=4,
        label=what,
    )
    panel.add_patch(frame)
    return frame


def _colour_bar(
    figure: Any,
    shades: Any,
    panel: Any,
    lanes: Lanes,
    form: _Form,
    item: str,
) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    bar = figure.colorbar(shades, ax=panel, **form.bar)
    axis = bar.ax.yaxis if form.is_wide else bar.ax.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: seconds(value)))
    axis.set_minor_formatter(NullFormatter())
    bar.outline.set_visible(False)
    what = f"time of a {item}"
    if (lanes.blocks > 1).any():
        what += " (mean of a span)"
    if lanes.count > MOST_LANES:
        what = f"longest {what} there"
    bar.set_label(what)


def seconds(value: float) -> str:
    """Return a time with its unit."""
    if value == 0:
        return "0 s"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} µs"
