"""A function of each of many items, over workers and ranks.

The way of a map through the layers::

    items ─▶ the same on all ranks? ─▶ kernel ─▶ execution ─▶ outcomes as bytes ─▶ list of results
    and exceptions
             digests                   block: its items' outcomes   output file, or the root's memory
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpipar.base.errors import BadInput, MpiparError, RunFailed, WorkerLost
from mpipar.base.text import several
from mpipar.command import execute
from mpipar.core.kernel import Kernel
from mpipar.core.plan import Block
from mpipar.core.reduction import Array, Count, Dataset, Each
from mpipar.runtime.comm import world
from mpipar.runtime.communicator import Comm
from mpipar.runtime.failure import STOP, OnError, Skipped, one_line
from mpipar.runtime.outlets import note, open_missing
from mpipar.runtime.result import Result
from mpipar.store.identity import content, file_in
from mpipar.store.likeness import digests_of_items, named, state_of
from mpipar.store.outcomes import exception_as_bytes, outcomes_of, result_as_bytes
from mpipar.store.values import Unstorable

if TYPE_CHECKING:
    from mpipar.store.output import OutputFile

DATASET = "outcomes"
_MOST_NAMED = 10


class Outcomes(list[Any]):
    """The results of a map in the order of its items, with an exception where there is no result.

    Attributes
    ----------
    failed : dict
        {number of an item: its exception}.
    run : Result or None
        What is known of the run: its times, its ranks and workers.
    """

    def __init__(self, outcomes: Iterable[Any] = (), failed: dict[int, Any] | None = None) -> None:
        super().__init__(outcomes)
        self.failed: dict[int, BaseException] = failed or {}
        self.run: Result | None = None


class _Calls:
    """Evaluates a block of items: their outcomes as bytes."""

    def __init__(
        self, function: Callable[[Any], Any], items: Sequence[Any], on_error: OnError
    ) -> None:
        self.function, self.items, self.on_error = function, items, on_error

    def __call__(self, block: Block) -> dict[str, Any]:
        outcomes, failed = [], 0
        for item in block:
            outcome, is_result = self._outcome(item)
            outcomes.append(outcome)
            failed += not is_result
        data = np.frombuffer(b"".join(outcomes), np.uint8)
        return {DATASET: data, "items": block.size, "failed": failed}

    def _outcome(self, item: int) -> tuple[bytes, bool]:
        for attempts_left in range(self.on_error.retries, -1, -1):
            try:
                result = self.function(self.items[item])
            except (Exception, SystemExit) as error:
                if attempts_left:
                    continue
                if not self.on_error.skip:
                    error.add_note(f"(of item {item}: {self.items[item]!r:.200})")
                    raise
                return exception_as_bytes(item, error), False
            return result_as_bytes(item, result), True
        raise AssertionError


class _MapKernel(Kernel):
    """The kernel of a map: it carries the function and the items."""

    def __init__(
        self, function: Callable[[Any], Any], items: Sequence[Any], on_error: OnError
    ) -> None:
        rows = Dataset(
            DATASET,
            np.uint8,
            one_each=False,
            description="result or exception of each item, as bytes",
        )
        reduction = Each(**{DATASET: rows, "items": Count(), "failed": Count()})
        super().__init__(_evaluate, n=functools.partial(len, items), reduction=reduction)
        self.function = _Calls(function, items, on_error)
        self._called = function
        self.name = "map"
        self._finish = _counts
        self._items = items
        self._named = named(function)

    def __reduce__(self) -> Any:
        return self.by_value()

    def _values(self, given: Any) -> dict[str, Any]:
        return {"function": self._named}

    def inputs(self) -> dict[str, str]:
        """Return digests of the items, of what the function is bound to, and of files that items
        name.
        """
        try:
            state = state_of(self._called)
        except Unstorable as error:
            raise BadInput(
                f"output: whether a later run has the same function could not be told: {error}"
            ) from None
        digests = {f"input {name}": digest for name, digest in _digests(self._items).items()}
        files = {file for item in self._items for file in _files(item)}
        digests |= {f"input {file}": content(file) for file in sorted(files)}
        return {**digests, f"input what {self._named} is bound to": state}


def _evaluate(block: Block) -> Any:
    """Stand for a map's function until the kernel has it."""
    raise NotImplementedError


