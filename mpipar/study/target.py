"""What is studied: a driver with its options, as a user names it or as a job file says.

Of a job file the study changes the size of the problem and of the machine, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from mpipar.base.drivers import DRIVERS
from mpipar.base.errors import BadInput
from mpipar.batch.document import Document, schema_of
from mpipar.batch.job_program import as_text, option_words
from mpipar.batch.submit import CHECK_SECONDS, dry_run
from mpipar.study.design import SIZES, Size

_OWN = (
    *("output", "resume", "anyway", "workers", "json", "dry_run", "help", "version"),
    *("progress", "checkpoint", "stop_before"),
)
"""Options that the study itself gives the driver, or that would spoil its times."""


@dataclass
class Target:
    """A driver with its options.

    Attributes
    ----------
    name : str
        As the user has given it.
    driver : str
        Name of a driver, or FILE.py:KERNEL.
    options : dict
        Its options, by name.
    per_rank : dict
        Options that are numbers, for one process; a weak study multiplies them by the number of
        processes.
    arguments : list of str
        What follows the options.
    job : Document or None
        The job file, if that is what was named.
    changes : list of str
        Of the job file.
    """

    name: str
    driver: str
    options: dict[str, Any] = field(default_factory=dict)
    per_rank: dict[str, Any] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    job: Document | None = None
    changes: list[str] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """What follows ``python`` on the driver's command line, before its options."""
        if ":" in self.driver:
            return ["-m", "mpipar", "run", self.driver]
        return ["-m", f"mpipar.{self.driver}"]

    @property
    def size_name(self) -> str:
        """The option that is the size of the problem.

        Raises
        ------
        BadInput
            If that isn't known, or there are several.
        """
        if len(self.per_rank) != 1:
            what = f"{self.name} has no one option that is the size of its problem"
            raise BadInput(f"--sizes: {what}: --set-per-rank NAME=1 names it")
        return next(iter(self.per_rank))

    def options_for(self, size: Size) -> dict[str, Any]:
        """Return the options of the driver for a size."""
        if size.mode == SIZES:
            return {**self.options, self.size_name: size.items}
        options = dict(self.options)
        for name, value in self.per_rank.items():
            options[name] = a_number(value, "--weak") * size.factor
        return options

    def command(self, size: Size) -> list[str]:
        """Return what follows ``python`` for a size, but for the options of all drivers."""
        words = list(self.words)
        for name, value in self.options_for(size).items():
            words += option_words(name, value)
        return [*words, *self.arguments]

    def identity(self) -> dict[str, Any]:
        """Return what makes this what it is."""
        options = {**self.options, **self.per_rank}  # a strong study goes on as a weak one
        file = _file_of(self.driver)
        return {
            "driver": self.driver,
            "options": {name: as_json(options[name]) for name in sorted(options)},
            "arguments": self.arguments,
            "source": None if file is None else _digest(file),
            "job": None if self.job is None else self.changes,
        }


def _file_of(driver: str) -> str | None:
    """Return the file of FILE.py:KERNEL; None of a driver that has a name, or is in a package."""
    file = driver.rpartition(":")[0]
    return file if file.endswith(".py") else None


def _digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def from_driver(
    name: str,
    sets: Sequence[str],
    per_rank: Sequence[str],
) -> Target:
    """Return a driver by name, or FILE.py:KERNEL.

    Raises
    ------
    BadInput
        If there is none, or its options can't be set.
    """
    if ":" not in name and name not in DRIVERS:
        known = ", ".join(DRIVERS)
        raise BadInput(
            f"there is no driver {name!r};"
            f" there are {known}, your own as FILE.py:KERNEL, and job files as JOB.toml"
        )
    file = _file_of(name)
    if file is not None and not os.path.isfile(file):
        raise BadInput(f"{name!r}: there is no file {file!r}")
    given = _options(sets, "--set")
    return _with_per_rank(Target(name, name, options=dict(given)), per_rank, given)


