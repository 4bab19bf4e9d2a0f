"""The file of ``--output`` from the start of a run to its end.

::

    start ─▶ (resume: what is done) ─▶ run: ranks commit to logs ─▶ write: the result file
                                            interrupted, failed ─▶ commit: a file to resume from
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.core.kernel import BoundKernel
from mpipar.runtime import journal
from mpipar.runtime.communicator import Comm
from mpipar.runtime.failure import one_line
from mpipar.runtime.progress_state import Done
from mpipar.runtime.result import Result
from mpipar.store import rows as _rows
from mpipar.store.attributes import FORMAT
from mpipar.store.checkpoint import (
    Log,
    State,
    check_done,
    check_state,
    get,
    logged,
    put,
    without_repeats,
)
from mpipar.store.files import flush_to_disk, write_hdf5
from mpipar.store.identity import INPUTS, MIXED, check_identity, inputs_of_both, whole_identity
from mpipar.store.result import fill
from mpipar.store.row_checks import look_through, without
from mpipar.store.seal import check_seal, seal

_LOCK_PATIENCE = 3.0  # seconds that a run which is just ending is given
_LOCK_PATIENCE_IN_JOB = (
    60.0  # … in a batch job, whose ranks before may outlive a launcher that has lost a node
)


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
        self._path = path = Path(
            os.path.realpath(path)
        )  # a kernel may change the folder; a link stays what it is
        self._folder = Path(f"{path}.parts")
        self._previous = Path(f"{path}.previous")
        self._bound = bound
        self._is_root = comm.is_root
        self._run = uuid.uuid4().hex
        self._identity: dict[str, Any] = {}
        self._anyway = anyway
        self._lock = -1
        self._keep_folder = False
        self._written = False
        self.rows: _rows.Rows | None = None
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
            except (
                OSError,
                RuntimeError,
                TypeError,
                ValueError,
                OverflowError,
            ) as error:  # HDF5 has limits of its own
                problem = f"output: {_reason(error)}: {str(path)!r}"
            if problem is not None:
                self._leave()
        try:
            told = (problem, self._run, self.rows, self.finished, self._identity)
            problem, self._run, self.rows, self.finished, self._identity = comm.bcast(told)
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
                self._lock = _locked(self._folder)
            with h5py.File(self._path, "r") as file:
                state = get(self._path, file)
            self.base = without_repeats(self._logged(), state.done, self._bound.reduction)

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
            with contextlib.suppress(
                OSError, RuntimeError, TypeError
            ):  # what is done may take less room
                self._write_state(result.done)
            return f"the result could not be written to {self._path}: {_reason(error)}"
        self._written = True
        self._keep_folder = self.rows is not None and bool(result.skipped)
        self._previous.unlink(missing_ok=True)
        return None

    def _write(self, result: Result) -> None:
        def put_all(file: h5py.File) -> None:
            fill(file, result)
            with contextlib.suppress(
                TypeError
            ):  # a total that can't be stored is no harm in the end
                put(file, State(self._run, self._identity, result.done, finished=True))

        aside = self._folder / "aside.h5"
        if self.rows is None:
            write_hdf5(aside, put_all)
        else:
            self.rows.reserve_room()
            if result.skipped:
                shutil.copyfile(
                    self.rows.base, aside
                )  # blocks that were skipped may still come, with their rows
            else:
                aside = self.rows.base
            with h5py.File(aside, "r+") as file:
                _rows.complete(
                    self.rows, file, result.plan, [block.block for block in result.skipped]
                )
                put_all(file)
        seal(aside)
        self._replace_by(aside)

    def _start(self, compress: bool, resume: bool) -> None:
        there = _may_write(self._path, resume)
        self._identity = whole_identity(self._bound)
        resume = resume and there is not None
        if not resume:
            _check_is_free(self._folder)
        self._lock = _locked(self._folder)
        has_rows = bool(self._bound.reduction.datasets())
        if resume:
            self._keep_folder = True  # whatever happens
            self._resume(compress, has_rows)
            return
        _empty(self._folder)
        self.base = Done(self._bound.reduction.start())
        if has_rows:
            self.rows = _rows.begin(self._folder, self._bound, compress, self._run)
        if there is not None:
            self._keep_previous()
        self._write_state(self.base)

    def _keep_previous(self) -> None:
        """Keep a finished result until there is a new one."""
        self._previous.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not all file systems have links
            os.link(self._path, self._previous)

    def _resume(self, compress: bool, has_rows: bool) -> None:
        """Take up what a run has left."""
        state, self.notes = _state_of(self._path, self._bound, self._identity, self._anyway)
        self._run = state.run
        mixed = [*state.identity.get(MIXED, []), *self.notes]
        if mixed:
            self._identity[MIXED] = mixed
        self._identity[INPUTS] = inputs_of_both(state.identity, self._identity)
        self.finished = state.finished and not state.done.skipped
        if state.finished:
            check_seal(self._path)
        if self.finished:
            self.base, self._keep_folder = state.done, False
            return
        if has_rows:
            rows = _rows.resume(self._folder, self._bound, compress, state.run)
            self.rows = rows or _rows.begin(self._folder, self._bound, compress, state.run)
        self.base = without_repeats(self._logged(), state.done, self._bound.reduction)
        if self.rows is not None:
            self._leave_out_damaged(self.rows, self.base)
        if state.finished:
            self._keep_previous()
        self._write_state(self.base)

    def _leave_out_damaged(self, rows: _rows.Rows, base: Done) -> None:
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
            file.attrs.update(mpipar_format=FORMAT, finished=False, driver=self._bound.kernel.name)
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
            entries = list(self._folder.iterdir())
            uncommitted = not self._written and any(entry.suffix == ".log" for entry in entries)
            if not self._keep_folder and not uncommitted:
                if _is_empty(
                    self._path, self._run
                ):  # nothing was done: as if it had not been begun
                    self._path.unlink()
                    if self._previous.exists():
                        os.replace(self._previous, self._path)
                for entry in entries:
                    if _is_ours(entry) and entry.name != "lock":
                        entry.unlink()
            if all(entry.name == "lock" for entry in self._folder.iterdir()):
                (self._folder / "lock").unlink(missing_ok=True)
                self._folder.rmdir()
        with contextlib.suppress(OSError):
            if self._previous.samefile(self._path):  # it has not been replaced
                self._previous.unlink()
        os.close(self._lock)
        self._lock = -1


def _reason(error: Exception) -> str:
    """Return one line; HDF5 puts many around the system's error."""
    found = re.search(r"error message = '([^']*)'", str(error))
    if found is not None:
        return found[1]
    return getattr(error, "strerror", None) or one_line(error)


