"""Checks that a formula has a value for each item alone, whatever else is in its block.

A formula is evaluated for the items of a block at once, and blocks have any size. What mixes items,
as ``sum(x)`` and ``x[0]`` do, would depend on how many are in a block. So each part of a formula is
one of four things: a number, a value for each item, a list of numbers, or a list of values for each
item, whose first axis is the list; and what would take the items of a block together is refused.
Functions that are not in the tables here are refused.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable, Collection, Sequence

from mpipar.base.errors import BadInput
from mpipar.inputs.arithmetic import ELEMENTWISE, REDUCTIONS, RUNNING

Refusal = Callable[[ast.AST, str], BadInput]
_Parts = Sequence[ast.expr]


class Kind(enum.Enum):
    """What a part of a formula is."""

    NUMBER = enum.auto()
    ITEMS = enum.auto()
    NUMBERS = enum.auto()
    LISTS = enum.auto()


_OF_ITEMS = (Kind.ITEMS, Kind.LISTS)
_WHY = (
    "a formula is evaluated for each item alone,"
    " and {} takes together those that happen to be in one block"
)

_INSTEAD = {
    "max": "; for the larger of two write maximum(a, b)",
    "min": "; for the smaller of two write minimum(a, b)",
    "sum": "; to add write a + b, or sum([a, b], axis=0)",
    "prod": "; to multiply write a * b",
    "mean": "; for the mean of two write (a + b) / 2",
    "median": "; for that of a few values of one item write median([a, b, c], axis=0)",
    "any": "; for one of two conditions write a | b",
    "all": "; for both of two conditions write a & b",
    "sort": "; for a few values of one item write sort([a, b], axis=0)",
    "argmax": "; for a few values of one item write argmax([a, b], axis=0)",
    "argmin": "; for a few values of one item write argmin([a, b], axis=0)",
    "dot": "; to multiply write a * b",
    "@": "; to multiply write a * b",
}


def instead_of(name: str) -> str:
    """Return why a function, or @, can't be had, and what to write."""
    return _WHY.format(name) + _INSTEAD.get(name, "")


def check_elementwise(
    levels: Sequence[Sequence[ast.AST]],
    variables: Collection[str],
    refusal: Refusal,
) -> None:
    """Raise BadInput unless the formula has one value for each item, and that of it alone.

    Parameters
    ----------
    levels : sequence of sequence of ast.AST
        The nodes of the formula, whose syntax has been checked: the whole, its parts, their parts
        and so on.
    variables : collection of str
        Names with a value for each item.
    refusal : callable
        Makes the exception from a part and a reason.
    """
    kinds = _Kinds(variables, refusal)
    for level in reversed(levels):
        for node in level:
            kinds.note(node)
    [whole] = levels[0]
    if kinds.of[whole] in (Kind.LISTS, Kind.NUMBERS):
        raise refusal(whole, "expected one value for each item, not a list of values")


