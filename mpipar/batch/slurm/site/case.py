"""A job and the site that it is for, as rules look at them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mpipar.batch.scheduler import Request
from mpipar.batch.slurm.site.configuration import Configuration, Shape, leading_number, said
from mpipar.batch.walltime import seconds_of

_MEMORY = re.compile(r"(\d+)([KMGT]?)B?", re.IGNORECASE)
_MEGABYTES = {"K": 1 / 1024, "M": 1.0, "": 1.0, "G": 1024.0, "T": 1024.0**2}


class Case(NamedTuple):
    """A job that is to be submitted.

    Attributes
    ----------
    config : Configuration
        That of the site.
    wanted : Request
        What the job asks for.
    launcher : str
        What starts its ranks, as the site's profile has it.
    """

    config: Configuration
    wanted: Request
    launcher: str = "mpirun"

    def option(self, name: str) -> str:
        """Return one of the scheduler's own options; empty if it isn't given."""
        value: Any = self.wanted.own_options.get(name) or ""
        return str(value)

    @property
    def partition_name(self) -> str:
        """The partition that it goes to: the first, if it may go to several."""
        return self.wanted.partition.partition(",")[0] or self.config.default_partition

    @property
    def partition(self) -> Mapping[str, str]:
        """What is known of its partition; nothing if nothing is."""
        return self.config.partitions.get(self.partition_name, {})

    @property
    def shapes(self) -> list[Shape]:
        """The nodes of its partition."""
        return [shape for shape in self.config.shapes if shape.partition == self.partition_name]

    @property
    def qos(self) -> list[Mapping[str, str]]:
        """What the accounts say of the QOS that it names."""
        name = self.option("qos")
        return [row for row in self.config.qos if name and row["Name"] == name]

    @property
    def associations(self) -> list[Mapping[str, str]]:
        """What the accounts say of its account: the one that it names, or its user's only one."""
        found = self.config.associations
        if self.wanted.account:
            return [row for row in found if row["Account"] == self.wanted.account]
        is_one = len({row["Account"] for row in found}) == 1
        return list(found) if is_one else []

    def limit(self, name: str) -> int | None:
        """Return a limit of its partition, or else of the cluster, as a whole number; None if
        there is none.
        """
        for text in (said(self.partition.get(name, "")), self.config.setting(name)):
            number = leading_number(text)
            if number:
                return number
        return None

    @property
    def ranks_per_node(self) -> int:
        """Ranks on each node, at most."""
        if self.wanted.ranks_per_node:
            return self.wanted.ranks_per_node
        return math.ceil((self.wanted.ranks or 1) / (self.wanted.nodes or 1))

    @property
    def cores_on_node(self) -> int:
        """CPUs that it asks for on each node, at most."""
        return self.ranks_per_node * (self.wanted.cores_per_rank or 1)

    @property
    def seconds(self) -> float | None:
        """The time that it asks for; None if it doesn't, or has no end."""
        return seconds_of(self.wanted.time)

    @property
    def memory(self) -> float | None:
        """Megabytes that it asks for on each node; None if that can't be told."""
        return megabytes(self.wanted.memory)


Rule = Callable[[Case], str]
"""What is to be said of a case; an empty text if nothing is."""


def megabytes(text: str) -> float | None:
    """Return an amount of memory as Slurm takes it: "4G", and megabytes without a letter."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) * _MEGABYTES[found[2].upper()]
