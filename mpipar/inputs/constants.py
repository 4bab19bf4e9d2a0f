"""Numbers in a function of which its special places may be made."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator
from types import CodeType

import numpy as np

from mpipar.inputs.common import Function
from mpipar.inputs.expression import Expression

_MOST_CONSTANTS = 40
_MOST_WITH_PI = 8
_LARGEST = 1e300


def constants_of(f: Function) -> Iterator[float]:
    """Yield numbers that a function's special places may be made of, each once."""
    finite = filter(math.isfinite, _numbers_of(f))
    own = list(dict.fromkeys(finite))[:_MOST_CONSTANTS]
    seen: set[float] = set()
    for number in (*own, *_made_of(own)):
        for signed in (number, -number):
            if signed not in seen:
                seen.add(signed)
                yield signed


def _made_of(own: list[float]) -> Iterator[float]:
    """Yield roots of linear and quadratic terms with these coefficients."""
    yield from (0.0, 1.0)
    for number in own:
        yield math.sqrt(abs(number))
    for one, other in itertools.product(own, own):
        if other:
            yield one / other
    first = own[:_MOST_WITH_PI]
    for one, other in itertools.product((*first, 1.0), (*first, 1.0, 2.0)):
        if other:
            yield one * math.pi / other


def _numbers_of(f: Function) -> Iterator[float]:
    if isinstance(f, Expression):
        yield from _numbers_in(f)
    else:
        yield from _numbers_in_code(getattr(f, "__code__", None))


def _numbers_in_code(code: object) -> Iterator[float]:
    """Yield the constants of a function, then those of the functions in it, the last one first."""
    waiting = [code]
    while waiting:
        code = waiting.pop()
        if not isinstance(code, CodeType):
            continue
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for constant in code.co_consts:
            if isinstance(constant, (int, float)) and abs(constant) < _LARGEST:
                yield float(constant)


def _numbers_in(f: Expression) -> Iterator[float]:
    """Yield the values of all parts of a formula that have no variable."""
    for part in ast.walk(ast.parse(f.text, mode="eval").body):
        if not isinstance(part, ast.expr) or _has_variable(part, f.variables):
            continue
        try:
            expression = Expression(ast.unparse(part), ())
            value = np.asarray(expression())
        except Exception:  # a name alone, of a function perhaps
            continue
        if value.ndim == 0 and value.dtype.kind in "iuf":
            yield float(value)


def _has_variable(part: ast.expr, variables: tuple[str, ...]) -> bool:
    names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
    return not names.isdisjoint(variables)
