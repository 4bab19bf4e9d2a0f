"""Checks that an expression can do nothing but NumPy maths.

No attributes, no text, no functions but those of :mod:`mpipar.inputs.arithmetic`, and these only
with arguments that they read. What Python itself would compute, of constants, is bounded to 64
bits, since its whole numbers know no limit: ``9**9**9**9`` would never end.
"""

from __future__ import annotations

import ast
import cmath
import itertools
import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean
from mpipar.inputs.arithmetic import (
    ARITHMETIC_NAMES,
    ARITIES,
    CONSTANTS,
    FUNCTIONS,
    KEYWORDS,
    REDUCTIONS,
    RUNNING,
    TYPES,
)
from mpipar.inputs.common import listed, one_line, shortened
from mpipar.inputs.elementwise import check_elementwise, instead_of

DEEPEST = 500
"""How many levels an expression may have. Python's own limit is another in each version."""

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_HINTS: dict[type, str] = {
    ast.BoolOp: "'and' and 'or' don't work on arrays; write (…) & (…) or (…) | (…)",
    ast.Not: "'not' doesn't work on arrays; write ~(…)",
    ast.IfExp: "'if' doesn't work on arrays; write where(condition, a, b)",
    ast.Attribute: "attributes are not allowed; functions are written without 'np.'",
    ast.JoinedStr: "text is not allowed",
    ast.Tuple: "a list is allowed as an argument of a function only",
    ast.List: "a list is allowed as an argument of a function only",
}

_NAMES_OF_WHOLE_ARRAYS = """
    average convolve corrcoef correlate count_nonzero cross cumulative_sum diff ediff1d einsum fft
    flip gradient inner kron len linspace nanmax nanmean nanmedian nanmin nanstd nansum nanvar norm
    outer percentile ptp quantile ravel reshape roll shape size sorted tensordot trapezoid trapz
    unique
"""
_OF_WHOLE_ARRAYS = frozenset(_NAMES_OF_WHOLE_ARRAYS.split())
"""Functions that people know, and that are for all items together."""

_ELSEWHERE = {
    "ln": "log(x)",
    "lg": "log10(x)",
    "tg": "tan(x)",
    "sgn": "sign(x)",
    "sqr": "x**2",
    "piecewise": "where(condition, a, b)",
    "select": "where(condition, a, b)",
    "π": "pi",
    "∞": "inf",
}
"""What others call functions and constants, and what it is here."""

_CANNOT_BE_CALLED = "this can't be called; write * to multiply"
_TOO_LONG = "a whole number of more than 64 bits"
_WITH_POINT = "write it with a point, as 10.0**30"

_HARMLESS = (ast.Slice, ast.keyword, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop)


def check_syntax(
    text: str,
    tree: ast.Expression,
    variables: Collection[str],
) -> None:
    """Raise BadInput unless ``tree``, parsed from ``text``, may be evaluated."""
    _Checker(text, variables).check(tree)


def _attribute_hint(attribute: ast.Attribute, variables: Collection[str]) -> str:
    """Return what is wrong with a call as x.mean(), or np.sin(x)."""
    numpy_names = {"np", "numpy"}.difference(variables)
    of = attribute.value
    if isinstance(of, ast.Name) and of.id in numpy_names:
        return _HINTS[ast.Attribute]
    if attribute.attr in {*REDUCTIONS, *RUNNING, *_OF_WHOLE_ARRAYS}:
        return f"attributes are not allowed; {instead_of(attribute.attr)}"
    return _HINTS[ast.Attribute]


def _wrong_count(name: str, count: int) -> str:
    """Return how many arguments a function takes, and that there are others."""
    fewest, most = ARITIES[name]
    takes = f"{fewest} to {most}" if fewest < most else f"{most}"
    noun = "argument" if most == 1 else "arguments"
    hint = "; write where(condition, a, b)" if name == "where" else ""
    return f"{name} takes {takes} {noun}, got {count}{hint}"


