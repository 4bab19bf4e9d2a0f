"""``mpipar status``: where jobs are, and how far."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from mpipar.base.arguments import Parser
from mpipar.base.exit_codes import DONE, FAILED
from mpipar.base.text import printable, several
from mpipar.batch import record
from mpipar.batch.job_status import Facts, examine, is_recent, may_be_recent
from mpipar.batch.named_jobs import all_named, latest_of_folder, latest_tasks
from mpipar.batch.record import Submission
from mpipar.batch.schedulers import scheduler
from mpipar.batch.task_numbers import ranges
from mpipar.command.entry import command

_DAY = 86400.0
_LONGEST_JOB = 60 * _DAY  # so long a job whose folder is gone is looked for
_PROGRAM = "mpipar status"
_NUMBERS_SHOWN = 12  # ranges of tasks

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


@command(_PROGRAM)
def main(arguments: Sequence[str]) -> int:
    """Print where jobs are; return the exit code."""
    given = _parser().parse_args(arguments)
    here = scheduler().cluster()
    jobs = [all_named(name, here) for name in given.jobs]
    recent = not given.jobs and not given.all
    removed: list[Submission] = []
    if not given.jobs:
        known = [one for one in record.known(here) if not recent or may_be_recent(one)]
        jobs = [latest_of_folder(one, here) for one in known]
        removed = [one for one in record.removed(here) if one.time > time.time() - _LONGEST_JOB]
        jobs += [latest_tasks([one]) for one in removed]
    every, problem = examine(pair for job in jobs for pair in job)
    facts_of_all = iter(facts for each in every for facts in each)
    examined = [[next(facts_of_all) for _ in job] for job in jobs]
    if problem is not None:
        _say(
            f"{scheduler().name} can't be asked ({problem}): this is what journals and results say"
        )
        if jobs and not any(
            fact.last or fact.blocks is not None for facts in examined for fact in facts
        ):
            return FAILED
    found = []
    for job, facts in zip(jobs, examined, strict=True):
        one = max((each for each, _ in job), key=lambda each: each.time)
        is_wanted = (
            any(fact.is_open for fact in facts)
            if one in removed
            else not recent or is_recent(facts)
        )
        found += [(one, facts)] if is_wanted else []
    if given.json:
        objects = [_as_object(one, facts) for one, facts in found]
        print(json.dumps(objects[0] if len(given.jobs) == 1 else objects))
    elif not found:
        print(
            "no job"
            f" {'waits, runs or has ended in the last day' if recent else 'was submitted from here'}"
        )
    else:
        print("\n\n".join(text(facts) for _, facts in found))
        if recent:
            print("\nthese wait, run, or have ended in the last day; --all tells of all")
    return DONE


def text(facts: list[Facts]) -> str:
    """Return what is known of a job as a few lines."""
    lines = _lines(facts[0]) if len(facts) == 1 else _array_lines(facts)
    return "\n".join(map(printable, lines))


def _lines(fact: Facts) -> list[str]:
    where = f" on {fact.nodes}" if fact.outcome == "running" and fact.nodes else ""
    head = f"job {fact.id} ({fact.name}): {fact.words}{where}"
    if fact.elapsed and fact.outcome != "waiting":
        head += (
            f", {duration(fact.elapsed)} of {duration(fact.limit) if fact.limit else 'any time'}"
        )
    if fact.exit_code is not None and fact.outcome not in ("done", "cancelled"):
        head += f", exit code {fact.exit_code}"
    if fact.restarts:
        head += f", requeued {several(fact.restarts, 'time')}"
    lines = [head]
    if fact.outcome == "waiting":
        lines.append(f"  why: {why(fact.reason)}")
    if fact.n_blocks is not None:
        lines.append(f"  {_progress_line(fact)}")
    if fact.outcome not in ("done", "waiting", "running") and fact.last:
        lines.append(f"  the journal's last word: {fact.last}")
    if fact.output and fact.blocks is not None:
        lines.append(f"  result: {fact.output}")
    if not os.path.isdir(fact.folder):
        return [*lines, f"  its folder is gone: {fact.folder}"]
    lines.append(
        f"  log: {fact.log}"
        + ("" if os.path.exists(fact.log) else " (not there yet)" * fact.is_open)
    )
    return lines


def _progress_line(fact: Facts) -> str:
    line = amount(fact)
    if fact.skipped:
        line += f", {fact.skipped} skipped"
    if fact.rate is not None and fact.remaining is not None:
        line += f", {_short(fact.rate)} blocks/s, done in about {_about(fact.remaining)}"
        if fact.allocations:
            line += (
                ": its time limit ends it before; will need"
                f" {several(fact.allocations, 'more allocation')}"
            )
    return line


def amount(fact: Facts) -> str:
    """Return how much is done: "6100 of 10000 blocks (61 %)"."""
    done, n_blocks = fact.blocks or 0, fact.n_blocks or 0
    if fact.finished:
        return f"finished, {done} blocks" + (f" of {n_blocks}" if done < n_blocks else "")
    return f"{done} of {n_blocks} blocks ({100 * done // max(1, n_blocks)} %)"


def _array_lines(facts: list[Facts]) -> list[str]:
    first = facts[0]
    numbers = sorted(
        {fact.id.partition("_")[0] for fact in facts}, key=lambda number: (len(number), number)
    )
    counts = Counter(fact.outcome for fact in facts)
    parts = []
    for outcome in _OUTCOMES:
        if counts[outcome]:
            which = some_ranges(
                fact.id.partition("_")[2] for fact in facts if fact.outcome == outcome
            )
            parts.append(
                f"{counts[outcome]} {outcome}" + (f": {which}" if outcome != "done" else "")
            )
    lines = [
        f"job {', '.join(numbers)} ({first.name}), an array of {len(facts)} tasks:"
        f" {'; '.join(parts)}"
    ]
    reasons = dict.fromkeys(fact.reason for fact in facts if fact.outcome == "waiting")
    lines += [f"  why: {why(reason)}" for reason in reasons]
    total = sum(fact.n_blocks or 0 for fact in facts)
    if total:
        done = sum(fact.blocks or 0 for fact in facts)
        begun = sum(fact.n_blocks is not None for fact in facts)
        lines.append(
            f"  {done} of {total} blocks ({100 * done // total} %) in the {begun} tasks that have"
            " begun"
        )
    for fact in [fact for fact in facts if fact.outcome in ("failed", "ended without a word")][:3]:
        code = f", exit code {fact.exit_code}" if fact.exit_code is not None else ""
        lines.append(f"  task {fact.id.partition('_')[2]}: {fact.words}{code}; log: {fact.log}")
    gone = "" if os.path.isdir(first.folder) else "its folder is gone: "
    lines.append(f"  {gone or 'folder: '}{first.folder}")
    return lines


def why(reason: str) -> str:
    """Return why a job waits, in plain words, with the scheduler's own."""
    return scheduler().why_pending(reason)


