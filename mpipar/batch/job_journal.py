"""The journal of a job, as its step keeps and reads it: all rules rest on what it says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpipar.runtime import journal


class JobJournal:
    """What has happened to a job, in this allocation and in earlier ones.

    Parameters
    ----------
    path : Path
        Where it should be.
    say : callable
        Tells the user something.

    Attributes
    ----------
    path : Path
        Where it is.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path = path
        self._say = say

    def begin(self) -> None:
        """Have a journal, on this node alone if it can't be where it should."""
        if self.is_kept(journal.STEP):
            return
        # Nobody else writes there.
        elsewhere = Path(tempfile.mkdtemp(prefix="mpipar-")) / self.path.name
        self._say(
            f"can't write to {self.path}; {elsewhere} is used instead, which mpipar status doesn't"
            " know"
        )
        self.path = elsewhere
        self.tell(journal.STEP)

    def is_kept(self, event: str = journal.LOOK) -> bool:
        """Return whether it can be written to, and is there."""
        self.tell(event)
        events = self.events()
        return bool(events) and events[-1]["event"] == event

    def tell(self, event: str, **details: Any) -> None:
        """Put an event into it."""
        journal.append(self.path, event, **details)

    def events(self) -> list[dict[str, Any]]:
        """Return all events."""
        return journal.read(self.path)

    def told(self, event: str, *, since: str | None = journal.ALLOCATION) -> list[dict[str, Any]]:
        """Return the events of a kind since the last one of another; None is ever, the default the
        last start.
        """
        found: list[dict[str, Any]] = []
        for one in self.events():
            if one["event"] == since:
                found = []
            if one["event"] == event:
                found.append(one)
        return found

    def has_started(self, *, tells: bool) -> bool | None:
        """Return whether the ranks have found each other; None if nobody can tell.

        Parameters
        ----------
        tells : bool
            Whether their program is one that tells.
        """
        is_there = self.told(journal.ALLOCATION) and (self.told(journal.ENDED) or self.is_kept())
        if not is_there:
            return None
        if self.told(journal.STARTED):
            return True
        return False if tells else None

    def before_this_step(self) -> list[dict[str, Any]]:
        """Return what was told before the step of this allocation began; nothing if it never
        did.
        """
        events = self.events()
        starts = [index for index, one in enumerate(events) if one["event"] == journal.STEP]
        if not starts:
            return []
        return events[: starts[-1]]
