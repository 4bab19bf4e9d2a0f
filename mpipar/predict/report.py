"""Predictions as text: for people, for papers, for spreadsheets and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from mpipar._version import __version__
from mpipar.base.text import markdown_row, several
from mpipar.predict.costs import Costs
from mpipar.predict.model import Model, MostRanks
from mpipar.predict.rows import COUNTER, IMBALANCE, NOTHING, REDUCTION, PredictedRow, best
from mpipar.study.table import LOW

COLUMNS = (
    "ranks",
    "workers",
    "schedule",
    "blocks",
    "draws",
    "seconds",
    "fastest_s",
    "slowest_s",
    "speedup",
    "efficiency",
    "lost_to_imbalance",
    "lost_to_counter",
    "lost_to_reduction",
    "limit",
    "best",
)

PAGE_HEAD = "<!-- made by mpipar model -->\n"
"""How a page begins: what begins otherwise is somebody else's."""

_HEADS = (
    "ranks",
    "schedule",
    "blocks a rank",
    "time (s)",
    "spread",
    "speedup",
    "efficiency",
    "lost most to",
    "",
)
_ALIGNMENT = ("---:", "---", *("---:",) * 5, "---")
_UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
_SCHEDULE = _HEADS.index("schedule")
_TEXT_COLUMNS = (_SCHEDULE, 7, 8)
_EXPLANATION = (
    "Times are predicted, from the barrier before the first block to the end of the reduction;"
    " speedup is relative to all blocks one after the other. The spread is from the fastest to the"
    " slowest of some draws of the times of blocks, where these are drawn. The fastest schedule is"
    " **bold**."
)


@dataclass(frozen=True)
class Prediction:
    """All that is predicted from a run.

    Attributes
    ----------
    model : Model
    rows : list of PredictedRow
        By ranks, then by schedule as asked for.
    own : float or None
        Seconds that are predicted for the run itself, if it was a whole one.
    most : dict
        {schedule: up to how many ranks the efficiency isn't low, or None}.
    notes : list of str
        What is to be known.
    """

    model: Model
    rows: list[PredictedRow]
    own: float | None
    most: Mapping[str, MostRanks | None]
    notes: list[str]

    @property
    def ranks(self) -> list[int]:
        """The numbers of ranks."""
        return list(dict.fromkeys(row.ranks for row in self.rows))

    @property
    def schedules(self) -> list[str]:
        """The schedules."""
        return list(dict.fromkeys(row.schedule for row in self.rows))

    def is_best(self, row: PredictedRow) -> bool:
        """Whether no other schedule is faster with as many ranks."""
        others = [other for other in self.rows if other.ranks == row.ranks]
        return row in best(others)

    @property
    def best(self) -> str:
        """The schedule that is efficient up to the most ranks; of several the one that is best most
        often.
        """
        wins = dict.fromkeys(self.schedules, 0)
        for row in self.rows:
            wins[row.schedule] += self.is_best(row)
        return max(self.schedules, key=lambda name: (self.most_ranks[name] or 0, wins[name]))

    @property
    def most_ranks(self) -> dict[str, int | None]:
        """The numbers alone of ``most``."""
        return {name: None if most is None else most.ranks for name, most in self.most.items()}

    @property
    def verdicts(self) -> list[str]:
        """What the table tells, in sentences."""
        said = []
        if len(self.schedules) > 1:
            said.append(f"best schedule: {self.best}")
        for schedule in self.schedules:
            said.append(f"{schedule}: {self._how_far(self.most[schedule])}")
        return said

    def _how_far(self, most: MostRanks | None) -> str:
        """Return up to how many ranks a schedule is efficient, in words."""
        if most is None:
            return f"the efficiency is under {LOW} everywhere"
        far = "up to" if most.is_exact else "up to at least"
        words = f"efficiency of {LOW} or more {far} {most.ranks:_} rank"
        if most.ranks > 1:
            words += "s"
        if most.ranks == max(self.ranks):
            words += ", the most that were asked for"
        return words


def as_text(prediction: Prediction) -> str:
    """Return the prediction as a table in plain text, with what it is from."""
    lines = [f"{name}: {text}" for name, text in about(prediction).items()]
    lines += ["", *_aligned(prediction), "", *prediction.verdicts]
    lines += [f"note: {note}" for note in prediction.notes]
    return "\n".join(lines)


def _aligned(prediction: Prediction) -> list[str]:
    """Return the lines of the table, with a blank one before each other number of ranks."""
    cells: list[tuple[str, ...]] = [_HEADS]
    for row in prediction.rows:
        cells.append(_cells(prediction, row))
    columns = zip(*cells, strict=True)
    widths = [max(map(len, column)) for column in columns]
    lines = [_padded(_HEADS, widths)]
    before = None
    for row, texts in zip(prediction.rows, cells[1:], strict=True):
        if before is not None and row.ranks != before:
            lines.append("")
        before = row.ranks
        lines.append(_padded(texts, widths))
    return lines