def _counts(total: dict[str, Any]) -> dict[str, int]:
    return {name: total[name] for name in ("items", "failed")}


def map(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    workers: int | str = 1,
    output: str | Path | None = None,
    resume: bool = False,
    anyway: bool = False,
    on_error: str = "skip",
    schedule: str = "dynamic",
    block: int | None = None,
    block_timeout: float | None = None,
    checkpoint: float = 60.0,
    compress: bool = False,
    progress: bool | None = None,
) -> Outcomes:
    """Call a function with each item, over all ranks under a launcher, or else here. Collective
    over all ranks.

    Parameters
    ----------
    function : callable
        Called with one item. It returns numbers, text, arrays, dates, None, or lists, tuples, sets
        and dicts of these.
    items : iterable
        The items, the same on all ranks.
    workers : int or "auto"
        Worker processes in each rank; 1 is the rank itself, "auto" its share of the cores.
    output : path, optional
        HDF5 file in which outcomes are kept, from the first ones on.
    resume : bool
        Whether to go on with what is in it, if it is there: what has an outcome isn't called again.
    anyway : bool
        Whether to do so although the function, or items, are others than they were.
    on_error : str
        What is done about an exception of the function: skip, it takes the place of the result;
        stop, the map ends with RunFailed; retry:N, the item is tried N times more before that.
    schedule : str
        stride, slice or dynamic.
    block : int, optional
        Items that are called, and kept, together: by default one, or a 4096th of them if they are
        more.
    block_timeout : float, optional
        Seconds after which these have failed, and their worker is replaced.
    checkpoint : float
        Seconds between commits to the output.
    compress : bool
        Whether outcomes in it are compressed.
    progress : bool, optional
        Whether to show progress on stderr; by default on a terminal.

    Returns
    -------
    Outcomes
        A list of the results in the order of the items; where the function raised, the exception,
        and WorkerLost where it took its worker with it. Its ``failed`` is {number of an item:
        exception}.

    Raises
    ------
    BadInput
        If an argument can't be used, or the output is that of another function or of other items.
    RunFailed
        If a result can't be stored, naming its type; if the output can't be written; or for an
        exception, if asked for.
    StoppedEarly
        If there is an output and any rank was told to stop by SIGTERM, SIGUSR1 or SIGINT.

    Examples
    --------
    >>> import math
    >>> map(math.sqrt, [4.0, 9.0])
    [2.0, 3.0]
    """
    open_missing()
    if not callable(function):
        raise BadInput(f"map: expected a function, got {function!r:.60}")
    if resume and output is None:
        raise BadInput("map: resume needs an output")
    policy = OnError.parse(str(on_error))
    settings = execute.settings_of(
        workers=workers,
        schedule=schedule,
        on_error=STOP if policy == STOP or policy.retries else OnError(skip=True),
        block_timeout=block_timeout,
        output=output,
        checkpoint=checkpoint,
        resume=resume,
        anyway=anyway,
        compress=compress,
        progress=progress,
    )
    comm = execute.all_ranks("mpipar.map", settings.workers)
    kernel = _MapKernel(function, _listed(items, comm), policy)
    bound = kernel.bind({}, block=block)
    path = Path(os.path.realpath(settings.output or ""))  # the function may change the folder
    _check_items(kernel, comm)
    try:
        with execute.execution(bound, settings, _notify) as (comm, result, file):
            problem = None
            rows = None
            if result is not None:
                problem, rows = _rows(result, file, path)
            problem = comm.bcast(problem)
            if problem is not None:
                raise RunFailed(problem)
            run = None if result is None else dataclasses.replace(result, datasets={}, partials={})
            rows, run = comm.bcast((rows, run))
    except MpiparError as error:
        raise error.with_traceback(None) from None  # what ours are says nothing to the user
    except BaseException as error:
        if world().size > 1:
            execute.end_all_ranks("mpipar.map", error, 1)
        raise
    assert run is not None
    assert rows is not None
    outcomes = outcomes_in_order(rows, bound.plan.n, run.skipped)
    outcomes.run = run
    if comm.is_root:
        _tell(outcomes)
    return outcomes


def mapped(path: str | Path) -> Outcomes:
    """Return what a finished :func:`mpipar.map` has put into its output.

    Raises
    ------
    BadInput
        If it isn't one, or is damaged.
    """
    from mpipar.store.mapped import stored_outcomes

    try:
        return outcomes_in_order(*stored_outcomes(Path(path)), [])
    except ValueError as error:
        raise (
            error if isinstance(error, BadInput) else BadInput(f"{str(path)!r}: {error}")
        ) from None