def check(path: Path) -> str | None:
    """Return what is at ``path``: None, "finished" or "unfinished". For the root.

    Raises
    ------
    BadInput
        If a result can't be written there, or would replace what mpipar has not written.
    """
    there = None
    folder = path.parent
    if not folder.is_dir():
        raise BadInput(f"output: there is no folder {str(folder)!r}")
    too_many = len(os.fsencode(f"{path.name}.previous")) - os.pathconf(folder, "PC_NAME_MAX")
    if too_many > 0:  # what is beside it while a run goes on has a longer name
        raise BadInput(f"output: the name is {too_many} bytes too long: {str(path)!r}")
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadInput(f"output: {error.strerror}: {str(path)!r}") from None
    else:
        if stat.S_ISDIR(kind):
            raise BadInput(f"output: {str(path)!r} is a folder, expected a file")
        if not stat.S_ISREG(kind):  # to open a pipe could take for ever
            raise BadInput(f"output: {str(path)!r} is not a regular file")
        there = _kind_of(path)
        if there == "foreign":
            raise BadInput(
                f"output: {str(path)!r} exists and is not a result of mpipar; it is left as it is"
            )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"output: the folder {str(folder)!r} can't be written to")
    return there


def preview(
    path: Path, could_be: Sequence[BoundKernel], *, resume: bool, anyway: bool = False
) -> None:
    """Raise BadInput if no run of one of these kernels could have this output; nothing is
    written.
    """
    try:
        path = Path(os.path.realpath(path))
        if _may_write(path, resume) is not None and resume:
            for bound in could_be[:-1]:
                with contextlib.suppress(BadInput):
                    _state_of(path, bound, whole_identity(bound), anyway)
                    return
            _state_of(path, could_be[-1], whole_identity(could_be[-1]), anyway)
    except (OSError, RuntimeError, KeyError) as error:
        raise BadInput(f"output: {_reason(error)}: {str(path)!r}") from None


