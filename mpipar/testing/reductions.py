"""The contract of a reduction."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from mpipar.core.plan import Block, Plan
from mpipar.core.reduction import Reduction
from mpipar.store.codec import decode, encode
from mpipar.testing.bits import check_same

Partials: TypeAlias = Sequence[Any] | Callable[[Block], Any]
"""The partial of each block in turn, or a function that returns a block's."""

_FEWEST_BLOCKS = 3  # so that merges can be associative, or not


def check_reduction(
    reduction: Reduction | type[Reduction],
    partials: Partials,
    *,
    plan: Plan | None = None,
    rounds: int = 3,
    seed: int = 0,
) -> Any:
    """Check that a reduction gives the same bits whoever evaluates the blocks, and when.

    Parameters
    ----------
    reduction : Reduction, or a subclass that needs no arguments
        What is checked.
    partials : sequence or callable
        The partial of each block in turn, or a function that returns a block's.
    plan : Plan, optional
        The blocks; by default one item for each of a sequence of partials.
    rounds : int
        How many random ways to share out the blocks and to merge the totals are tried.
    seed : int
        Chooses these.

    Returns
    -------
    object
        The result of adding all partials in block order.

    Raises
    ------
    AssertionError
        If any of this doesn't hold: the result depends on neither the order of blocks nor how
        totals are merged; the total of no block changes nothing; a total can be committed to a
        file and read back; ``finish`` leaves the total as it is;
        ``add`` neither changes a partial nor keeps its memory, which a kernel may fill again;
        ``rows`` has the rows of each dataset.
    ValueError
        If there are fewer than three blocks, with which none of this could be seen.

    Examples
    --------
    >>> from mpipar import ExactSum
    >>> check_reduction(ExactSum, [1e16, 1.0, -1e16, 1.0])
    2.0
    """
    made = reduction() if isinstance(reduction, type) else reduction
    if plan is None:
        if callable(partials):
            raise ValueError("check_reduction: a function of blocks needs a plan")
        plan = Plan(len(partials), 1)
    if plan.n_blocks < _FEWEST_BLOCKS:
        raise ValueError(f"check_reduction: needs three blocks or more, got {plan.n_blocks}")
    check = _Check(made, plan, partials)
    expected = check.in_order()
    for turn in range(rounds):
        check.in_disorder(random.Random(seed + turn), expected)
    return expected


class _Check:
    """One reduction, and the partials of a plan."""

    def __init__(
        self,
        reduction: Reduction,
        plan: Plan,
        partials: Partials,
    ) -> None:
        self.reduction = reduction
        self.plan = plan
        self.partials = partials

    def in_order(self) -> Any:
        """Return the result of all blocks, one after the other."""
        all_blocks = range(self.plan.n_blocks)
        untouched = self._total_of(all_blocks, fill_again=False)
        result = copy.deepcopy(self.reduction.finish(untouched))

        total = self._total_of(all_blocks)
        once = self.reduction.finish(total)
        check_same(once, result, "a kernel that fills its arrays again after add()")
        twice = self.reduction.finish(total)
        check_same(twice, result, "finish() of the same total, a second time")

        before = self.reduction.merge(self.reduction.start(), self._copy(total))
        self._check_total(
            before,
            result,
            "merging the total of no block before all others",
        )
        after = self.reduction.merge(self._copy(total), self.reduction.start())
        self._check_total(
            after,
            result,
            "merging the total of no block after all others",
        )
        return result

    def in_disorder(self, chance: random.Random, expected: Any) -> None:
        """Compare the result of blocks that groups evaluate in a random order."""
        blocks = list(range(self.plan.n_blocks))
        chance.shuffle(blocks)
        first, second = sorted(chance.sample(range(1, len(blocks)), 2))
        groups = blocks[:first], blocks[first:second], blocks[second:]
        self._check_merges(groups, expected)

        totals = [self._total_of([index]) for index in blocks]
        while len(totals) > 1:
            other = totals.pop(chance.randrange(len(totals)))
            into = chance.randrange(len(totals))
            totals[into] = self.reduction.merge(totals[into], other)
        self._check_total(
            totals[0],
            expected,
            "merging the blocks one by one in a random order",
        )

    def _check_merges(self, groups: Sequence[Sequence[int]], expected: Any) -> None:
        """Compare what comes of three totals, merged in other orders."""
        totals = [self._total_of(group) for group in groups]
        merge = self.reduction.merge

        a, b, c = map(self._copy, totals)
        total = merge(merge(a, b), c)
        self._check_total(total, expected, "merging three totals, (a b) c")

        a, b, c = map(self._copy, totals)
        total = merge(a, merge(b, c))
        self._check_total(total, expected, "merging three totals, a (b c)")

        a, b, c = map(self._copy, totals)
        total = merge(c, merge(b, a))
        self._check_total(total, expected, "merging three totals, c (b a)")

    def _total_of(self, blocks: Sequence[int], *, fill_again: bool = True) -> Any:
        """Return the total of some blocks, added one after the other."""
        total = self.reduction.start()
        for index in blocks:
            block = self.plan[index]
            partial = self._partial(block)
            before = copy.deepcopy(partial)
            total = self.reduction.add(total, partial, block)
            check_same(partial, before, f"add() changed the partial of {block}")
            self._check_rows(partial)
            if fill_again:
                _fill_again(partial)
        return total

    def _partial(self, block: Block) -> Any:
        """Return the partial of a block: one that may be changed."""
        if callable(self.partials):
            given = self.partials(block)
        else:
            given = self.partials[block.index]
        return copy.deepcopy(given)

    def _check_rows(self, partial: Any) -> None:
        names = {dataset.name for dataset in self.reduction.datasets()}
        rows = self.reduction.rows(partial)
        if rows.keys() != names:
            found = ", ".join(sorted(rows)) or "nothing"
            wanted = ", ".join(sorted(names)) or "none"
            raise AssertionError(f"rows() has {found}, and the datasets are {wanted}")

    def _copy(self, total: Any) -> Any:
        """Return a total as it is after a commit: its parts are new ones."""
        try:
            committed = encode(total)
        except TypeError as error:
            raise AssertionError(
                f"a total can't be committed: {error}; totals are made of None, bool, int, float,"
                " complex, str, bytes, list, tuple, dict and arrays"
            ) from None
        return decode(committed)

    def _check_total(self, total: Any, expected: Any, doing: str) -> None:
        result = self.reduction.finish(total)
        check_same(result, expected, doing)
        after_commit = self.reduction.finish(self._copy(total))
        check_same(after_commit, expected, f"{doing}, and committing that")


def _fill_again(partial: Any) -> None:
    """Do as a kernel that uses its buffers again."""
    if isinstance(partial, np.ndarray):
        if partial.flags.writeable and not partial.dtype.hasobject:
            partial[...] = np.zeros((), partial.dtype)
    elif isinstance(partial, Mapping):
        for item in partial.values():
            _fill_again(item)
    elif isinstance(partial, (tuple, list)):
        for item in partial:
            _fill_again(item)
