"""``mpipar model``: what a run would take with other ranks and schedules.

::

    options, result file ─▶ costs (measured here, or given) ─▶ a simulation for each row ─▶ table,
    CSV, picture
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mpipar.base.arguments import Parser, named_path
from mpipar.base.errors import BadInput
from mpipar.base.exit_codes import DONE
from mpipar.command.entry import command, print_text
from mpipar.command.model_files import write
from mpipar.command.model_request import NO_LAUNCHER, PredictionRequest
from mpipar.command.progress import Progress
from mpipar.predict.costs import MOST_NUMBERS, Costs
from mpipar.predict.measured_run import load
from mpipar.predict.model import Model
from mpipar.predict.report import Prediction, as_json, as_text
from mpipar.runtime.launcher import launch
from mpipar.runtime.outlets import note

_RANKS = "1,10,100,1e3,1e4,1e5,1e6"


@command("mpipar model")
def main(arguments: Sequence[str]) -> int:
    """Predict, and return the exit code."""
    launched = launch()
    if launched is not None and launched.size > 1:
        raise BadInput(NO_LAUNCHER)
    options = _parser().parse_args(arguments)
    request = PredictionRequest(options)
    prediction = _predict(options, request)
    if options.json:
        print_text(json.dumps(as_json(prediction), allow_nan=False))
    else:
        print_text(as_text(prediction))
    if request.output is not None:
        _say(write(prediction, request.output))
    return DONE


def _parser() -> Parser:
    parser = Parser(
        prog="mpipar model",
        allow_abbrev=False,
        description=(
            "Predict what a run would take with other numbers of ranks, and with each schedule,"
            " from the times of its blocks in its result file."
        ),
        epilog="example: mpipar model run.h5 --ranks 1,2,4,8,1e3,1e6 --output prediction",
    )
    add = parser.add_argument
    add("run", type=named_path, metavar="RUN.h5", help="the result file of a run with --output")
    add("--ranks", default=_RANKS, metavar="N,N,…", help=f"numbers of ranks (default: {_RANKS})")
    add("--workers", metavar="W", help="worker processes in each rank (default: as the run)")
    add(
        "--schedule",
        default="all",
        metavar="NAME,…",
        help="stride, slice, dynamic, or all (default)",
    )
    add(
        "--blocks",
        metavar="N",
        help="blocks of the plan (default: as the run); with --weak those of each process",
    )
    add("--weak", action="store_true", help="the plan grows with the processes")
    add(
        "--seed",
        default="0",
        metavar="N",
        help="of times that are drawn, if the plan isn't the run's (default: 0)",
    )
    add(
        "--here",
        action="store_true",
        help=(
            "all ranks on this machine, also more than it has cores: measure what each "
            "number of them costs here"
        ),
    )
    add(
        "--reduce-seconds",
        metavar="T",
        help="time of one stage of the reduction, in place of measuring it here",
    )
    add(
        "--counter-seconds",
        metavar="T",
        help="time of one fetch-and-add of the shared counter, likewise",
    )
    add("--json", action="store_true", help="print one JSON object")
    add(
        "--output",
        type=named_path,
        metavar="FOLDER|FILE",
        help=(
            "write model.md, .csv and the pictures into a folder, "
            "or one of them: FILE.md, .csv, .png, .svg or .pdf"
        ),
    )
    add(
        "--progress",
        action="store_true",
        default=None,
        help="show a progress bar (default: on a terminal)",
    )
    return parser


def _predict(options: Any, request: PredictionRequest) -> Prediction:
    """Return what is predicted. Raises BadInput if that can't be."""
    run = load(options.run)
    workers = run.workers if request.workers is None else request.workers
    Model(run, Costs(), workers=workers, blocks=request.blocks, weak=options.weak).check(
        request.ranks
    )
    costs = request.costs(run, _say)
    cases = [(ranks, schedule) for ranks in request.ranks for schedule in request.schedules]
    with Progress("model", options.progress) as progress:
        done = 0
        model = Model(
            run,
            costs,
            workers=workers,
            blocks=request.blocks,
            weak=options.weak,
            seed=request.seed,
            tick=lambda fraction: progress((done + 0.9 * fraction) / (len(cases) + 1)),
        )
        rows = []
        for done, (ranks, schedule) in enumerate(cases):  # noqa: B007 (the bar reads it)
            rows.append(model.row(ranks, schedule))
        own = model.own() if run.is_whole else None
        most = {}
        for schedule in request.schedules:
            of_schedule = [row for row in rows if row.schedule == schedule]
            most[schedule] = model.most_ranks(of_schedule)
    return Prediction(model, rows, own, most, _notes(model, request))


def _notes(model: Model, request: PredictionRequest) -> list[str]:
    """Return what a reader of the prediction has to know of it."""
    run = model.run
    has_several_ranks = max(request.ranks) > 1
    notes = list(run.measured.notes)
    if not run.is_whole:
        notes.append("the run was resumed, or lost a process: its own time is not compared")
    if request.costs_are_given and "dynamic" in request.schedules and has_several_ranks:
        notes.append(
            "to make the shared counter of dynamic is taken to cost nothing: that is measured where"
            " the reduction is"
        )
    if run.summary.numbers > MOST_NUMBERS:
        notes.append(
            f"the reduction of {run.summary.numbers:_} numbers takes longer than is predicted: it"
            f" was measured with {MOST_NUMBERS:_}; --reduce-seconds gives it"
        )
    if any(model.blocks(ranks) != run.blocks for ranks in request.ranks):
        notes.append(_about_other_plans(run.measured.run))
    if not request.here and has_several_ranks:
        notes.append(
            "each process has a core of its own; --here is for more ranks than cores on this"
            " machine"
        )
    return notes


def _about_other_plans(neighbours: int) -> str:
    """Return where the times of blocks are from if the plan isn't the run's.

    Parameters
    ----------
    neighbours : int
        How many blocks are drawn at a time; 0 if none are.
    """
    told = "the times of plans of other sizes are the measured ones"
    if neighbours == 0:
        return f"{told}, stretched, as they follow their position in the plan"
    if neighbours == 1:
        return f"{told}, drawn one by one"
    return f"{told}, drawn, {neighbours} neighbours at a time"


def _say(text: str) -> None:
    note(f"mpipar model: {text}")
