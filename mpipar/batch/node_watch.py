"""Whether a job has lost nodes under ranks that run, which not every launcher notices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpipar.batch.schedulers import scheduler

_LOOK_SECONDS = 60.0  # between two questions: the scheduler is everybody's
_GRACE_SECONDS = 30.0  # that a launcher is given to notice by itself


class NodeWatch:
    """The nodes of one start, of which the scheduler is asked now and then.

    It is only what the scheduler says that counts, never that it doesn't answer.

    Parameters
    ----------
    id : str
        What the scheduler takes for this job.
    nodes : sequence of str
        The nodes, this one first; without any nobody is asked.
    """

    def __init__(self, id: str, nodes: Sequence[str]) -> None:
        self._id = id
        self._nodes = tuple(nodes)
        self._next_look = _LOOK_SECONDS
        self._gone_since = math.inf

    def has_lost(self, elapsed: float) -> bool:
        """Return whether nodes have been gone for long; ``elapsed`` is the seconds since the
        start.
        """
        if not self._nodes or elapsed < self._next_look:
            return False
        if not self._are_gone():
            self._gone_since = math.inf
            self._next_look = elapsed + _LOOK_SECONDS
            return False
        self._gone_since = min(self._gone_since, elapsed)
        self._next_look = self._gone_since + _GRACE_SECONDS
        return elapsed >= self._next_look

    def _are_gone(self) -> bool:
        left = scheduler().nodes(self._id)
        here = self._nodes[0]
        # A list that lacks this node is none of nodes that the job has.
        return here in left and not left.issuperset(self._nodes)
