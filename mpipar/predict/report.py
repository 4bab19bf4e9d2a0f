"""Predictions as text: for people, for papers, for spreadsheets and for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
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
        return row in best([other for other in self.rows if other.ranks == row.ranks])

    @property
    def best(self) -> str:
        """The schedule that is efficient up to the most ranks; of several the one that is best most
        often.
        """
        wins = {
            name: sum(self.is_best(row) for row in self.rows if row.schedule == name)
            for name in self.schedules
        }
        return max(self.schedules, key=lambda name: (self.most_ranks[name] or 0, wins[name]))

    @property
    def most_ranks(self) -> dict[str, int | None]:
        """The numbers alone of ``most``."""
        return {name: None if most is None else most.ranks for name, most in self.most.items()}

    @property
    def verdicts(self) -> list[str]:
        """What the table tells, in sentences."""
        said = [f"best schedule: {self.best}"] if len(self.schedules) > 1 else []
        for schedule in self.schedules:
            most = self.most[schedule]
            if most is None:
                said.append(f"{schedule}: the efficiency is under {LOW} everywhere")
            else:
                far = "up to" if most.is_exact else "up to at least"
                more = ", the most that were asked for" if most.ranks == max(self.ranks) else ""
                ranks = f"{most.ranks:_} rank{'s' * (most.ranks > 1)}"
                said.append(f"{schedule}: efficiency of {LOW} or more {far} {ranks}{more}")
        return said


def as_text(prediction: Prediction) -> str:
    """Return the prediction as a table in plain text, with what it is from."""
    cells = [_HEADS, *(_cells(prediction, row) for row in prediction.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADS))]
    left = (1, 7, 8)
    lines = [f"{name}: {text}" for name, text in about(prediction).items()] + [""]
    last = prediction.rows[0].ranks if prediction.rows else 0
    for index, row in enumerate(cells):
        if index and prediction.rows[index - 1].ranks != last:
            last = prediction.rows[index - 1].ranks
            lines.append("")
        padded = (
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(
        [*lines, "", *prediction.verdicts, *(f"note: {note}" for note in prediction.notes)]
    )


def as_markdown(prediction: Prediction) -> str:
    """Return the prediction as a page."""
    lines = [PAGE_HEAD + f"# What {escape(prediction.model.run.summary.driver)} would take", ""]
    lines += [f"* {name}: {escape(text, quote=False)}" for name, text in about(prediction).items()]
    lines += ["", markdown_row(_HEADS[:-1]), markdown_row(["---:", "---", *["---:"] * 5, "---"])]
    for row in prediction.rows:
        *cells, mark = _cells(prediction, row)
        lines.append(
            markdown_row(
                [f"**{cell}**" if mark and index == 1 else cell for index, cell in enumerate(cells)]
            )
        )
    lines += [
        "",
        *(f"* {line}" for line in prediction.verdicts),
        *(f"* note: {note}" for note in prediction.notes),
    ]
    return "\n".join(
        [
            *lines,
            "",
            (
                "Times are predicted, from the barrier before the first block to the end of the"
                " reduction; speedup is relative to all blocks one after the other. The spread is"
                " from the fastest to the slowest of some draws of the times of blocks, where these"
                " are drawn. The fastest schedule is **bold**."
            ),
            "",
        ]
    )


def as_csv(prediction: Prediction) -> str:
    """Return all rows as CSV; times are in seconds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(values(prediction, row) for row in prediction.rows)
    return text.getvalue()


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Return the prediction as what JSON has."""
    run, costs = prediction.model.run, prediction.model.costs
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
    model, run, costs = prediction.model, prediction.model.run, prediction.model.costs
    where = f"{several(run.ranks, 'rank')} × {several(run.workers, 'worker')}, {run.schedule}"
    found = {
        "from": (
            f"{run.summary.path} ({run.summary.driver}, {several(run.blocks, 'block')}, {where})"
        )
    }
    if prediction.own is not None:
        off = (
            f" ({100 * (prediction.own / run.summary.elapsed - 1):+.1f} %)"
            if run.summary.elapsed
            else ""
        )
        found["that run itself"] = (
            f"measured {run.summary.elapsed:.4g} s, predicted {prediction.own:.4g} s{off}"
        )
    if model.weak:
        a_process = f"{model.blocks(1) / model.workers:.0f} blocks for each process"
        found["plan"] = f"grows with the processes: {a_process}"
    elif model.blocks(1) != run.blocks:
        found["plan"] = several(model.blocks(1), "block")
    if costs.source:
        found["costs"] = f"{costs.source}: {told_costs(costs)}"
    return found


def told_costs(costs: Costs) -> str:
    """Return costs in words."""
    return (
        f"{_short(costs.stage)} for each of log₂ P stages of the reduction,"
        f" {_short(costs.counter_stage)} more to make the shared counter;"
        f" {_short(costs.fetch.latency)} to ask it, {_short(costs.fetch.service)} until it serves"
        f" the next; {_short(costs.a_range)} to merge each range of blocks"
    )


def _costs(costs: Costs) -> dict[str, Any]:
    return {
        "source": costs.source,
        "reduce_stage_s": costs.stage,
        "counter_stage_s": costs.counter_stage,
        "range_s": costs.a_range,
        "counter_latency_s": costs.fetch.latency,
        "counter_service_s": costs.fetch.service,
        "ends": [
            {
                "schedule": schedule,
                "ranks": ranks,
                "reduction_s": one.reduction,
                "counter_s": one.counter,
            }
            for (schedule, ranks), one in costs.ends.items()
        ],
    }


def _cells(prediction: Prediction, row: PredictedRow) -> tuple[str, ...]:
    spread = f"{min(row.times):.4g} … {max(row.times):.4g}" if len(row.times) > 1 else ""
    part = "" if row.limit == NOTHING else f" ({100 * _part(row):.0f} %)"
    a_rank = f"{row.blocks_a_rank:.0f}" if row.blocks_a_rank >= 10 else f"{row.blocks_a_rank:.2g}"
    speedup = f"{row.speedup:.4g}" if row.speedup < 1000 else f"{row.speedup:_.0f}"
    return (
        f"{row.ranks:_}",
        row.schedule,
        a_rank,
        f"{row.seconds:.4g}",
        spread,
        speedup,
        f"{row.efficiency:.3f}",
        f"{row.limit}{part}",
        (
            "best"
            if prediction.is_best(row) and len(prediction.schedules) > 1 and row.processes > 1
            else ""
        ),
    )


def _part(row: PredictedRow) -> float:
    return row.lost.get(row.limit, row.lost[IMBALANCE])


def _short(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns" if seconds else "0 s"
