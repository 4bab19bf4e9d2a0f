"""Parameters of a function, and the columns of a table that are its arguments."""

from __future__ import annotations

import datetime
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean
from mpipar.inputs.cells import TYPES, is_type
from mpipar.inputs.common import listed

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_KINDS = (
    ((bool, np.bool_), "bool"),
    ((int, np.integer), "int"),
    ((float, np.floating), "float"),
    ((str,), "str"),
    ((datetime.datetime,), "datetime"),
    ((datetime.date,), "date"),
)


def types_of(text: str) -> dict[str, str]:
    """Return {column: type} of text such as ``id=str,x=float``. Raises BadInput."""
    found = {}
    for part in text.split(",") if text else ():
        name, sign, kind = part.strip().rpartition("=")
        if not sign or not name.strip() or not is_type(kind.strip()):
            raise BadInput(
                f"types: expected COLUMN=TYPE,… with types from {', '.join(TYPES)}, got {part!r}"
            )
        if name.strip() in found:
            raise BadInput(f"types: the column {name.strip()!r} is there twice")
        found[name.strip()] = kind.strip()
    return found


def annotated_types(call: Callable[..., Any]) -> dict[str, str]:
    """Return {parameter: type of its column} of a function, as far as its annotations tell."""
    found = {}
    for name, parameter in _parameters_of(call).items():
        kind = _kind_of(parameter.annotation)
        if kind and parameter.kind in _BY_NAME:
            found[name] = kind
    return found


def check_arguments(
    call: Callable[..., Any], function: str, table: str, columns: tuple[str, ...]
) -> None:
    """Raise BadInput unless a function can be called with the columns of a table, by their
    names.
    """
    parameters = _parameters_of(call)
    if not parameters and not _has_signature(call):
        return
    by_name = [name for name, parameter in parameters.items() if parameter.kind in _BY_NAME]
    takes_all = any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )
    for name, parameter in parameters.items():
        is_needed = parameter.default is inspect.Parameter.empty
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and is_needed:
            raise BadInput(
                f"{function!r} takes {name!r} by its place alone, and columns are given by name;"
                " wrap it"
            )
    unknown = [name for name in columns if name not in by_name]
    if unknown and not takes_all:
        hint = did_you_mean(unknown[0], by_name) or f"; it has {listed(by_name)}"
        raise BadInput(
            f"{function!r} has no parameter for the column {unknown[0]!r} of {table!r}{hint}"
        )
    for name in by_name:
        if parameters[name].default is inspect.Parameter.empty and name not in columns:
            hint = did_you_mean(name, columns) or f"; its columns are {listed(columns)}"
            raise BadInput(f"{function!r} needs {name!r}, and {table!r} has no such column{hint}")


def _has_signature(call: Callable[..., Any]) -> bool:
    try:
        inspect.signature(call)
    except (ValueError, TypeError):
        return False
    return True


def _parameters_of(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, with annotations as objects where they can be had; of
    some in C, none.
    """
    for eval_str in (True, False):
        try:
            return dict(inspect.signature(call, eval_str=eval_str).parameters)
        except Exception:
            continue
    return {}


def _kind_of(annotation: Any) -> str:
    """Return the type of a column for an annotation, or nothing."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        kind = _kind_of(members[0]) if len(members) == 1 else ""
        return f"{kind}?" if kind in ("int", "float", "bool") else kind
    if not isinstance(annotation, type) or annotation is inspect.Parameter.empty:
        return ""
    for bases, kind in _KINDS:
        if issubclass(annotation, bases) and (
            annotation in bases or annotation.__module__ == "numpy"
        ):
            return kind
    return ""