def some_ranges(numbers: Iterable[str]) -> str:
    """Return numbers of tasks as ranges, the first few of them: "1-4, 9"."""
    told = ranges(int(number) for number in numbers if number.isdigit()).split(",")
    return ", ".join(told[:_NUMBERS_SHOWN]) + (", …" if len(told) > _NUMBERS_SHOWN else "")


def duration(seconds: float) -> str:
    """Return hours, minutes and seconds, as time limits are written."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (
        f"{days}-{hours:02}:{minutes:02}:{rest:02}" if days else f"{hours}:{minutes:02}:{rest:02}"
    )


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.2g}"


def _about(seconds: float) -> str:
    for unit, size in (("days", _DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} s"


def _as_object(one: Submission, facts: list[Facts]) -> dict[str, Any]:
    if len(facts) == 1:
        return asdict(facts[0])
    counts = Counter(fact.outcome for fact in facts)
    head = {"id": one.id, "name": one.name, "folder": one.folder, "outcomes": counts}
    return {**head, "tasks": [asdict(fact) for fact in facts]}


def _say(message: str) -> None:
    print(f"{_PROGRAM}: {message}", file=sys.stderr, flush=True)


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM, description="Tell where jobs are, and how far.", allow_abbrev=False
    )
    parser.add_argument(
        "jobs",
        nargs="*",
        metavar="JOB|FOLDER",
        help=(
            "the number of a job, or of a task of an array (12_3), or a job's folder (default: all"
            " that wait, run, or have ended in the last day)"
        ),
    )
    parser.add_argument("--all", action="store_true", help="without a name: all jobs, however old")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object, or without a name a list of them",
    )
    return parser
