"""``mpipar model``: what a run would take with other ranks and schedules.

::

    options, result file ─▶ costs (measured here, or given) ─▶ a simulation for each row ─▶ table,
    CSV, picture
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mpipar.base.arguments import Parser, named_path
from mpipar.base.errors import BadInput, RunFailed
from mpipar.base.exit_codes import DONE, FAILED
from mpipar.command.driver import print_text, say_bad_input
from mpipar.command.output_paths import PICTURES, check_target
from mpipar.command.progress import Progress
from mpipar.core.kernel import SEED
from mpipar.core.parameters import one_of, parse_int
from mpipar.predict import picture
from mpipar.predict.costs import MOST_NUMBERS, Costs, a_range, measured, sizes_to_measure
from mpipar.predict.model import MeasuredRun, Model, load
from mpipar.predict.report import (
    COLUMNS,
    PAGE_HEAD,
    Prediction,
    as_csv,
    as_json,
    as_markdown,
    as_text,
)
from mpipar.predict.simulation import Fetch
from mpipar.runtime.launcher import launch
from mpipar.runtime.node import usable_cores
from mpipar.runtime.schedule import SCHEDULES
from mpipar.store.files import write_text
from mpipar.study.design import numbers
from mpipar.view import style

_RANKS = "1,10,100,1e3,1e4,1e5,1e6"
_MOST_RANKS = 2**20
_MOST_A_CORE = 64  # ranks of --here
_MOST_SECONDS = 3600.0  # of a cost
_NO_LAUNCHER = "it starts mpirun itself, and can't be started by a launcher"
_BEGINS = {".md": (PAGE_HEAD.encode(),), ".csv": (",".join(COLUMNS)[:60].encode(),), **PICTURES}


def main(arguments: Sequence[str]) -> int:
    """Predict, and return the exit code."""
    try:
        launched = launch()
        if launched is not None and launched.size > 1:
            raise BadInput(_NO_LAUNCHER)
        return _predict(_Asked(_parser().parse_args(arguments)))
    except BadInput as error:
        return say_bad_input(f"mpipar model: error: {error}")
    except RunFailed as error:
        _say(str(error))
        return FAILED
    except OSError as error:
        _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return FAILED


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


class _Asked:
    """What a command line asks for. Raises BadInput if that can't be."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self.ranks = numbers(options.ranks, "--ranks", _MOST_RANKS)
        self.workers = (
            None if options.workers is None else _whole(options.workers, "--workers", 2**16)
        )
        self.blocks = None if options.blocks is None else _whole(options.blocks, "--blocks", 2**62)
        self.seed = _seed(options.seed)
        self.schedules = _schedules(options.schedule)
        self.stage = _seconds(options.reduce_seconds, "--reduce-seconds")
        self.fetch = _seconds(options.counter_seconds, "--counter-seconds")
        most = _MOST_A_CORE * usable_cores()
        if options.here and max(self.ranks) > most:
            raise BadInput(
                f"--here: {max(self.ranks):_} ranks on {usable_cores()} cores; expected at most"
                f" {most}"
            )
        if options.here and (self.stage is not None or self.fetch is not None):
            raise BadInput(
                "--here: measures the costs, and can't be with --reduce-seconds or"
                " --counter-seconds"
            )
        self.output = _output(options.output)

    def costs(self, run: MeasuredRun) -> Costs:
        """Return what runs pay beside their blocks: given, measured here, or, without MPI,
        nothing.
        """
        if self.stage is not None and self.fetch is not None:
            return self._given(Costs(a_range=a_range()))
        if launch() is not None:
            raise BadInput(f"{_NO_LAUNCHER} (or give it --reduce-seconds and --counter-seconds)")
        cores = usable_cores()
        sizes = {2, *self.ranks, run.ranks} if self.options.here else set(sizes_to_measure(cores))
        if run.ranks <= (_MOST_A_CORE if self.options.here else 1) * cores:
            sizes.add(run.ranks)
        found = (
            measured(sorted(sizes), run.summary.numbers, _say)
            if max(self.ranks) > 1 or run.ranks > 1
            else Costs()
        )
        if found is None:
            if self.options.here:
                raise BadInput(
                    "--here: there is no mpirun (pip install 'mpipar[mpich]' brings one)"
                )
            source = "there is no mpirun to measure with, so what isn't given is 0"
            return self._given(Costs(a_range=a_range(), source=source))
        return self._given(found)

    def _given(self, costs: Costs) -> Costs:
        if self.stage is None and self.fetch is None:
            return costs
        both = self.stage is not None and self.fetch is not None
        return Costs(
            stage=costs.stage if self.stage is None else self.stage,
            counter_stage=costs.counter_stage,
            a_range=costs.a_range,
            fetch=costs.fetch if self.fetch is None else Fetch(self.fetch, self.fetch),
            source="as given" if both else f"one as given, and {costs.source}",
        )


