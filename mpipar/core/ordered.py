"""Reductions that keep blocks in order: concatenation, and operations of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from mpipar.base.overriding import override
from mpipar.core.casting import change
from mpipar.core.partials import Array, describe, has_mask, plain
from mpipar.core.plan import Block
from mpipar.core.reduction import Reduction

_FILL = "write .filled() with what stands for them, or .compressed()"

Node: TypeAlias = tuple[int, int]
"""A node of the tree: its level l, and k: it stands for the blocks k·2ˡ … (k + 1)·2ˡ − 1."""


class Concatenate(Reduction):
    """The arrays of all blocks, one after the other in block order, along the first axis.

    Where blocks have values of types that no type of NumPy holds all of, as 2⁶³ and -1, or 2⁵³ + 1
    and 0.5, the result is an array of Python's numbers; of times in units like that it is text.
    """

    # A total is {block index: array}.

    @override
    def start(self) -> Any:
        return {}

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        array = plain(partial, "Concatenate", _FILL)
        if array is None:
            raise TypeError(f"Concatenate needs an array, got {describe(partial)}")
        # A copy, as a kernel may use its buffer again.
        total[block.index] = np.array(array, ndmin=1)
        return total

    @override
    def merge(self, total: Any, other: Any) -> Any:
        total.update(other)
        return total

    @override
    def finish(self, total: Any) -> Array:
        if not total:
            return np.zeros(0)
        pieces = [total[index] for index in sorted(total)]
        try:
            rows = np.concatenate(pieces)
        except OverflowError:  # times that no common unit holds
            is_whole = False
        else:
            is_whole = not any(change(piece, rows.dtype) for piece in pieces)
        if is_whole:
            return rows
        return np.concatenate([_in_own_type(piece) for piece in pieces])


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

    # A total is {node: the combined partials of its blocks}.

    def __init__(self, operation: Callable[[Any, Any], Any], empty: Any = None) -> None:
        self.operation = operation
        self.empty = empty

    @override
    def start(self) -> Any:
        return {}

    @override
    def add(self, total: Any, partial: Any, block: Block) -> Any:
        if has_mask(partial):
            raise TypeError(
                "InOrder can't keep a mask: return .filled() values, or a tuple of .data and .mask"
            )
        if isinstance(partial, np.ndarray):
            partial = partial.copy()  # a kernel may use its buffer again
        self._put(total, (0, block.index), partial)
        return total

    @override
    def merge(self, total: Any, other: Any) -> Any:
        for node, value in other.items():
            self._put(total, node, value)
        return total

    @override
    def finish(self, total: Any) -> Any:
        if not total:
            return self.empty
        first, *others = sorted(total, key=_first_block)
        result = total[first]
        for node in others:
            result = self.operation(result, total[node])
        return result

    def _put(self, total: dict[Node, Any], node: Node, value: Any) -> None:
        """Add a node, and combine it with its sibling as long as that is there."""
        level, k = node
        while (level, k ^ 1) in total:
            sibling = total.pop((level, k ^ 1))
            is_right = k & 1
            if is_right:
                value = self.operation(sibling, value)
            else:
                value = self.operation(value, sibling)
            level += 1
            k >>= 1
        total[level, k] = value


def _in_own_type(array: Array) -> Array:
    """Return an array of Python's values; times, which may be mere numbers there, as text."""
    if array.dtype.kind not in "mM":
        return array.astype(object)
    texts = np.empty(array.size, object)
    texts[:] = list(map(str, array.ravel()))
    return texts.reshape(array.shape)


def _first_block(node: Node) -> int:
    level, k = node
    return k << level
