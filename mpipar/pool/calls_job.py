"""Single tasks, as a job."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpipar.pool.jobs import Job, Raised, Sink

if TYPE_CHECKING:
    from mpipar.pool.recall import Recall
    from mpipar.pool.recalled_tasks import Task


class CallsJob(Job):
    """Single tasks, each with a function, arguments and a sink of its own. It is never done.

    Parameters
    ----------
    recall : Recall, optional
        What need not be evaluated again.
    """

    is_done = False

    def __init__(self, recall: Recall | None = None) -> None:
        super().__init__(None, "calls")
        self.keeper = self._recall = recall
        self._next = 0
        self._calls: deque[tuple[int, Any, str, Sink]] = deque()
        self._out: dict[int, tuple[Any, str, Sink]] = {}

    def add(
        self,
        name: str,
        call: Any,
        sink: Sink,
        task: Task | None = None,
    ) -> None:
        """Add a task, unless its outcome is known.

        Parameters
        ----------
        name : str
            Of its function.
        call : object
            Unpickles as (function, arguments, keywords).
        sink : Sink
        task : Task, optional
            What tells it from others, if its outcome is kept.
        """
        number = self._next
        self._next += 1
        if task is not None and self._recall is not None:
            known = self._recall.known(task, number)
            if known is not None:
                if sink.start():
                    sink.put(known.outcome)
                return
        self._calls.append((number, call, name, sink))

    def cancel_waiting(self) -> None:
        """Cancel all tasks that haven't been handed out."""
        for *_, sink in self._calls:
            sink.cancel()

    @property
    def waiting(self) -> int:  # noqa: D102
        return len(self._calls)

    @property
    def unfinished(self) -> int:
        """Return how many tasks there are that have no outcome yet."""
        return len(self._calls) + len(self._out)

    def take(self, count: int) -> tuple[Sequence[int], Any]:  # noqa: D102
        indices: list[int] = []
        items: list[Any] = []
        while self._calls and len(items) < count:
            index, item, name, sink = self._calls.popleft()
            if sink.start():
                self._out[index] = item, name, sink
                indices.append(index)
                items.append(item)
        return indices, items

    def items(self, indices: Sequence[int]) -> Any:  # noqa: D102
        return [self._out[index][0] for index in indices]

    def describe(self, task: int) -> str:  # noqa: D102
        return self._out[task][1]

    def put(self, indices: Sequence[int], outcomes: list[Any], *, all_well: bool = False) -> None:  # noqa: D102
        for index, outcome in zip(indices, outcomes, strict=True):
            out = self._out.pop(index, None)
            if out is not None:
                out[2].put(outcome)

    def cancel(self, error: BaseException) -> None:  # noqa: D102
        while self._calls:
            index, item, name, sink = self._calls.popleft()
            if sink.start():
                self._out[index] = item, name, sink
        self.put(list(self._out), [Raised(error)] * len(self._out))
