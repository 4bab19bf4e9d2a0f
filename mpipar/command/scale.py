"""``mpipar scale``: a scaling study of a driver, here or on Slurm.

::

    options ─▶ target, sizes ─▶ runs, one after another ─▶ table, fits ─▶ scaling.csv .md .h5 .png
    .svg .pdf
                                runs.jsonl: goes on from there
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mpipar.base.arguments import Parser, named_path
from mpipar.base.errors import StoppedEarly
from mpipar.base.exit_codes import DONE
from mpipar.command.entry import command
from mpipar.command.scale_request import StudyRequest
from mpipar.command.scale_sizes import CLUSTER, HERE
from mpipar.runtime.outlets import note
from mpipar.study.folder import StudyFolder
from mpipar.study.job_runner import JobRunner
from mpipar.study.local_runner import LocalRunner
from mpipar.study.run_study import run_study


@command("mpipar scale")
def main(arguments: Sequence[str]) -> int:
    """Carry out a study, and return the exit code."""
    runner: LocalRunner | JobRunner | None = None
    try:
        options = _parser().parse_args(arguments)
        study = StudyRequest(options)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does with the second
                signal.signal(number, _interrupt)
        runner = study.runner(_say)
        study.look(runner)
        with StudyFolder(options.output, study.identity) as folder:
            runs = run_study(study.sizes, study.repeats, runner, folder, _say)
            for line in study.write(runs, folder):
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
        choices=(HERE, CLUSTER),
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


def _say(text: str) -> None:
    note(f"mpipar scale: {text}")
