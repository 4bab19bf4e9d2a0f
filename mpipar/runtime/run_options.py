"""The options of a run, stated once: what each is called, may be, is by default, and does.

::

    RunOptions ─▶ command lines     --name VALUE, its help, its default       command.options
               ─▶ run, map          keywords, checked in the same way         command.execute, .map
               ─▶ job files         which keys stand for which options        batch.job_file
               ─▶ Conduct           how the blocks are evaluated              runtime.run
"""

# ruff: noqa: RUF009 (what is called for the fields of RunOptions makes fields)

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpipar.base.errors import BadInput
from mpipar.base.overriding import override
from mpipar.core.devices import before_looking
from mpipar.core.devices.cpu import CPU
from mpipar.core.parameters import BLOCK, SEED, Parameter
from mpipar.runtime.device import CHOICES
from mpipar.runtime.failure import STOP, OnError
from mpipar.runtime.schedule import SCHEDULES

if TYPE_CHECKING:
    from mpipar.core.kernel import BoundKernel, Kernel  # NumPy takes time to load


class Option(Parameter):
    """An option of runs."""

    @override
    def check(self, value: Any) -> Any:
        if self.type is bool and value in (0, 1):  # as Python takes them
            value = bool(value)
        return super().check(value)


class _Workers(Option):
    """A number of workers, or "auto"."""

    @property
    @override
    def allowed(self) -> str:
        return f"{super().allowed}, or auto"

    @override
    def parse(self, text: str) -> int | str:
        if text == "auto":
            return text
        try:
            count: int = super().parse(text)
        except BadInput:
            raise BadInput(f"expected {self.allowed}, got {text!r}") from None
        return count

    @override
    def check(self, value: Any) -> Any:
        if isinstance(value, str) and value == "auto":
            return value
        return super().check(value)


class _OnError(Option):
    """What is done about an exception in a kernel, as text or as what that stands for."""

    @override
    def parse(self, text: str) -> OnError:
        return OnError.parse(text)

    @override
    def check(self, value: Any) -> Any:
        if isinstance(value, OnError):
            return value
        return OnError.parse(str(value))


class _ResultFile(Option):
    """The file that a result goes to, which nobody should take for text."""

    @override
    def check(self, value: Any) -> Any:
        path: Path = super().check(value)
        if path.suffix.lower() not in (".h5", ".hdf5"):
            raise BadInput(
                f"expected a file of .h5 or .hdf5, as results are stored as HDF5, got {str(path)!r}"
            )
        return path


WORKERS = _Workers(
    "workers",
    int,
    1,
    minimum=1,
    metavar="N",
    otherwise="MPIPAR_WORKERS, or else 1, the rank itself",
    help="worker processes in each rank, or auto for its share of the cores",
    job_key="resources.workers",
)


def _option(parameter: Parameter) -> Any:
    return field(default=parameter.default, metadata={"parameter": parameter})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a kernel is run. Nothing here but block, seed and device changes a result's value.

    Each field has its :class:`Option`, which :func:`parameters` returns.

    Raises
    ------
    BadInput
        If a value can't be used; the message names the field.
    """

    workers: int | str = _option(WORKERS)
    schedule: str = _option(
        Option(
            "schedule",
            str,
            "dynamic",
            choices=SCHEDULES,
            help="who evaluates which blocks: every size-th, one slice each, or whoever is free",
        )
    )
    device: str = _option(
        Option(
            "device",
            str,
            CPU.name,
            choices=CHOICES,
            help=(
                "what evaluates blocks; auto: GPUs, if the kernel can use them and each rank has"
                " one, or else compiled code, if it has that and each rank has Numba"
            ),
        )
    )
    block: int | None = _option(BLOCK)
    seed: int = _option(SEED)
    output: Path | None = _option(
        _ResultFile(
            "output",
            Path,
            None,
            optional=True,
            metavar="FILE.h5",
            help="write the result to this HDF5 file",
            job_key="output.file",
        )
    )
    csv: Path | None = _option(
        Option(
            "csv",
            Path,
            None,
            optional=True,
            metavar="FILE.csv",
            help="write the table to this CSV file",
            of_tables=True,
        )
    )
    checkpoint: float = _option(
        Option(
            "checkpoint",
            float,
            60.0,
            minimum=0.0,
            metavar="SECONDS",
            help="commit what is done to the output so often",
            job_key="output.checkpoint",
        )
    )
    resume: bool = _option(
        Option(
            "resume",
            bool,
            False,
            help="go on with the run that the output is of, if it exists",
        )
    )
    anyway: bool = _option(
        Option(
            "anyway",
            bool,
            False,
            help=(
                "with --resume: go on although parameters, functions or inputs are others than they"
                " were"
            ),
        )
    )
    stop_before: float | None = _option(
        Option(
            "stop_before",
            float,
            None,
            minimum=0.0,
            optional=True,
            metavar="SECONDS",
            help="commit and stop so long before the end of the Slurm job (exit code 75)",
        )
    )
    compress: bool = _option(
        Option("compress", bool, False, help="compress the datasets in it (gzip)")
    )
    on_error: OnError = _option(
        _OnError(
            "on_error",
            OnError,
            STOP,
            metavar="ACTION",
            otherwise="stop",
            help="if a block fails: stop, skip it, or retry:N, N times before the run stops",
        )
    )
    block_timeout: float | None = _option(
        Option(
            "block_timeout",
            float,
            None,
            minimum=0.0,
            optional=True,
            metavar="SECONDS",
            help="a block that takes longer has failed; its worker is replaced",
        )
    )
    progress: bool | None = _option(
        Option(
            "progress",
            bool,
            None,
            optional=True,
            otherwise="on a terminal",
            help="show progress on stderr",
        )
    )

    def __post_init__(self) -> None:
        for name, parameter in parameters().items():
            value = getattr(self, name)
            if value is not parameter.default:
                object.__setattr__(self, name, parameter.check_all(value))

    @classmethod
    def given(cls, **values: Any) -> RunOptions:
        """Return the options that arguments from Python say. Raises BadInput."""
        return cls(**values)

    def bind(self, kernel: Kernel, given: dict[str, Any]) -> BoundKernel:
        """Return a kernel with its own parameters, and what of these options decides on its value.

        Raises
        ------
        BadInput
            If a parameter can't be used.
        """
        device = before_looking(self.device)
        return kernel.bind(given, block=self.block, seed=self.seed, device=device)


def parameters() -> dict[str, Parameter]:
    """Return what describes each of the options."""
    return {each.name: each.metadata["parameter"] for each in fields(RunOptions)}


def default_workers() -> int | str | None:
    """Return the number of workers that the environment asks for, or None. Raises BadInput."""
    text = os.environ.get("MPIPAR_WORKERS")
    if not text:
        return None
    try:
        return WORKERS.parse(text)
    except BadInput as error:
        raise error.within("MPIPAR_WORKERS") from None
