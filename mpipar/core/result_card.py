"""A result at a glance: one line, or a small table in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mpipar.base.text import items_in_blocks, several
from mpipar.core.run_record import RunRecord

_MOST_SHOWN = 60  # letters of a value
_MOST_IN_LINE = 6  # numbers of an array


def rows_of_card(
    run: RunRecord,
    value: Any,
    error: Any,
    datasets: Mapping[str, Any],
) -> dict[str, str]:
    """Return the little that one wants to know of a result at first, {what: words}."""
    rows = {"value": shortened(value)}
    if error is not None:
        rows["error"] = shortened(error)
    if datasets:
        rows["datasets"] = ", ".join(f"{name} {_shape(made)}" for name, made in datasets.items())
    if run.trouble.skipped_blocks:
        rows["skipped"] = several(run.trouble.skipped_blocks, "block")
    placement = run.placement
    rows["of"] = items_in_blocks(run.plan.n, run.plan.n_blocks, run.plan.block)
    rows["by"] = (
        f"{several(placement.ranks, 'rank')} × {several(placement.workers, 'worker')},"
        f" {run.timing.elapsed:.3g} s"
    )
    return rows


def as_line(what: str, rows: Mapping[str, str]) -> str:
    """Return a card as one line."""
    told = ", ".join(f"{name} {words}" for name, words in rows.items())
    return f"<{what}: {told}>"


def as_html(rows: Mapping[str, str]) -> str:
    """Return what notebooks show: a table of two columns."""
    import html  # for notebooks alone

    lines = []
    for name, words in rows.items():
        lines.append(f"<tr><th>{html.escape(name)}</th><td>{html.escape(words)}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def shortened(value: Any) -> str:
    """Return a value in one line, cut if it is long."""
    if isinstance(value, np.ndarray) and value.size > _MOST_IN_LINE:
        return f"array of {value.dtype}, shape {value.shape}"
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {shortened(item)}" for name, item in value.items())
    else:
        text = " ".join(str(value).split())
    if len(text) > _MOST_SHOWN:
        return f"{text[: _MOST_SHOWN - 1]}…"
    return text


def _shape(rows: Any) -> str:
    return " × ".join(map(str, rows.shape))
