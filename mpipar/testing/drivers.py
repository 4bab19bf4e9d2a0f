"""The contract of a driver."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mpipar.base.errors import StoppedEarly
from mpipar.command.run_kernel import run
from mpipar.core.kernel import BoundKernel, Kernel
from mpipar.core.plan import Block
from mpipar.runtime.comm import world
from mpipar.runtime.result import Result
from mpipar.runtime.schedule import SCHEDULES
from mpipar.testing.bits import check_same

_FEWEST_BLOCKS = 4
"""And two for each rank: so that two workers have some each, and a part can be done at a stop."""


def check_driver(
    driver: Kernel,
    *,
    workers: Sequence[int] = (1, 2),
    schedules: Sequence[str] = SCHEDULES,
    block: int | None = None,
    seed: int = 0,
    **parameters: Any,
) -> Any:
    """Check that a driver gives the same bits in each way to run it. Collective over all ranks.

    Run under mpirun, it checks the ways over ranks. The driver's module must be one that worker
    processes can import.

    Parameters
    ----------
    driver : Driver
        What is checked.
    workers : sequence of int
        Numbers of worker processes in each rank.
    schedules : sequence of str
        Of stride, slice and dynamic.
    block, seed : int, optional
        As for :func:`mpipar.run`.
    **parameters
        The driver's own. Choose them so that it takes a moment, and has some ten blocks.

    Returns
    -------
    object
        The value of the result.

    Raises
    ------
    AssertionError
        If a value, its error or a row of a dataset isn't the same to the last bit: with blocks in
        another order in one process, with other workers and schedules, or in a run that was stopped
        and resumed.
    ValueError
        If there are fewer than four blocks, with which this couldn't be seen.

    Examples
    --------
    >>> from mpipar.pi import pi
    >>> check_driver(pi, workers=(1,), steps=1000, block=100)
    3.1415927369231267
    """
    bound = driver.bind(parameters, block=block, seed=seed)
    fewest = max(_FEWEST_BLOCKS, 2 * world().size)
    if bound.plan.n_blocks < fewest:
        raise ValueError(
            f"check_driver: needs {fewest} blocks or more, got {bound.plan.n_blocks}; give a"
            " smaller block"
        )

    def result_of(kernel: Kernel, **options: Any) -> Result:
        result = run(
            kernel,
            block=block,
            seed=seed,
            progress=False,
            **options,
            **parameters,
        )
        assert result is not None  # as everybody gets it
        return result

    expected = result_of(driver, schedule="slice")
    if not bound.may_end_early:
        in_order = list(range(bound.plan.n_blocks))
        check_same(
            _by_hand(bound, in_order),
            expected.outcome,
            f"{driver.name}: by hand",
        )
        disorder = random.Random(seed).sample(in_order, len(in_order))
        check_same(
            _by_hand(bound, disorder), expected.outcome, f"{driver.name}: blocks in another order"
        )
    for count, schedule in itertools.product(workers, schedules):
        got = result_of(driver, schedule=schedule, workers=count)
        _check_results(
            got,
            expected,
            f"{driver.name}: schedule {schedule}, workers {count}",
        )
    _check_resumed(driver, result_of, expected)
    return expected.value


def _check_results(got: Result, expected: Result, doing: str) -> None:
    check_same(got.outcome, expected.outcome, doing)
    for name, rows in expected.datasets.items():
        check_same(got.datasets[name][:], rows[:], f"{doing}: the dataset {name!r}")


def _by_hand(bound: BoundKernel, indices: Sequence[int]) -> Any:
    """Return the result of evaluating blocks in this order, without any of the machinery."""
    arrays = {}
    for name in bound.shared_names:
        arrays[name] = bound.make_shared(name, np.empty)
    evaluate = bound.evaluator(arrays)
    total = bound.reduction.start()
    for index in indices:
        block = bound.plan[index]
        partial = evaluate(block)
        total = bound.reduction.add(total, partial, block)
    return bound.result(total)


def _check_resumed(
    driver: Kernel,
    result_of: Callable[..., Result],
    expected: Result,
) -> None:
    """Compare what comes of a run that is stopped when each rank has evaluated a block, and
    resumed.
    """
    comm = world()
    with contextlib.ExitStack() as stack:
        folder = ""
        if comm.is_root:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mpipar-check-"))
        output = Path(comm.bcast(folder)) / "run.h5"
        try:
            result_of(_Stopping(driver), schedule="stride", output=output)
        except StoppedEarly:
            got = result_of(driver, schedule="dynamic", output=output, resume=True)
        else:
            raise AssertionError(f"{driver.name}: SIGTERM didn't stop the run")
        if got.resumed_blocks == 0:
            raise AssertionError(f"{driver.name}: nothing was committed before the run stopped")
        _check_results(got, expected, f"{driver.name}: stopped early, and resumed")
        comm.barrier()  # before the folder goes


class _Stopping(Kernel):
    """A kernel that sends its process SIGTERM when it has evaluated a block."""

    def __init__(self, kernel: Kernel) -> None:
        self.__dict__.update(kernel.__dict__)

    def bind(self, parameters: Mapping[str, Any], **options: Any) -> BoundKernel:
        """Return this kernel with all its parameters."""
        bound = super().bind(parameters, **options)
        return _StoppingBound(
            self, bound.parameters, bound.plan, bound.seed, bound.device, bound.block
        )


class _StoppingBound(BoundKernel):
    def evaluator(self, *arguments: Any, **options: Any) -> Callable[[Block], Any]:
        evaluate = super().evaluator(*arguments, **options)

        def evaluate_and_stop(block: Block) -> Any:
            partial = evaluate(block)
            os.kill(os.getpid(), signal.SIGTERM)
            return partial

        return evaluate_and_stop
