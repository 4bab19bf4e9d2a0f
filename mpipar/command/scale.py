"""``mpipar scale``: a scaling study of a driver, here or on Slurm.

::

    options ─▶ target, sizes ─▶ runs, one after another ─▶ table, fits ─▶ scaling.csv .md .h5 .png
    .svg .pdf
                                runs.jsonl: goes on from there
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mpipar.base.arguments import Parser, named_path
from mpipar.base.errors import BadInput, StoppedEarly
from mpipar.base.exit_codes import DONE
from mpipar.batch.site import read_site
from mpipar.command.entry import command
from mpipar.runtime.node import usable_cores
from mpipar.study import machine
from mpipar.study.design import (
    MOST_REPEATS,
    SIZES,
    STRONG,
    WEAK,
    Measured,
    Run,
    Size,
    numbers,
    refuse_too_many,
    workers_of,
)
from mpipar.study.folder import StudyFolder
from mpipar.study.job_runner import JobRunner
from mpipar.study.local_runner import LocalRunner
from mpipar.study.outcome import write_outcome
from mpipar.study.run_study import run_study
from mpipar.study.target import Target, a_number, as_json, find_size, from_driver, from_job, look

HERE, SLURM = "here", "slurm"


@command("mpipar scale")
def main(arguments: Sequence[str]) -> int:
    """Carry out a study, and return the exit code."""
    runner: LocalRunner | JobRunner | None = None
    try:
        options = _parser().parse_args(arguments)
        study = _Study(options)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does with the second
                signal.signal(number, _interrupt)
        runner = study.runner()
        study.look(runner)
        with StudyFolder(options.output, study.identity) as record:
            runs = run_study(study.sizes, study.repeats, runner, record, _say)
            for line in study.write(runs, record):
                _say(line)
        return DONE
    except KeyboardInterrupt:
        waiting = getattr(runner, "waiting", 0)
        in_queue = f"; {waiting} jobs are in the queue still" if waiting else ""
        raise StoppedEarly(f"interrupted{in_queue}; the same command goes on from there") from None


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> Parser:
    parser = Parser(
        prog="mpipar scale",
        allow_abbrev=False,
        description=(
            "Measure how a driver scales, and write tables, fits and pictures into a folder. A"
            " study that was interrupted goes on with the same command; more ranks, workers or"
            " repeats may be added later."
        ),
        epilog=(
            "example: mpipar scale pi --ranks 1,2 --strong --weak --set steps=1e9 --output scaling"
        ),
    )
    add = parser.add_argument
    add(
        "target",
        metavar="TARGET",
        help="a driver, such as pi; your own as FILE.py:KERNEL; or a job file, JOB.toml",
    )
    add("--ranks", metavar="N,N,…", help="numbers of ranks")
    add("--nodes", metavar="N,N,…", help="numbers of nodes, on Slurm, instead of ranks")
    add(
        "--workers",
        metavar="N,N,…",
        help="numbers of workers in each rank, or auto (default: 1, or the job file's)",
    )
    add("--strong", action="store_true", help="the same problem for all sizes (the default)")
    add("--weak", action="store_true", help="the problem's size is multiplied by ranks × workers")
    add(
        "--sizes",
        metavar="N,N,…",
        help="problem sizes, to see from which on parallel is faster than serial",
    )
    add("--repeats", default="5", metavar="N", help="how often each size is run (default: 5)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=(
            "an option of the driver, such as steps=2e8; "
            "of a job file with a dot in NAME, one of its keys"
        ),
    )
    add(
        "--set-per-rank",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=(
            "an option that a weak study multiplies by ranks × workers (default: the driver's size)"
        ),
    )
    add(
        "--baseline",
        metavar="RANKS",
        help="the size that speedups are relative to (default: the smallest)",
    )
    add(
        "--output",
        type=named_path,
        required=True,
        metavar="FOLDER",
        help="where all goes: new, or of this study",
    )
    add(
        "--on",
        choices=(HERE, SLURM),
        default=HERE,
        help="where to run: here (default), or, of a job file, as jobs",
    )
    add("--site", type=Path, metavar="FILE", help="the site's profile, on Slurm")
    add(
        "--at-once",
        metavar="N",
        help="jobs in the queue at a time, on Slurm (default: 1, so that none disturbs another)",
    )
    return parser


class _Study:
    """What a command line asks for. Raises BadInput if that can't be."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self.on_slurm = options.on == SLURM
        self.repeats = numbers(options.repeats, "--repeats", MOST_REPEATS)[-1]
        self.at_once = numbers(options.at_once or "1", "--at-once", 1000)[-1]
        self.baseline = (
            None if options.baseline is None else numbers(options.baseline, "--baseline")[0]
        )
        self.target = self._target()
        self._with_output: bool | None = None
        self._name_size()
        self.sizes = self._sizes()
        self._check()

    @property
    def identity(self) -> dict[str, Any]:
        """What is measured, where."""
        return {
            "on": self.options.on,
            **({} if self.on_slurm else machine.identity()),
            **self.target.identity(),
        }

    def runner(self) -> LocalRunner | JobRunner:
        """Return what carries out the runs."""
        if self.on_slurm:
            return JobRunner(
                self.target, self.options.output, read_site(self.options.site), self.at_once, _say
            )
        with_mpi = any(size.ranks > 1 for size in self.sizes)
        return LocalRunner(
            self.target, self.options.output, with_output=bool(self._more()), with_mpi=with_mpi
        )

    def look(self, runner: LocalRunner | JobRunner) -> None:
        """Let the driver look at its options, and Slurm's part at its jobs."""
        for size in {size.mode + size.items: size for size in self.sizes}.values():
            look(self.target, size, self._more())
        if isinstance(runner, JobRunner):
            for size in self.sizes:
                runner.check(Run(size, 1))

    def write(self, runs: dict[Run, Measured], record: StudyFolder) -> list[str]:
        """Write all files, and return what to say about them."""
        given = (
            self.target.options
            if self.options.sizes
            else {**self.target.options, **self.target.per_rank}
        )
        words = [
            *(f"{name}={as_json(value)}" for name, value in given.items()),
            *self.target.arguments,
        ]
        about = {"driver": self.target.driver, "options": ", ".join(words) or "its defaults"}
        if self.target.job is not None:
            about["job file"] = self.target.name
        return write_outcome(
            self.options.output,
            self.target.driver,
            runs,
            baseline=self.baseline,
            about=about,
            cores=None if self.on_slurm else usable_cores(),
            as_jobs=self.on_slurm,
            write_text=record.write_text,
        )

    def _target(self) -> Target:
        options = self.options
        if options.target.endswith(".toml"):
            return from_job(Path(options.target), options.set, options.set_per_rank)
        if self.on_slurm:
            raise BadInput(f"--on: slurm is for job files, got {options.target!r}")
        return from_driver(options.target, options.set, options.set_per_rank)

    def _name_size(self) -> None:
        """Find the option that is the size of the problem, where it is needed and not given."""
        target, needed = self.target, self.options.weak or self.options.sizes
        if target.per_rank:
            return
        if ":" not in target.driver:
            kernel = getattr(importlib.import_module(f"mpipar.{target.driver}"), target.driver)
            if isinstance(kernel.n, str):
                default = {parameter.name: parameter.default for parameter in kernel.parameters}[
                    kernel.n
                ]
                value = target.options.pop(kernel.n, default)
                target.per_rank[kernel.n] = a_number(value, kernel.n)
        elif needed:
            find_size(target, Size(STRONG, 1, 1), self._more())
        if needed and not target.per_rank:
            option = "--weak" if self.options.weak else "--sizes"
            hint = "say which of its options is the size, by --set-per-rank NAME=VALUE"
            if ":" in target.driver:
                hint += ", or give its number of items by --set"
            raise BadInput(f"{option}: {hint} (or run.options_per_rank of a job file)")

    def _more(self) -> list[str]:
        """Return the option that the driver needs to make its datasets, if it does."""
        if self._with_output is None:
            try:
                look(self.target, Size(STRONG, 1, 1))
                self._with_output = False
            except BadInput as error:
                self._with_output = "argument --output: needed" in str(error)
        return ["--output=mpipar-scale.h5"] if self._with_output else []

    def _sizes(self) -> list[Size]:
        options = self.options
        if options.nodes is not None and (options.ranks is not None or not self.on_slurm):
            raise BadInput(
                "--nodes: "
                + ("not with --ranks" if self.on_slurm else "is for jobs, with --on slurm")
            )
        if options.ranks is None and options.nodes is None:
            raise BadInput("--ranks: needed, such as --ranks 1,2,4")
        where = self._where()
        modes = [mode for mode in (STRONG, WEAK) if getattr(options, mode)] or (
            [] if options.sizes else [STRONG]
        )
        sizes = [
            Size(mode, ranks, workers, nodes) for mode in modes for ranks, workers, nodes in where
        ]
        if options.sizes:
            parallel = [(ranks, workers) for ranks, workers, _ in where if ranks * workers > 1]
            if not parallel or self.on_slurm:
                there = (
                    "is for studies here"
                    if self.on_slurm
                    else "there is no size with more than one process"
                )
                raise BadInput(f"--sizes: {there}")
            for items in map(str, numbers(options.sizes, "--sizes", 2**63 - 1)):
                sizes += [
                    Size(SIZES, ranks, workers, None, items)
                    for ranks, workers in [(1, 1), *parallel]
                ]
        return sorted(
            sizes, key=lambda size: (size.mode, int(size.items or 0), size.processes, size.workers)
        )

    def _where(self) -> list[tuple[int, int, int | None]]:
        """Return ranks, workers and nodes of all sizes."""
        options, cores = self.options, None if self.on_slurm else usable_cores()
        resources = (
            self.target.job.values.get("resources", {}) if self.target.job is not None else {}
        )
        workers = options.workers or str(resources.get("workers", 1))
        if options.nodes is not None:
            each = int(resources.get("ranks_per_node", 1))
            ranks = [(nodes * each, nodes) for nodes in numbers(options.nodes, "--nodes")]
            return [
                (count, own, nodes)
                for count, nodes in ranks
                for own in workers_of(workers, count, cores)
            ]
        counts = numbers(options.ranks, "--ranks")
        return [(count, own, None) for count in counts for own in workers_of(workers, count, cores)]

    def _check(self) -> None:
        if not self.on_slurm:
            refuse_too_many(self.sizes, usable_cores())
            for option in ("site", "at_once"):
                if getattr(self.options, option) is not None:
                    raise BadInput(f"--{option.replace('_', '-')}: is for jobs, with --on slurm")
        there = sorted({size.ranks for size in self.sizes if size.mode != SIZES})
        if self.baseline is not None and not there:
            raise BadInput(
                "--baseline: is for --strong and --weak; --sizes compares with serial runs"
            )
        if self.baseline is not None and self.baseline not in there:
            raise BadInput(
                f"--baseline: expected one of {', '.join(map(str, there))} ranks, got"
                f" {self.baseline}"
            )


def _say(text: str) -> None:
    print(f"mpipar scale: {text}", file=sys.stderr, flush=True)
