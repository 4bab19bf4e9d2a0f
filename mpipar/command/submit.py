"""``mpipar submit``: put what a job file describes into the queue."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpipar.base.arguments import Parser
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE, FAILED
from mpipar.batch import record
from mpipar.batch.document import Document
from mpipar.batch.job_file import Job, read_job
from mpipar.batch.job_status import examine
from mpipar.batch.launchers import can_shrink
from mpipar.batch.named_jobs import tasks as tasks_of
from mpipar.batch.plan import plan
from mpipar.batch.queue_states import states_of
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import SchedulerUnavailable
from mpipar.batch.schedulers import scheduler
from mpipar.batch.site import read_site
from mpipar.batch.submit import (
    all_tasks,
    in_queue,
    look_at_program,
    made_folder,
    submit,
    unfinished_tasks,
)
from mpipar.command.entry import command, print_text

_RESOURCES = (
    "nodes",
    "ranks_per_node",
    "ranks",
    "workers",
    "time",
    "memory",
    "partition",
    "account",
)
_NUMBERS = ("nodes", "ranks_per_node", "ranks", "workers", "time")
_POLL_SECONDS, _LONGEST_PAUSE = 2.0, 30.0
_PATIENCE = 600.0  # that a controller is given which doesn't answer


@command("mpipar submit")
def main(arguments: Sequence[str]) -> int:
    """Submit a job, and return the exit code."""
    return _submit(_parser().parse_args(arguments))


def _parser() -> Parser:
    parser = Parser(
        prog="mpipar submit",
        allow_abbrev=False,
        description=(
            "Submit what a job file describes. Submitted again after it was stopped, it goes on; of"
            " an array, the tasks that are not finished run alone. The job's number is printed on"
            " stdout."
        ),
        epilog="example: mpipar submit jobs/pi.toml --nodes 4 --set run.options.steps=1e12",
    )
    parser.add_argument("job", type=Path, metavar="JOB.toml", help="the job file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="changes",
        help=(
            "another value than in the file, such as run.options.steps=1e9 (more than once, if"
            " need be)"
        ),
    )
    for name in _RESOURCES:
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, metavar="VALUE", help=f"short for --set resources.{name}=VALUE")
    parser.add_argument("--site", type=Path, metavar="FILE", help="the site's profile")
    parser.add_argument(
        "--after",
        action="append",
        default=[],
        metavar="ID",
        help="begin when job ID has ended well",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the script and the command; submit nothing"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"ask {scheduler().name} whether it would take it; submit nothing",
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait for its end; exit code 1 if it isn't a good one"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="submit, though a job with this output is in the queue, or it is finished",
    )
    return parser


def _submit(options: Any) -> int:
    document = Document(options.job)
    overrides = [*options.changes]
    for change in options.changes:
        document.change(change)
    for name in _RESOURCES:
        value = getattr(options, name)
        if value is not None:
            typed = _number(value) if name in _NUMBERS else value
            document.put(("resources", name), typed, f"--{name.replace('_', '-')}")
            overrides.append(f"resources.{name}={value}")
    site = read_site(options.site)
    job = read_job(document, site.folder(""))
    if job.shrink and not can_shrink(site.launcher):
        starter = scheduler().starter.program
        unfit = f'"go-on" needs mpirun or {starter} as the site\'s launcher, got {site.launcher!r}'
        raise document.error(("restart", "lost_nodes"), unfit)
    after = _still_to_come(options.after)
    with made_folder(Path(job.folder)):
        try:
            told = look_at_program(job)
        except BadInput as error:
            raise error.within(str(options.job)) from None
        tasks = all_tasks(job) if options.force else unfinished_tasks(job)
        planned = plan(job, site, tasks or [0], after)
        if options.dry_run:
            print(planned.shown())
            return DONE
        if options.check:
            print(scheduler().test(planned.options))
            return DONE
        waiting = [] if options.force else in_queue(Path(job.folder))
        if waiting:
            listed = ", ".join(f"{state.id} ({state.state})" for state in waiting)
            raise BadInput(
                f"{job.folder}: job {listed} has this output already; --force submits it all the"
                " same"
            )
        if not tasks:
            _say(f"{job.folder} is finished; nothing is submitted")
            return DONE
        submission = submit(job, document, planned, site, tasks, overrides)
    print_text(submission.id)
    _say(
        f"job {submission.id} ({job.name}{f', tasks {submission.tasks}' if job.tasks else ''}) in"
        f" {job.folder}"
    )
    if told:
        _say(f"it evaluates {told.words}")
    try:
        return _wait(submission, job) if options.wait else DONE
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"job {submission.id} goes on") from None


def _still_to_come(numbers: list[str]) -> list[str]:
    """Return which of these a job is to wait for.

    One that has ended well is waited for by the scheduler, too, but for what that takes for a
    failure, and is none.

    Raises
    ------
    BadInput
        If a job can't wait for one of them: for one that it doesn't know, the scheduler
        wouldn't wait at all.
    """
    for number in numbers:
        if not (number.isascii() and number.isdecimal()):
            raise BadInput(f"--after: expected the number of a job, got {number!r}")
    states = scheduler().states(numbers) if numbers else {}
    here = scheduler().cluster()
    left = []
    for number in numbers:
        found = [state for name, state in states.items() if re.split("[_+]", name)[0] == number]
        if not found:
            raise BadInput(
                f"--after: {scheduler().name} knows no job {number}, or has forgotten it"
            )
        one = record.of_id(number, here)
        facts = examine([(one, task) for task in tasks_of(one)])[0] if one is not None else []
        failed = next(
            (
                fact
                for each in facts
                for fact in each
                if not fact.is_open and fact.outcome != "done"
            ),
            None,
        )
        if failed is not None and failed.state is not None:
            raise BadInput(
                f"--after: job {failed.id} has not ended well: {failed.state}, {failed.words}"
            )
        bad = next((state for state in found if state.ended and not state.good), None)
        is_done = bool(facts) and all(fact.outcome == "done" for each in facts for fact in each)
        if bad is not None and not is_done:
            raise BadInput(f"--after: job {bad.id} has not ended well: {bad.state}")
        left += [] if bad is not None else [number]
    return left


def _number(text: str) -> int | str:
    """Return a whole number, or the text as it is, which the schema then refuses or not."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else text


