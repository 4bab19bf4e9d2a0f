"""What happens after a bug or Ctrl-C on one rank: it is told, and the other ranks end, too."""

from __future__ import annotations

import os
import time
from types import TracebackType

from mpipar.runtime.comm import world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.failure import OURS, one_line
from mpipar.runtime.outlets import note

_ROOT_SPEAKS_SECONDS = 0.5
"""All ranks are interrupted at once, and the first to abort silences the root: others wait."""


def end_all_ranks(program: str, error: BaseException, code: int, comm: Comm | None = None) -> None:
    """End the other ranks, which may be waiting for this one in a collective call."""
    if comm is None:
        comm = world()
    if not isinstance(error, KeyboardInterrupt):
        _tell_of_bug(program, error, comm)
    elif comm.is_root:
        note(f"{program}: interrupted")
    else:
        time.sleep(_ROOT_SPEAKS_SECONDS)
    if comm.size > 1:
        comm.abort(code)


def _tell_of_bug(program: str, error: BaseException, comm: Comm) -> None:
    import traceback  # for bugs alone

    trace = trace_of_user(error)
    lines = traceback.format_exception(type(error), error, trace or error.__traceback__)
    note("".join(lines).rstrip("\n"))
    where = f"on rank {comm.rank}, host {comm.host}"
    if trace is None:
        note(f"{program}: a bug, {where}")
    else:
        called = trace.tb_frame.f_code
        file = os.path.basename(called.co_filename)
        note(f"{program}: {called.co_name}() of {file} raised {one_line(error)}, {where}")


def trace_of_user(error: BaseException) -> TracebackType | None:
    """Return the traceback from where mpipar called the user's own code that raised.

    None if it was ours that raised.
    """
    from mpipar.base.own_files import is_own

    found = None
    trace = error.__traceback__
    came_from_us = False
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        is_ours = path.startswith(OURS)
        if is_ours:
            found = None
        elif came_from_us and is_own(path):
            found = trace
        came_from_us = is_ours
        trace = trace.tb_next
    return found
