"""From a job file to a job in the queue.

::

    job file, --set ─▶ Job ─┐
    site profile ───▶ Site ─┴▶ Plan: options of sbatch, script, command ─▶ sbatch ─▶ record
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.batch import record, slurm
from mpipar.batch.document import Document
from mpipar.batch.job_file import Job
from mpipar.batch.job_status import open_states
from mpipar.batch.record import Submission
from mpipar.batch.script import job_script
from mpipar.batch.site import Site
from mpipar.runtime import journal
from mpipar.store.files import write_text

_SITE = "site.toml"  # the profile in the job's folder: the user's own may not be seen by the nodes
CHECK_SECONDS = 60.0
"""What a driver is given to look at its options."""


class Plan(NamedTuple):
    """What is submitted.

    Attributes
    ----------
    options : list of str
        Of sbatch.
    script : str
        The text of the batch script.
    path : Path
        Where it goes.
    command : list of str
        The script's arguments: what it runs.
    """

    options: list[str]
    script: str
    path: Path
    command: list[str]

    def shown(self) -> str:
        """Return the exact script and command, for people, and for a shell."""
        return f"# {self.path}\n{self.script}\n# the command\n{shlex.join(self.words())}"

    def words(self) -> list[str]:
        """Return the command that submits."""
        return ["sbatch", *self.options, str(self.path), *self.command]


def plan(job: Job, site: Site, tasks: list[int], after: list[str]) -> Plan:
    """Return what is to be submitted for a job, or for some tasks of an array."""
    ranks = job.ranks or (job.nodes or 1) * (job.ranks_per_node or 1)
    step = ["--folder", job.folder, "--attempts", str(job.attempts)]
    step += ["--serial"] if ranks == 1 else []
    step += ["--workers", str(job.workers)] if job.workers is not None else []
    step += [] if job.requeue else ["--no-requeue"]
    step += ["--shrink"] if job.shrink else []
    step += ["--site", f"{job.folder}/{_SITE}"] if site.text else []
    command = [
        site.python or sys.executable,
        "-m",
        "mpipar.batch.step",
        *step,
        "--",
        *job.arguments,
    ]
    options = _options(job, site, tasks)
    options += (
        [f"--dependency=afterok:{':'.join(after)}", "--kill-on-invalid-dep=yes"] if after else []
    )
    return Plan(options, job_script(site.prologue), Path(job.folder) / "job.sbatch", command)


def _options(job: Job, site: Site, tasks: list[int]) -> list[str]:
    """Return the options of sbatch."""
    cores = job.cores_per_rank or (job.workers if isinstance(job.workers, int) else None)
    values: dict[str, Any] = {
        "job-name": job.name,
        "output": f"{job.folder.replace('%', '%%')}/{'%x-%A_%a' if job.tasks else '%x-%j'}.out",
        "open-mode": "append",
        "signal": f"B:USR1@{job.warn}",
        "requeue" if job.requeue else "no-requeue": True,
        "no-kill": job.shrink,
        "array": (
            slurm.ranges(tasks) + (f"%{job.at_once}" if job.at_once else "") if job.tasks else ""
        ),
        "nodes": job.nodes,
        "ntasks": job.ranks,
        "ntasks-per-node": job.ranks_per_node or (None if job.ranks else 1),
        "cpus-per-task": cores,
        "exclusive": job.workers == "auto" and cores is None,
        "gpus-per-node": job.gpus_per_node,
        "mem": job.memory,
        "time": job.time,
        "partition": job.partition or site.partition,
        "account": job.account or site.account,
        **site.sbatch,
        **job.sbatch,
    }
    return [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in values.items()
        if _is_given(value)
    ]


def _is_given(value: Any) -> bool:
    return value not in (None, "") and value is not False


def look_at_program(job: Job) -> str | None:
    """Let the driver itself look at its options and input; return what it says about its plan, if
    it can.

    The job's folder has been made.

    Raises
    ------
    BadInput
        If it refuses them.
    """
    if job.check is None:
        return None
    words = [word.replace("{task}", "1") if job.tasks else word for word in job.check]
    try:
        return dry_run(words)
    except subprocess.TimeoutExpired:
        return None
    except BadInput as error:
        raise BadInput(f"run: {error}") from None


def dry_run(words: list[str]) -> str:
    """Return what a driver says about its plan; ``words`` are its command line, with --dry-run.

    Raises
    ------
    BadInput
        If it refuses its options or input.
    subprocess.TimeoutExpired
        If it takes too long to look at them.
    """
    ended = subprocess.run(
        [sys.executable, *words],
        env=slurm.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CHECK_SECONDS,
        check=False,
    )
    lines = (ended.stdout if ended.returncode == 0 else ended.stderr).strip().splitlines() or [
        "it says nothing"
    ]
    told = lines[-1].partition(": ")[2] or lines[-1]
    if ended.returncode != 0:
        raise BadInput(told.removeprefix("error: "))
    return told


def unfinished_tasks(job: Job) -> list[int]:
    """Return the numbers of the tasks that earlier submissions have not finished; 0 is a job that
    is no array.
    """
    earlier = [
        one
        for one in record.of_folder(Path(job.folder))
        if job.output or _arguments(one) == job.arguments
    ]
    return [task for task in all_tasks(job) if not _is_finished(job, earlier, task)]


def all_tasks(job: Job) -> list[int]:
    """Return the numbers of all tasks; 0 is a job that is no array."""
    return list(range(1, job.tasks + 1)) if job.tasks else [0]


def _is_finished(job: Job, earlier: list[Submission], task: int) -> bool:
    if job.output:
        from mpipar.store.progress import progress  # HDF5 takes time to load

        found = progress(output_of(job, task))
        return found is not None and found.finished and not found.skipped
    return any(_ended_well(submission.journal(str(task or ""))) for submission in earlier)


def _arguments(submission: Submission) -> list[str]:
    """Return what followed python on the command line of a submission."""
    words = submission.command
    return words[words.index("--") + 1 :] if "--" in words else []


def _ended_well(path: Path) -> bool:
    events = [event for event in journal.read(path) if event["event"] == journal.NEXT]
    return bool(events) and (events[-1].get("what"), events[-1].get("code")) == ("exit", 0)


def output_of(job: Job, task: int) -> Path:
    """Return the result file of a task; 0 is a job that is no array."""
    name = (
        job.output.replace("{task}", str(task)).replace("{tasks}", str(job.tasks))
        if task
        else job.output
    )
    return Path(job.folder) / name


def in_queue(folder: Path) -> list[slurm.JobState]:
    """Return the states of jobs of a folder that are pending or running."""
    return open_states(record.of_folder(folder))


def submit(
    job: Job, document: Document, planned: Plan, site: Site, tasks: list[int], overrides: list[str]
) -> Submission:
    """Put a job into the queue, and on record. Its folder has been made.

    Raises
    ------
    BadInput
        If its files can't be written.
    SubmitRefused, SlurmUnavailable
        If Slurm doesn't take it.
    """
    folder = Path(job.folder)
    try:
        write_text(folder / "job.toml", document.text)
        write_text(planned.path, planned.script)
        if site.text:
            write_text(folder / _SITE, site.text)
    except OSError as error:
        raise BadInput(f"output.folder: {error.strerror}: {job.folder!r}") from None
    number = slurm.submit([*planned.options, str(planned.path), *planned.command])
    submission = Submission(
        id=number,
        name=job.name,
        cluster=slurm.cluster(),
        folder=job.folder,
        outputs=(
            {str(task or ""): str(output_of(job, task)) for task in tasks} if job.output else {}
        ),
        tasks=slurm.ranges(tasks) if job.tasks else "",
        command=planned.words(),
        overrides=overrides,
        time=time.time(),
    )
    try:
        record.add(submission)
    except OSError as error:  # it is in the queue: the user must have its number
        print(
            f"mpipar submit: job {number} can't be put on record: {error.strerror}: {job.folder}",
            file=sys.stderr,
        )
    return submission


@contextlib.contextmanager
def made_folder(path: Path) -> Iterator[None]:
    """Make a folder, and hold it against another submission at the same time; if nothing came into
    it, remove it again.

    Raises
    ------
    BadInput
        If it can't be made.
    """
    made = [
        folder for folder in (path, *path.parents) if not os.path.exists(folder)
    ]  # Path's may raise
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
        for name in ("job.toml", "job.sbatch", _SITE) if path in made else ():
            (path / name).unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)
        _remove(made)


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # it isn't empty, or was never made
            folder.rmdir()
