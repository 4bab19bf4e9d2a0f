"""A script whose outcomes are kept: from before its first line to after its last, on the root.

::

    prepare ─▶ output and known files ─▶ Memory ─▶ each pool's Recall
            ─▶ signals ─▶ watch ─▶ stop: what is done is written, exit code 75
    the script's end ─▶ finish: the file as a whole
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from mpipar._version import __version__
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import STOPPED_EARLY
from mpipar.pool import inheritance
from mpipar.pool.keep_options import KeepOptions
from mpipar.pool.memory import Memory
from mpipar.pool.pool_runtime import process_runtime
from mpipar.pool.recall import maker
from mpipar.runtime.communicator import Comm
from mpipar.runtime.interrupt import Interruption
from mpipar.runtime.journal import OUTPUT, tell
from mpipar.runtime.outlets import flush, note
from mpipar.store.task_file import TaskStore

_LOOK_SECONDS = 0.02  # between looks whether to stop


class Keeping:
    """What keeps a script's outcomes.

    Parameters
    ----------
    options : KeepOptions
    script : str
        The script's file or module.
    arguments : list of str
        Its arguments.

    Attributes
    ----------
    memory : Memory

    Raises
    ------
    BadInput
        If the output can't be written, or a file can't be read, or the end of the job is asked for,
        but not known.
    """

    def __init__(
        self,
        options: KeepOptions,
        script: str,
        arguments: list[str],
    ) -> None:
        self._options = options
        self._interruption = Interruption(options.stop_before)
        about = {
            "script": script,
            "arguments": arguments,
            "mpipar": __version__,
            "python": sys.version.split()[0],
        }
        self._store = TaskStore(
            options.output,
            about=about,
            resume=options.resume,
            known=options.known,
            keep_pickled=options.keep_pickled,
        )
        self.memory = Memory(self._store, options.checkpoint)
        self._ends = threading.Lock()  # held by who ends the process

    def begin(self) -> None:
        """Commit from now on, and note signals."""
        self.memory.start()
        if self._options.output is not None:
            tell(OUTPUT, path=str(self._options.output.absolute()))
            self._interruption.__enter__()
            os.register_at_fork(after_in_child=self._interruption.leave_copy)

    def tell(self, **details: Any) -> None:
        """Say in the file who evaluates tasks."""
        self._store.about.update(details)

    def watch(self, leave: Callable[[int], object]) -> None:
        """Look, in a thread, whether to stop early; then write what is done, and ``leave(75)``."""
        if self._options.output is None:
            return

        def look() -> None:
            while (reason := self._interruption()) is None:
                time.sleep(_LOOK_SECONDS)
            if self.may_end():
                self._stop(reason)
                leave(STOPPED_EARLY)

        threading.Thread(target=look, name="mpipar signals", daemon=True).start()

    def may_end(self) -> bool:
        """Return whether nobody else has begun to end this process, and do so."""
        return self._ends.acquire(blocking=False)

    def finish(self) -> bool:
        """Write the file as a whole; return whether that could be done, and say why not."""
        problem = self.memory.finish()
        if problem is not None:
            note(f"mpipar run: {problem}")
        return problem is None

    def _stop(self, reason: str) -> None:
        flush()
        problem = self.memory.stop(reason)
        if problem is not None:
            note(f"mpipar run: {problem}")
        path = self._options.output
        note(
            f"mpipar run: stopped early ({reason}); what is done is in {path}: the same command"
            " with --resume goes on"
        )


def begun(
    options: KeepOptions,
    script: str,
    arguments: list[str],
    comm: Comm,
) -> Keeping | None:
    """Return what keeps a script's outcomes; None on ranks other than the root. Raises BadInput on
    all ranks, as :class:`Keeping`. Collective over comm.
    """
    keeping = None
    problem = None
    if comm.is_root:
        try:
            keeping = Keeping(options, script, arguments)
        except BadInput as error:
            problem = error
    problem = comm.bcast(problem)
    if problem is not None:
        raise problem
    if keeping is None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the root decides
    else:
        keeping.begin()
        inheritance.note_defaults()
        process_runtime.recall(maker(keeping.memory))
    return keeping
