"""Command lines whose errors are exceptions. Imports mpipar.core alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from mpipar.core.errors import BadInput


class Parser(argparse.ArgumentParser):
    """An argument parser that raises BadInput, rather than print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise BadInput."""
        raise BadInput(message)


def named_path(text: str) -> Path:
    """Return the path that an argument names, which an empty one doesn't."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got ''")
    return Path(text)
