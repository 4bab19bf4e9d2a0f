"""Command lines whose errors are exceptions. Imports mpipar.core alone."""

from __future__ import annotations

import argparse
from typing import NoReturn

from mpipar.core.errors import BadInput


class Parser(argparse.ArgumentParser):
    """An argument parser that raises BadInput, rather than print and exit."""

    def error(self, message: str) -> NoReturn:
        """Raise BadInput."""
        raise BadInput(message)
