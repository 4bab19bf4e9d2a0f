"""Compiled code that gives what plain Python does, or refuses: passes of Numba's compiler over a
user's function.

Before types are known, operators are replaced by those of
:mod:`mpipar.runtime.checked_numbers`. After it those that have nothing to do with whole numbers are
put back, and the rest is checked (:mod:`mpipar.runtime.checked_types`).
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core import ir
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import mk_unique_var
from numba.core.typed_passes import NativeLowering, PreLowerStripPhis
from numba.core.untyped_passes import LiteralPropagationSubPipelinePass, MakeFunctionToJitFunction

from mpipar.base.overriding import override
from mpipar.runtime import checked_instructions  # noqa: F401  it has the operators' machine code
from mpipar.runtime import checked_numbers as checked
from mpipar.runtime.checked_recursion import RecursiveLowering
from mpipar.runtime.checked_types import Checking, binary, unary
from mpipar.runtime.refusals import refused, too_large


@register_pass(mutates_CFG=False, analysis_only=True)
class NoInnerFunctions(FunctionPass):
    """Refuse functions within a function that aren't a part of it by now: nobody checks them."""

    _name = "mpipar_no_inner_functions"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    @override
    def run_pass(self, state: Any) -> bool:
        for block in state.func_ir.blocks.values():
            for expression in block.find_exprs(op="make_function"):
                raise refused("compiled code has no functions within functions", expression.loc)
        return False


@register_pass(mutates_CFG=False, analysis_only=False)
class StandIns(FunctionPass):
    """Put checked operators into a function."""

    _name = "mpipar_stand_ins"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    @override
    def run_pass(self, state: Any) -> bool:
        for block in state.func_ir.blocks.values():
            body: list[Any] = []
            for statement in block.body:
                body += _with_stand_ins(state.func_ir, statement, block.scope)
            block.body = body
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class Checks(FunctionPass):
    """Put checks into a function whose types are known, and refuse what they can't be for."""

    _name = "mpipar_checks"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    @override
    def run_pass(self, state: Any) -> bool:
        Checking(state, lambda function: function in _SUMS).run()
        return True


class CheckedCompiler(CompilerBase):
    """Numba's compiler, with these passes."""

    @override
    def define_pipelines(self) -> Any:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        names = [each for each, _ in passes.passes]
        before = names[names.index(MakeFunctionToJitFunction) - 1]
        passes.add_pass_after(NoInnerFunctions, before)
        passes.add_pass_after(StandIns, LiteralPropagationSubPipelinePass)
        passes.add_pass_after(Checks, PreLowerStripPhis)
        lowering = next(names for names in passes.passes if names[0] is NativeLowering)
        place = passes.passes.index(lowering)
        passes.passes[place] = (RecursiveLowering, lowering[1])
        passes.finalize()
        return [passes]


def _with_stand_ins(func_ir: Any, statement: Any, scope: Any) -> Iterator[Any]:
    """Yield what goes before a statement, and it, as it is from now on."""
    value = getattr(statement, "value", None)
    if isinstance(value, (ir.Const, ir.Global, ir.FreeVar)):
        _refuse_large(value.value, statement.loc)
    elif isinstance(value, ir.Expr) and isinstance(statement, ir.Assign):
        if value.op == "call":
            yield from _call_with_stand_ins(func_ir, statement, scope)
        else:
            _put_stand_in(func_ir, value)
    yield statement


def _put_stand_in(func_ir: Any, value: Any) -> None:
    """Put a checked operator in place of one of Python's."""
    if value.op == "binop":
        value.fn = checked.BINARY.get(value.fn, value.fn)
    elif value.op == "unary":
        value.fn = checked.UNARY.get(value.fn, value.fn)
    elif value.op == "inplace_binop":
        value.fn = checked.IN_PLACE.get(value.fn, value.fn)
        value.immutable_fn = checked.BINARY.get(value.immutable_fn, value.immutable_fn)
    elif value.op == "getattr":
        module = _value_of(func_ir, value.value)
        if isinstance(module, type(builtins)):
            _refuse_large(getattr(module, value.attr, None), value.loc)


def _call_with_stand_ins(func_ir: Any, statement: Any, scope: Any) -> Iterator[Any]:
    """Put what is checked in place of a call of a function of Python's own; yield what goes before
    it.
    """
    call = statement.value
    if call.kws or call.vararg:
        return
    called = _value_of(func_ir, call.func)
    before: list[Any] = []

    def assigned(name: str, value: Any) -> Any:
        variable = ir.Var(scope, mk_unique_var(name), call.loc)
        func_ir._definitions[variable.name] = [value]
        before.append(ir.Assign(value, variable, call.loc))
        return variable

    if called is range:
        bounds = [unary(checked.short, argument, call.loc) for argument in call.args]
        call.args = tuple(assigned("$bound", bound) for bound in bounds)
    elif called is sum:
        function = ir.Global("sum", _summing(len(call.args)), call.loc)
        call.func = assigned("$sum", function)
    else:
        statement.value = _operator_for(called, call)
    yield from before


def _operator_for(called: Any, call: Any) -> Any:
    """Return the operator that is in place of a call, or that."""
    arguments = list(call.args)
    if called is pow and len(arguments) == 2:
        base, exponent = arguments
        return binary(checked.BINARY[operator.pow], base, exponent, call.loc)
    if called not in (int, abs) or len(arguments) != 1:
        return call
    if called is int:
        return unary(checked.as_whole, arguments[0], call.loc)
    return unary(checked.UNARY[abs], arguments[0], call.loc, call)


def _value_of(func_ir: Any, variable: Any) -> Any:
    """Return what a variable stands for, if that is known before the function runs."""
    for definition in func_ir._definitions[variable.name]:
        if isinstance(definition, (ir.Global, ir.FreeVar, ir.Const)):
            return definition.value
    return None


def _refuse_large(value: Any, loc: Any) -> None:
    """Refuse numbers that have no 64 bits."""
    if isinstance(value, tuple):
        for item in value:
            _refuse_large(item, loc)
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise too_large(value, loc)


def _sum(items: Any) -> Any:
    total = 0
    for item in items:
        total = total + item
    return total


def _sum_from(items: Any, start: Any) -> Any:
    total = start
    for item in items:
        total = total + item
    return total


_SUMS = (_sum, _sum_from)


def _summing(count: int) -> Callable[..., Any]:
    """Return what stands for ``sum`` in calls with so many arguments."""
    function = _sum if count == 1 else _sum_from
    made: Callable[..., Any] = numba.njit(pipeline_class=CheckedCompiler, nogil=True)(function)
    return made
