"""Runs of a study on a cluster: each is a job of its own.

The driver prints its JSON into the job's log, and the job's journal has the times. A job that is in
the queue, or has ended, when an interrupted study goes on is taken for what it is; none is
submitted twice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput, RunFailed
from mpipar.batch import record
from mpipar.batch.document import Document
from mpipar.batch.job_file import Job, read_job
from mpipar.batch.plan import plan
from mpipar.batch.queue_states import open_states, states_of
from mpipar.batch.record import Submission
from mpipar.batch.scheduler import SubmitRefused
from mpipar.batch.schedulers import scheduler
from mpipar.batch.site import Site
from mpipar.batch.submit import made_folder, output_of, submit
from mpipar.runtime import journal
from mpipar.study.design import Measured, Run
from mpipar.study.folder import JOBS
from mpipar.study.local_runner import last_json, measured
from mpipar.study.target import Target

_POLL_SECONDS = 2.0
# that the log of a job may come after its end: nodes write it, and this reads it elsewhere
_LATE_SECONDS = 10.0


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
        self, target: Target, folder: Path, site: Site, at_once: int, say: Callable[[str], None]
    ) -> None:
        self._target, self._site, self._at_once, self._say = target, site, at_once, say
        self._folder = folder.absolute() / JOBS
        self.waiting = 0
        """Jobs that are in the queue."""

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
        queued: dict[str, tuple[Run, Submission]] = {}
        said: dict[str, str] = {}
        while left or queued:
            while left and len(queued) < self._at_once:
                run = left.pop(0)
                one = self._submitted(run)
                queued[one.id] = (run, one)
                self.waiting = len(queued)
            states = states_of(one for _, one in queued.values())
            for number, state in states.items():
                told = f"{state.words}{f' ({state.reason})' * bool(state.reason)}"
                if not state.ended and number in queued and said.get(number) != told:
                    said[number] = told
                    self._say(f"job {number} ({queued[number][0].size.words}): {told}")
            for number in [
                number for number in queued if number not in states or states[number].ended
            ]:
                run, one = queued.pop(number)
                self.waiting = len(queued)
                yield run, self._measured(run, one)
            if queued:
                time.sleep(_POLL_SECONDS)

    def _job(self, run: Run) -> tuple[Document, Job]:
        """Return the job of a run."""
        size = run.size
        document = Document(Path(self._target.name))
        for change in self._target.changes:
            document.change(change)
        values = document.values
        values["run"].pop("options_per_rank", None)
        resources: dict[str, Any] = values.setdefault("resources", {})
        each = resources.get("ranks_per_node")
        nodes = size.nodes
        if nodes is None and each:
            if size.ranks % int(each):
                raise BadInput(
                    f"--ranks: {size.ranks} is not a multiple of resources.ranks_per_node, {each}"
                )
            nodes = size.ranks // int(each)
        for key, value in (("nodes", nodes), ("ranks", size.ranks), ("workers", size.workers)):
            resources.pop(key, None)
            if value is not None:
                document.put(("resources", key), value, f"--{key}")
        values["run"]["options"] = {
            **self._target.options_for(size),
            "json": True,
            "progress": False,
        }
        values["restart"] = {"requeue": False, "attempts": 1}
        output = {"folder": str(self._folder / f"{size.label}-{run.repeat}")}
        if "file" in values.get("output", {}):
            output["file"] = values["output"]["file"]
        values["output"] = output
        values.setdefault("name", f"scale-{Path(self._target.name).stem}"[:60])
        return document, read_job(document, self._folder)

    def _submitted(self, run: Run) -> Submission:
        """Return the job of a run: one that was submitted before and may still give what is wanted,
        or a new one.
        """
        document, job = self._job(run)
        earlier = record.of_folder(Path(job.folder))
        if earlier and (_report(earlier[-1]) is not None or _is_open(earlier[-1])):
            return earlier[-1]
        result = output_of(job, 0)
        for path in (result, Path(f"{result}.previous")):
            path.unlink(missing_ok=True)  # it would go on with what an earlier job has left
        shutil.rmtree(f"{result}.parts", ignore_errors=True)
        with made_folder(Path(job.folder)):
            return submit(
                job, document, plan(job, self._site, [0], []), self._site, [0], self._target.changes
            )

    def _measured(self, run: Run, one: Submission) -> Measured:
        """Return what the job of a run gave, and remove its result. Raises RunFailed if it gave
        nothing.
        """
        deadline = time.monotonic() + _LATE_SECONDS
        report = _report(one)
        while report is None and time.monotonic() < deadline:
            time.sleep(0.2)
            report = _report(one)
        if report is None:
            raise RunFailed(
                f"{run.size.words}: job {one.id} ended without a result; its log is {one.log()}"
            )
        begun, ended, hosts = _times(one)
        found = measured(one.log().read_text(errors="replace"), ended - begun, hosts, run)
        for name in one.outputs.values():
            Path(name).unlink(missing_ok=True)
        return found


def _report(one: Submission) -> dict[str, Any] | None:
    try:
        return last_json(one.log().read_text(errors="replace"))
    except OSError:
        return None


def _is_open(one: Submission) -> bool:
    return bool(open_states([one]))


def _times(one: Submission) -> tuple[float, float, list[str]]:
    """Return when the ranks of a job were started, when they had ended, and the nodes they were
    on.
    """
    events = journal.read(one.journal())
    starts = [event for event in events if event["event"] == journal.ALLOCATION]
    ends = [event for event in events if event["event"] == journal.NEXT]
    if not starts or not ends:
        raise RunFailed(f"job {one.id}: its journal {one.journal()} doesn't tell when it ran")
    return float(starts[-1]["time"]), float(ends[-1]["time"]), list(starts[-1].get("nodes", ()))
