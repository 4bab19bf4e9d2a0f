"""Command lines whose errors are exceptions."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean


class HelpWanted(Exception):
    """The user asked for a text (help, version) rather than a run; its argument is the text."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises rather than print and exit: BadInput, with what may have been
    meant, or HelpWanted.

    Under a launcher the root alone may speak.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(exit_on_error=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise BadInput."""
        raise BadInput(message)

    def print_help(self, file: Any = None) -> NoReturn:
        """Raise HelpWanted, with the help."""
        raise HelpWanted(self.format_help())

    def _print_message(self, message: str, file: Any = None) -> NoReturn:
        raise HelpWanted(message)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments as a namespace. Raises BadInput."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown)
        return found

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments as a namespace, and what isn't known of them. Raises BadInput."""
        try:
            return super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            option = error.argument_name or ""
            raise BadInput(error.message, option=option, message=str(error)) from None

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        flags = [word.partition("=")[0] for word in unknown if word.startswith("--")]
        hint = did_you_mean(flags[0], self._option_string_actions) if flags else ""
        raise BadInput(f"unrecognized arguments: {' '.join(unknown)}{hint}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            choices = map(str, action.choices or ())
            raise argparse.ArgumentError(
                action, error.message + did_you_mean(str(value), choices)
            ) from None


def bad_argument(option: str, what: str) -> BadInput:
    """Return the error of an option, in argparse's words."""
    return BadInput(what, option=option, message=f"argument {option}: {what}")


def named_path(text: str) -> Path:
    """Return the path that an argument names, which an empty one doesn't."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got ''")
    return Path(text)