def _predict(asked: _Asked) -> int:
    options = asked.options
    run = load(options.run)
    workers = run.workers if asked.workers is None else asked.workers
    Model(run, Costs(), workers=workers, blocks=asked.blocks, weak=options.weak).check(asked.ranks)
    costs = asked.costs(run)
    cases = [(ranks, schedule) for ranks in asked.ranks for schedule in asked.schedules]
    with Progress("model", options.progress) as progress:
        done = 0
        model = Model(
            run,
            costs,
            workers=workers,
            blocks=asked.blocks,
            weak=options.weak,
            seed=asked.seed,
            tick=lambda fraction: progress((done + 0.9 * fraction) / (len(cases) + 1)),
        )
        rows = []
        for done, (ranks, schedule) in enumerate(cases):  # noqa: B007 (the bar reads it)
            rows.append(model.row(ranks, schedule))
        own = model.own() if run.is_whole else None
        most = {
            schedule: model.most_ranks([row for row in rows if row.schedule == schedule])
            for schedule in asked.schedules
        }
    prediction = Prediction(model, rows, own, most, _notes(model, asked))
    print_text(
        json.dumps(as_json(prediction), allow_nan=False) if options.json else as_text(prediction)
    )
    for line in _write(prediction, asked.output):
        _say(line)
    return DONE


def _notes(model: Model, asked: _Asked) -> list[str]:
    notes = list(model.run.measured.notes)
    if not model.run.is_whole:
        notes.append("the run was resumed, or lost a process: its own time is not compared")
    if (
        asked.stage is not None
        and asked.fetch is not None
        and "dynamic" in asked.schedules
        and max(asked.ranks) > 1
    ):
        notes.append(
            "to make the shared counter of dynamic is taken to cost nothing: that is measured where"
            " the reduction is"
        )
    if model.run.summary.numbers > MOST_NUMBERS:
        notes.append(
            f"the reduction of {model.run.summary.numbers:_} numbers takes longer than is"
            f" predicted: it was measured with {MOST_NUMBERS:_}; --reduce-seconds gives it"
        )
    if any(model.blocks(ranks) != model.run.blocks for ranks in asked.ranks):
        run = model.run.measured.run
        how = (
            f"drawn, {run} neighbours at a time"
            if run > 1
            else "drawn one by one"
            if run
            else "stretched"
        )
        why = "" if run else ", as they follow their position in the plan"
        notes.append(f"the times of plans of other sizes are the measured ones, {how}{why}")
    if not asked.options.here and max(asked.ranks) > 1:
        notes.append(
            "each process has a core of its own; --here is for more ranks than cores on this"
            " machine"
        )
    return notes


def _write(prediction: Prediction, output: Path | None) -> list[str]:
    """Write what was asked for, and return what is to be said about it."""
    if output is None:
        return []
    texts = {".md": as_markdown, ".csv": as_csv}
    wanted = _files(output)
    if output not in wanted:
        output.mkdir(exist_ok=True)
    for path in wanted:
        if path.suffix in texts:
            write_text(path, texts[path.suffix](prediction))
    drawn = [path for path in wanted if path.suffix not in texts]
    if drawn and not style.is_possible():
        return [style.HOW_TO]
    if drawn:
        picture.draw(prediction, drawn[0].with_suffix(""), [path.suffix[1:] for path in drawn])
    return [f"written: {', '.join(map(str, wanted))}"]


def _files(output: Path) -> list[Path]:
    """Return what is written to: a file, or all that go into a folder."""
    single = output.suffix in _BEGINS and not output.is_dir()
    return [output] if single else [output / f"model{kind}" for kind in _BEGINS]


def _output(path: Path | None) -> Path | None:
    """Return where to write; a folder may be new, but not the one that it is in. Raises
    BadInput.
    """
    if path is None:
        return None
    if path.suffix and path.suffix not in _BEGINS and not path.is_dir():
        raise BadInput(
            f"--output: expected a folder, or a file of {one_of(tuple(_BEGINS))}, got {str(path)!r}"
        )
    wanted = _files(path)
    is_new = path not in wanted and not path.exists()
    folder = path.absolute().parent
    if not folder.is_dir():
        raise BadInput(f"--output: there is no folder {str(path.parent)!r}")
    if is_new and not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"--output: the folder {str(path.parent)!r} can't be written to")
    if path not in wanted and path.exists() and not path.is_dir():
        raise BadInput(f"--output: {str(path)!r} is not a folder")
    for one in [] if is_new else wanted:
        check_target("--output", one, _BEGINS)
    if path.suffix in PICTURES and path in wanted and not style.is_possible():
        raise BadInput(f"--output: {style.HOW_TO}")
    return path


def _schedules(text: str) -> list[str]:
    if text == "all":
        return list(SCHEDULES)
    wanted = text.split(",")
    for name in wanted:
        if name not in SCHEDULES:
            raise BadInput(f"--schedule: expected {one_of((*SCHEDULES, 'all'))}, got {name!r}")
    return [name for name in SCHEDULES if name in wanted]


def _whole(text: str, option: str, most: int) -> int:
    try:
        found = parse_int(text)
    except ValueError as error:
        raise BadInput(f"{option}: {error}") from None
    if not 1 <= found <= most:
        raise BadInput(f"{option}: expected a whole number from 1 to {most:_}, got {found:_}")
    return found


def _seed(text: str) -> int:
    try:
        return int(SEED.parse(text))
    except BadInput as error:
        raise BadInput(f"--seed: {error}") from None


def _seconds(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        raise BadInput(f"{option}: expected seconds, such as 5e-6, got {text!r}") from None
    if not 0 <= found <= _MOST_SECONDS:
        raise BadInput(f"{option}: expected seconds from 0 to {_MOST_SECONDS:g}, got {text!r}")
    return found


def _say(text: str) -> None:
    print(f"mpipar model: {text}", file=sys.stderr, flush=True)
