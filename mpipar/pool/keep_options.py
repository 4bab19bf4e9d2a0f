"""The options of scripts whose outcomes are kept, stated once: as those of runs are."""

# ruff: noqa: RUF009 (what is called for the fields of KeepOptions makes fields)

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mpipar.base.arguments import bad_argument
from mpipar.core.parameters import Parameter
from mpipar.runtime.run_options import Option
from mpipar.runtime.run_options import parameters as parameters_of_runs

_OF_RUNS = parameters_of_runs()

KNOWN = Option(
    "known",
    Path,
    (),
    many=True,
    metavar="FILE.h5",
    help="take outcomes of the same tasks from this file of another script, too; may be repeated",
)
KEEP_PICKLED = Option(
    "keep_pickled",
    bool,
    False,
    help="keep outcomes of all types, pickled, in a file beside the output that only you can read",
)


def _option(parameter: Parameter) -> Any:
    return field(default=parameter.default, metadata={"parameter": parameter})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOptions:
    """What is kept of a script's tasks, and what is known of them.

    Each field has its :class:`Option`, which :func:`parameters` returns; most are as for kernels.
    """

    output: Path | None = _option(_OF_RUNS["output"])
    checkpoint: float = _option(_OF_RUNS["checkpoint"])
    resume: bool = _option(_OF_RUNS["resume"])
    stop_before: float | None = _option(_OF_RUNS["stop_before"])
    known: tuple[Path, ...] = _option(KNOWN)
    keep_pickled: bool = _option(KEEP_PICKLED)

    @property
    def is_wanted(self) -> bool:
        """Whether anything is to be kept or known."""
        return self.output is not None or bool(self.known)

    @property
    def may_know_tasks(self) -> bool:
        """Whether outcomes of an earlier run may be there."""
        if self.known:
            return True
        if self.output is None or not self.resume:
            return False
        log = Path(f"{self.output}.parts")
        return self.output.exists() or log.exists()

    def check(self) -> None:
        """Raise BadInput for options that don't go together."""
        if self.output is not None:
            return
        for name in ("resume", "stop_before", "keep_pickled"):
            if getattr(self, name) not in (None, False):
                flag = f"--{name.replace('_', '-')}"
                raise bad_argument(flag, "needs --output")


def parameters() -> dict[str, Parameter]:
    """Return what describes each of the options."""
    return {each.name: each.metadata["parameter"] for each in fields(KeepOptions)}