def _padded(texts: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for column, (text, width) in enumerate(zip(texts, widths, strict=True)):
        is_text = column in _TEXT_COLUMNS
        padded.append(text.ljust(width) if is_text else text.rjust(width))
    return "  ".join(padded).rstrip()


def as_markdown(prediction: Prediction) -> str:
    """Return the prediction as a page."""
    title = f"# What {escape(prediction.model.run.summary.driver)} would take"
    lines = [PAGE_HEAD + title, ""]
    for name, text in about(prediction).items():
        lines.append(f"* {name}: {escape(text, quote=False)}")
    lines += ["", markdown_row(_HEADS[:-1]), markdown_row(_ALIGNMENT)]
    for row in prediction.rows:
        *cells, mark = _cells(prediction, row)
        if mark:
            cells[_SCHEDULE] = f"**{cells[_SCHEDULE]}**"
        lines.append(markdown_row(cells))
    lines.append("")
    lines += [f"* {line}" for line in prediction.verdicts]
    lines += [f"* note: {note}" for note in prediction.notes]
    return "\n".join([*lines, "", _EXPLANATION, ""])


def as_csv(prediction: Prediction) -> str:
    """Return all rows as CSV; times are in seconds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(values(prediction, row) for row in prediction.rows)
    return text.getvalue()


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Return the prediction as what JSON has."""
    run = prediction.model.run
    costs = prediction.model.costs
    rows = [values(prediction, row) for row in prediction.rows]
    return {
        "run": str(run.summary.path),
        "driver": run.summary.driver,
        "blocks": run.blocks,
        "ranks": run.ranks,
        "workers": run.workers,
        "schedule": run.schedule,
        "elapsed": run.summary.elapsed,
        "predicted": prediction.own,
        "longest": float(run.measured.values.max()),
        "weak": prediction.model.weak,
        "costs": _costs(costs),
        "rows": rows,
        "most_ranks": prediction.most_ranks,
        "most_ranks_at_least": [
            name for name, most in prediction.most.items() if most and not most.is_exact
        ],
        "best": prediction.best,
        "low": LOW,
        "notes": prediction.notes,
        "mpipar": __version__,
    }


def values(prediction: Prediction, row: PredictedRow) -> dict[str, Any]:
    """Return the columns of a row by name."""
    found = (
        row.ranks,
        row.workers,
        row.schedule,
        row.blocks,
        len(row.times),
        row.seconds,
        min(row.times),
        max(row.times),
        row.speedup,
        row.efficiency,
        row.lost[IMBALANCE],
        row.lost[COUNTER],
        row.lost[REDUCTION],
        row.limit,
        int(prediction.is_best(row)),
    )
    return dict(zip(COLUMNS, found, strict=True))


def about(prediction: Prediction) -> dict[str, str]:
    """Return {what: in words} of where a prediction is from."""
    model = prediction.model
    run = prediction.model.run
    costs = prediction.model.costs
    where = f"{several(run.ranks, 'rank')} × {several(run.workers, 'worker')}, {run.schedule}"
    what = f"{run.summary.driver}, {several(run.blocks, 'block')}, {where}"
    found = {"from": f"{run.summary.path} ({what})"}
    if prediction.own is not None:
        found["that run itself"] = _compared(run.summary.elapsed, prediction.own)
    if model.weak:
        a_process = f"{model.blocks(1) / model.workers:.0f} blocks for each process"
        found["plan"] = f"grows with the processes: {a_process}"
    elif model.blocks(1) != run.blocks:
        found["plan"] = several(model.blocks(1), "block")
    if costs.source:
        found["costs"] = f"{costs.source}: {told_costs(costs)}"
    return found


def _compared(measured: float, predicted: float) -> str:
    words = f"measured {measured:.4g} s, predicted {predicted:.4g} s"
    if measured:
        words += f" ({100 * (predicted / measured - 1):+.1f} %)"
    return words


def told_costs(costs: Costs) -> str:
    """Return costs in words."""
    return (
        f"{_short(costs.stage)} for each of log₂ P stages of the reduction,"
        f" {_short(costs.counter_stage)} more to make the shared counter;"
        f" {_short(costs.fetch.latency)} to ask it, {_short(costs.fetch.service)} until it serves"
        f" the next; {_short(costs.a_range)} to merge each range of blocks"
    )


def _costs(costs: Costs) -> dict[str, Any]:
    ends = []
    for (schedule, ranks), one in costs.ends.items():
        ends.append(
            {
                "schedule": schedule,
                "ranks": ranks,
                "reduction_s": one.reduction,
                "counter_s": one.counter,
            }
        )
    return {
        "source": costs.source,
        "reduce_stage_s": costs.stage,
        "counter_stage_s": costs.counter_stage,
        "range_s": costs.a_range,
        "counter_latency_s": costs.fetch.latency,
        "counter_service_s": costs.fetch.service,
        "ends": ends,
    }


def _cells(prediction: Prediction, row: PredictedRow) -> tuple[str, ...]:
    limit = row.limit
    if limit != NOTHING:
        limit += f" ({100 * _part(row):.0f} %)"
    has_rivals = len(prediction.schedules) > 1 and row.processes > 1
    return (
        f"{row.ranks:_}",
        row.schedule,
        f"{row.blocks_a_rank:.0f}" if row.blocks_a_rank >= 10 else f"{row.blocks_a_rank:.2g}",
        f"{row.seconds:.4g}",
        _spread(row),
        f"{row.speedup:.4g}" if row.speedup < 1000 else f"{row.speedup:_.0f}",
        f"{row.efficiency:.3f}",
        limit,
        "best" if has_rivals and prediction.is_best(row) else "",
    )


def _spread(row: PredictedRow) -> str:
    if len(row.times) == 1:
        return ""
    return f"{min(row.times):.4g} … {max(row.times):.4g}"


def _part(row: PredictedRow) -> float:
    """Return the part of the processes' time that most is lost to."""
    return row.lost.get(row.limit, row.lost[IMBALANCE])


def _short(seconds: float) -> str:
    for unit, factor in _UNITS:
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    if seconds:
        return f"{seconds * 1e9:.3g} ns"
    return "0 s"
