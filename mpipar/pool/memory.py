"""What is kept of a script's tasks, and what earlier runs have: one of each script, on the root.

::

    recall (of each pool) ─▶ what is known? ─▶ Known: outcomes of earlier runs
                          ─▶ what came out  ─▶ TaskStore: a log, and the file in the end
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpipar.pool.known import ANY, Known
from mpipar.runtime.failure import one_line
from mpipar.runtime.outlets import note
from mpipar.store import fingerprint
from mpipar.store.task_file import Span, TaskStore

_NOWHERE = -1  # number of a call that isn't kept
_PATIENCE = 5.0  # seconds that another thread is given to end a commit
_ENOUGH = 64  # tasks that were looked up in vain, before it is told


@dataclass
class Singles:
    """Tasks of one function that are handed in one by one: one call in the file.

    Attributes
    ----------
    call : int
        Its number.
    count : int
        How many there are.
    """

    call: int
    count: int


class Memory:
    """What is kept of a script's tasks, and what earlier runs have; in any thread.

    Parameters
    ----------
    store : TaskStore
    every : float
        Seconds between commits.

    Attributes
    ----------
    known : Known
        What earlier runs have.
    lock : threading.Lock
        Of all this; to be held by who calls, but for start, finish and stop.
    """

    def __init__(self, store: TaskStore, every: float) -> None:
        self._store = store
        self._every = every
        self.known = Known(store.calls)
        self.lock = threading.Lock()
        self._singles: dict[bytes, Singles] = {}
        self._looked_up = 0
        self._found = 0
        self._met = False
        self._said: set[str] = set()
        self._is_over = False
        self._ending = threading.Event()
        self._packages: dict[str, str] = {}

    def start(self) -> None:
        """Commit from now on."""
        if self._store.is_kept and self._every:
            threading.Thread(target=self._commit, name="mpipar commits", daemon=True).start()

    @property
    def is_kept(self) -> bool:
        """Whether there is an output."""
        return self._store.is_kept

    # What is known.

    def count(self, looked_up: int, found: int, *, is_met: bool) -> None:
        """Count tasks that were looked up, and those of them that were known.

        Parameters
        ----------
        looked_up, found : int
        is_met : bool
            Whether anything is known of their function.
        """
        self._looked_up += looked_up
        self._found += found
        self._met |= is_met
        enough = min(self.known.tasks, _ENOUGH)
        if self._found or not enough or self._looked_up < enough:
            return
        self.say(f"no task was known: {self._why_unknown()}")

    def _why_unknown(self) -> str:
        if self._met:
            return "arguments differ from the run before"
        versions = self._store.fingerprint_versions
        if versions and max(versions) < fingerprint.VERSION:
            return "the file is of an older mpipar"
        return "functions differ from the run before"

    def note_packages(self, packages: Mapping[str, str]) -> None:
        """Keep which versions of packages functions use, and say which are others than before."""
        new = packages.keys() - self._packages.keys()
        if not new:
            return
        self._packages.update(packages)
        self._store.about["packages"] = {**self._store.packages, **self._packages}
        others = []
        for name in sorted(new):
            version = packages[name]
            before = self._store.packages.get(name, version)
            if before != version:
                others.append(f"{name} {version} (was {before})")
        if others:
            told = ", ".join(others)
            self.say(f"outcomes are known that other versions have made: {told}")

    # What is kept.

    def begin_call(
        self,
        function: bytes,
        name: str,
        block_digests: Sequence[bytes],
        item_digests: bytes,
    ) -> int:
        """Return the number of a new call in the file; _NOWHERE, if there can't be one."""
        numbers: list[int] = []
        if not self._is_over:
            self._attempt(
                lambda: numbers.append(
                    self._store.begin_call(function, name, block_digests, item_digests)
                )
            )
        return numbers[0] if numbers else _NOWHERE

    def append(
        self,
        call: int,
        indices: Sequence[int],
        digests: Sequence[bytes] | None,
        outcomes: Sequence[Any],
        span: Span | None,
    ) -> None:
        """Keep what came out of some tasks of a call."""
        if self._is_over or call == _NOWHERE:
            return
        self._attempt(lambda: self._append(call, indices, digests, outcomes, span))
        if not self._every:
            self._attempt(self._store.commit)

    def _append(
        self,
        call: int,
        indices: Sequence[int],
        digests: Sequence[bytes] | None,
        outcomes: Sequence[Any],
        span: Span | None,
    ) -> None:
        unkept = self._store.append(call, indices, digests, outcomes, span)
        for kind in unkept:
            self.say(_not_kept(kind))

    def append_single(
        self,
        function: bytes,
        name: str,
        digests: list[bytes],
        outcomes: list[Any],
        span: Span | None,
    ) -> None:
        """Keep what came out of tasks that were handed in one by one."""
        singles = self._singles.get(function)
        if singles is None:
            singles = self._singles[function] = self._new_singles(function, name)
        indices = range(singles.count, singles.count + len(outcomes))
        singles.count = indices.stop
        self.append(singles.call, indices, digests, outcomes, span)

    def _new_singles(self, function: bytes, name: str) -> Singles:
        """Return the call in the file to which single tasks of a function are added."""
        known = self.known.of(function)
        stored = None if known is None else known.same([], ANY)
        if stored is not None and stored.call.number is not None:
            return Singles(stored.call.number, stored.call.tasks)
        return Singles(self.begin_call(function, name, [], b""), 0)

    def _commit(self) -> None:
        while not self._ending.wait(self._every):
            with self.lock:
                if not self._is_over:
                    self._attempt(self._store.commit)

    def _attempt(self, action: Callable[[], object]) -> None:
        """Write; where that can't be done, say so, and go on."""
        try:
            action()
        except (OSError, RuntimeError) as error:
            self.say(f"some outcomes can't be kept: {one_line(error)}", "disk")

    # Words.

    def say(self, text: str, about: str = "") -> None:
        """Tell the user something, once."""
        if (about or text) not in self._said:
            self._said.add(about or text)
            note(f"mpipar run: {text}")

    # The end.

    def finish(self) -> str | None:
        """Write the file as a whole: the script has ended; return why that can't be done."""
        return self._end(self._store.finish)

    def stop(self, reason: str) -> str | None:
        """Write all that is done, to go on later; return why that can't be done."""
        return self._end(lambda: self._store.stop(reason))

    def _end(self, write: Callable[[], None]) -> str | None:
        if not self.lock.acquire(timeout=_PATIENCE):  # by what this has interrupted
            return "the last outcomes are in the log alone, as the script has ended within a call"
        try:
            if self._is_over:
                return None
            self._is_over = True
            self._ending.set()
            self._tell_counts()
            write()
        except (OSError, RuntimeError, ValueError) as error:
            return f"the outcomes of tasks could not be written: {one_line(error)}"
        finally:
            self.lock.release()
        return None

    def _tell_counts(self) -> None:
        if self._found:
            word = "task" if self._looked_up == 1 else "tasks"
            told = f"{self._looked_up:,} {word}"
            rest = "; the others were evaluated" if self._found < self._looked_up else ""
            self.say(f"{self._found:,} of {told} were known{rest}")


def _not_kept(kind: type) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return (
        f"outcomes of type {name} are not kept, and evaluated again: --keep-pickled keeps them, as"
        " docs/resumable_scripts.md says"
    )
