"""Axes of pictures: which numbers are written at them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_MOST_TICKS = 9


def decades(panel: Any) -> None:
    """Write times out: 0.1, 1, 10, with 2 and 5 between where there is room."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = panel.get_ylim()
    steps = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
    panel.yaxis.set_major_locator(LogLocator(10, subs=steps))
    panel.yaxis.set_major_formatter(_written_out())
    panel.yaxis.set_minor_locator(NullLocator())


def double(axis: Any, values: Sequence[float]) -> None:
    """Make an axis that is logarithmic to the base of 2, with ticks at some of the values."""
    from matplotlib.ticker import NullLocator

    ticks = sorted(set(values))
    every = math.ceil(len(ticks) / _MOST_TICKS)
    if axis.axis_name == "x":
        axis.axes.set_xscale("log", base=2)
    else:
        axis.axes.set_yscale("log", base=2)
    write_at(axis, ticks[::every])
    axis.set_minor_locator(NullLocator())


def write_at(axis: Any, ticks: Sequence[float]) -> None:
    """Write these numbers at an axis, and no others."""
    from matplotlib.ticker import FixedLocator

    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(_written_out())


def powers_of_two(low: float, high: float) -> list[float]:
    """Return the powers of two from the last that is at most ``low`` to the first over ``high``."""
    first = math.floor(math.log2(low))
    last = math.floor(math.log2(high)) + 1
    return [2.0**power for power in range(first, last + 1)]


def _written_out() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:g}")
