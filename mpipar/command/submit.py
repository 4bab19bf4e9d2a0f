"""``mpipar submit``: put what a job file describes into the queue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mpipar.base.arguments import Parser, bad_argument
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE
from mpipar.batch.document import Document
from mpipar.batch.job_file import Job, read_job
from mpipar.batch.launchers import can_shrink
from mpipar.batch.plan import Plan, plan
from mpipar.batch.record import Submission
from mpipar.batch.schedulers import scheduler
from mpipar.batch.site import Site, read_site
from mpipar.batch.submit import (
    all_tasks,
    in_queue,
    look_at_program,
    made_folder,
    submit,
    unfinished_tasks,
)
from mpipar.command.entry import command, print_text
from mpipar.command.submit_after import still_to_come
from mpipar.command.submit_wait import wait
from mpipar.core.preview import Preview
from mpipar.runtime.outlets import note

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


@command("mpipar submit")
def main(arguments: Sequence[str]) -> int:
    """Submit a job, and return the exit code."""
    options = _parser().parse_args(arguments)
    if options.json and not options.dry_run:
        raise bad_argument("--json", "needs --dry-run")
    return _submit(options)


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
        short_for = f"short for --set resources.{name}=VALUE"
        parser.add_argument(_flag(name), metavar="VALUE", help=short_for)
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
        "--json", action="store_true", help="with --dry-run: print them as one JSON object"
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


class _Wanted(NamedTuple):
    """What is to be submitted, as files and the command line say.

    Attributes
    ----------
    document : Document
        The job file, with the changes of the command line.
    job : Job
    site : Site
    after : list of str
        Numbers of the jobs that it waits for.
    overrides : list of str
        The changes, for the record.
    """

    document: Document
    job: Job
    site: Site
    after: list[str]
    overrides: list[str]


def _submit(options: Any) -> int:
    wanted = _read(options)
    job = wanted.job
    with made_folder(Path(job.folder)):
        preview = _look(job, options.job)
        tasks = all_tasks(job) if options.force else unfinished_tasks(job)
        planned = plan(job, wanted.site, tasks or [0], wanted.after)
        if options.dry_run or options.check:
            return _only_tell(options, wanted, planned, tasks, preview)
        if not options.force:
            _refuse_if_in_queue(job.folder)
        if not tasks:
            _say(f"{job.folder} is finished; nothing is submitted")
            return DONE
        submission = submit(job, wanted.document, planned, wanted.site, tasks, wanted.overrides)
    _tell(submission, preview)
    if not options.wait:
        return DONE
    try:
        return wait(submission, job, _say)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"job {submission.id} goes on") from None


def _only_tell(
    options: Any,
    wanted: _Wanted,
    planned: Plan,
    tasks: list[int],
    preview: Preview | None,
) -> int:
    """Say what would be submitted, and what that means at this site; return the exit code."""
    launcher = wanted.site.launcher
    if options.json:
        remarks = scheduler().remarks(planned.wanted, launcher)
        answer = {**_as_object(wanted.job, planned, tasks, preview), "remarks": remarks}
        print_text(json.dumps(answer))
        return DONE
    told = planned.shown() if options.dry_run else scheduler().test(planned.options)
    print_text(told)
    for remark in scheduler().remarks(planned.wanted, launcher):
        _say(remark)
    return DONE


def _read(options: Any) -> _Wanted:
    """Return what is to be submitted. Raises BadInput."""
    document = Document(options.job)
    overrides = list(options.changes)
    for change in options.changes:
        document.change(change)
    for name in _RESOURCES:
        value = getattr(options, name)
        if value is not None:
            typed = _number(value) if name in _NUMBERS else value
            document.put(("resources", name), typed, _flag(name))
            overrides.append(f"resources.{name}={value}")
    site = read_site(options.site)
    job = read_job(document, site.folder(""))
    if job.shrink and not can_shrink(site.launcher):
        starter = scheduler().starter.program
        unfit = f'"go-on" needs mpirun or {starter} as the site\'s launcher, got {site.launcher!r}'
        raise document.error(("restart", "lost_nodes"), unfit)
    return _Wanted(document, job, site, still_to_come(options.after), overrides)


def _number(text: str) -> int | str:
    """Return a whole number, or the text as it is, which the schema then refuses or not."""
    is_number = text.isascii() and text.isdecimal() and len(text) < 19
    if is_number:
        return int(text)
    return text


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _look(job: Job, path: Path) -> Preview | None:
    """Return what the driver would evaluate, if it says so. Raises BadInput, with the job file."""
    try:
        return look_at_program(job)
    except BadInput as error:
        raise error.within(str(path)) from None


def _refuse_if_in_queue(folder: str) -> None:
    waiting = in_queue(Path(folder))
    if waiting:
        listed = ", ".join(f"{state.id} ({state.state})" for state in waiting)
        has_it = f"job {listed} has this output already; --force submits it all the same"
        raise BadInput(f"{folder}: {has_it}")


def _as_object(
    job: Job,
    planned: Plan,
    tasks: list[int],
    preview: Preview | None,
) -> dict[str, Any]:
    """Return what would be submitted, for JSON."""
    return {
        "name": job.name,
        "folder": job.folder,
        "tasks": tasks if job.tasks else None,
        "finished": not tasks,
        "path": str(planned.path),
        "script": planned.script,
        "options": planned.options,
        "arguments": planned.command,
        "command": planned.words(),
        "driver": None if preview is None else preview._asdict(),
        "problems": [],
    }


def _tell(submission: Submission, preview: Preview | None) -> None:
    print_text(submission.id)
    name = submission.name
    if submission.tasks:
        name += f", tasks {submission.tasks}"
    _say(f"job {submission.id} ({name}) in {submission.folder}")
    if preview is not None:
        _say(f"it evaluates {preview.words}")


def _say(text: str) -> None:
    note(f"mpipar submit: {text}")
