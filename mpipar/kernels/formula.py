"""Formulas as functions of one item, in Numba's subset of Python.

A formula's checked tree is written as a sequence of assignments, each of one operation on doubles,
whole numbers of 64 bits or booleans: which, and of which type the value is, NumPy is asked. No text
of a user's is evaluated: the tree is made of :mod:`mpipar.kernels.scalar_forms`.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.core.devices.compiled import inlined
from mpipar.inputs.arithmetic import FUNCTIONS
from mpipar.inputs.common import one_line, shortened
from mpipar.inputs.expression import Expression, function_of, number_of
from mpipar.kernels.scalar_forms import CASTS, CHOICE, FORMS, Form, power
from mpipar.kernels.trees import filled, function_of_lines, parsed

_UFUNCS: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.Pow: "power",
    ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor",
    ast.LShift: "left_shift",
    ast.RShift: "right_shift",
    ast.UAdd: "positive",
    ast.USub: "negative",
    ast.Invert: "invert",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}

_OF_LISTS = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "any": "logical_or",
    "all": "logical_and",
}
"""Functions of a list of values, by what is done with two of them."""

_TYPES = {"float64": "d", "int64": "l", "bool_": "?"}
_PLAIN = {"?": bool, "l": int, "d": float}


class Compilable(NamedTuple):
    """A formula for item ``i`` of columns, an array with a row for each variable.

    Attributes
    ----------
    near : callable
        ``near(columns, i)`` returns the value, and whether it isn't to be trusted: where an operand
        is far from where the fast form of a function holds.
    anywhere : callable
        ``anywhere(columns, i)`` returns the value.
    type : str
        Of the value: "?", "l" or "d".
    """

    near: Callable[..., Any]
    anywhere: Callable[..., Any]
    type: str


class _Part(NamedTuple):
    """What a part of a formula is: an expression of Python's, or a number.

    Attributes
    ----------
    code : ast.expr or None
    type : str
        "?", "l" or "d".
    number : object
        A number of Python's, which takes the type of what it meets, or of NumPy's.
    """

    code: ast.expr | None
    type: str
    number: Any = None

    @property
    def is_weak(self) -> bool:
        """Whether it takes the type of what it meets."""
        return type(self.number) in (int, float)

    @property
    def loop_type(self) -> Any:
        """What a ufunc is asked about."""
        if self.is_weak:
            return type(self.number)
        return np.dtype(self.type)

    @property
    def result_type(self) -> Any:
        """What np.result_type is asked about."""
        if self.is_weak:
            return self.number
        return np.dtype(self.type)


def compilable(expression: Expression, types: str) -> Compilable:
    """Return a formula whose variables have these types.

    Raises
    ------
    BadInput
        If it has what can't be compiled, in one line.
    """
    return _compilable(expression.text, expression.variables, types)


def formula_of(f: str, variables: Sequence[str]) -> Compilable:
    """Return the formula that ``f`` is, for doubles. Raises BadInput."""
    function = function_of(f, variables)
    if not isinstance(function, Expression):
        what = f"{shortened(f)} is a function; formulas alone can be compiled"
        raise BadInput(what, option="f", remedy="take --device cpu")
    return compilable(function, "d" * len(variables))


@functools.cache
def _compilable(text: str, variables: tuple[str, ...], types: str) -> Compilable:
    expression = Expression(text, variables)
    try:
        near = _Writer(expression, types, anywhere=False)
        anywhere = _Writer(expression, types, anywhere=True)
        return Compilable(inlined(near.function()), anywhere.function(), near.type)
    except RecursionError:
        raise BadInput(f"expression {shortened(text)}: nested too deep to be compiled") from None


class _Writer:
    """Writes the assignments of a formula."""

    def __init__(self, expression: Expression, types: str, *, anywhere: bool) -> None:
        self._text = expression.text
        self._anywhere = anywhere
        self._lines: list[ast.stmt] = []
        self._outside: list[ast.expr] = []
        self._parts: dict[ast.AST, _Part] = {}
        self._known: dict[str, str] = {}
        self._variables: dict[str, _Part] = {}
        for row, (name, kind) in enumerate(zip(expression.names, types, strict=True)):
            column = parsed(f"columns[{row}, i]")
            self._variables[name] = _Part(self._assigned(column), kind)
        whole = expression.tree().body
        for node in reversed([*ast.walk(whole)]):
            part = self._part(node)
            if part is not None:
                self._parts[node] = part
        self._value = self._cast(self._of(whole), self._of(whole).type)
        self.type = self._of(whole).type

    def function(self) -> Callable[..., Any]:
        """Return the function that has been written."""
        returned: ast.expr = self._value
        if not self._anywhere:
            nowhere: ast.expr = ast.Constant(False)
            outside = functools.reduce(_either, self._outside, nowhere)
            returned = ast.Tuple([self._value, outside], ast.Load())
        return function_of_lines("columns, i", [*self._lines, ast.Return(returned)])

    def _part(self, node: ast.AST) -> _Part | None:
        """Write a part, whose own parts have been written; None for what isn't a value."""
        if not isinstance(node, ast.expr):
            return None
        if isinstance(node, ast.Name) and node.id in self._variables:
            return self._variables[node.id]
        if not self._varies(node):
            return None  # a number: it is computed where it is used
        match node:
            case ast.BinOp(left, symbol, right) | ast.Compare(left, [symbol], [right]):
                return self._applied(node, _UFUNCS[type(symbol)], [left, right])
            case ast.UnaryOp(symbol, operand):
                return self._applied(node, _UFUNCS[type(symbol)], [operand])
            case ast.Call(ast.Name(name), arguments):
                return self._called(node, name, arguments)
            case ast.Tuple() | ast.List():
                return None
        raise self._refusal(node, "an index of a list of values")

    def _varies(self, node: ast.AST) -> bool:
        """Return whether a part has a variable in it."""
        children = [*ast.iter_child_nodes(node)]
        if any(map(self._is_list_that_varies, children)):
            return True
        return any(child in self._parts for child in children)

    def _is_list_that_varies(self, node: ast.AST) -> bool:
        is_list = isinstance(node, (ast.Tuple, ast.List))
        return is_list and any(element in self._parts for element in ast.iter_child_nodes(node))

    def _of(self, node: ast.AST) -> _Part:
        """Return a part, which may be a number."""
        if node in self._parts:
            return self._parts[node]
        try:
            number = number_of(node)
        except Exception as error:
            raise self._refusal(node, one_line(error)) from None
        kind = np.result_type(number).char
        if np.ndim(number) or kind not in _PLAIN:
            raise self._refusal(node, f"{np.result_type(number)}")
        return _Part(None, kind, number)

    def _refusal(self, node: ast.AST, what: str) -> BadInput:
        part = ast.get_source_segment(self._text, node) or ""
        where = f"expression {shortened(self._text)}: "
        if part and part != self._text:
            where += f"{shortened(part)}: "
        return BadInput(f"{where}{what} can't be compiled", remedy="take --device cpu")

    def _called(self, node: ast.Call, name: str, arguments: Sequence[ast.expr]) -> _Part:
        count = len(node.keywords) + len(arguments)
        if name in _OF_LISTS and count == 2:
            return self._reduced(node, _OF_LISTS[name], arguments[0])
        if name == "round" and count == 1:
            return self._rounded(node, arguments)
        if node.keywords:
            raise self._refusal(node, f"{name} with {node.keywords[0].arg}")
        if name in _TYPES:
            part = self._of(arguments[0])
            return _Part(self._cast(part, _TYPES[name]), _TYPES[name])
        if isinstance(FUNCTIONS[name], np.ufunc):
            return self._applied(node, FUNCTIONS[name].__name__, arguments)
        return self._composed(node, name, arguments)

    def _rounded(self, node: ast.AST, arguments: Sequence[ast.expr]) -> _Part:
        part = self._of(arguments[0])
        if part.type == "l":
            return part
        return self._ufunc(node, "rint", [part])

    def _composed(self, node: ast.AST, name: str, arguments: Sequence[ast.expr]) -> _Part:
        """Write a function that is no ufunc."""
        match name, arguments:
            case "where", (condition, one, other):
                return self._chosen(condition, one, other)
            case "clip", (x, low, high):
                return self._clipped(node, x, low, high)
            case "polyval", (ast.Tuple(factors) | ast.List(factors), x):
                return self._polynomial(node, factors, x)
        raise self._refusal(node, name)

    def _applied(self, node: ast.AST, name: str, operands: Sequence[ast.expr]) -> _Part:
        """Write a ufunc of some parts."""
        return self._ufunc(node, name, [self._of(operand) for operand in operands])

    def _ufunc(self, node: ast.AST, name: str, parts: Sequence[_Part]) -> _Part:
        *given, result = self._loop(node, name, parts)
        form = FORMS[given[0]].get(name)
        if name == "power":
            form = self._power(node, given[0], parts[-1].number) or form
        if form is None:
            raise self._refusal(node, f"{name} of {np.dtype(given[0])}")
        operands = list(map(self._cast, parts, given))
        return _Part(self._written(form, operands), result)

    def _power(self, node: ast.AST, kind: str, exponent: Any) -> Form | None:
        """Return the form of a power that is known, if it has one of its own."""
        is_known = exponent is not None
        if kind == "d" and is_known:
            return power(float(exponent))
        if kind == "l" and not (is_known and exponent >= 0):
            raise self._refusal(node, "a power of whole numbers that isn't known, or below 0,")
        return None

    def _loop(self, node: ast.AST, name: str, parts: Sequence[_Part]) -> list[str]:
        """Return of which types NumPy takes the operands, and gives the value."""
        first = parts[0].type
        if name == "power" and first == "?":
            raise self._refusal(node, "a power of a condition")
        ufunc = getattr(np, name)
        try:
            kinds = ufunc.resolve_dtypes((*[part.loop_type for part in parts], None))
        except TypeError:
            kinds = ()
        found = "".join(kind.char for kind in kinds)
        if not found or found.strip("".join(_PLAIN)):
            given = " and ".join(np.dtype(part.type).name for part in parts)
            raise self._refusal(node, f"{name} of {given}")
        return list(found)

    def _cast(self, part: _Part, kind: str) -> ast.expr:
        """Return a part as a value of a type."""
        if part.code is None:
            return ast.Constant(_PLAIN[kind](part.number))
        if part.type == kind:
            return part.code
        return self._written(CASTS[part.type, kind], [part.code])

    def _common(self, parts: Sequence[_Part]) -> str:
        kind = np.result_type(*[part.result_type for part in parts]).char
        assert kind in _PLAIN, kind
        return kind

    def _chosen(self, condition: ast.expr, one: ast.expr, other: ast.expr) -> _Part:
        parts = [self._of(one), self._of(other)]
        kind = self._common(parts)
        operands = [self._cast(self._of(condition), "?")]
        operands += [self._cast(part, kind) for part in parts]
        return _Part(self._written(CHOICE, operands), kind)

    def _clipped(self, node: ast.AST, x: ast.expr, low: ast.expr, high: ast.expr) -> _Part:
        raised = self._ufunc(node, "maximum", [self._of(x), self._of(low)])
        return self._ufunc(node, "minimum", [raised, self._of(high)])

    def _reduced(self, node: ast.AST, name: str, items: ast.expr) -> _Part:
        if not isinstance(items, (ast.Tuple, ast.List)):
            raise self._refusal(node, "a function of what isn't a list of values")
        first, *others = map(self._of, items.elts)
        if name in ("add", "multiply") and first.type == "?":
            first = _Part(self._cast(first, "l"), "l")
        if name.startswith("logical"):
            first = _Part(self._cast(first, "?"), "?")
        for other in others:
            first = self._ufunc(node, name, [first, other])
        return first

    def _polynomial(self, node: ast.AST, factors: Sequence[ast.expr], x: ast.expr) -> _Part:
        at = self._of(x)
        if not factors or at.type != "d":
            raise self._refusal(node, "polyval of what isn't doubles")
        zero = self._ufunc(node, "multiply", [at, _Part(None, "d", 0.0)])
        value = self._ufunc(node, "add", [zero, self._of(factors[0])])
        for factor in factors[1:]:
            value = self._ufunc(node, "multiply", [value, at])
            value = self._ufunc(node, "add", [value, self._of(factor)])
        return value

    def _written(self, form: Form, operands: Sequence[ast.expr]) -> ast.expr:
        """Write a form of some operands; return the name of its value."""
        named = dict(zip("abc", operands, strict=False))
        text = form.text
        if form.outside and self._anywhere:
            outside = ast.unparse(self._assigned(filled(form.outside, named)))
            named["outside"] = ast.Name(outside, ast.Load())
            text = f"({form.anywhere}) if outside else ({form.text})"
        elif form.outside:
            self._outside.append(self._assigned(filled(form.outside, named)))
        return self._assigned(filled(text, named))

    def _assigned(self, code: ast.expr) -> ast.expr:
        """Write an assignment; the same again has the name of the first."""
        text = ast.dump(code)
        if text not in self._known:
            name = f"v{len(self._known)}"
            self._known[text] = name
            self._lines.append(ast.Assign([ast.Name(name, ast.Store())], code))
        return ast.Name(self._known[text], ast.Load())


def _either(one: ast.expr, other: ast.expr) -> ast.expr:
    return ast.BinOp(one, ast.BitOr(), other)
