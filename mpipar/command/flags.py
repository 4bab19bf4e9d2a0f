"""Parameters as options of a command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.core.parameters import Parameter

METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


def converter(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a function that makes a value of text for argparse, whose errors keep our message."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except BadInput as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def flag_of(parameter: Parameter) -> str:
    """Return how a parameter is written on a command line."""
    return f"--{parameter.name.replace('_', '-')}"


def add_parameter(group: argparse._ArgumentGroup, parameter: Parameter) -> None:
    """Add a parameter of a kernel, which alone knows the default."""
    given: dict[str, Any] = {
        "dest": parameter.name,
        "default": argparse.SUPPRESS,
        "help": _help(parameter),
    }
    if parameter.type is bool and not parameter.many:
        group.add_argument(flag_of(parameter), action=argparse.BooleanOptionalAction, **given)
        return
    given["type"] = converter(parameter.parse)
    given["required"] = parameter.required
    given["metavar"] = METAVARS.get(parameter.type, "VALUE")
    if parameter.choices:
        given["metavar"] = "{" + ",".join(map(str, parameter.choices)) + "}"
    if parameter.many:
        given["nargs"] = "*"
    group.add_argument(flag_of(parameter), **given)


def add_option(group: argparse._ArgumentGroup, option: Parameter, default: Any) -> None:
    """Add an option of runs."""
    given: dict[str, Any] = {"dest": option.name, "default": default, "help": _told(option)}
    if option.type is bool and option.optional:
        given["action"] = argparse.BooleanOptionalAction
    elif option.type is bool:
        given["action"] = "store_true"
    elif option.choices:
        given["choices"] = option.choices
    else:
        given["type"] = converter(option.parse)
        given["metavar"] = getattr(option, "metavar", "") or METAVARS[option.type]
    if option.many:
        given["action"] = "append"
        given["default"] = list(default)
    group.add_argument(flag_of(option), **given)


def _told(option: Parameter) -> str:
    """Return the help of an option of runs, with its default if it has one that says something."""
    default = getattr(option, "otherwise", "")
    if not default and isinstance(option.default, float):
        default = f"{option.default:g}"
    elif not default and option.default not in (None, ()) and option.type is not bool:
        default = str(option.default)
    words = f"{option.help} (default: {default})" if default else option.help
    return words.replace("%", "%%")


def _help(parameter: Parameter) -> str:
    words = parameter.help.replace("%", "%%")
    if parameter.required:
        return f"{words} (required)".strip()
    default = str(parameter.default).replace("%", "%%")
    if type(parameter.default) is int:
        default = f"{parameter.default:_}"
    return f"{words} (default: {default})".strip()