def outcomes_in_order(rows: Array, n: int, skipped: Sequence[Skipped]) -> Outcomes:
    """Return the outcomes of all items. Raises ValueError if any isn't there."""
    found: list[Any] = [None] * n
    missing, failed = set(range(n)), {}
    for item, outcome, is_exception in outcomes_of(rows.tobytes()):
        missing.discard(item)
        found[item] = outcome
        if is_exception:
            failed[item] = outcome
    for block in skipped:
        for item in range(block.start, block.stop):
            found[item] = failed[item] = WorkerLost(f"item {item}: {block.reason}")
            missing.discard(item)
    if missing:
        raise ValueError(f"there is no outcome of item {min(missing)}")
    return Outcomes(found, dict(sorted(failed.items())))


def _listed(items: Iterable[Any], comm: Comm) -> list[Any]:
    """Return the items. Where they can't be had on one rank, all raise. Collective over comm."""
    listed: list[Any] = []
    problem: Exception | None = None
    try:
        listed = list(items)
    except Exception as error:
        problem = error
        if isinstance(error, TypeError) and not hasattr(items, "__iter__"):
            problem = BadInput(f"map: expected items, such as a list, got {items!r:.60}")
    told = comm.gather(None if problem is None else one_line(problem))
    others = [
        f"rank {rank} could not list its items: {reason}"
        for rank, reason in enumerate(told)
        if reason
    ]
    first = comm.bcast(others[0] if others else None)
    if problem is not None:
        raise problem
    if first is not None:
        raise RunFailed(f"map: {first}")
    return listed


def _digests(items: Sequence[Any]) -> dict[str, str]:
    """Return digests of items. Raises BadInput if they can't be told from others."""
    try:
        return digests_of_items(items)
    except Unstorable as error:
        raise BadInput(
            "map: whether items are the same on all ranks, and in later runs, can't be told:"
            f" {error}"
        ) from None


def _check_items(kernel: _MapKernel, comm: Comm) -> None:
    """Raise BadInput, on all ranks, if they have other items than the root. Collective over
    comm.
    """
    if comm.size == 1:
        return
    try:
        own: Any = _digests(kernel._items)
    except BadInput as error:
        own = str(error)
    told = comm.gather(own)
    problem = next((one for one in told if isinstance(one, str)), None)
    others = [rank for rank, one in enumerate(told) if one != own]
    if problem is None and others:
        one, root = told[others[0]], own
        where = next((name for name in root if root[name] != one.get(name)), "their number")
        problem = (
            f"map: rank {others[0]} has other items than the root ({where}): sort them, or seed"
            " what makes them"
        )
    problem = comm.bcast(problem)
    if problem is not None:
        raise BadInput(problem)


def _files(item: Any) -> set[str]:
    """Return the files that an item names, by itself or in a tuple, list or dict."""
    if isinstance(item, dict):
        return {file for value in item.values() for file in _files(value)}
    if isinstance(item, (list, tuple)):
        return {file for value in item for file in _files(value)}
    found = file_in(str(item)) if isinstance(item, (str, Path)) else None
    return set() if found is None else {found}


def _rows(result: Result, file: OutputFile | None, path: Path) -> tuple[str | None, Array | None]:
    """Return what went wrong, and the outcomes as bytes, on the root."""
    if file is None:
        return None, result.datasets[DATASET]
    problem = file.write(result)
    if problem is not None:
        return problem, None
    from mpipar.store.mapped import stored_outcomes

    try:
        return None, stored_outcomes(path)[0]
    except BadInput as error:
        return str(error), None


def _tell(outcomes: Outcomes) -> None:
    """Tell the user which items have no result."""
    if outcomes.failed:
        numbers = list(outcomes.failed)
        shown = ", ".join(str(number) for number in numbers[:_MOST_NAMED]) + (
            ", …" if len(numbers) > _MOST_NAMED else ""
        )
        first = one_line(outcomes.failed[numbers[0]])
        _notify(
            f"{several(len(numbers), 'item')} of {len(outcomes)} raised: {shown} (first: {first})"
        )


def _notify(text: str) -> None:
    note(f"mpipar.map: {text}")
