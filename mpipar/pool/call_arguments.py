"""What a call in a script is given, told without doing anything."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

_MAKING = re.compile(r"(build|make|create|get|new|def|define|from)(_|[A-Z]|$)")
"""Functions whose value an argument may be; classes may, too."""

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
}
_CONTAINERS = {ast.List: list, ast.Tuple: tuple, ast.Set: set}


class Unclear(Exception):
    """What an argument is can't be told without doing something."""


class Making(NamedTuple):
    """An argument that a call makes.

    Attributes
    ----------
    function : callable
    arguments : tuple
    keywords : dict
    """

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


class Arguments:
    """Tells what the calls of a script or function are given.

    Parameters
    ----------
    frame : frame
        Where it is.
    names : mapping
        What its names stand for.
    """

    def __init__(self, frame: FrameType, names: Mapping[str, Any]) -> None:
        self._code = frame.f_code
        self._globals = frame.f_globals
        self._names = names

    def of(self, call: ast.Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments and keywords: values, or what makes them. Raises Unclear."""
        arguments = tuple(map(self._value, call.args))
        keywords = {}
        for each in call.keywords:
            if each.arg is None:
                raise Unclear
            keywords[each.arg] = self._value(each.value)
        return arguments, keywords

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self._looked_up(node.id)
            case ast.Attribute():
                return _attempted(getattr, self._value(node.value), node.attr)
            case ast.UnaryOp() if type(node.op) in _OPERATORS:
                return _attempted(_OPERATORS[type(node.op)], self._value(node.operand))
            case ast.BinOp() if type(node.op) in _OPERATORS:
                sides = self._value(node.left), self._value(node.right)
                return _attempted(_OPERATORS[type(node.op)], *sides)
            case ast.List() | ast.Tuple() | ast.Set():
                items = tuple(map(self._value, node.elts))
                return Making(_CONTAINERS[type(node)], (items,), {})
            case ast.Dict():
                return self._dict(node)
            case ast.Lambda():
                return self._lambda(node)
            case ast.Call():
                return self._making(node)
        raise Unclear

    def _looked_up(self, name: str) -> Any:
        if name not in self._names:
            raise Unclear
        return self._names[name]

    def _dict(self, node: ast.Dict) -> Making:
        items = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise Unclear
            items.append((self._value(key), self._value(value)))
        return Making(dict, (tuple(items),), {})

    def _lambda(self, node: ast.Lambda) -> FunctionType:
        """Return a function like that which a lambda has made."""
        in_line = [each for each in self._code.co_consts if _is_lambda(each, node.lineno)]
        has_defaults = node.args.defaults or any(node.args.kw_defaults)
        if len(in_line) != 1 or in_line[0].co_freevars or has_defaults:
            raise Unclear
        return FunctionType(in_line[0], self._globals)

    def _making(self, call: ast.Call) -> Making:
        function = self._value(call.func)
        makes = isinstance(function, type) or _MAKING.match(getattr(function, "__name__", ""))
        if not makes:
            raise Unclear
        return Making(function, *self.of(call))


def _is_lambda(constant: Any, line: int) -> bool:
    if not isinstance(constant, CodeType):
        return False
    return constant.co_name == "<lambda>" and constant.co_firstlineno == line


def _attempted(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise Unclear from error


def made(value: Any) -> Any:
    """Return a value whose parts have been made."""
    if isinstance(value, Making):
        return value.function(*made(value.arguments), **made(value.keywords))
    if type(value) is tuple:
        return tuple(map(made, value))
    if type(value) is dict:
        return {name: made(each) for name, each in value.items()}
    return value