def from_job(
    path: Path,
    sets: Sequence[str],
    per_rank: Sequence[str],
) -> Target:
    """Return what a job file runs; ``--set`` with a dot in its key is one of the file's keys.

    Raises
    ------
    BadInput
        If it can't be read, or is nothing that a study can measure.
    """
    changes = [change for change in sets if _is_of_the_file(change)]
    document = Document(path)
    for change in changes:
        document.change(change)
    document.check(schema_of("job"))
    _check_job(document)
    given = _options([change for change in sets if not _is_of_the_file(change)], "--set")
    run = document.values["run"]
    target = Target(
        str(path),
        run["driver"],
        options={**run.get("options", {}), **given},
        per_rank=dict(run.get("options_per_rank", {})),
        arguments=[str(argument) for argument in run.get("arguments", ())],
        job=document,
        changes=changes,
    )
    return _with_per_rank(target, per_rank, given)


def _is_of_the_file(change: str) -> bool:
    """Whether NAME=VALUE changes a key of a job file, not an option of its driver."""
    return "." in change.partition("=")[0]


def _check_job(document: Document) -> None:
    """Raise BadInput for a job file that a study can't measure."""
    run = document.values["run"]
    if "driver" not in run:
        raise document.error(("run",), "a scaling study is of a driver: its JSON has the times")
    if "array" in document.values:
        raise document.error(("array",), "can't be in a scaling study")
    driver = run["driver"]
    file = _file_of(driver)
    is_known = ":" in driver or driver in DRIVERS
    is_there = file is None or os.path.isfile(file)
    if not is_known or not is_there:
        raise document.error(("run", "driver"), f"there is no driver {driver!r}")


def _with_per_rank(
    target: Target,
    per_rank: Sequence[str],
    given: Mapping[str, Any],
) -> Target:
    own = _options(per_rank, "--set-per-rank")
    target.per_rank |= own
    for name, value in target.per_rank.items():
        if name in given and name in own:
            raise BadInput(f"--set-per-rank: {name} is given by --set, too")
        a_number(value, f"--set-per-rank: {name}")
        target.options.pop(name, None)
    return target


def _options(changes: Sequence[str], option: str) -> dict[str, Any]:
    """Return options by name from NAME=VALUE; a value is TOML, or else text as it stands."""
    found = {}
    for change in changes:
        name, equals, text = change.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not equals or not name:
            raise BadInput(f"{option}: expected NAME=VALUE, such as steps=2e8, got {change!r}")
        if name in _OWN:
            raise BadInput(f"{option}: {name} can't be set, as the study sets it")
        if name in found:
            raise BadInput(f"{option}: {name} is given twice")
        found[name] = _toml(text)
    return found


def _toml(text: str) -> Any:
    """Return the value that a text is in TOML; the text itself, if it is none."""
    if "\n" in text:
        return text
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
    if isinstance(value, (bool, int, float, str, list)):
        return value
    return text


def a_number(value: Any, what: str) -> float:
    """Return a value that is a number. Raises BadInput."""
    if not _is_number(value):
        raise BadInput(f"{what}: expected a number, as it is multiplied, got {value!r}")
    return value


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_json(value: Any) -> Any:
    """Return a value for the study's identity: 2e8 is 200000000 there."""
    if isinstance(value, list):
        return [as_json(one) for one in value]
    return as_text(value)


def look(target: Target, size: Size, more: Sequence[str] = ()) -> int:
    """Let the driver look at its options, and return how many items it would evaluate. Raises
    BadInput.
    """
    try:
        preview = dry_run([*target.command(size), *more, "--dry-run", "--workers=1"])
    except subprocess.TimeoutExpired:
        raise BadInput(
            f"{target.name} took more than {CHECK_SECONDS:g} s to look at its options"
        ) from None
    except BadInput as error:
        raise error.within(target.name) from None
    return preview.n


def find_size(target: Target, size: Size, more: Sequence[str]) -> None:
    """Find the option that is the number of items, and move it to ``per_rank``.

    It is the one that doubles them when it is doubled.
    """
    items = look(target, size, more)
    for name, value in target.options.items():
        if not _is_number(value) or value != items:
            continue
        twice = Target(
            target.name, target.driver, {**target.options, name: 2 * value}, {}, target.arguments
        )
        if look(twice, size, more) == 2 * items:
            target.per_rank[name] = target.options.pop(name)
            return
