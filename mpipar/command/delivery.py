"""What becomes of a result: files first, which are what counts; then words, which may find no
reader.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpipar.base.exit_codes import DONE, FAILED
from mpipar.command.entry import print_text
from mpipar.command.options import CommandLine
from mpipar.core.devices import AUTO
from mpipar.core.devices.compiled import COMPILED
from mpipar.core.devices.gpu import GPU
from mpipar.runtime.comm import world
from mpipar.runtime.communicator import RankLost
from mpipar.runtime.outlets import reason_of
from mpipar.runtime.result import Result

if TYPE_CHECKING:
    from mpipar.store.output import OutputFile


class Delivery:
    """Writes and prints a result as a command line asks for.

    Parameters
    ----------
    line : CommandLine
    notify : callable
        Called with what the user should know.
    """

    def __init__(self, line: CommandLine, notify: Callable[[str], None]) -> None:
        self._line = line
        self._notify = notify

    def store(self, result: Result, output: OutputFile | None) -> int:
        """Write the result to its files, on the root. Return the exit code."""
        problem = None
        if output is not None:
            problem = output.write(result)
        if problem is None and self._line.bound.kernel.is_table:
            problem = self._write_tables(result)
        if problem is None:
            return DONE
        self._notify(problem)
        return FAILED

    def _write_tables(self, result: Result) -> str | None:
        """Write the table of a result to all files that are wanted; return why that can't be
        done.
        """
        from mpipar.store import table_files

        for path, writer in table_files.wanted(self._line.options):
            try:
                with self._rows(result) as rows:
                    writer.write(path, rows)
            except OSError as error:
                return f"the table could not be written to {path}: {reason_of(error)}"
        return None

    def _rows(self, result: Result) -> contextlib.AbstractContextManager[Any]:
        """Give the table of a result, or what reads it from the output."""
        from mpipar.store.stored_rows import StoredRows

        [dataset] = self._line.bound.reduction.datasets()
        output = self._line.options.output
        if output is None:
            return contextlib.nullcontext(result.datasets[dataset.name])
        return StoredRows(output, dataset.name).kept_open()

    def tell(self, result: Result | None, code: int) -> int:
        """Print the result, on the root, when all else is done.

        Returns the exit code on all ranks. Collective over them.
        """
        if result is not None:
            where = self._line.options.output if code == DONE else None
            code = self._print(result, where) or code
        with contextlib.suppress(RankLost):  # of which the others needn't know any more
            return int(world().bcast(code))
        return code

    def _print(self, result: Result, where: Path | None) -> int:
        from mpipar.view.result_text import as_json, as_text, skipped_lines

        for words in skipped_lines(result):
            self._notify(words)
        line = self._line
        bound = line.bound
        may_choose = bound.runs_on(GPU.name) or bound.runs_on(COMPILED.name)
        had_choice = line.options.device == AUTO and may_choose
        try:
            text = as_json(result) if line.json else as_text(result, device=had_choice)
            print_text(text)
        except OSError as error:
            kept = "" if where is None else f"; it is in {where}"
            self._notify(f"the result could not be printed: {reason_of(error)}{kept}")
            return FAILED
        return DONE
