"""The file of ``--output`` from the start of a run to its end.

::

    start ─▶ (resume: what is done) ─▶ run: ranks commit to logs ─▶ write: the result file
                                            interrupted, failed ─▶ commit: a file to resume from
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.core.kernel import BoundKernel
from mpipar.runtime.communicator import Comm
from mpipar.runtime.progress_state import Done
from mpipar.runtime.result import Result
from mpipar.store import row_layout
from mpipar.store.attributes import FORMAT
from mpipar.store.checkpoint import (
    Log,
    State,
    check_done,
    get,
    logged,
    put,
    without_repeats,
)
from mpipar.store.files import are_same, flush_to_disk, keep_aside, write_hdf5
from mpipar.store.identity import AROUND, INPUTS, MIXED, known_of_both, whole_identity
from mpipar.store.output_check import is_empty, reason_of, state_of
from mpipar.store.output_folder import check_is_free, empty, locked
from mpipar.store.output_place import may_write
from mpipar.store.result import fill
from mpipar.store.row_checks import look_through, without
from mpipar.store.row_joining import complete
from mpipar.store.row_pieces import pieces_in_place
from mpipar.store.rows import Rows
from mpipar.store.seal import check_seal, seal
from mpipar.store.sealed_rows import check_rows

_LIMITS_OF_HDF5 = (OSError, RuntimeError, TypeError, ValueError, OverflowError)


class OutputFile:
    """The file that a run's result goes to, and the checkpoint until then; a context manager.

    Parameters
    ----------
    path : Path
        Its name.
    bound : BoundKernel
        What is evaluated.
    comm : Comm
        The ranks. Making one of these, and leaving the context, is collective over comm.
    compress : bool
        Whether datasets are compressed.
    resume : bool
        Whether to go on with a run that was stopped, if there is one.
    anyway : bool
        Whether to do so although parameters, functions or inputs are others.
    every : float
        Seconds between commits of a rank.

    Attributes
    ----------
    rows : Rows or None
        Where the rows of the kernel's datasets go, if it has any.
    base : Done or None
        What was done before, on the root.
    finished : bool
        Whether there is nothing left to do.
    notes : list of str
        What the user should know of what is resumed, on the root.

    Raises
    ------
    BadInput
        On all ranks, if a result can't be written there, or not be resumed.
    """

    # Only the root touches path itself and the lock; all ranks write logs, and their processes
    # rows.

    def __init__(
        self,
        path: Path,
        bound: BoundKernel,
        comm: Comm,
        *,
        compress: bool = False,
        resume: bool = False,
        anyway: bool = False,
        every: float = 60.0,
    ) -> None:
        # A kernel may change the folder; a link stays what it is.
        self._path = path = Path(os.path.realpath(path))
        self._folder = Path(f"{path}.parts")
        self._previous = Path(f"{path}.previous")
        self._bound = bound
        self._is_root = comm.is_root
        self._run = uuid.uuid4().hex
        self._identity: dict[str, Any] = {}
        self._anyway = anyway
        self._lock = -1
        self._keep_folder = False
        self._has_previous = False  # whether this run has kept a finished result aside
        self._written = False
        self.rows: Rows | None = None
        self.base: Done | None = None
        self.finished = False
        self.notes: list[str] = []
        self.every = every
        problem = None
        if self._is_root:
            try:
                self._start(compress, resume)
            except BadInput as error:
                problem = str(error)
            except _LIMITS_OF_HDF5 as error:
                problem = f"output: {reason_of(error)}: {str(path)!r}"
            if problem is not None:
                self._leave()
        try:
            own = (problem, self._run, self.rows, self.finished, self._identity)
            told = comm.bcast(own)
            problem, self._run, self.rows, self.finished, self._identity = told
        except BaseException:  # a rank is lost: all begin again
            self._leave()
            raise
        if problem is not None:
            raise BadInput(problem)
        self._log = Log(self._folder, self._run)

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()
        if self._is_root:
            self._leave()

    def append(self, done: Done) -> None:
        """Commit what this rank has done since its last commit. Raises OSError, or TypeError for
        odd totals.
        """
        self._log.append(done)

    def reload(self, is_root: bool) -> None:
        """Take for base all that is on the disk, after ranks have died; the root may be another one
        now.
        """
        self._is_root = is_root
        if is_root:
            if self._lock < 0:
                self._lock = locked(self._folder)
            with h5py.File(self._path, "r") as file:
                state = get(self._path, file)
            self.base = without_repeats(
                self._logged(),
                state.done,
                self._bound.reduction,
            )

    def commit(self, done: Done) -> None:
        """Commit all that is done as one file. For the root. Raises OSError, RuntimeError,
        TypeError.
        """
        if done.count or done.skipped:
            self._write_state(done)
            self._keep_folder = self.rows is not None

    def write(self, result: Result) -> str | None:
        """Write the result, and return why that can't be done. For the root.

        It is written aside, flushed to disk, then renamed, so that the file is whole at any time.
        """
        if self.finished:
            return None
        try:
            self._write(result)
        except (OSError, RuntimeError, TypeError, ValueError) as error:  # h5py raises all of these
            self._keep_folder = self.rows is not None
            # What is done may take less room.
            with contextlib.suppress(OSError, RuntimeError, TypeError):
                self._write_state(result.done)
            return f"the result could not be written to {self._path}: {reason_of(error)}"
        self._written = True
        self._keep_folder = self.rows is not None and bool(result.skipped)
        self._previous.unlink(missing_ok=True)
        return None

    def _write(self, result: Result) -> None:
        if self.rows is None:
            aside = self._folder / "aside.h5"
            write_hdf5(aside, lambda file: self._put_all(file, result))
            seal(aside)
        else:
            aside = self._write_with_rows(self.rows, result)
        self._replace_by(aside)

    def _write_with_rows(self, rows: Rows, result: Result) -> Path:
        """Make the result file of the one that has the rows, and return its path."""
        rows.reserve_room()
        aside = rows.base
        if result.skipped:  # these blocks may still come, with their rows
            aside = self._folder / "aside.h5"
            shutil.copyfile(rows.base, aside)
        skipped = [block.block for block in result.skipped]
        with h5py.File(aside, "r+") as file:
            pieces = complete(rows, file, result.plan, skipped)
            self._put_all(file, result)
        pieces |= pieces_in_place(rows, result.plan, aside)
        seal(aside, pieces)
        return aside

    def _put_all(self, file: h5py.File, result: Result) -> None:
        fill(file, result)
        state = State(self._run, self._identity, result.done, finished=True)
        with contextlib.suppress(TypeError):  # a total that can't be stored is no harm in the end
            put(file, state)

    def _start(self, compress: bool, resume: bool) -> None:
        there = may_write(self._path, resume)
        self._identity = whole_identity(self._bound)
        resume = resume and there is not None
        if not resume:
            check_is_free(self._folder)
        self._lock = locked(self._folder)
        has_rows = bool(self._bound.reduction.datasets())
        if resume:
            self._keep_folder = True  # whatever happens
            self._resume(compress, has_rows)
            return
        empty(self._folder)
        self.base = Done(self._bound.reduction.start())
        if has_rows:
            self.rows = row_layout.begin(self._folder, self._bound, compress, self._run)
        if there is not None:
            self._has_previous = keep_aside(self._path, self._previous)
        self._write_state(self.base)

    def _resume(self, compress: bool, has_rows: bool) -> None:
        """Take up what a run has left."""
        state, self.notes = state_of(
            self._path,
            self._bound,
            self._identity,
            self._anyway,
        )
        self._run = state.run
        mixed = [*state.identity.get(MIXED, []), *self.notes]
        if mixed:
            self._identity[MIXED] = mixed
        for kind in (INPUTS, AROUND):
            self._identity[kind] = known_of_both(kind, state.identity, self._identity)
        self.finished = state.finished and not state.done.skipped
        if state.finished:
            check_seal(self._path)
            check_rows(self._path)
        if self.finished:
            self.base = state.done
            self._keep_folder = False
            return
        if has_rows:
            rows = row_layout.resume(self._folder, self._bound, compress, state.run)
            self.rows = rows or row_layout.begin(self._folder, self._bound, compress, state.run)
        self.base = without_repeats(self._logged(), state.done, self._bound.reduction)
        if self.rows is not None:
            self._leave_out_damaged(self.rows, self.base)
        if state.finished:
            self._has_previous = keep_aside(self._path, self._previous)
        self._write_state(self.base)

    def _leave_out_damaged(self, rows: Rows, base: Done) -> None:
        """Have blocks evaluated again whose rows aren't what was written."""
        found = look_through(rows, self._bound.plan, base.ranges)
        if not found.damaged:
            return
        self.base = without(base, found, self._bound.reduction)
        again = base.count - self.base.count
        damaged = several(len(found.damaged), "block")
        self.notes.append(
            f"the rows of {damaged} in {self._folder} are missing or damaged:"
            f" {several(again, 'block')} of the {base.count} that were done will be evaluated again"
        )

    def _logged(self) -> Iterator[Done]:
        """Yield what ranks have committed to logs. Raises BadInput if that can't be of this run."""
        for part in logged(self._folder, self._run):
            check_done(self._path, part, self._bound)
            yield part

    def _write_state(self, done: Done) -> None:
        """Write the state as a file that can be resumed, and drop the logs that it has the sum
        of.
        """
        logs = list(self._folder.glob("*.log"))
        aside = self._folder / "aside.h5"

        def put_state(file: h5py.File) -> None:
            file.attrs.update(
                mpipar_format=FORMAT,
                finished=False,
                driver=self._bound.kernel.name,
            )
            put(file, State(self._run, self._identity, done, finished=False))

        write_hdf5(aside, put_state)
        self._replace_by(aside)
        for log in logs:
            log.unlink(missing_ok=True)

    def _replace_by(self, aside: Path) -> None:
        flush_to_disk(aside)
        os.replace(aside, self._path)
        flush_to_disk(self._path.parent)

    def _leave(self) -> None:
        """Clean up, and let others have the file."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError, BadInput):
            self._clean_up()
        with contextlib.suppress(OSError):
            if are_same(self._previous, self._path):  # it was not replaced
                self._previous.unlink()
        os.close(self._lock)
        self._lock = -1

    def _clean_up(self) -> None:
        """Remove what nobody needs any more from the folder, and the folder itself."""
        entries = list(self._folder.iterdir())
        has_logs = any(entry.suffix == ".log" for entry in entries)
        is_uncommitted = has_logs and not self._written
        if not self._keep_folder and not is_uncommitted:
            if is_empty(self._path, self._run):
                self._undo_beginning()
            empty(self._folder)
        if all(entry.name == "lock" for entry in self._folder.iterdir()):
            (self._folder / "lock").unlink(missing_ok=True)
            self._folder.rmdir()

    def _undo_beginning(self) -> None:
        """Leave all as if a run that has done nothing had not been begun."""
        self._path.unlink()
        if self._has_previous:
            os.replace(self._previous, self._path)
