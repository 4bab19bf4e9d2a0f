"""Runs of a study on a cluster: each is a job of its own.

The driver prints its JSON into the job's log, and the job's journal has the times. A job that is in
the queue, or has ended, when an interrupted study goes on is taken for what it is; none is
submitted twice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput, RunFailed
from mpipar.batch import record
from mpipar.batch.document import Document
from mpipar.batch.job_file import Job, read_job
from mpipar.batch.job_state import JobState
from mpipar.batch.plan import plan
from mpipar.batch.queue_states import open_states, states_of
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import SubmitRefused
from mpipar.batch.schedulers import scheduler
from mpipar.batch.site import Site
from mpipar.batch.submit import made_folder, output_of, submit
from mpipar.runtime import journal
from mpipar.study.design import Measured, Run, Size
from mpipar.study.driver_report import last_json, measured
from mpipar.study.folder import JOBS
from mpipar.study.target import Target

_POLL_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.2
_LATE_SECONDS = 10.0
"""So much later than its end a job's log may come: nodes write it, and this reads it elsewhere."""


@dataclass
class _Queued:
    """A job in the queue."""

    run: Run
    submission: Submission
    told: str = ""


class JobRunner:
    """Runs as jobs.

    Parameters
    ----------
    target : Target
        Of a job file.
    folder : Path
        Of the study.
    site : Site
    at_once : int
        Jobs in the queue at a time.
    say : callable
        Called with a line for each job that waits, or begins to run.
    """

    def __init__(
        self,
        target: Target,
        folder: Path,
        site: Site,
        at_once: int,
        say: Callable[[str], None],
    ) -> None:
        self._target = target
        self._folder = folder.absolute() / JOBS
        self._site = site
        self._at_once = at_once
        self._say = say
        self._queued: dict[str, _Queued] = {}

    @property
    def waiting(self) -> int:
        """How many jobs are in the queue."""
        return len(self._queued)

    def check(self, run: Run) -> None:
        """Raise BadInput if there can't be a job for a run; SubmitRefused if it would not
        be taken.
        """
        _, job = self._job(run)
        try:
            scheduler().test(plan(job, self._site, [0], []).options)
        except SubmitRefused as error:
            raise SubmitRefused(f"{run.size.words}: {error}") from None

    def measure(self, runs: Sequence[Run]) -> Iterator[tuple[Run, Measured]]:
        """Yield what each run gave, as its job has ended. Raises RunFailed if one fails."""
        left = list(runs)
        while left or self._queued:
            self._fill_queue(left)
            states = states_of(job.submission for job in self._queued.values())
            for number, state in states.items():
                self._tell(number, state)
            for number in list(self._queued):
                if number not in states or states[number].ended:
                    job = self._queued.pop(number)
                    yield job.run, self._measured(job)
            if self._queued:
                time.sleep(_POLL_SECONDS)

    def _fill_queue(self, left: list[Run]) -> None:
        """Submit runs, and take them from the list, until there are as many jobs as may be."""
        while left and len(self._queued) < self._at_once:
            run = left.pop(0)
            submission = self._submitted(run)
            self._queued[submission.id] = _Queued(run, submission)

    def _tell(self, number: str, state: JobState) -> None:
        """Say what a job is doing, if that is new."""
        job = self._queued.get(number)
        if job is None or state.ended:
            return
        words = state.words
        if state.reason:
            words += f" ({state.reason})"
        if words != job.told:
            job.told = words
            self._say(f"job {number} ({job.run.size.words}): {words}")

    def _job(self, run: Run) -> tuple[Document, Job]:
        """Return the job of a run."""
        document = Document(Path(self._target.name))
        for change in self._target.changes:
            document.change(change)
        self._set_resources(document, run.size)
        values = document.values
        values["run"].pop("options_per_rank", None)
        values["run"]["options"] = {
            **self._target.options_for(run.size),
            "json": True,
            "progress": False,
        }
        values["restart"] = {"requeue": False, "attempts": 1}
        output = {"folder": str(self._folder / f"{run.size.label}-{run.repeat}")}
        if "file" in values.get("output", {}):
            output["file"] = values["output"]["file"]
        values["output"] = output
        values.setdefault("name", f"scale-{Path(self._target.name).stem}"[:60])
        return document, read_job(document, self._folder)

    def _set_resources(self, document: Document, size: Size) -> None:
        resources: dict[str, Any] = document.values.setdefault("resources", {})
        nodes = size.nodes
        a_node = resources.get("ranks_per_node")
        if nodes is None and a_node:
            nodes, left_over = divmod(size.ranks, int(a_node))
            if left_over:
                raise BadInput(
                    f"--ranks: {size.ranks} is not a multiple of resources.ranks_per_node, {a_node}"
                )
        for key, value in (("nodes", nodes), ("ranks", size.ranks), ("workers", size.workers)):
            resources.pop(key, None)
            if value is not None:
                document.put(("resources", key), value, f"--{key}")

    def _submitted(self, run: Run) -> Submission:
        """Return the job of a run: an earlier one that may still give what is wanted, or a new
        one.
        """
        document, job = self._job(run)
        earlier = record.of_folder(Path(job.folder))
        if earlier:
            last = earlier[-1]
            if _report(last) is not None or open_states([last]):
                return last
        result = output_of(job, 0)
        # The job would go on with what an earlier one has left.
        for path in (result, Path(f"{result}.previous")):
            path.unlink(missing_ok=True)
        shutil.rmtree(f"{result}.parts", ignore_errors=True)
        planned = plan(job, self._site, [0], [])
        with made_folder(Path(job.folder)):
            return submit(job, document, planned, self._site, [0], self._target.changes)

    def _measured(self, job: _Queued) -> Measured:
        """Return what a job that has ended gave, and remove its result.

        Raises
        ------
        RunFailed
            If it gave nothing.
        """
        submission = job.submission
        _wait_for_report(job)
        begun, ended, hosts = _times(submission)
        text = submission.log().read_text(errors="replace")
        found = measured(text, ended - begun, hosts, job.run)
        for name in submission.outputs.values():
            Path(name).unlink(missing_ok=True)
        return found


def _wait_for_report(job: _Queued) -> None:
    """Return when the driver's JSON is in the log of a job; raise RunFailed if it doesn't come."""
    deadline = time.monotonic() + _LATE_SECONDS
    while _report(job.submission) is None:
        if time.monotonic() >= deadline:
            where = f"its log is {job.submission.log()}"
            raise RunFailed(
                f"{job.run.size.words}: job {job.submission.id} ended without a result; {where}"
            )
        time.sleep(_LOOK_AGAIN_SECONDS)


def _report(submission: Submission) -> dict[str, Any] | None:
    try:
        return last_json(submission.log().read_text(errors="replace"))
    except OSError:
        return None


def _times(submission: Submission) -> tuple[float, float, list[str]]:
    """Return when a job's ranks were started, when they had ended, and the nodes they were on."""
    events = journal.read(submission.journal())
    starts = [event for event in events if event["event"] == journal.ALLOCATION]
    ends = [event for event in events if event["event"] == journal.NEXT]
    if not starts or not ends:
        told = f"its journal {submission.journal()} doesn't tell when it ran"
        raise RunFailed(f"job {submission.id}: {told}")
    start = starts[-1]
    return float(start["time"]), float(ends[-1]["time"]), list(start.get("nodes", ()))
