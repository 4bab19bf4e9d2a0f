"""``mpipar status``: where jobs are, and how far."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from mpipar.base.arguments import Parser
from mpipar.base.exit_codes import DONE, FAILED
from mpipar.batch import record
from mpipar.batch.job_status import Facts, examine, is_recent, may_be_recent
from mpipar.batch.named_jobs import all_named, latest_of_folder, latest_tasks
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import AccountsUnavailable
from mpipar.batch.schedulers import scheduler
from mpipar.command.entry import command, print_text
from mpipar.runtime.outlets import note
from mpipar.view.job_text import text

_DAY = 86400.0
_LONGEST_JOB = 60 * _DAY  # so long a job whose folder is gone is looked for
_PROGRAM = "mpipar status"


class _Job(NamedTuple):
    """A job that may be told of.

    Attributes
    ----------
    tasks : list of (Submission, str)
        Its tasks, each with its latest submission; a job that is no array is one task, "".
    is_removed : bool
        Whether its folder is gone: then it is told of only while it waits or runs.
    """

    tasks: list[tuple[Submission, str]]
    is_removed: bool = False

    @property
    def latest(self) -> Submission:
        """Its latest submission."""
        return max((one for one, _ in self.tasks), key=lambda one: one.time)

    def is_told_of(self, facts: list[Facts], *, only_recent: bool) -> bool:
        """Return whether it is one of those that were asked for."""
        if self.is_removed:
            return any(fact.is_open for fact in facts)
        return not only_recent or is_recent(facts)


@command(_PROGRAM)
def main(arguments: Sequence[str]) -> int:
    """Print where jobs are; return the exit code."""
    given = _parser().parse_args(arguments)
    here = scheduler().cluster()
    only_recent = not given.jobs and not given.all
    if given.jobs:
        jobs = [_Job(all_named(name, here)) for name in given.jobs]
    else:
        jobs = _all_jobs(here, only_recent=only_recent)
    examined, problem = _examined(jobs)
    if problem is not None:
        _say(f"{_whom(problem)} can't be asked ({problem}): journals and results say this")
        if jobs and not _anything_is_known(examined):
            return FAILED
    found = _told_of(jobs, examined, only_recent=only_recent)
    if given.json:
        print_text(_as_json(found, is_one=len(given.jobs) == 1))
    else:
        print_text(_in_words([facts for _, facts in found], only_recent=only_recent))
    return DONE


def _told_of(
    jobs: Sequence[_Job],
    examined: Sequence[list[Facts]],
    *,
    only_recent: bool,
) -> list[tuple[Submission, list[Facts]]]:
    """Return the jobs that were asked for, each by its latest submission, with what is known."""
    found = []
    for job, facts in zip(jobs, examined, strict=True):
        if job.is_told_of(facts, only_recent=only_recent):
            found.append((job.latest, facts))
    return found


def _all_jobs(here: str, *, only_recent: bool) -> list[_Job]:
    """Return all jobs that are known, or those of them that may be recent."""
    known = record.known(here)
    if only_recent:
        known = [one for one in known if may_be_recent(one)]
    jobs = [_Job(latest_of_folder(one, here)) for one in known]
    since = time.time() - _LONGEST_JOB
    for one in record.removed(here):
        if one.time > since:
            jobs.append(_Job(latest_tasks([one]), is_removed=True))
    return jobs


def _examined(jobs: Sequence[_Job]) -> tuple[list[list[Facts]], Exception | None]:
    """Return what is known of each task of each job, and why the scheduler could not be asked, if
    so.
    """
    found, problem = examine(itertools.chain.from_iterable(job.tasks for job in jobs))
    facts = itertools.chain.from_iterable(found)
    return [list(itertools.islice(facts, len(job.tasks))) for job in jobs], problem


def _whom(problem: Exception) -> str:
    """Return who can't be asked, and about what."""
    keeper = scheduler().name
    if isinstance(problem, AccountsUnavailable):
        return f"{keeper} has forgotten some jobs, and its accounts"
    return keeper


def _anything_is_known(examined: Sequence[list[Facts]]) -> bool:
    """Return whether anybody says anything."""
    facts = itertools.chain.from_iterable(examined)
    return any(fact.last or fact.state or fact.blocks is not None for fact in facts)


def _in_words(found: Sequence[list[Facts]], *, only_recent: bool) -> str:
    if not found and only_recent:
        return "no job waits, runs or has ended in the last day"
    if not found:
        return "no job was submitted from here"
    told = [text(facts) for facts in found]
    if only_recent:
        told.append("these wait, run, or have ended in the last day; --all lists all")
    return "\n\n".join(told)


def _as_json(found: Sequence[tuple[Submission, list[Facts]]], *, is_one: bool) -> str:
    objects = [_as_object(one, facts) for one, facts in found]
    return json.dumps(objects[0] if is_one else objects)


def _as_object(one: Submission, facts: list[Facts]) -> dict[str, Any]:
    if len(facts) == 1:
        return asdict(facts[0])
    counts = Counter(fact.outcome for fact in facts)
    head = {"id": one.id, "name": one.name, "folder": one.folder, "outcomes": counts}
    return {**head, "tasks": [asdict(fact) for fact in facts]}


def _say(message: str) -> None:
    note(f"{_PROGRAM}: {message}")


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM, description="Show the state and progress of jobs.", allow_abbrev=False
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
