"""Parameters of a function, and the columns of a table that are its arguments."""

from __future__ import annotations

import datetime
import inspect
import types
import typing
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean
from mpipar.inputs.cells import TYPES, is_type
from mpipar.inputs.common import Function, listed

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_CAN_BE_NONE = ("int", "float", "bool")
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
    found: dict[str, str] = {}
    if not text:
        return found
    for part in text.split(","):
        name, sign, kind = map(str.strip, part.rpartition("="))
        if not sign or not name or not is_type(kind):
            raise BadInput(
                f"types: expected COLUMN=TYPE,… with types from {', '.join(TYPES)}, got {part!r}"
            )
        if name in found:
            raise BadInput(f"types: the column {name!r} is there twice")
        found[name] = kind
    return found


def annotated_types(call: Function) -> dict[str, str]:
    """Return {parameter: type of its column} of a function, as far as its annotations tell."""
    found = {}
    for name, parameter in _parameters_of(call).items():
        kind = _kind_of(parameter.annotation)
        if kind and parameter.kind in _BY_NAME:
            found[name] = kind
    return found


def check_arguments(
    call: Function,
    function: str,
    table: str,
    columns: tuple[str, ...],
) -> None:
    """Raise BadInput unless a function can be called with a table's columns, by their names."""
    parameters = _parameters_of(call)
    if not parameters and not _has_signature(call):
        return
    _check_no_places(parameters, function)
    kinds = {parameter.kind for parameter in parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        _check_all_taken(parameters, function, table, columns)
    _check_all_given(parameters, function, table, columns)


_Parameters = dict[str, inspect.Parameter]


def _check_no_places(parameters: _Parameters, function: str) -> None:
    """Raise BadInput if a value must be given by its place."""
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and _is_needed(parameter):
            raise BadInput(
                f"{function!r} takes {name!r} by its place alone, and columns are given by name;"
                " wrap it"
            )


def _check_all_taken(
    parameters: _Parameters,
    function: str,
    table: str,
    columns: tuple[str, ...],
) -> None:
    """Raise BadInput if there is a column without a parameter."""
    by_name = _by_name(parameters)
    for column in columns:
        if column not in by_name:
            hint = did_you_mean(column, by_name) or f"; it has {listed(by_name)}"
            raise BadInput(
                f"{function!r} has no parameter for the column {column!r} of {table!r}{hint}"
            )


def _check_all_given(
    parameters: _Parameters,
    function: str,
    table: str,
    columns: tuple[str, ...],
) -> None:
    """Raise BadInput if there is no column for a parameter that needs one."""
    for name in _by_name(parameters):
        if _is_needed(parameters[name]) and name not in columns:
            hint = did_you_mean(name, columns) or f"; its columns are {listed(columns)}"
            raise BadInput(f"{function!r} needs {name!r}, and {table!r} has no such column{hint}")


def _by_name(parameters: _Parameters) -> list[str]:
    """Return the parameters that can be given by name."""
    return [name for name, parameter in parameters.items() if parameter.kind in _BY_NAME]


def _is_needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is inspect.Parameter.empty


def _has_signature(call: Function) -> bool:
    try:
        inspect.signature(call)
    except (ValueError, TypeError):
        return False
    return True


def _parameters_of(call: Function) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function; of some in C, none.

    Annotations are objects where they can be had.
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
        return _kind_of_union(typing.get_args(annotation))
    if not isinstance(annotation, type) or annotation is inspect.Parameter.empty:
        return ""
    for bases, kind in _KINDS:
        if not issubclass(annotation, bases):
            continue
        # A class of the user's own isn't made from a cell.
        if annotation in bases or annotation.__module__ == "numpy":
            return kind
    return ""


def _kind_of_union(members: tuple[Any, ...]) -> str:
    """Return the type of a column for one type or None; for several there is none."""
    kinds = [_kind_of(member) for member in members if member is not type(None)]
    if len(kinds) != 1:
        return ""
    [kind] = kinds
    return f"{kind}?" if kind in _CAN_BE_NONE else kind
