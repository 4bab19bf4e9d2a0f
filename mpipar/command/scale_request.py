"""What a command line of ``mpipar scale`` asks for: what is measured, where, and how often."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.batch.site import read_site
from mpipar.command.scale_sizes import CLUSTER, sizes
from mpipar.runtime.node import usable_cores
from mpipar.study import machine
from mpipar.study.design import (
    MOST_REPEATS,
    SIZES,
    STRONG,
    Measured,
    Run,
    Size,
    numbers,
    refuse_too_many,
)
from mpipar.study.folder import StudyFolder
from mpipar.study.job_runner import JobRunner
from mpipar.study.local_runner import LocalRunner
from mpipar.study.outcome import write_outcome
from mpipar.study.target import Target, a_number, as_json, find_size, from_driver, from_job, look

_MOST_AT_ONCE = 1000
_ONE_PROCESS = Size(STRONG, 1, 1)


class StudyRequest:
    """A study, as a command line describes it.

    Parameters
    ----------
    options : namespace
        What the command line says.

    Attributes
    ----------
    target : Target
    sizes : list of Size
    repeats : int
    as_jobs : bool
        Whether each run is a job.
    at_once : int
        Jobs in the queue at a time.
    baseline : int or None
        Ranks that speedups are relative to, where that is given.

    Raises
    ------
    BadInput
        If that can't be.
    """

    def __init__(self, options: Any) -> None:
        self.options = options
        self.as_jobs = options.on == CLUSTER
        self.repeats = numbers(options.repeats, "--repeats", MOST_REPEATS)[-1]
        self.at_once = numbers(options.at_once or "1", "--at-once", _MOST_AT_ONCE)[-1]
        self.baseline: int | None = None
        if options.baseline is not None:
            self.baseline = numbers(options.baseline, "--baseline")[0]
        self.target = self._target()
        self._needs_output: bool | None = None
        self._name_size()
        self.sizes = sizes(
            options, self._resources(), as_jobs=self.as_jobs, cores=self._own_cores()
        )
        self._check()

    @property
    def identity(self) -> dict[str, Any]:
        """What is measured, where."""
        where: dict[str, Any] = {"on": self.options.on}
        if not self.as_jobs:
            where |= machine.identity()
        return {**where, **self.target.identity()}

    def runner(self, notify: Callable[[str], None]) -> LocalRunner | JobRunner:
        """Return what carries out the runs."""
        folder = self.options.output
        if self.as_jobs:
            site = read_site(self.options.site)
            return JobRunner(self.target, folder, site, self.at_once, notify)
        with_mpi = any(size.ranks > 1 for size in self.sizes)
        with_output = bool(self._output_option())
        return LocalRunner(self.target, folder, with_output=with_output, with_mpi=with_mpi)

    def look(self, runner: LocalRunner | JobRunner) -> None:
        """Let the driver look at its options, and the scheduler at its jobs. Raises BadInput."""
        of_each_problem = {size.mode + size.items: size for size in self.sizes}
        for size in of_each_problem.values():
            look(self.target, size, self._output_option())
        if isinstance(runner, JobRunner):
            for size in self.sizes:
                runner.check(Run(size, 1))

    def write(self, runs: dict[Run, Measured], folder: StudyFolder) -> list[str]:
        """Write all files, and return what to say about them."""
        about = {"driver": self.target.driver, "options": self._options_in_words()}
        if self.target.job is not None:
            about["job file"] = self.target.name
        return write_outcome(
            self.options.output,
            self.target.driver,
            runs,
            baseline=self.baseline,
            about=about,
            cores=self._own_cores(),
            as_jobs=self.as_jobs,
            write_text=folder.write_text,
        )

    def _options_in_words(self) -> str:
        given = dict(self.target.options)
        if not self.options.sizes:  # which say themselves how large the problem is
            given |= self.target.per_rank
        words = [f"{name}={as_json(value)}" for name, value in given.items()]
        return ", ".join([*words, *self.target.arguments]) or "its defaults"

    def _own_cores(self) -> int | None:
        """Return the cores of this machine, if the runs are here."""
        return None if self.as_jobs else usable_cores()

    def _resources(self) -> dict[str, Any]:
        """Return what the job file asks for."""
        if self.target.job is None:
            return {}
        found: dict[str, Any] = self.target.job.values.get("resources", {})
        return found

    def _target(self) -> Target:
        options = self.options
        if options.target.endswith(".toml"):
            return from_job(Path(options.target), options.set, options.set_per_rank)
        if self.as_jobs:
            raise BadInput(f"{CLUSTER} is for job files, got {options.target!r}", option="--on")
        return from_driver(options.target, options.set, options.set_per_rank)

    def _name_size(self) -> None:
        """Find the option that is the size of the problem, where it is needed and not given."""
        target = self.target
        if target.per_rank:
            return
        is_needed = self.options.weak or self.options.sizes
        is_own_driver = ":" in target.driver
        if not is_own_driver:
            _take_size_of_driver(target)
        elif is_needed:
            find_size(target, _ONE_PROCESS, self._output_option())
        if not is_needed or target.per_rank:
            return
        hint = "say which of its options is the size, by --set-per-rank NAME=VALUE"
        if is_own_driver:
            hint += ", or give its number of items by --set"
        raise BadInput(
            f"{hint} (or run.options_per_rank of a job file)",
            option="--weak" if self.options.weak else "--sizes",
        )

    def _output_option(self) -> list[str]:
        """Return the option that the driver needs to make its datasets, if it does."""
        if self._needs_output is None:
            self._needs_output = self._refuses_to_run_without_output()
        return ["--output=mpipar-scale.h5"] if self._needs_output else []

    def _refuses_to_run_without_output(self) -> bool:
        try:
            look(self.target, _ONE_PROCESS)
        except BadInput as error:
            return error.option == "--output" and not self._gives_output()
        return False

    def _gives_output(self) -> bool:
        """Return whether a job file gives the option by itself, among its arguments."""
        return any(word.partition("=")[0] == "--output" for word in self.target.arguments)

    def _check(self) -> None:
        """Raise BadInput for options that don't go together."""
        if not self.as_jobs:
            refuse_too_many(self.sizes, usable_cores())
            for name, option in (("site", "--site"), ("at_once", "--at-once")):
                if getattr(self.options, name) is not None:
                    raise BadInput(f"is for jobs, with --on {CLUSTER}", option=option)
        if self.baseline is not None:
            self._check_baseline(self.baseline)

    def _check_baseline(self, baseline: int) -> None:
        there = sorted({size.ranks for size in self.sizes if size.mode != SIZES})
        if not there:
            what = "is for --strong and --weak; --sizes compares with serial runs"
            raise BadInput(what, option="--baseline")
        if baseline not in there:
            listed = ", ".join(map(str, there))
            what = f"expected one of {listed} ranks, got {baseline}"
            raise BadInput(what, option="--baseline")


def _take_size_of_driver(target: Target) -> None:
    """Move the option that is the number of items of a driver of mpipar's to those per rank."""
    kernel = getattr(importlib.import_module(f"mpipar.{target.driver}"), target.driver)
    size = kernel.n
    if not isinstance(size, str):
        return
    defaults = {parameter.name: parameter.default for parameter in kernel.parameters}
    value = target.options.pop(size, defaults[size])
    target.per_rank[size] = a_number(value, size)
