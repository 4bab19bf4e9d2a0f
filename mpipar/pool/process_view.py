"""What programs look at of a pool's processes, though its name is private in the standard
library.
"""

from __future__ import annotations

import math
import os
import signal
import time

from mpipar.pool.dispatch import Dispatch
from mpipar.pool.slot import Slot

_LOOK_SECONDS = 1e-3


class ProcessView:
    """A worker process, as far as it can be looked at from the root.

    Attributes
    ----------
    pid : int
        On the node of its rank.
    rank : int
        Whose worker it is.
    name : str
    daemon : bool
    """

    daemon = True

    def __init__(self, slot: Slot, pid: int, *, is_here: bool) -> None:
        self._slot = slot
        self._is_here = is_here
        self.pid = self.ident = pid
        self.rank = slot.rank
        self.name = f"mpipar worker {slot.number} of rank {slot.rank}"

    def __repr__(self) -> str:
        return f"<{self.name}, pid={self.pid}>"

    def is_alive(self) -> bool:
        """Return whether it has not been replaced, nor ended."""
        if self._slot.pid != self.pid or self._slot.is_over:
            return False
        return not self._is_here or _runs(self.pid)

    @property
    def exitcode(self) -> int | None:
        """Return None while it is alive; otherwise what ended it isn't known here."""
        if self.is_alive():
            return None
        return -signal.SIGTERM

    def terminate(self) -> None:
        """End it. Raises OSError if it is on another node."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once. Raises OSError if it is on another node."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if not self._is_here:
            raise OSError(f"{self!r} is on another node")
        if self.is_alive():
            os.kill(self.pid, number)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""
        deadline = math.inf
        if timeout is not None:
            deadline = time.monotonic() + timeout
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


def views(dispatch: Dispatch) -> list[ProcessView]:
    """Return the processes of a pool; wait until all have started."""
    while not dispatch.ended.is_set() and dispatch.error is None:
        slots = list(dispatch.slots.by_place.values())
        found = []
        for slot in slots:
            pid = slot.pid  # the engine's thread may change it
            if pid is not None:
                found.append(ProcessView(slot, pid, is_here=dispatch.is_here(slot.rank)))
        if slots and len(found) == len(slots):
            return found
        time.sleep(_LOOK_SECONDS)
    return []


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
