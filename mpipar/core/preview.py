"""What a driver would evaluate: what it says with ``--dry-run``, in words or as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from mpipar.base.text import items_in_blocks
from mpipar.core.devices import DEVICES


class Preview(NamedTuple):
    """A plan, of a run that doesn't take place.

    Attributes
    ----------
    driver : str
        Its name.
    n, block, n_blocks, seed : int
        Items, items of a block, blocks; the seed of random numbers.
    device : str
        What evaluates, by name; of auto, what this machine has.
    """

    driver: str
    n: int
    block: int
    n_blocks: int
    seed: int
    device: str

    @property
    def words(self) -> str:
        """All this in words."""
        where = DEVICES[self.device].where
        return f"{items_in_blocks(self.n, self.n_blocks, self.block)}{where}"

    def as_object(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**self._asdict(), "problems": []}


def as_preview(answer: dict[str, Any]) -> Preview:
    """Return what an object that was made so says."""
    return Preview(**{name: answer[name] for name in Preview._fields})
