"""Making a result of a total, and asking whether it is enough: the user's code, which may raise."""

from __future__ import annotations

from typing import Any

from mpipar.base.errors import RunFailed
from mpipar.core.kernel import BoundKernel
from mpipar.runtime.failure import Failure


def finished(bound: BoundKernel, total: Any) -> Any:
    """Return the result of a total, or the Failure to make one."""
    try:
        return bound.result(total)
    except RunFailed as error:  # what the kernel says by itself
        return Failure("making the result", str(error))
    except Exception as error:
        return Failure.of("making the result", error)


def is_enough(bound: BoundKernel, outcome: Any) -> bool | Failure:
    """Return whether an outcome of :func:`finished` is enough, or why that can't be told."""
    if isinstance(outcome, Failure):
        return outcome
    try:
        return bound.is_enough(outcome)
    except Exception as error:
        return Failure.of("asking whether it is enough", error)
