"""Checks in a function whose types Numba knows: what else than in plain Python could come out is
refused, or raises when it happens.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

from numba.core import ir, types
from numba.core.ir_utils import mk_unique_var

from mpipar.runtime import checked_numbers as checked
from mpipar.runtime import refusals
from mpipar.runtime.refusals import refused

ORIGINALS = {
    key: of
    for table in (checked.BINARY, checked.IN_PLACE, checked.UNARY)
    for of, key in table.items()
}
"""For each checked operator that of Python's."""

_OF_CONDITIONS = (operator.and_, operator.or_, operator.xor)
_COMPARISONS = (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge)
_TO_WHOLE = (math.floor, math.ceil, math.trunc, round)
_TRUE_DIVISIONS = (operator.truediv, operator.itruediv)


def unary(key: Any, value: Any, loc: Any, replaced: Any = None) -> Any:
    """Return the expression of an operator with one operand, in place of a call."""
    return ir.Expr(op="unary", loc=loc, fn=key, value=value, replaced=replaced)


def binary(key: Any, left: Any, right: Any, loc: Any) -> Any:
    """Return the expression of an operator with two operands."""
    return ir.Expr(
        op="binop",
        loc=loc,
        fn=key,
        lhs=left,
        rhs=right,
        static_lhs=ir.UNDEFINED,
        static_rhs=ir.UNDEFINED,
    )


