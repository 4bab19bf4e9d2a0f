"""The file of ``mpipar run --output``, from the start of a script to its end.

::

    start ─▶ (resume: what is there) ─▶ tasks: begin_call, append, commit ─▶ finish, or stop
                                        run.h5.parts/tasks-N.log                run.h5

``run.h5`` is written as a whole, aside and then renamed; it names the first log that isn't in it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.store import fingerprint, task_tables
from mpipar.store.copies import each_once, forget_copies
from mpipar.store.files import flush_to_disk, own_name, write_hdf5
from mpipar.store.outcome_blocks import packed
from mpipar.store.output_folder import check_is_free, empty, locked
from mpipar.store.output_place import may_write
from mpipar.store.pickled_outcomes import (
    PickledLog,
    PickledTask,
    signed_outcomes,
    write_signed,
)
from mpipar.store.previous import Previous
from mpipar.store.seal import seal
from mpipar.store.stored_calls import StoredCall, forget_workers, have_task
from mpipar.store.task_log import Logged, Span, TaskLog, read_log
from mpipar.store.task_look import foreign_tasks, log_path
from mpipar.store.task_tables import Tasks
from mpipar.store.task_timeline import last_end, timeline_of, workers_of

__all__ = ["Span", "TaskStore"]


class TaskStore:
    """What is known of a script's tasks, and what they come to; on the root alone.

    Parameters
    ----------
    path : Path or None
        The output; None to keep nothing.
    about : mapping
        What JSON has: ``script``, ``arguments``, ``ranks``, ``workers``, ``hosts`` (the node of
        each rank), ``packages``.
    resume : bool
        Whether to go on with what is there.
    known : sequence of Path
        Files of other scripts, or of other runs.
    keep_pickled : bool
        Whether to keep outcomes of other types, pickled, in a file of the user's own.

    Attributes
    ----------
    calls : list of StoredCall
        Of this file and the known ones, when the script begins.
    about : dict
        More may be put into it until the end.
    is_kept : bool
        Whether there is an output.
    packages : dict
        {installed package: version} that earlier runs and known files were made with.
    fingerprint_versions : set of int
        Of these.

    Raises
    ------
    BadInput
        If the output can't be written, or a file can't be read.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        about: Mapping[str, Any],
        resume: bool = False,
        known: Sequence[Path] = (),
        keep_pickled: bool = False,
    ) -> None:
        self.is_kept = path is not None
        self.about = dict(about)
        self.calls: list[StoredCall] = []
        self._keep_pickled = keep_pickled
        self._begin = time.time()
        self._own: list[StoredCall] = []
        self._next = 0
        self._lock = -1
        self._pickled: PickledLog | None = None
        self._last = Tasks({}, finished=False)  # has workers and timeline of the last run
        self._is_begun = self._is_written = False
        self.packages: dict[str, str] = {}
        self.fingerprint_versions: set[int] = set()
        own = Path(os.path.realpath(path)) if path is not None else None
        foreign: list[list[StoredCall]] = []
        for one in each_once(known, own if resume else None):
            tasks = foreign_tasks(one, with_pickled=keep_pickled)
            self._note_origin(tasks)
            foreign.append(tasks.calls)
        if own is not None:
            self._open(own, resume)
        forget_copies(self._own, foreign)
        self.calls = list(itertools.chain(self._own, *foreign))

    def _note_origin(self, tasks: Tasks) -> None:
        """Take in what a file was made with; it stays there."""
        version = tasks.about.get("fingerprints", 1)
        if isinstance(version, int):
            self.fingerprint_versions.add(version)
        packages = tasks.about.get("packages")
        if isinstance(packages, dict):
            self.packages.update(packages)

    def _open(self, path: Path, resume: bool) -> None:
        self._path = path
        self._folder = Path(f"{path}.parts")
        self._pickled_path = Path(f"{path}.pickled")
        self._previous = Previous(path, self._pickled_path)
        there = may_write(path, resume)
        if there is None:
            check_is_free(self._folder)
        try:
            self._lock = locked(self._folder)
            self._start(resume and there is not None, there)
        except BaseException as error:
            self._leave()
            if isinstance(error, (OSError, ValueError)) and not isinstance(error, BadInput):
                reason = getattr(error, "strerror", None) or error
                raise BadInput(f"output: {reason}: {str(path)!r}") from None
            raise

    def _start(self, resume: bool, there: str | None) -> None:
        self._previous.recover()
        tasks = Tasks({"run": uuid.uuid4().hex, "log": 0}, finished=False)
        if resume:
            tasks = task_tables.read(self._path)
            self._last = tasks
            self._note_origin(tasks)
        self._run, self._log_number = str(tasks.about["run"]), int(tasks.about["log"])
        self._own = tasks.calls
        if resume:
            self._take_up_logs()
        else:
            empty(self._folder)
        self._next = len(self._own)
        if not resume:
            self._previous.keep()
            self._is_begun = True
            self._pickled_path.unlink(missing_ok=True)
            self._write(finished=False)
        self._next_log = self._log_number
        self._begin_log()
        self._take_up_pickled()
        if self._keep_pickled:
            path = self._folder / f"pickled-{own_name('log')}"
            self._pickled = PickledLog(path, self._run)

    def _begin_log(self) -> None:
        """Begin a log, which replaces one of which nothing counts."""
        path = log_path(self._path, self._next_log)
        path.unlink(missing_ok=True)
        self._log = TaskLog(path, self._run, self._begin)
        self._next_log += 1

    def _take_up_pickled(self) -> None:
        """Take in the outcomes that take pickle, of a file of the user's own, and have logs that a
        kill has left in it. Those of lost tasks go: later tasks will have their numbers.
        """
        logs = [*self._folder.glob("pickled-*.log")]
        if not (logs or self._keep_pickled):
            return
        tasks = [task for task in self._signed() if have_task(self._own, task.call, task.task)]
        if logs:
            for log in self._folder.glob("tasks-*.log"):  # which say whose outcomes these are
                flush_to_disk(log)
            write_signed(self._folder, self._pickled_path, self._run, tasks)
        for log in logs:
            log.unlink()
        if self._keep_pickled:
            for task in tasks:
                self._own[task.call].pickled[task.task] = task.data

    def _signed(self) -> Iterator[PickledTask]:
        """Yield the pickled outcomes of all runs."""
        for path in (self._pickled_path, *sorted(self._folder.glob("pickled-*.log"))):
            yield from signed_outcomes(path, self._run)

    def _take_up_logs(self) -> bool:
        """Take in what is in logs, which stay until the file has it; return whether there are
        any.
        """
        first = self._log_number
        while (logged := self._logged()) is not None:
            self._take_in(logged)
        return self._log_number > first

    def _logged(self) -> Logged | None:
        """Return what is in the current log with all before it, or None if there is none."""
        path = log_path(self._path, self._log_number)
        if path.exists():
            forget_workers(self._own)
        try:
            logged = read_log(path, self._own)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise BadInput(f"resume: {error}") from None
        if logged is not None and logged.run != self._run:
            raise BadInput(f"resume: {str(path)!r} is of another run")
        return logged

    def begin_call(
        self, function: bytes, name: str, block_digests: Sequence[bytes], item_digests: bytes
    ) -> int:
        """Note a call, and return its number.

        Parameters
        ----------
        function : bytes
            Digest of the function.
        name : str
        block_digests : sequence of bytes
            Of its items, 4096 at a time.
        item_digests : bytes
            Of its items, one after the other; nothing, if they come with outcomes.

        Raises
        ------
        OSError
            If the disk is full; what has been noted stays.
        """
        number, blocks = self._next, list(block_digests)
        call = StoredCall(number, function, name, blocks, item_digests, begin=time.time())
        if self.is_kept:
            self._log.begin_call(call)
        self._next += 1
        return number

    def append(
        self,
        call: int,
        indices: Sequence[int],
        digests: Iterable[bytes] | None,
        outcomes: Sequence[Any],
        span: Span | None,
    ) -> set[type]:
        """Note what some tasks of a call have come to; it is on the disk after :meth:`commit`.

        Parameters
        ----------
        call : int
            Its number.
        indices : sequence of int
            Of the tasks.
        digests : iterable of bytes, optional
            Of their items, where the call was begun without.
        outcomes : sequence
            One for each.
        span : Span, optional
            Who evaluated them; None for what another file had.

        Returns
        -------
        set of type
            Of outcomes that can't be kept, and weren't.

        Raises
        ------
        OSError
            If the disk is full; what has been noted stays.
        """
        if not self.is_kept or not outcomes:
            return set()
        data, unkept = packed(outcomes)
        self._log.append(call, indices, digests, data, span)
        if not unkept:
            return set()
        if self._pickled is None:
            return set(unkept.values())
        left = set()
        for position, kind in unkept.items():
            is_kept = self._pickled.keep(call, indices[position], outcomes[position])
            if not is_kept:
                left.add(kind)
        return left

    def commit(self) -> None:
        """Wait until all that was noted is on the disk. Raises OSError; then it may be lost, if the
        node goes down.
        """
        if not self.is_kept:
            return
        if self._pickled is not None:
            self._pickled.sync()
        try:
            self._log.sync()
        except OSError:  # nobody knows what is on the disk: what follows isn't to depend on it
            self._log.close()
            self._begin_log()
            raise

    def finish(self) -> None:
        """Write all as one file: the script has come to its end. Raises OSError; then all that was
        noted stays where it is, for a resume.
        """
        self._end(finished=True)

    def stop(self, reason: str) -> None:
        """Write all as one file that can be resumed. Raises OSError; then all that was noted stays
        where it is, for a resume.
        """
        self.about["stopped"] = reason
        self._end(finished=False)

    def _end(self, *, finished: bool) -> None:
        if not self.is_kept or self._lock < 0:
            return
        try:
            self.commit()
            self._log.close()
            if self._pickled is not None:
                self._pickled.close()
                write_signed(self._folder, self._pickled_path, self._run, self._signed())
            self._write(finished=finished)
            self._is_written = True
            if finished:
                self._previous.forget()
        finally:
            self._leave()

    def _take_in(self, logged: Logged) -> None:
        """Take in what is in the current log."""
        self._own = logged.in_order()
        self._log_number += 1
        self._last = Tasks(
            {"begin": logged.begin, "end": last_end(logged)},
            finished=False,
            workers=workers_of(logged),
            timeline=timeline_of(logged),
        )

    def _write(self, *, finished: bool) -> None:
        """Write the file: what it has, and what is in the current log."""
        if self._take_up_logs():
            self._last.about["end"] = time.time()
        is_as_it_was = self._last.finished and self._last.about.get("log") == self._log_number
        if finished and is_as_it_was:
            return
        tasks = Tasks(
            self._about(),
            finished,
            self._own,
            self._last.workers,
            self._last.timeline,
        )
        aside = self._folder / "aside.h5"
        write_hdf5(aside, lambda file: task_tables.put(file, tasks))
        seal(aside)
        flush_to_disk(aside)
        os.replace(aside, self._path)
        flush_to_disk(self._path.parent)
        for log in self._folder.glob("*.log"):
            log.unlink()

    def _about(self) -> dict[str, Any]:
        about = {**self.about, "run": self._run, "log": self._log_number}
        about["fingerprints"] = fingerprint.VERSION
        about["begin"] = self._last.about.get("begin", self._begin)
        about["end"] = self._last.about.get("end", time.time())
        return about

    def _leave(self) -> None:
        """Let others have the file; the folder goes, if nothing is in it."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            self._undo_beginning()
            if all(entry.name == "lock" for entry in self._folder.iterdir()):
                (self._folder / "lock").unlink(missing_ok=True)
                self._folder.rmdir()
        os.close(self._lock)
        self._lock = -1

    def _undo_beginning(self) -> None:
        """Leave all as if a run that has noted nothing had not been begun."""
        is_needed = self._is_written or not self._is_begun or any(self._folder.glob("*.log"))
        if is_needed:
            return
        self._previous.put_back()
