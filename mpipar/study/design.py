"""What a study runs, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mpipar.base.errors import BadInput
from mpipar.base.text import several
from mpipar.core.parameters import parse_int

STRONG = "strong"
"""A mode: one problem for all."""
WEAK = "weak"
"""A mode: a problem that grows with the processes."""
SIZES = "sizes"
"""A mode: several problems, each serial and parallel."""

MOST_REPEATS = 1000
MOST_RANKS = 2**20
MOST_PER_CORE = 8


class Size(NamedTuple):
    """What is run, several times: a point of the table.

    Attributes
    ----------
    mode : str
        STRONG, WEAK or SIZES.
    ranks, workers : int
        Ranks, and worker processes in each.
    nodes : int or None
        Nodes, where the study says how many.
    items : str
        Of SIZES: the size of the problem, as the user wrote it; empty otherwise.
    """

    mode: str
    ranks: int
    workers: int
    nodes: int | None = None
    items: str = ""

    @property
    def processes(self) -> int:
        """How many processes evaluate."""
        return self.ranks * self.workers

    @property
    def factor(self) -> int:
        """By how much the problem is larger than that of one process."""
        return self.processes if self.mode == WEAK else 1

    @property
    def words(self) -> str:
        """All this in words."""
        words = f"{self.mode}, "
        if self.items:
            words += f"{self.items} items, "
        words += f"{several(self.ranks, 'rank')} × {several(self.workers, 'worker')}"
        if self.nodes is not None:
            words += f" on {several(self.nodes, 'node')}"
        return words

    @property
    def label(self) -> str:
        """A name of it for files."""
        label = self.mode
        if self.nodes is not None:
            label += f"-{self.nodes}n"
        label += f"-{self.ranks}x{self.workers}"
        if self.items:
            label += f"-{self.items}"
        return label


class Run(NamedTuple):
    """One run of a study: a size, and which time it is run, from 1 on."""

    size: Size
    repeat: int

    @property
    def words(self) -> str:
        """Both in words."""
        return f"{self.size.words}, repeat {self.repeat}"


class Measured(NamedTuple):
    """What a run gave.

    Attributes
    ----------
    elapsed : float
        Seconds that the driver took, by its own clock, from the barrier before the first block.
    wall : float
        Seconds from the start of the command, or of the job's ranks, to its end.
    report : dict
        The JSON that the driver printed.
    hosts : list of str
        Where it ran.
    ended : float
        When it ended, in seconds since 1970 (UTC).
    """

    elapsed: float
    wall: float
    report: dict[str, Any]
    hosts: list[str]
    ended: float


def in_order(sizes: Sequence[Size], repeats: int) -> list[Run]:
    """Return all runs, each repeat through all sizes, up and down by turns.

    So what drifts, such as the clock of a processor that gets warm, meets all sizes alike.
    """
    runs = []
    for repeat in range(1, repeats + 1):
        is_upwards = repeat % 2 == 1
        for size in sizes if is_upwards else reversed(sizes):
            runs.append(Run(size, repeat))
    return runs


def numbers(text: str, option: str, most: int = MOST_RANKS) -> list[int]:
    """Return the whole numbers of a list such as "1,2,4,8": sorted, and each once.

    Raises
    ------
    BadInput
        If the text is something else.
    """
    found = set()
    for part in text.split(","):
        try:
            found.add(parse_int(part))
        except ValueError:
            raise BadInput(
                f"{option}: expected whole numbers with commas between, got {text!r}"
            ) from None
    if min(found) < 1:
        raise BadInput(f"{option}: expected whole numbers from 1 on, got {min(found)}")
    if max(found) > most:
        raise BadInput(f"{option}: expected at most {most:_}, got {max(found):_}")
    return sorted(found)


def workers_of(text: str, ranks: int, cores: int | None) -> list[int]:
    """Return the numbers of workers for so many ranks; "auto" is a rank's share of the cores.

    Raises
    ------
    BadInput
        If the text is neither, or "auto" where nobody knows the cores.
    """
    if text != "auto":
        return numbers(text, "--workers")
    if cores is None:
        raise BadInput("--workers: auto is for studies here; say how many for each rank of the job")
    return [max(1, cores // ranks)]


def refuse_too_many(sizes: Sequence[Size], cores: int) -> None:
    """Raise BadInput for sizes that have nothing to do with the machine."""
    most = MOST_PER_CORE * cores
    for size in sizes:
        if size.processes <= most:
            continue
        option = "--ranks" if size.ranks > most else "--workers"
        asked = f"{size.ranks} × {size.workers} processes on {several(cores, 'core')}"
        raise BadInput(f"{option}: {asked} measure nothing; expected at most {most}")
