"""A site's configuration of Slurm, as its programs print it: what isn't there is left out."""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mpipar.batch.scheduler import SchedulerUnavailable
from mpipar.batch.slurm.calls import ask, run

_SETTING = re.compile(r"^(\S+)\s*=\s?(.*?)\s*$", re.MULTILINE)
_PAIR = re.compile(r"(\w+)=(\S*)")
_PATIENCE = 5.0  # seconds for the controller
_SHORT_PATIENCE = 2.0  # for the accounts: they say little, and may be slow
_NOTHING = {"(null)", "(null type)", "none", "n/a", ""}
_NODES = ("partition", "nodes", "cpus", "sockets", "cores", "threads", "memory")
QOS_FIELDS = ("Name", "Preempt", "PreemptMode", "GraceTime", "MaxWall", "MaxSubmitPU", "MaxJobsPU")
ASSOCIATION_FIELDS = ("Account", "Partition", "DefaultQOS", "MaxSubmit", "MaxWall")


class Shape(NamedTuple):
    """Nodes of a partition that are alike.

    Attributes
    ----------
    partition : str
    nodes : int
        How many there are.
    cpus : int
        What Slurm counts as one, on each.
    cores, threads : int
        Cores of each node, and hardware threads of each core.
    memory : int
        Of each node, in MB.
    """

    partition: str
    nodes: int
    cpus: int
    cores: int
    threads: int
    memory: int


@dataclass(frozen=True)
class Configuration:
    """What was found out.

    Attributes
    ----------
    settings : dict
        ``scontrol show config``; names in small letters, as Slurm's versions differ in them.
    partitions : dict
        ``scontrol show partition``: the keys of each.
    shapes : list of Shape
        ``sinfo``.
    qos, associations : list of dict
        ``sacctmgr``; empty if the accounts don't answer.
    """

    settings: Mapping[str, str]
    partitions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shapes: Sequence[Shape] = ()
    qos: Sequence[Mapping[str, str]] = ()
    associations: Sequence[Mapping[str, str]] = ()

    def setting(self, name: str) -> str:
        """Return a setting; empty if it isn't there, or says that there is nothing."""
        return said(self.settings.get(name.lower(), ""))

    def number(self, name: str) -> int | None:
        """Return the whole number that a setting begins with, as "30 sec"; None if it is none."""
        return leading_number(self.setting(name))

    @property
    def default_partition(self) -> str:
        """The name of the partition that jobs go to which name none; empty if there is none."""
        for name, keys in self.partitions.items():
            if keys.get("Default") == "YES":
                return name
        return ""

    @property
    def counts_memory(self) -> bool:
        """Whether memory is shared out among jobs, as cores are."""
        return "memory" in self.setting("SelectTypeParameters").lower()

    @property
    def has_accounts(self) -> bool:
        """Whether somebody remembers jobs that the controller has forgotten."""
        kind = self.setting("AccountingStorageType")
        return bool(kind) and not kind.endswith("/none")


def said(value: str) -> str:
    """Return a value of Slurm's; empty if it says that there is nothing."""
    text = value.strip()
    if text.lower() in _NOTHING:
        return ""
    return text


def leading_number(text: str) -> int | None:
    """Return the whole number that a text begins with; None if there is none."""
    found = re.match(r"\d+", text)
    if found is None:
        return None
    return int(found[0])


def read_configuration() -> Configuration | None:
    """Return the configuration of the cluster in use; None if it can't be asked in time."""
    settings = _told("scontrol", "show", "config")
    if not settings:
        return None
    config = Configuration(
        settings_of(settings),
        partitions_of(_told("scontrol", "show", "partition", "--oneliner")),
        shapes_of(_told("sinfo", "--noheader", "--exact", "--format=%R|%D|%c|%X|%Y|%Z|%m")),
    )
    if not config.has_accounts:
        return config
    return Configuration(
        config.settings,
        config.partitions,
        config.shapes,
        table_of(_accounts_tell("qos", QOS_FIELDS), QOS_FIELDS),
        table_of(
            _accounts_tell("assoc", ASSOCIATION_FIELDS, f"user={_user()}"), ASSOCIATION_FIELDS
        ),
    )


def settings_of(text: str) -> dict[str, str]:
    """Return what ``scontrol show config`` prints, by names in small letters."""
    return {name.lower(): value for name, value in _SETTING.findall(text)}


def partitions_of(text: str) -> dict[str, dict[str, str]]:
    """Return what ``scontrol show partition --oneliner`` prints, by names of partitions."""
    found = {}
    for line in text.splitlines():
        keys = dict(_PAIR.findall(line))
        if "PartitionName" in keys:
            found[keys["PartitionName"]] = keys
    return found


def shapes_of(text: str) -> list[Shape]:
    """Return what ``sinfo`` prints of nodes; a line that isn't as asked for is left out."""
    found = []
    for line in text.splitlines():
        words = line.strip().split("|")
        if len(words) != len(_NODES):
            continue
        nodes, cpus, sockets, cores, threads, memory = map(_count, words[1:])
        found.append(Shape(words[0], nodes, cpus, sockets * cores, threads, memory))
    return found


def _count(text: str) -> int:
    return leading_number(text) or 0


def table_of(text: str, names: Sequence[str]) -> list[dict[str, str]]:
    """Return what ``sacctmgr --parsable2`` prints, a line each."""
    rows = [line.split("|") for line in text.splitlines()]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)]


def _told(program: str, *arguments: str) -> str:
    """Return what a program prints; nothing if it fails, or takes too long."""
    try:
        ended = ask(program, *arguments, timeout=_PATIENCE)
    except SchedulerUnavailable:
        return ""
    return _if_well(ended)


def _if_well(ended: subprocess.CompletedProcess[str]) -> str:
    """Return what a program has printed; nothing if it has failed."""
    if ended.returncode:
        return ""
    return ended.stdout


def _accounts_tell(what: str, names: Sequence[str], *conditions: str) -> str:
    words = ("--noheader", "--parsable2", "--readonly", "show", what, *conditions)
    try:
        ended = run("sacctmgr", *words, f"format={','.join(names)}", timeout=_SHORT_PATIENCE)
    except SchedulerUnavailable:
        return ""
    return _if_well(ended)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        return ""
