"""From a job file to a job in the queue.

::

    job file, --set ─▶ Job ─┐
    site profile ───▶ Site ─┴▶ Plan ─▶ scheduler ─▶ record
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.batch import record
from mpipar.batch.document import Document
from mpipar.batch.job_file import Job
from mpipar.batch.job_state import JobState
from mpipar.batch.plan import SITE, Plan
from mpipar.batch.queue_states import open_states
from mpipar.batch.record import Submission
from mpipar.batch.schedulers import scheduler
from mpipar.batch.site import Site
from mpipar.batch.task_numbers import ranges
from mpipar.core.preview import Preview, as_preview
from mpipar.runtime import journal
from mpipar.runtime.outlets import note
from mpipar.store.files import write_text

CHECK_SECONDS = 60.0
"""What a driver is given to look at its options."""


def look_at_program(job: Job) -> Preview | None:
    """Let the driver itself look at its options and input; return what it would evaluate, if it can
    say so.

    The job's folder has been made.

    Raises
    ------
    BadInput
        If it refuses them.
    """
    if job.check is None:
        return None
    words = job.check
    if job.tasks:
        words = [word.replace("{task}", "1") for word in words]
    try:
        return dry_run(words)
    except subprocess.TimeoutExpired:
        return None
    except BadInput as error:
        raise error.within("run") from None


def dry_run(words: list[str]) -> Preview:
    """Return what a driver would evaluate; ``words`` are its command line, with --dry-run.

    Raises
    ------
    BadInput
        If it refuses its options or input.
    subprocess.TimeoutExpired
        If it takes too long to look at them.
    """
    place = words.index("--dry-run")
    ended = subprocess.run(
        [sys.executable, *words[:place], "--json", *words[place:]],
        env=scheduler().environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CHECK_SECONDS,
        check=False,
    )
    answer = _answer(ended.stdout)
    for problem in answer.get("problems", ()):
        raise BadInput(**problem)
    if ended.returncode != 0 or not answer:
        last_words = ended.stderr.strip().splitlines() or ["it says nothing"]
        raise BadInput(last_words[-1])
    return as_preview(answer)


def _answer(stdout: str) -> dict[str, Any]:
    """Return the object that a driver has printed, after what its module may have printed; empty if
    there is none.
    """
    last_line = stdout.strip().rpartition("\n")[2]
    try:
        answer = json.loads(last_line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def unfinished_tasks(job: Job) -> list[int]:
    """Return the numbers of the tasks that earlier submissions have not finished; 0 is a job that
    is no array.
    """
    earlier = record.of_folder(Path(job.folder))
    if not job.output:
        earlier = [one for one in earlier if _arguments(one) == job.arguments]
    return [task for task in all_tasks(job) if not _is_finished(job, earlier, task)]


def all_tasks(job: Job) -> list[int]:
    """Return the numbers of all tasks; 0 is a job that is no array."""
    if not job.tasks:
        return [0]
    return list(range(1, job.tasks + 1))


def _is_finished(job: Job, earlier: list[Submission], task: int) -> bool:
    if job.output:
        from mpipar.store.progress import progress  # HDF5 takes time to load

        found = progress(output_of(job, task))
        return found is not None and found.finished and not found.skipped
    return any(_ended_well(submission.journal(str(task or ""))) for submission in earlier)


def _arguments(submission: Submission) -> list[str]:
    """Return what followed python on the command line of a submission."""
    words = submission.command
    if "--" not in words:
        return []
    return words[words.index("--") + 1 :]


def _ended_well(path: Path) -> bool:
    events = [event for event in journal.read(path) if event["event"] == journal.NEXT]
    return bool(events) and (events[-1].get("what"), events[-1].get("code")) == ("exit", 0)


def output_of(job: Job, task: int) -> Path:
    """Return the result file of a task; 0 is a job that is no array."""
    name = job.output
    if task:
        name = name.replace("{task}", str(task)).replace("{tasks}", str(job.tasks))
    return Path(job.folder) / name


def in_queue(folder: Path) -> list[JobState]:
    """Return the states of jobs of a folder that are pending or running."""
    return open_states(record.of_folder(folder))


def submit(
    job: Job,
    document: Document,
    planned: Plan,
    site: Site,
    tasks: list[int],
    overrides: list[str],
) -> Submission:
    """Put a job into the queue, and on record. Its folder has been made.

    Raises
    ------
    BadInput
        If its files can't be written.
    SubmitRefused, SchedulerUnavailable
        If the scheduler doesn't take it.
    """
    folder = Path(job.folder)
    try:
        write_text(folder / "job.toml", document.text)
        write_text(planned.path, planned.script)
        if site.text:
            write_text(folder / SITE, site.text)
    except OSError as error:
        raise BadInput(f"output.folder: {error.strerror}: {job.folder!r}") from None
    accepted = scheduler().submit(planned.words())
    outputs = {}
    if job.output:
        outputs = {str(task or ""): str(output_of(job, task)) for task in tasks}
    submission = Submission(
        id=accepted.id,
        name=job.name,
        cluster=scheduler().cluster(),
        folder=job.folder,
        outputs=outputs,
        tasks=ranges(tasks) if job.tasks else "",
        command=planned.words(),
        overrides=overrides,
        time=time.time(),
    )
    for line in accepted.said.splitlines():
        _say(line)
    try:
        is_listed = record.add(submission)
    except OSError as error:  # it is in the queue: the user must have its number
        _say(f"job {accepted.id} can't be put on record: {error.strerror}: {job.folder}")
    else:
        if not is_listed:
            index = record.index()
            _say(f"job {accepted.id} is known by its folder alone: {index} can't be written to")
    return submission


def _say(text: str) -> None:
    note(f"mpipar submit: {text}")


@contextlib.contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """Make a folder, and hold it against another submission at the same time; if nothing came into
    it, remove it again.

    Raises
    ------
    BadInput
        If it can't be made.
    """
    # Path's own question may raise.
    made = [folder for folder in (path, *path.parents) if not os.path.exists(folder)]
    lock = -1
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY)
        with contextlib.suppress(OSError):  # not all file systems can
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "can't be written to")
    except OSError as error:
        _remove(made)
        raise BadInput(f"output.folder: {error.strerror or error}: {str(path)!r}") from None
    try:
        yield
    except BaseException:
        if path in made:
            for name in ("job.toml", scheduler().script_name, SITE):
                (path / name).unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)
        _remove(made)


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # it isn't empty, or was never made
            folder.rmdir()