class _Kinds:
    """Finds out what each part is; the parts of a part come before it."""

    def __init__(self, variables: Collection[str], refusal: Refusal) -> None:
        self.variables = variables
        self.refusal = refusal
        self.of: dict[ast.AST, Kind] = {}

    def note(self, node: ast.AST) -> None:
        """Find out what a part is. Raises BadInput."""
        kind = self._kind(node)
        if kind is not None:
            self.of[node] = kind

    def _kind(self, node: ast.AST) -> Kind | None:
        """Return what a part is; of an operator or a keyword, None."""
        match node:
            case ast.Constant():
                return Kind.NUMBER
            case ast.Name(name):
                return Kind.ITEMS if name in self.variables else Kind.NUMBER
            case ast.Tuple(elements) | ast.List(elements):
                return self._list(node, elements)
            case ast.BinOp(left, ast.MatMult(), right):
                self._check_numbers(node, "@", [left, right])
                return Kind.NUMBER
            case ast.UnaryOp(_, operand):
                return self.of[operand]
            case ast.BinOp(left, _, right) | ast.Compare(left, _, [right]):
                return self._together(node, [left, right])
            case ast.Subscript(value):
                return self._element(node, self.of[value])
            case ast.Call(ast.Name(name), arguments):
                return self._called(node, name, arguments)
        return None

    def _list(self, node: ast.AST, elements: _Parts) -> Kind:
        kinds = {self.of[element] for element in elements if element in self.of}
        if kinds <= {Kind.NUMBER}:
            return Kind.NUMBERS
        if kinds == {Kind.ITEMS}:
            return Kind.LISTS
        if kinds == {Kind.NUMBER, Kind.ITEMS}:
            raise self.refusal(node, "numbers and values of items in one list; write 0*x + 1 for 1")
        raise self.refusal(node, "a list in a list is not allowed")

    def _together(self, node: ast.AST, parts: _Parts) -> Kind:
        """Return what is made element by element."""
        kinds = self._kinds_of(parts)
        if Kind.NUMBERS in kinds and kinds & {Kind.ITEMS, Kind.LISTS}:
            why = "a list of numbers together with values of items: which would belong to which?"
            raise self.refusal(node, why)
        for kind in (Kind.LISTS, Kind.NUMBERS, Kind.ITEMS):
            if kind in kinds:
                return kind
        return Kind.NUMBER

    def _check_numbers(
        self,
        node: ast.AST,
        name: str,
        parts: _Parts,
    ) -> None:
        """Refuse values of items, where a function may have numbers alone."""
        if not self._kinds_of(parts).isdisjoint(_OF_ITEMS):
            raise self.refusal(node, instead_of(name))

    def _kinds_of(self, parts: _Parts) -> set[Kind]:
        return {self.of[part] for part in parts}

    def _element(self, node: ast.Subscript, kind: Kind) -> Kind:
        if kind is Kind.ITEMS:
            raise self.refusal(node, instead_of("an index"))
        index = node.slice
        if isinstance(index, ast.Tuple):
            if len(index.elts) > 1:
                raise self.refusal(node, "a list has one index")
            index = index.elts[0]
        if isinstance(index, ast.Slice):
            if _is_zero(index.step):
                raise self.refusal(node, "the step of a slice can't be 0")
            return kind
        return _element_of(kind)

    def _called(
        self,
        node: ast.Call,
        name: str,
        arguments: _Parts,
    ) -> Kind:
        if name in REDUCTIONS or name in RUNNING:
            return self._reduced(node, name, arguments)
        if name == "polyval":
            return self._polynomial(node, *arguments)
        if name == "interp":
            self._check_numbers(node, name, arguments[1:])
            return self.of[arguments[0]]
        if name not in ELEMENTWISE:
            self._check_numbers(node, name, arguments)
            return Kind.NUMBER
        parts = list(arguments)
        for keyword in node.keywords:
            if keyword.arg not in ("dtype", "axis"):
                parts.append(keyword.value)
        return self._together(node, parts)

    def _polynomial(
        self,
        node: ast.AST,
        coefficients: ast.expr,
        x: ast.expr,
    ) -> Kind:
        kind = self.of[coefficients]
        if kind is Kind.ITEMS:
            hint = "; its coefficients are a list, as in polyval([2, 1], x)"
            raise self.refusal(node, instead_of("polyval") + hint)
        if kind is not Kind.LISTS:
            return self.of[x]
        if self.of[x] is not Kind.LISTS:
            return Kind.ITEMS
        return self._together(node, [coefficients, x])

    def _reduced(
        self,
        node: ast.Call,
        name: str,
        arguments: _Parts,
    ) -> Kind:
        """Return what is left of an argument along its first axis."""
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        axis = arguments[1] if len(arguments) > 1 else named.get("axis")
        kind = self.of[arguments[0]]
        if kind is Kind.ITEMS:
            if not _is_of_one_item(axis):
                raise self.refusal(node, instead_of(name))
            return kind
        self._check_numbers(node, name, arguments[1:])
        if kind is Kind.LISTS and not _is_zero(axis):
            raise self.refusal(node, f"{instead_of(name)}; of a list of values write axis=0")
        if name in RUNNING or "keepdims" in named:
            return kind
        return _element_of(kind)


def _element_of(kind: Kind) -> Kind:
    """Return what an element of a list is; a number stays one."""
    if kind is Kind.LISTS:
        return Kind.ITEMS
    return Kind.NUMBER


def _is_of_one_item(axis: ast.AST | None) -> bool:
    """Return whether an axis, counted from the first, is one that items of several numbers have."""
    number = _whole_number(axis)
    return number is not None and number >= 1


def _is_zero(node: ast.AST | None) -> bool:
    return _whole_number(node) == 0


def _whole_number(node: ast.AST | None) -> int | None:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None
