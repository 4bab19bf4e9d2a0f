"""Tasks of a pool that need not be evaluated again, as an earlier run has committed what came out.

::

    script's thread                                engine's thread
    items ─▶ digests ─▶ known outcomes ──────────▶ job: taken in at once, sent to no worker
                     └▶ the others ──────────────▶ workers ─▶ outcomes ─▶ job
                                                                       └▶ memory: kept
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mpipar.pool import inheritance, library_calls
from mpipar.pool.jobs import Who, name_of
from mpipar.pool.known import BLOCK
from mpipar.pool.memory import Memory
from mpipar.pool.recalled_items import Marks, RecalledItems
from mpipar.pool.recalled_tasks import (
    UNKNOWN,
    NotRecalled,
    RecalledStream,
    Recollection,
    Task,
    keep,
    recollected,
    span_of,
)
from mpipar.pool.snapshot import Stamped
from mpipar.store.fingerprint import Fingerprints, Unfingerprintable
from mpipar.store.stored_calls import DIGEST, NO_DIGEST
from mpipar.store.task_log import Span


class Recall:
    """What a pool recalls, in any thread.

    Parameters
    ----------
    memory : Memory
    fingerprints : Fingerprints
        With what all tasks of the pool depend on.
    seed : int, optional
        Of random numbers in tasks; these depend on the numbers of job and task, too.
    calls_number : int
        Of the job that single tasks belong to.
    """

    def __init__(
        self,
        memory: Memory,
        fingerprints: Fingerprints,
        seed: int | None,
        calls_number: int,
    ) -> None:
        self._memory = memory
        self._is_seeded = seed is not None
        self._calls_number = calls_number
        self._fingerprints = fingerprints
        self._lock = threading.RLock()  # again: what is looked at may itself use a pool
        self._expected: dict[int, Task] = {}
        self._span: Span | None = None  # of what came last

    @property
    def knows_tasks(self) -> bool:
        """Whether anything is known, of whatever function."""
        return self._memory.known.tasks > 0

    # What the script's threads call.

    def items(
        self,
        function: Any,
        kind: str,
        items: Sequence[Any],
        number: int,
    ) -> RecalledItems | NotRecalled:
        """Return what is known of a job whose items are all there, as they are now.

        Parameters
        ----------
        function : callable
        kind : str
            How it is called.
        items : sequence
        number : int
            Of the job.
        """
        with self._lock:
            digest = self._function(function, kind)
            if digest is None:
                return NotRecalled(number)
            marks = self._marks(items, number)
        found = RecalledItems(self._memory, digest, name_of(function), marks)
        found.look_up()
        return found

    def stream(
        self,
        function: Any,
        kind: str,
        number: int,
    ) -> RecalledStream | NotRecalled:
        """Return what finds out whether items that are still to come are known."""
        with self._lock:
            digest = self._function(function, kind)
        if digest is None:
            return NotRecalled(number)
        return RecalledStream(
            self._memory, digest, name_of(function), number, self._item_of_job(number)
        )

    def task(
        self,
        function: Any,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        call: Any = None,
    ) -> Task:
        """Return what a single task is, as it is now.

        Parameters
        ----------
        function, arguments, keywords
        call : object, optional
            Its snapshot.
        """
        with self._lock:
            digest = self._function_of_call(function, call)
            if digest is None:
                return UNKNOWN
            item = self._item(arguments)
            if keywords:
                item = _of_all([item, self._item(keywords)])
        return Task(digest, item, name_of(function))

    # What the engine's thread calls.

    def known(self, task: Task, index: int) -> Recollection | None:
        """Return what came out of a single task in an earlier run; or None, and what comes out of
        it now is kept.
        """
        if self._is_seeded:
            task = task._replace(item=_seeded(task.item, self._calls_number, index))
        found = recollected(self._memory, task)
        if found is None:
            self._expected[index] = task
        return found

    def note(
        self,
        indices: Sequence[int],
        outcomes: Sequence[Any],
        who: Who,
    ) -> None:
        """Keep what came out of single tasks."""
        self._span = span_of(who)
        tasks = [self._expected.pop(index, UNKNOWN) for index in indices]
        keep(self._memory, tasks, outcomes, self._span)

    # What both call.

    def found(self, task: Task) -> Recollection | None:
        """Return what came out of a single task in an earlier run, or None."""
        return recollected(self._memory, task)

    def keep(self, tasks: Sequence[Task], outcomes: Sequence[Any]) -> None:
        """Keep what came out of several tasks that were handed in as one, which was just noted."""
        keep(self._memory, tasks, outcomes, self._span)

    # Digests.

    def _function(self, function: Any, kind: str) -> bytes | None:
        try:
            digest = self._fingerprints.function(function)
            self._memory.note_packages(self._fingerprints.packages)
        except Unfingerprintable as reason:
            self._memory.say(f"tasks of {name_of(function)} are not kept: {reason}")
            return None
        return _digest(digest, kind.encode())

    def _function_of_call(self, function: Any, call: Any) -> bytes | None:
        """Return the digest of a single task's function: the last one, if all that its workers have
        of it is as it was then.
        """
        stamped = call[0] if type(call) is tuple else None
        if type(stamped) is not Stamped:
            return self._function(function, "calls")
        if stamped.digest is None:
            stamped.digest = self._function(function, "calls")
        return stamped.digest

    def _item(self, item: Any) -> bytes:
        try:
            return self._fingerprints.item(item)
        except Unfingerprintable as reason:
            self._memory.say(f"a task is not kept: {reason}")
            return NO_DIGEST

    def _item_of_job(self, number: int) -> Callable[[int, Any], bytes]:
        def digest(index: int, item: Any) -> bytes:
            with self._lock:
                found = self._item(item)
            if self._is_seeded:
                return _seeded(found, number, index)
            return found

        return digest

    def _marks(self, items: Sequence[Any], number: int) -> Marks:
        return Marks(
            number,
            items,
            self._blocks(items, number),
            lambda: self._each(items, number),
        )

    def _blocks(self, items: Sequence[Any], number: int) -> list[bytes]:
        blocks = []
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            digest = self._fingerprints.block(block)
            if digest is None:
                digest = _of_all(self._items(block))
            if self._is_seeded:
                digest = _seeded(digest, number, start)
            blocks.append(digest)
        return blocks

    def _each(self, items: Sequence[Any], number: int) -> bytes:
        with self._lock:
            digests = self._items(items)
        if self._is_seeded:
            digests = [_seeded(each, number, index) for index, each in enumerate(digests)]
        return b"".join(digests)

    def _items(self, items: Sequence[Any]) -> list[bytes]:
        try:
            return self._fingerprints.items(items)
        except Unfingerprintable:
            return list(map(self._item, items))


Initializer = tuple[Any, tuple[Any, ...]]
MakeRecall = Callable[[Initializer | None, int | None, int], Recall | None]


def maker(memory: Memory) -> MakeRecall:
    """Return what makes the Recall of each pool."""

    def make(
        initializer: Initializer | None,
        seed: int | None,
        calls_number: int,
    ) -> Recall | None:
        try:
            states = [*inheritance.states(), *library_calls.states()]
            salt = _digest(f"seed {seed}".encode(), _of_settings(states))
            pictures = _of_settings(inheritance.states_of_users().items())
        except Unfingerprintable as reason:
            memory.say(f"the tasks of a pool are not kept: a setting: {reason}")
            return None
        try:
            salt += _of_initializer(initializer, pictures)
        except Unfingerprintable as reason:
            memory.say(f"the tasks of a pool are not kept: its initializer: {reason}")
            return None
        return Recall(memory, Fingerprints(salt, pictures), seed, calls_number)

    return make


def _of_initializer(initializer: Initializer | None, pictures: bytes) -> bytes:
    """Return a digest of what is called in each worker at its start. Raises Unfingerprintable."""
    if initializer is None:
        return b""
    fingerprints = Fingerprints(pictures=pictures)
    function, arguments = initializer
    return fingerprints.function(function) + fingerprints.item(arguments)


def _of_settings(states: Iterable[tuple[str, Any]]) -> bytes:
    """Return a digest of settings; nothing of none. Raises Unfingerprintable."""
    fingerprints = Fingerprints()
    parts = []
    for name, state in states:
        parts += [name.encode(), fingerprints.item(state)]
    return _digest(*parts) if parts else b""


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _of_all(digests: list[bytes]) -> bytes:
    """Return one digest of several; none, if one is missing."""
    if NO_DIGEST in digests:
        return NO_DIGEST
    return _digest(*digests)


def _seeded(digest: bytes, job: int, index: int) -> bytes:
    """Return the digest of what depends on the numbers of job and task, too."""
    if digest == NO_DIGEST:
        return NO_DIGEST
    return _digest(digest, f" {job} {index}".encode())
