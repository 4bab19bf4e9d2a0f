"""Reductions that keep blocks in order: concatenation, and operations of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.core.partials import Array, describe, has_mask, plain
from mpipar.core.plan import Block
from mpipar.core.reduction import Reduction


class Concatenate(Reduction):
    """The arrays of all blocks, one after the other in block order, along the first axis."""

    # A total is {block index: array}.

    def start(self) -> Any:  # noqa: D102
        return {}

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        array = plain(
            partial, "Concatenate", "write .filled() with what stands for them, or .compressed()"
        )
        if array is None:
            raise TypeError(f"Concatenate needs an array, got {describe(partial)}")
        total[block.index] = np.array(
            array, ndmin=1
        )  # a copy, as a kernel may use its buffer again
        return total

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        total.update(other)
        return total

    def finish(self, total: Any) -> Array:  # noqa: D102
        return np.concatenate([total[index] for index in sorted(total)]) if total else np.zeros(0)


class InOrder(Reduction):
    """An operation of your own, associative but perhaps not commutative, combined in block order.

    Partials are combined pairwise along one fixed binary tree over the blocks, so that even an
    operation that is only nearly associative, such as a product of floating-point matrices, gives
    the same bits whoever evaluates the blocks.

    Parameters
    ----------
    operation : callable
        ``operation(left, right)``: combine two neighbours, the left one from lower items. Must not
        change them.
    empty : optional
        The result for no block; None by default.
    """

    # A total is {(level, k): value}: the combined partials of blocks k·2ˡᵉᵛᵉˡ … (k + 1)·2ˡᵉᵛᵉˡ − 1.

    def __init__(self, operation: Callable[[Any, Any], Any], empty: Any = None) -> None:
        self.operation = operation
        self.empty = empty

    def start(self) -> Any:  # noqa: D102
        return {}

    def add(self, total: Any, partial: Any, block: Block) -> Any:  # noqa: D102
        if has_mask(partial):
            raise TypeError(
                "InOrder can't keep a mask: return .filled() values, or a tuple of .data and .mask"
            )
        if isinstance(partial, np.ndarray):
            partial = partial.copy()  # a kernel may use its buffer again
        return self._put(total, (0, block.index), partial)

    def merge(self, total: Any, other: Any) -> Any:  # noqa: D102
        for node, value in other.items():
            self._put(total, node, value)
        return total

    def finish(self, total: Any) -> Any:  # noqa: D102
        if not total:
            return self.empty
        nodes = sorted(total, key=lambda node: node[1] << node[0])
        result = total[nodes[0]]
        for node in nodes[1:]:
            result = self.operation(result, total[node])
        return result

    def _put(
        self, total: dict[tuple[int, int], Any], node: tuple[int, int], value: Any
    ) -> dict[tuple[int, int], Any]:
        level, k = node
        while (level, k ^ 1) in total:
            sibling = total.pop((level, k ^ 1))
            value = self.operation(sibling, value) if k & 1 else self.operation(value, sibling)
            level, k = level + 1, k >> 1
        total[level, k] = value
        return total
