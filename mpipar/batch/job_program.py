"""What a job runs: the words that follow ``python`` on its command line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mpipar.base.drivers import DRIVERS
from mpipar.batch.document import Document, Key

_NEVER = "can't be an option of a job"
# Options of drivers that a job gives by itself, and what is said to whoever does.
_GIVEN = {
    "--output": "use output.file",
    "--checkpoint": "use output.checkpoint",
    "--workers": "use resources.workers",
    "--resume": _NEVER,
    "--dry-run": _NEVER,
    "--help": _NEVER,
}


class Program:
    """What a job file says that is run.

    Parameters
    ----------
    document : Document
        The job file.
    folder : Path
        Where output goes.
    ranks, tasks : int
        How many ranks there are, and tasks of the array; 0 if it is none.

    Attributes
    ----------
    is_driver : bool
        Whether it is a driver, of mpipar or of the user's own.
    output : str
        Name of the result file, for all tasks; empty if there is none.

    Raises
    ------
    BadInput
        If a key doesn't go with it.
    """

    def __init__(self, document: Document, folder: Path, ranks: int, tasks: int) -> None:
        self._document = document
        self._folder = folder
        self._ranks = ranks
        self._tasks = tasks
        self._run = document.values["run"]
        self._output = document.values.get("output", {})
        self.is_driver = "driver" in self._run
        if self.is_driver:
            self.output = self._output_of_driver()
        else:
            self.output = self._output_of_script()

    def arguments(self, *, check: bool = False) -> list[str]:
        """Return the words, in which {task} stands for the number of a task; with ``check`` those
        that let a driver look at its options alone. Raises BadInput.
        """
        words = self._target()
        words += self._options("options", 1)
        words += self._options("options_per_rank", self._ranks)
        if self.is_driver:
            words += self._own_options()
            if check:
                words.append("--dry-run")
        for index, value in enumerate(self._run.get("arguments", ())):
            word = as_text(value)
            self._refuse_own(("run", "arguments", index), word)
            words.append(word)
        if not self._tasks and any("{task}" in word for word in words):
            raise self._document.error(("run",), "{task} is for arrays: [array] tasks is missing")
        return [self._filled(word) for word in words]

    def _filled(self, word: str) -> str:
        if self._tasks:
            word = word.replace("{tasks}", str(self._tasks))
        return word.replace("{folder}", str(self._folder))

    def _output_of_driver(self) -> str:
        driver = self._run["driver"]
        kernel = Path(driver).name.partition(":")[2]
        default = re.sub(r"\W+", "-", kernel or driver)
        if self._tasks:
            default += "-{task}"
        output: str = self._output.get("file", f"{default}.h5")
        self._check_output(output)
        return output

    def _output_of_script(self) -> str:
        """Return where outcomes of a script's tasks go; empty if they aren't kept."""
        output: str = self._output.get("file", "")
        if output:
            self._check_output(output)
        elif "checkpoint" in self._output:
            raise self._document.error(
                ("output", "checkpoint"), "is for what has an output: output.file is missing"
            )
        return output

    def _check_output(self, output: str) -> None:
        if self._tasks > 1 and "{task}" not in output:
            raise self._document.error(
                ("output", "file"), f"expected a name with {{task}} in it, got {output!r}"
            )

    def _target(self) -> list[str]:
        """Return the words that name what is run."""
        run = self._run
        if "driver" in run:
            return self._driver(run["driver"])
        if "script" in run:
            self._must_exist("script", run["script"])
            script: str = run["script"]
            if script.startswith("-"):
                script = f"./{script}"
            return ["-m", "mpipar", "run", *self._own_options(), script]
        return ["-m", "mpipar", "run", *self._own_options(), "-m", run["module"]]

    def _driver(self, driver: str) -> list[str]:
        if ":" in driver:
            file = driver.rpartition(":")[0]
            if file.endswith(".py"):
                self._must_exist("driver", file)
            return ["-m", "mpipar", "run", driver]
        if driver not in DRIVERS:
            there = (
                f"there is no driver {driver!r}; there are {', '.join(DRIVERS)}, and your own as"
                " FILE.py:KERNEL"
            )
            raise self._document.error(("run", "driver"), there)
        return ["-m", f"mpipar.{driver}"]

    def _must_exist(self, key: str, name: str) -> None:
        if not os.path.isfile(name):  # Path's raises if the name is too long
            problem = f"expected a file, got {name!r}, which isn't one"
            raise self._document.error(("run", key), problem)

    def _options(self, table: str, factor: int) -> list[str]:
        """Return the words of a table of options, whose numbers are multiplied."""
        words = []
        for name, value in self._run.get(table, {}).items():
            if factor != 1:
                value *= factor
            option = option_words(name, value)
            self._refuse_own(("run", table, name), option[0])
            words += option
        return words

    def _own_options(self) -> list[str]:
        """Return the options that the job itself gives to what has an output."""
        if not self.output:
            return []
        words = [f"--output={self._folder / self.output}", "--resume"]
        checkpoint = self._output.get("checkpoint")
        if checkpoint is not None:
            words.append(f"--checkpoint={checkpoint:g}")
        return words

    def _refuse_own(self, key: Key, word: str) -> None:
        """Raise BadInput for an option of drivers that a job gives by itself."""
        flag = word.partition("=")[0]
        if self.is_driver and flag in _GIVEN:
            raise self._document.error(key, _GIVEN[flag])


def option_words(name: str, value: Any) -> list[str]:
    """Return an option of a driver as it stands on a command line."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [flag, *map(as_text, value)]
    return [f"{flag}={as_text(value)}"]


def as_text(value: Any) -> str:
    """Return a value as an argument; whole numbers without a point, as 1e9 is a float in TOML."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    return str(value)
