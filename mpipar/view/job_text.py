"""What is said of jobs: where they are, and how far."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence

from mpipar.base.text import printable, several
from mpipar.batch.job_status import Facts
from mpipar.batch.schedulers import scheduler
from mpipar.batch.task_numbers import ranges

_DAY = 86400.0
_RANGES_SHOWN = 12  # of tasks
_FAILED_SHOWN = 3  # tasks

_OUTCOMES = (
    "done",
    "running",
    "waiting",
    "stopped early",
    "failed",
    "cancelled",
    "ended without a word",
    "unknown",
)


def text(facts: Sequence[Facts]) -> str:
    """Return what is known of a job as a few lines."""
    if len(facts) == 1:
        lines = _lines(facts[0])
    else:
        lines = _array_lines(facts)
    return "\n".join(map(printable, lines))


def _lines(fact: Facts) -> list[str]:
    lines = [_head(fact)]
    if fact.outcome == "waiting":
        lines.append(f"  why: {why(fact.reason)}")
    if fact.n_blocks is not None:
        lines.append(f"  {_progress_line(fact)}")
    has_ended_badly = fact.outcome not in ("done", "waiting", "running")
    if has_ended_badly and fact.last:
        lines.append(f"  the journal's last word: {fact.last}")
    if fact.output and fact.blocks is not None:
        lines.append(f"  result: {fact.output}")
    lines.append(f"  {_where_log_is(fact)}")
    return lines


def _head(fact: Facts) -> str:
    head = f"job {fact.id} ({fact.name}): {fact.words}"
    if fact.outcome == "running" and fact.nodes:
        head += f" on {fact.nodes}"
    if fact.elapsed and fact.outcome != "waiting":
        limit = duration(fact.limit) if fact.limit else "any time"
        head += f", {duration(fact.elapsed)} of {limit}"
    if fact.exit_code is not None and fact.outcome not in ("done", "cancelled"):
        head += f", exit code {fact.exit_code}"
    if fact.restarts:
        head += f", requeued {several(fact.restarts, 'time')}"
    return head


def _where_log_is(fact: Facts) -> str:
    if not os.path.isdir(fact.folder):
        return f"its folder is gone: {fact.folder}"
    if fact.is_open and not os.path.exists(fact.log):
        return f"log: {fact.log} (not there yet)"
    return f"log: {fact.log}"


def _progress_line(fact: Facts) -> str:
    line = amount(fact)
    if fact.skipped:
        line += f", {fact.skipped} skipped"
    if fact.rate is not None and fact.remaining is not None:
        line += f", {_short(fact.rate)} {fact.unit}/s, done in about {_about(fact.remaining)}"
        if fact.allocations:
            line += (
                ": its time limit ends it before; will need"
                f" {several(fact.allocations, 'more allocation')}"
            )
    return line


def amount(fact: Facts) -> str:
    """Return how much is done: "6100 of 10000 blocks (61 %)"."""
    done = fact.blocks or 0
    n_blocks = fact.n_blocks or 0
    unit = fact.unit
    if fact.finished and done < n_blocks:
        return f"finished, {done} {unit} of {n_blocks}"
    if fact.finished:
        return f"finished, {done} {unit}"
    share = f"{done} of {n_blocks} {unit} ({100 * done // max(1, n_blocks)} %)"
    if unit == "tasks":
        return f"{share} that the script has handed in"
    return share


def _array_lines(facts: Sequence[Facts]) -> list[str]:
    first = facts[0]
    numbers = sorted({_number(fact) for fact in facts}, key=lambda number: (len(number), number))
    outcomes = "; ".join(_outcomes(facts))
    lines = [f"job {', '.join(numbers)} ({first.name}), an array of {len(facts)} tasks: {outcomes}"]
    waiting = [fact for fact in facts if fact.outcome == "waiting"]
    for reason in dict.fromkeys(fact.reason for fact in waiting):
        lines.append(f"  why: {why(reason)}")
    lines += _blocks_of_array(facts)
    failed = [fact for fact in facts if fact.outcome in ("failed", "ended without a word")]
    for fact in failed[:_FAILED_SHOWN]:
        lines.append(f"  {_failed_task(fact)}")
    what = "folder" if os.path.isdir(first.folder) else "its folder is gone"
    return [*lines, f"  {what}: {first.folder}"]


def _outcomes(facts: Iterable[Facts]) -> list[str]:
    """Return how many tasks have each outcome, and but for those that are done which these are."""
    tasks: dict[str, list[str]] = {}
    for fact in facts:
        tasks.setdefault(fact.outcome, []).append(_task(fact))
    told = []
    for outcome in _OUTCOMES:
        of_outcome = tasks.get(outcome, [])
        if of_outcome and outcome == "done":
            told.append(f"{len(of_outcome)} done")
        elif of_outcome:
            told.append(f"{len(of_outcome)} {outcome}: {some_ranges(of_outcome)}")
    return told


def _blocks_of_array(facts: Iterable[Facts]) -> list[str]:
    """Return a line on how far all tasks are, if any has begun."""
    begun = [fact for fact in facts if fact.n_blocks is not None]
    unit = begun[0].unit if begun else "blocks"
    total = sum(fact.n_blocks or 0 for fact in begun)
    if not total:
        return []
    done = sum(fact.blocks or 0 for fact in facts)
    share = 100 * done // total
    return [f"  {done} of {total} {unit} ({share} %) in the {len(begun)} tasks that have begun"]


def _failed_task(fact: Facts) -> str:
    told = f"task {_task(fact)}: {fact.words}"
    if fact.exit_code is not None:
        told += f", exit code {fact.exit_code}"
    return f"{told}; log: {fact.log}"


def _number(fact: Facts) -> str:
    return fact.id.partition("_")[0]


def _task(fact: Facts) -> str:
    return fact.id.partition("_")[2]


def why(reason: str) -> str:
    """Return why a job waits, in plain words, with the scheduler's own."""
    return scheduler().why_pending(reason)


def some_ranges(numbers: Iterable[str]) -> str:
    """Return numbers of tasks as ranges, the first few of them: "1-4, 9"."""
    told = ranges(int(number) for number in numbers if number.isdigit()).split(",")
    if len(told) > _RANGES_SHOWN:
        told = [*told[:_RANGES_SHOWN], "…"]
    return ", ".join(told)


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds, as time limits are written."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}"


def _short(number: float) -> str:
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.2g}"


def _about(seconds: float) -> str:
    for unit, size in (("days", _DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} s"