class _Checker:
    """Looks at the nodes of a tree level by level, without recursion: none is too deep for it.

    Attributes
    ----------
    text : str
    variables : collection of str
    functions : set of ast.AST
        Names that are where a function or a type is expected.
    arguments : set of ast.AST
        Nodes where a list is allowed.
    values : dict
        {node: value} of nodes with no array in them.
    """

    def __init__(self, text: str, variables: Collection[str]) -> None:
        self.text = text
        self.variables = variables
        self.functions: set[ast.AST] = set()
        self.arguments: set[ast.AST] = set()
        self.values: dict[ast.AST, Any] = {}

    def check(self, tree: ast.Expression) -> None:
        levels = self._checked_levels(tree)
        for level in reversed(levels):
            for node in level:
                self._compute(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript):
                self._check_subscript(node)
        check_elementwise(levels, self.variables, self.refusal)

    def _checked_levels(self, tree: ast.Expression) -> list[Sequence[ast.AST]]:
        """Return the whole, its parts, their parts and so on."""
        levels: list[Sequence[ast.AST]] = []
        level: list[ast.AST] = [tree.body]
        while level:
            levels.append(level)
            if len(levels) > DEEPEST:
                raise BadInput(f"nested more than {DEEPEST} levels deep")
            for node in level:
                self._check_node(node)
            level = list(itertools.chain.from_iterable(map(ast.iter_child_nodes, level)))
        return levels

    def refusal(self, node: ast.AST, why: str) -> BadInput:
        """Return the exception that names a part of the text."""
        part = ast.get_source_segment(self.text, node)
        if not part or part == self.text:
            return BadInput(why)
        return BadInput(f"{shortened(part)}: {why}")

    def _check_node(self, node: ast.AST) -> None:
        """Check what can be said before the nodes below are looked at."""
        match node:
            case ast.Name():
                self._check_name(node)
            case ast.Call():
                self._check_call(node)
            case ast.Constant():
                self._check_constant(node)
            case ast.Compare(ops=[_, _, *_]):
                why = "comparisons can't be chained on arrays; write (a < b) & (b < c)"
                raise self.refusal(node, why)
            case ast.Compare(ops=[symbol]) | ast.UnaryOp(op=symbol) | ast.BinOp(op=symbol):
                self._check_operator(node, type(symbol))
            case ast.Tuple() | ast.List() if node in self.arguments:
                self.arguments.update(node.elts)
            case ast.Subscript():
                self.arguments.add(node.slice)
            case _ if not isinstance(node, _HARMLESS):
                why = _HINTS.get(type(node), "this is not allowed in an expression")
                raise self.refusal(node, why)

    def _check_constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            raise self.refusal(node, "text is not allowed")
        if type(node.value) not in (int, float, complex, bool):
            raise self.refusal(node, "not a number")
        if isinstance(node.value, (float, complex)) and not cmath.isfinite(node.value):
            raise self.refusal(node, "beyond the range of doubles, 1.8e308; for infinity write inf")

    def _check_operator(self, node: ast.AST, symbol: type) -> None:
        if symbol not in _OPERATORS:
            raise self.refusal(node, _HINTS.get(symbol, "this comparison is not allowed"))

    def _check_name(self, node: ast.Name) -> None:
        name = node.id
        if node in self.functions or name in self.variables or name in CONSTANTS:
            return
        if name in FUNCTIONS:
            raise self.refusal(node, f"a function; write {name}(…)")
        hint = _elsewhere(name) or did_you_mean(name, {*self.variables, *ARITHMETIC_NAMES})
        if not hint:
            hint = f"; its variables are {listed(self.variables)}"
        raise BadInput(f"there is no {name!r}{hint}")

    def _check_call(self, node: ast.Call) -> None:
        name = self._function_called(node)
        fewest, most = ARITIES[name]
        if not fewest <= len(node.args) <= most:
            raise self.refusal(node, _wrong_count(name, len(node.args)))
        self.functions.add(node.func)
        self.arguments.update(node.args)
        for keyword in node.keywords:
            self._check_keyword(keyword)

    def _function_called(self, node: ast.Call) -> str:
        """Return the name of the function of a call. Raises BadInput."""
        function = node.func
        if isinstance(function, ast.Attribute):
            raise self.refusal(function, _attribute_hint(function, self.variables))
        if not isinstance(function, ast.Name):
            raise self.refusal(node, _CANNOT_BE_CALLED)
        name = function.id
        if name in self.variables or name in CONSTANTS:
            raise self.refusal(node, _CANNOT_BE_CALLED)
        if name in FUNCTIONS:
            return name
        if name in _OF_WHOLE_ARRAYS:
            raise BadInput(f"there is no function {name!r}; {instead_of(name)}")
        hint = _elsewhere(name) or did_you_mean(name, FUNCTIONS)
        raise BadInput(f"there is no function {name!r}{hint}")

    def _check_keyword(self, keyword: ast.keyword) -> None:
        value = keyword.value
        if keyword.arg not in KEYWORDS:
            raise self.refusal(keyword, f"arguments that have names are {', '.join(KEYWORDS)}")
        if keyword.arg == "dtype":
            is_type = isinstance(value, ast.Name) and value.id in TYPES
            if not is_type:
                raise self.refusal(keyword, f"dtype is one of {', '.join(TYPES)}")
            self.functions.add(value)
        self.arguments.add(value)

    def _compute(self, node: ast.AST) -> None:
        """Note the value of a node with no array in it; the nodes below have been computed."""
        match node:
            case ast.Constant(value):
                self.values[node] = self._bounded(node, value)
            case ast.Name(name) if name in CONSTANTS and name not in self.variables:
                self.values[node] = CONSTANTS[name]
            case ast.UnaryOp(symbol, operand):
                self._compute_of(node, symbol, operand)
            case ast.BinOp(left, symbol, right) | ast.Compare(left, [symbol], [right]):
                self._compute_of(node, symbol, left, right)

    def _compute_of(
        self,
        node: ast.AST,
        symbol: ast.AST,
        *operands: ast.AST,
    ) -> None:
        values = []
        for operand in operands:
            if operand not in self.values:
                return
            values.append(self.values[operand])
        self.values[node] = self._computed(node, symbol, values)

    def _computed(
        self,
        node: ast.AST,
        symbol: ast.AST,
        values: list[Any],
    ) -> Any:
        """Return what Python gives for numbers, if that is no problem."""
        if all(isinstance(value, int) for value in values):
            self._check_whole(node, symbol, values)
        compute = _OPERATORS[type(symbol)]
        try:
            return self._bounded(node, compute(*values))
        except BadInput:
            raise
        except (ArithmeticError, TypeError, ValueError) as error:
            raise self.refusal(node, one_line(error)) from None

    def _check_whole(
        self,
        node: ast.AST,
        symbol: ast.AST,
        values: Sequence[int],
    ) -> None:
        """Refuse, before it is computed, what would take long or means something else."""
        match symbol, values:
            case ast.Pow(), (base, power) if _is_large_power(base, power):
                raise self.refusal(node, f"{_TOO_LONG}; {_WITH_POINT}")
            case ast.LShift(), (_, shift) if shift > 64:
                raise self.refusal(node, _TOO_LONG)
            case ast.Invert(), (bool(),):
                raise self.refusal(node, "~ is for arrays; write True or False")

    def _bounded(self, node: ast.AST, value: Any) -> Any:
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise self.refusal(node, f"{_TOO_LONG}; {_WITH_POINT}")
        return value

    def _check_subscript(self, node: ast.Subscript) -> None:
        """Check that an index is whole numbers: arrays could make large arrays of small ones."""
        if node.value in self.values:
            raise self.refusal(node, "a number has no elements")
        for index in _indices_of(node.slice):
            if type(self.values.get(index)) is not int:
                raise self.refusal(
                    node,
                    "an index is a whole number or a slice;"
                    " to choose, write where(condition, a, b)",
                )


def _elsewhere(name: str) -> str:
    """Return what to write for a name that is used elsewhere, or nothing."""
    return f"; write {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""


def _is_large_power(base: int, power: int) -> bool:
    """Return whether a power surely has more than 64 bits."""
    return power > 0 and abs(base) > 1 and power * base.bit_length() > 128


def _indices_of(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what is in [], and in the slices there."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    for part in parts:
        if isinstance(part, ast.Slice):
            yield from filter(None, (part.lower, part.upper, part.step))
        else:
            yield part
