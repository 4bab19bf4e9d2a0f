"""Command lines whose errors are exceptions."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NoReturn

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean


class Parser(argparse.ArgumentParser):
    """An argument parser that raises BadInput, rather than print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise BadInput, with what may have been meant."""
        raise BadInput(f"{message}{self._meant(message)}")

    def _meant(self, message: str) -> str:
        unknown = re.match(r"unrecognized arguments: .*?(--[\w-]+)", message)
        if unknown is not None:
            return did_you_mean(unknown[1], self._option_string_actions)
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)$", message)
        return "" if choice is None else did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2]))


def named_path(text: str) -> Path:
    """Return the path that an argument names, which an empty one doesn't."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got ''")
    return Path(text)