def _may_write(path: Path, resume: bool) -> str | None:
    """Return what is at ``path``, as :func:`check` does; what an unfinished run has left may be
    resumed alone.
    """
    there = check(path)
    if there == "unfinished" and not resume:
        _check_is_idle(Path(f"{path}.parts"))
        raise BadInput(
            f"output: {str(path)!r} holds an unfinished run: --resume goes on with it; or remove it"
        )
    return there


def _state_of(
    path: Path, bound: BoundKernel, identity: dict[str, Any], anyway: bool
) -> tuple[State, list[str]]:
    """Return the state in a file, and what the user should know of it. Raises BadInput if it isn't
    of the same run.
    """
    with h5py.File(path, "r") as file:
        version = file.attrs["mpipar_format"]
        if version != FORMAT:
            raise BadInput(f"resume: {str(path)!r} is of format {version}, expected {FORMAT}")
        state = get(path, file)
    notes = check_identity(path, state.identity, identity, anyway)
    check_state(path, state, bound)
    return state, notes


def _kind_of(path: Path) -> str | None:
    """Return what is at ``path``: None, "foreign", "finished" or "unfinished"."""
    if not path.exists():
        return None
    try:
        with h5py.File(path, "r") as file:
            if "mpipar_format" not in file.attrs:
                return "foreign"
            return "finished" if file.attrs.get("finished", True) else "unfinished"
    except Exception:  # h5py raises many kinds for files that are damaged
        return "foreign"


def _is_empty(path: Path, run: str) -> bool:
    """Return whether the file at ``path`` is the first state of this run."""
    if _kind_of(path) != "unfinished":
        return False
    with h5py.File(path, "r") as file:
        state = get(path, file)
        return state.run == run and not state.done.count and not state.done.skipped


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the lock of a folder, which is made. Raises BadInput if
    another process has it.

    The system takes the lock away with its process or node, so that none is ever stale.
    """
    deadline = time.monotonic() + (
        _LOCK_PATIENCE_IN_JOB if journal.VARIABLE in os.environ else _LOCK_PATIENCE
    )
    while True:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:  # else its last holder has just removed it
                with contextlib.suppress(OSError):  # no more than a message needs room
                    os.ftruncate(lock, 0)
                    os.pwrite(lock, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
                return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                problem = _in_use(lock)
                os.close(lock)
                raise BadInput(problem) from None
        os.close(lock)
        time.sleep(0.05)


def _check_is_idle(folder: Path) -> None:
    """Raise BadInput if a run has the lock of a folder at the moment: its output is not to be
    removed.
    """
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadInput(_in_use(lock)) from None
    except OSError:  # a file system without locks
        return
    finally:
        os.close(lock)


def _in_use(lock: int) -> str:
    holder = os.pread(lock, 200, 0).decode(errors="replace")
    return f"output: another run is writing to it ({holder or 'on another node'})"


def _check_is_free(folder: Path) -> None:
    """Raise BadInput if a folder has files that are not of a run."""
    for entry in folder.iterdir() if folder.exists() else ():
        if not _is_ours(entry):
            raise BadInput(
                f"output: the folder {str(folder)!r} is needed, but has other files in it"
                f" ({entry.name!r})"
            )


def _empty(folder: Path) -> None:
    """Remove what a run that was killed has left."""
    for entry in list(folder.iterdir()):
        if _is_ours(entry) and entry.name != "lock":
            entry.unlink()


def _is_ours(entry: Path) -> bool:
    return entry.name in ("lock", "rows.h5", "rows.skeleton", "aside.h5") or entry.suffix in (
        ".part",
        ".sums",
        ".log",
    )