def _wait(submission: Submission, job: Job) -> int:
    """Wait for a job's end, and return 0 if all of it ended well, with all results."""
    before, pause, heard = None, _POLL_SECONDS, time.monotonic()
    while True:
        try:
            states = states_of([submission])
        except SchedulerUnavailable as error:
            if time.monotonic() > heard + _PATIENCE:
                raise
            _say(f"{error}; trying again")
            time.sleep(pause)
            continue
        heard = time.monotonic()
        told = ", ".join(sorted({state.state for state in states.values()}))
        if told != before:
            _say(f"job {submission.id}: {told or 'not in the queue any more'}")
            before = told
        if all(state.ended for state in states.values()):
            every = examine([(submission, task) for task in tasks_of(submission)])[0]
            facts = [fact for each in every for fact in each]
            well = all(fact.outcome == "done" for fact in facts)
            if job.output or not states:  # a prologue may have ended the job before it ran anything
                well = well and not unfinished_tasks(job)
            for words in dict.fromkeys(
                fact.words for fact in facts if fact.words.startswith(("done, ", "failed: "))
            ):
                _say(f"job {submission.id}: {words}")
            return DONE if well else FAILED
        time.sleep(pause)
        pause = min(1.2 * pause, _LONGEST_PAUSE)  # the controller has others to serve


def _say(text: str) -> None:
    print(f"mpipar submit: {text}", file=sys.stderr, flush=True)
