"""A function of each of many items, over workers and ranks.

The way of a map through the layers::

    items ─▶ the same on all ranks? ─▶ kernel ─▶ execution ─▶ outcomes as bytes ─▶ Outcomes
             digests                   block: its items'      output file, or      results and
                                       outcomes               the root's memory    exceptions
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpipar.base.errors import BadInput, MpiparError, RunFailed
from mpipar.base.text import several
from mpipar.command.crash import end_all_ranks
from mpipar.command.execute import all_ranks, execution
from mpipar.command.map_items import check_same, listed
from mpipar.command.map_kernel import DATASET, MapKernel
from mpipar.command.map_outcomes import Outcomes, outcomes_in_order
from mpipar.core.kernel import BoundKernel
from mpipar.core.reduction import Array
from mpipar.runtime.comm import world
from mpipar.runtime.failure import STOP, OnError, one_line
from mpipar.runtime.outlets import open_missing, warn
from mpipar.runtime.result import Result
from mpipar.runtime.run_options import RunOptions

if TYPE_CHECKING:
    from mpipar.store.output import OutputFile

_MOST_NAMED = 10


def map(  # noqa: PLR0913 (options of a run, by name)
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
    options = RunOptions.given(
        workers=workers,
        schedule=schedule,
        block=block,
        on_error=on_error,
        block_timeout=block_timeout,
        output=output,
        checkpoint=checkpoint,
        resume=resume,
        anyway=anyway,
        compress=compress,
        progress=progress,
    )
    comm = all_ranks("mpipar.map", options.workers)
    if output is None and _script_keeps_tasks():
        _notify("what comes out is not kept with the script's tasks: it takes an output of its own")
    listed_items = listed(items, comm)
    of_items = options.on_error
    of_blocks = STOP  # where a worker is lost, or takes too long, a whole block fails
    if of_items != STOP and not of_items.retries:
        of_blocks = OnError(skip=True)
    bound = options.bind(MapKernel(function, listed_items, of_items), {})
    check_same(listed_items, comm)
    try:
        outcomes = _outcomes(bound, replace(options, on_error=of_blocks))
    except MpiparError as error:
        raise error.with_traceback(None) from None  # what ours are says nothing to the user
    except BaseException as error:
        if world().size > 1:
            end_all_ranks("mpipar.map", error, 1)
        raise
    if world().is_root:
        _tell(outcomes)
    return outcomes


def _outcomes(bound: BoundKernel, options: RunOptions) -> Outcomes:
    """Run a map, and return what came out of it. Collective over all ranks."""
    path = Path(os.path.realpath(options.output or ""))  # the function may change the folder
    with execution(bound, options, _notify) as (comm, result, file):
        problem = None
        rows = None
        run = None
        if result is not None:
            problem, rows = _rows(result, file, path)
            run = replace(result, datasets={}, partials={})
        problem = comm.bcast(problem)
        if problem is not None:
            raise RunFailed(problem)
        rows, run = comm.bcast((rows, run))
    assert run is not None
    assert rows is not None
    outcomes = outcomes_in_order(rows, bound.plan.n, run.skipped)
    outcomes.run = run
    return outcomes


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
    if not outcomes.failed:
        return
    numbers = list(outcomes.failed)
    shown = ", ".join(str(number) for number in numbers[:_MOST_NAMED])
    if len(numbers) > _MOST_NAMED:
        shown += ", …"
    first = one_line(outcomes.failed[numbers[0]])
    items = f"{several(len(numbers), 'item')} of {len(outcomes)}"
    _notify(f"{items} raised: {shown} (first: {first})")


def _script_keeps_tasks() -> bool:
    """Return whether this is called in a script whose tasks are kept."""
    pools = sys.modules.get("mpipar.pool.pool_runtime")  # which takes time to load
    return pools is not None and pools.process_runtime.is_recalling


def _notify(text: str) -> None:
    warn(text, "mpipar.map")