class Checking:
    """One function, whose statements are gone through.

    Parameters
    ----------
    state
        Numba's, of the function that it compiles.
    is_summing : callable
        Whether a function of Python's is what stands for ``sum``.
    """

    def __init__(self, state: Any, is_summing: Any) -> None:
        self._typemap = state.typemap
        self._calltypes = state.calltypes
        self._context = state.typingctx
        self._returned = state.return_type
        self._ir = state.func_ir
        self._is_summing = is_summing
        self._scope: Any = None
        self._before: list[Any] = []
        self._after: list[Any] = []

    def run(self) -> None:
        """Put the checks in. Raises Refused."""
        for block in self._ir.blocks.values():
            self._scope = block.scope
            body: list[Any] = []
            for statement in block.body:
                self._before = []
                self._after = []
                self._visit(statement)
                body += [*self._before, statement, *self._after]
            block.body = body

    def _type(self, variable: Any) -> Any:
        return self._typemap[variable.name]

    def _visit(self, statement: Any) -> None:
        if isinstance(statement, ir.Return):
            statement.value = self._converted(statement.value, self._returned, statement.loc)
        elif isinstance(statement, (ir.SetItem, ir.StaticSetItem)):
            self._visit_store(statement)
        elif isinstance(statement, ir.Assign):
            self._visit_assignment(statement)

    def _visit_assignment(self, statement: Any) -> None:
        value = statement.value
        if isinstance(value, ir.Var):
            statement.value = self._converted(value, self._type(statement.target), statement.loc)
        elif isinstance(value, (ir.Const, ir.Global, ir.FreeVar)):
            self._visit_constant(statement)
        elif isinstance(value, ir.Expr):
            visit = getattr(self, f"_visit_{value.op}", None)
            if visit is not None:
                visit(statement, value)
            self._visit_result(statement)

    def _refuse(self, reason: str, loc: Any) -> None:
        """Raise Refused if there is a reason."""
        if reason:
            raise refused(reason, loc)

    def _visit_null(self, statement: Any, expression: Any) -> None:
        name = statement.target.unversioned_name
        if not name.startswith("$"):
            told = f"{name} may have no value where it is used: give it one before"
            raise refused(told, statement.loc)

    # Constants

    def _visit_constant(self, statement: Any) -> None:
        """Refuse numbers that np.uint64 alone holds, but beside such."""
        value = statement.value.value
        if not isinstance(value, int):
            return
        kind = self._type(statement.target)
        if isinstance(kind, types.Float) and abs(value) > checked.EXACT:
            raise refused(checked.NOT_EXACT, statement.loc)
        if value < 2**63:
            return
        if not all(map(self._takes_large, self._uses(statement.target))):
            raise refusals.too_large(value, statement.loc)

    def _uses(self, variable: Any) -> Iterator[Any]:
        for block in self._ir.blocks.values():
            for statement in block.body:
                is_end = isinstance(statement, ir.Del)
                is_own = getattr(statement, "target", None) is variable
                if is_end or is_own:
                    continue
                if variable.name in {other.name for other in statement.list_vars()}:
                    yield statement

    def _takes_large(self, statement: Any) -> bool:
        value = getattr(statement, "value", None)
        if not isinstance(value, ir.Expr):
            return False
        if value.op == "call":
            function = self._type(value.func)
            is_class = isinstance(function, types.NumberClass)
            return is_class and function.instance_type == types.uint64
        if value.op not in ("binop", "inplace_binop"):
            return False
        operands = [self._type(operand) for operand in (value.lhs, value.rhs)]
        others = [kind for kind in operands if checked.literal(kind) is None]
        return len(others) == 1 and checked.is_wide_unsigned(others[0])

    # Operators

    def _visit_binop(self, statement: Any, expression: Any) -> None:
        operands = [self._type(expression.lhs), self._type(expression.rhs)]
        of = self._plain_operator(expression)
        self._refuse(_of_kinds(operands), statement.loc)
        if checked.are_whole(operands) and of in checked.BINARY:
            self._visit_whole(expression, of, operands)
            return
        self._refuse(refusals.of_small_numbers(operands), statement.loc)
        if all(isinstance(kind, types.Boolean) for kind in operands) and of in checked.BINARY:
            self._refuse(
                "" if of in _OF_CONDITIONS else "conditions are added as int(…)", statement.loc
            )
        self._put_back(expression)
        is_comparison = of in _COMPARISONS and any(isinstance(k, types.Float) for k in operands)
        if is_comparison or of in _TRUE_DIVISIONS:
            expression.lhs = self._exact(expression.lhs, expression.loc)
            expression.rhs = self._exact(expression.rhs, expression.loc)
        if of is operator.pow and self._type(statement.target) == types.float64:
            self._check_float(statement, [expression.lhs, expression.rhs])

    _visit_inplace_binop = _visit_binop

    def _plain_operator(self, expression: Any) -> Any:
        """Return the operator of Python's that isn't in place."""
        key = expression.fn
        if expression.op == "inplace_binop":
            key = expression.immutable_fn
        return ORIGINALS.get(key, key)

    def _visit_whole(self, expression: Any, of: Any, operands: Any) -> None:
        for kind in operands:
            value = checked.literal(kind) or 0
            is_beside_unsigned = any(map(checked.is_wide_unsigned, map(types.unliteral, operands)))
            if value >= 2**63 and not is_beside_unsigned:
                raise refusals.too_large(value, expression.loc)
        if checked.result_of(of, *operands) is None:
            raise refused(refusals.of_whole_numbers(of, operands), expression.loc)

    def _put_back(self, expression: Any) -> None:
        expression.fn = ORIGINALS.get(expression.fn, expression.fn)
        if expression.op == "inplace_binop":
            key = expression.immutable_fn
            expression.immutable_fn = ORIGINALS.get(key, key)

    def _visit_unary(self, statement: Any, expression: Any) -> None:
        of = ORIGINALS.get(expression.fn)
        if of is None:
            return
        kind = self._type(expression.value)
        if isinstance(kind, types.Boolean):
            raise refused("a condition is no number: write int(…) around it", statement.loc)
        if isinstance(kind, types.Integer):
            return
        if of is not abs:
            expression.fn = of
            return
        call = expression.replaced
        self._calltypes[call] = self._calltypes.pop(expression)
        statement.value = call

    # Calls

    def _visit_call(self, statement: Any, call: Any) -> None:
        function = self._type(call.func)
        if isinstance(function, types.NumberClass):
            self._visit_cast(call, function.instance_type)
            return
        result = self._calltypes[call].return_type
        if isinstance(function, types.Dispatcher):
            if self._is_summing(function.dispatcher.py_func):
                self._refuse(refusals.of_sum(result), call.loc)
            return
        key = getattr(function, "typing_key", None)
        kinds = [self._type(argument) for argument in call.args]
        self._refuse(refusals.of_call(key, function, call), call.loc)
        if isinstance(function, types.Function):
            self._refuse(refusals.of_arguments(key, kinds, result), call.loc)
        self._check_call(statement, call, key, kinds)

    def _check_call(self, statement: Any, call: Any, key: Any, kinds: Any) -> None:
        """Check what goes into functions, and what comes out of them."""
        if key in _TO_WHOLE:
            self._guard_arguments(call, types.Float, checked.FITTING[types.int64])
        elif key in (divmod, math.gcd):
            self._guard_arguments(call, types.Integer, checked.negatable)
        elif key in (min, max):
            self._refuse(refusals.of_extreme(kinds), call.loc)
            if any(isinstance(kind, types.Float) for kind in kinds):
                call.args = tuple(self._exact(argument, call.loc) for argument in call.args)
        elif getattr(key, "__module__", "") in refusals.MATH:
            self._visit_math(statement, call)

    def _visit_cast(self, call: Any, to: Any) -> None:
        """Check a number that becomes one of NumPy's."""
        key = checked.FITTING.get(to)
        if key is not None and len(call.args) == 1:
            call.args = (self._fitting(call.args[0], key, call.loc),)

    def _visit_math(self, statement: Any, call: Any) -> None:
        """Have a function of Python's math raise where it does there."""
        kind = self._calltypes[call].return_type
        if isinstance(kind, types.Complex):
            raise refused("functions of cmath aren't checked in compiled code", call.loc)
        if kind == types.float64 and len(call.args) <= 2:
            self._check_float(statement, call.args)

    def _guard_arguments(self, call: Any, kind: Any, key: Any) -> None:
        arguments = list(call.args)
        for number, argument in enumerate(arguments):
            if isinstance(self._type(argument), kind):
                arguments[number] = self._guarded(argument, key, call.loc)
        call.args = tuple(arguments)

    # What else there is

    def _visit_getiter(self, statement: Any, expression: Any) -> None:
        if isinstance(self._type(expression.value), types.Set):
            raise refused("a set has another order in compiled code", statement.loc)

    def _visit_store(self, statement: Any) -> None:
        """Check a number that is put into an array."""
        target = self._type(statement.target)
        if not isinstance(target, types.Array):
            return
        key = checked.FITTING.get(target.dtype)
        if key is not None and self._type(statement.value) != target.dtype:
            statement.value = self._fitting(statement.value, key, statement.loc)

    def _visit_result(self, statement: Any) -> None:
        """Check what an operation gives where its variable is of another type."""
        sig = None
        if isinstance(statement.value, ir.Expr):
            sig = self._calltypes.get(statement.value)
        if sig is None or not isinstance(sig.return_type, types.Number):
            return
        target = self._type(statement.target)
        if types.unliteral(sig.return_type) == types.unliteral(target):
            return
        variable = self._variable(sig.return_type, statement.loc)
        final = statement.target
        statement.target = variable
        converted = self._converted(variable, target, statement.loc, self._after)
        self._after.append(ir.Assign(converted, final, statement.loc))

    def _converted(self, value: Any, target: Any, loc: Any, where: Any = None) -> Any:
        """Return a variable as one of another type takes it. Raises Refused."""
        kind = self._type(value)
        number = checked.literal(kind)
        is_exact = number is not None and abs(number) <= checked.EXACT
        if is_exact or types.unliteral(kind) == types.unliteral(target):
            return value
        self._refuse(refusals.of_conversion(kind, target), loc)
        if isinstance(target, types.Float):
            return self._exact(value, loc, where)
        return value

    # Statements that are made

    def _variable(self, kind: Any, loc: Any) -> Any:
        variable = ir.Var(self._scope, mk_unique_var("$checked"), loc)
        self._typemap[variable.name] = kind
        return variable

    def _exact(self, value: Any, loc: Any, where: Any = None) -> Any:
        """Return a whole number, once it is known to be a double; all else as it is."""
        kind = self._type(value)
        if not isinstance(kind, types.Integer) or kind.bitwidth < 64:
            return value
        number = checked.literal(kind)
        if number is not None and abs(number) <= checked.EXACT:
            return value
        return self._guarded(value, checked.exactly, loc, where)

    def _fitting(self, value: Any, key: Any, loc: Any) -> Any:
        """Return what may be a number of Python's, once NumPy's type is known to hold it."""
        kind = types.unliteral(self._type(value))
        if kind == checked.WHOLE or isinstance(kind, types.Float):
            return self._guarded(value, key, loc)
        return value

    def _guarded(self, value: Any, key: Any, loc: Any, where: Any = None) -> Any:
        """Return a variable that has what another one has, once checked."""
        kind = types.unliteral(self._type(value))
        statements = self._before if where is None else where
        return self._made(unary(key, value, loc), [kind], kind, statements)

    def _made(self, expression: Any, kinds: Any, result: Any, statements: Any) -> Any:
        """Return the variable of an expression, whose statement is put among others."""
        variable = self._variable(result, expression.loc)
        self._calltypes[expression] = checked.types_of(self._context, expression.fn, kinds)
        statements.append(ir.Assign(expression, variable, expression.loc))
        return variable

    def _check_float(self, statement: Any, operands: Any) -> None:
        """Have a float be finite where operands are."""
        kind = types.float64
        loc = statement.loc
        final = statement.target
        raw = statement.target = self._variable(kind, loc)
        given, *more = [self._as_float(operand, loc) for operand in operands]
        for other in more:
            both = binary(checked.of_both, given, other, loc)
            given = self._made(both, [kind, kind], kind, self._after)
        proper = binary(checked.proper, raw, given, loc)
        result = self._made(proper, [kind, kind], kind, self._after)
        self._after.append(ir.Assign(result, final, loc))

    def _as_float(self, operand: Any, loc: Any) -> Any:
        if self._type(operand) == types.float64:
            return operand
        variable = self._variable(types.float64, loc)
        self._after.append(ir.Assign(operand, variable, loc))
        return variable


def _of_kinds(operands: Any) -> str:
    """Return why operands of such types are refused, or nothing."""
    if any(isinstance(kind, types.Optional) for kind in operands):
        return "what may be None can't be checked: write it apart"
    if any(isinstance(kind, types.EnumMember) for kind in operands):
        return "members of enums aren't checked: write int(…)"
    return ""
