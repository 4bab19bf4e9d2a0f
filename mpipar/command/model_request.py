"""What a command line of ``mpipar model`` asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.command.model_files import checked_output
from mpipar.core.parameters import SEED, one_of, parse_int
from mpipar.predict.costs import Costs, a_range, measured, sizes_to_measure
from mpipar.predict.measured_run import MeasuredRun
from mpipar.predict.takers import Fetch
from mpipar.runtime.launcher import launch
from mpipar.runtime.node import usable_cores
from mpipar.runtime.schedule import SCHEDULES
from mpipar.study.design import numbers

NO_LAUNCHER = "it starts mpirun itself, and can't be started by a launcher"
_MOST_RANKS = 2**20
_MOST_A_CORE = 64  # ranks of --here
_MOST_SECONDS = 3600.0  # of a cost


class PredictionRequest:
    """What is to be predicted, how, and where it goes.

    Parameters
    ----------
    options : namespace
        What the command line says.

    Attributes
    ----------
    here : bool
        Whether all ranks are on this machine, whatever it has.
    ranks : list of int
    workers, blocks : int or None
        None is as the run.
    seed : int
    schedules : list of str
    stage, fetch : float or None
        Seconds of a stage of the reduction, and of a fetch-and-add, where they are given.
    output : Path or None

    Raises
    ------
    BadInput
        If that can't be.
    """

    def __init__(self, options: Any) -> None:
        self.here: bool = options.here
        self.ranks = numbers(options.ranks, "--ranks", _MOST_RANKS)
        self.workers = _whole(options.workers, "--workers", 2**16)
        self.blocks = _whole(options.blocks, "--blocks", 2**62)
        self.seed = _seed(options.seed)
        self.schedules = _schedules(options.schedule)
        self.stage = _seconds(options.reduce_seconds, "--reduce-seconds")
        self.fetch = _seconds(options.counter_seconds, "--counter-seconds")
        if self.here:
            self._check_here()
        self.output = checked_output(options.output)

    @property
    def costs_are_given(self) -> bool:
        """Whether nothing is to be measured."""
        return self.stage is not None and self.fetch is not None

    def costs(self, run: MeasuredRun, notify: Callable[[str], None]) -> Costs:
        """Return what runs pay beside their blocks: given, measured here, or, without MPI,
        nothing.

        Raises
        ------
        BadInput
            If they can't be measured, but must be.
        """
        if self.costs_are_given:
            return self._with_given(Costs(a_range=a_range()))
        if launch() is not None:
            raise BadInput(f"{NO_LAUNCHER} (or give it --reduce-seconds and --counter-seconds)")
        found = self._measured(run, notify)
        if found is not None:
            return self._with_given(found)
        if self.here:
            what = "there is no mpirun (pip install 'mpipar[mpich]' brings one)"
            raise BadInput(what, option="--here")
        source = "there is no mpirun to measure with, so what isn't given is 0"
        return self._with_given(Costs(a_range=a_range(), source=source))

    def _check_here(self) -> None:
        cores = usable_cores()
        most = _MOST_A_CORE * cores
        if max(self.ranks) > most:
            what = f"{max(self.ranks):_} ranks on {cores} cores; expected at most {most}"
            raise BadInput(what, option="--here")
        if self.stage is not None or self.fetch is not None:
            what = "measures the costs, and can't be with --reduce-seconds or --counter-seconds"
            raise BadInput(what, option="--here")

    def _measured(self, run: MeasuredRun, notify: Callable[[str], None]) -> Costs | None:
        """Return what runs with several ranks pay here; None if there is no mpirun."""
        if max(self.ranks) == 1 and run.ranks == 1:
            return Costs()
        cores = usable_cores()
        if self.here:
            sizes = {2, *self.ranks, run.ranks}
            most = _MOST_A_CORE * cores
        else:
            sizes = set(sizes_to_measure(cores))
            most = cores
        if run.ranks <= most:
            sizes.add(run.ranks)
        return measured(sorted(sizes), run.summary.numbers, notify)

    def _with_given(self, costs: Costs) -> Costs:
        """Return costs with those that are given in their place."""
        if self.stage is None and self.fetch is None:
            return costs
        stage = costs.stage
        fetch = costs.fetch
        if self.stage is not None:
            stage = self.stage
        if self.fetch is not None:
            fetch = Fetch(self.fetch, self.fetch)
        return Costs(
            stage=stage,
            counter_stage=costs.counter_stage,
            a_range=costs.a_range,
            fetch=fetch,
            source="as given" if self.costs_are_given else f"one as given, and {costs.source}",
        )


def _schedules(text: str) -> list[str]:
    if text == "all":
        return list(SCHEDULES)
    wanted = text.split(",")
    for name in wanted:
        if name not in SCHEDULES:
            what = f"expected {one_of((*SCHEDULES, 'all'))}, got {name!r}"
            raise BadInput(what, option="--schedule")
    return [name for name in SCHEDULES if name in wanted]


def _whole(text: str | None, option: str, most: int) -> int | None:
    if text is None:
        return None
    try:
        found = parse_int(text)
    except ValueError as error:
        raise BadInput(str(error), option=option) from None
    if not 1 <= found <= most:
        what = f"expected a whole number from 1 to {most:_}, got {found:_}"
        raise BadInput(what, option=option)
    return found


def _seed(text: str) -> int:
    try:
        return int(SEED.parse(text))
    except BadInput as error:
        raise BadInput(error.what, option="--seed") from None


def _seconds(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        what = f"expected seconds, such as 5e-6, got {text!r}"
        raise BadInput(what, option=option) from None
    if not 0 <= found <= _MOST_SECONDS:
        what = f"expected seconds from 0 to {_MOST_SECONDS:g}, got {text!r}"
        raise BadInput(what, option=option)
    return found
