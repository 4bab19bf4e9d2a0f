"""The kernel of a map: a block is some items, its partial their outcomes as bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.overriding import override
from mpipar.command.map_items import digests, files
from mpipar.core.kernel import BoundKernel, Kernel
from mpipar.core.plan import Block
from mpipar.core.reduction import Count, Dataset, Each
from mpipar.runtime.failure import OnError
from mpipar.store.identity import content
from mpipar.store.likeness import named, state_of
from mpipar.store.outcomes import exception_as_bytes, result_as_bytes
from mpipar.store.values import Unstorable

DATASET = "outcomes"


class _Calls:
    """Evaluates a block of items: their outcomes as bytes."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        on_error: OnError,
    ) -> None:
        self.function = function
        self.items = items
        self.on_error = on_error

    def __call__(self, block: Block) -> dict[str, Any]:
        outcomes = []
        failed = 0
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


class MapKernel(Kernel):
    """The kernel of a map: it carries the function and the items."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        on_error: OnError,
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

    @override
    def _bound(
        self,
        values: dict[str, Any],
        n: int,
        block: int | None,
        seed: int,
        device: str,
    ) -> BoundKernel:
        """Return this kernel, bound: what it calls stands for its parameters, as it has none."""
        return super()._bound({"function": self._named}, n, block, seed, device)

    @override
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
        found = {f"input {name}": digest for name, digest in digests(self._items).items()}
        named_files = {file for item in self._items for file in files(item)}
        for file in sorted(named_files):
            found[f"input {file}"] = content(file)
        found[f"input what {self._named} is bound to"] = state
        return found


def _evaluate(block: Block) -> Any:
    """Stand for a map's function until the kernel has it."""
    raise NotImplementedError


def _counts(total: dict[str, Any]) -> dict[str, int]:
    return {name: total[name] for name in ("items", "failed")}
