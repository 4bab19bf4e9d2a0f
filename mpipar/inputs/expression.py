"""Formulas that are given as text, such as ``"exp(-x**2) * sin(3*y)"``.

An expression may use its variables, and those functions and constants of NumPy that are in
:mod:`mpipar.inputs.arithmetic`.
"""

from __future__ import annotations

import ast
import functools
import re
import unicodedata
import warnings
from collections.abc import Sequence
from types import CodeType
from typing import Any

import numpy as np

from mpipar.base.errors import BadInput
from mpipar.base.overriding import override
from mpipar.inputs.arithmetic import ARITIES, CONSTANTS, FUNCTIONS, NOT_FLOATS, TYPES
from mpipar.inputs.careful import CAREFUL_FUNCTIONS, careful
from mpipar.inputs.common import Function, one_line, reason_of, shortened
from mpipar.inputs.function import load_callable
from mpipar.inputs.syntax import check_syntax

LONGEST = 10_000
"""How many characters an expression may have."""

_NAMES: dict[str, Any] = {"__builtins__": {}, **FUNCTIONS, **CONSTANTS}
_CAREFUL_NAMES = {**_NAMES, **CAREFUL_FUNCTIONS}

_SIGNS = {"²": "**2", "³": "**3", "×": "*", "·": "*", "÷": "/", "−": "-", "√": "sqrt(x)"}

# An expression has colons only inside of [], hence none before a name at its end.
_FUNCTION_NAME = re.compile(r".*\S:[^\W\d]\w*(\.[^\W\d]\w*)*")


class Expression:
    """A formula that can be called with NumPy arrays, and be sent to workers.

    Parameters
    ----------
    text : str
        The formula, in Python's syntax for arithmetic, comparisons, calls and indices.
    variables : sequence of str
        Names of the arguments. They hide functions and constants of the same name.

    Attributes
    ----------
    names : tuple of str
        The variables as they are in the tree.

    Raises
    ------
    BadInput
        If it isn't a formula, uses what isn't allowed, or can't be computed whatever the variables.
    """

    def __init__(self, text: str, variables: Sequence[str]) -> None:
        self.text = text.strip()
        self.variables = tuple(variables)
        # As Python does with names: it takes the micro sign and mu for the same.
        self.names = tuple(unicodedata.normalize("NFKC", name) for name in self.variables)
        try:
            self._code = _compiled(self.text, self.names)
        except BadInput as error:
            raise BadInput(f"expression {shortened(self.text)}: {error}") from None

    def __repr__(self) -> str:
        return f"Expression({self.text!r}, {list(self.variables)!r})"

    def __reduce__(self) -> Any:
        return type(self), (self.text, self.variables)

    def __call__(self, *values: Any) -> Any:
        """Return the value for one array or number for each variable.

        Returns
        -------
        ndarray or NumPy scalar
            It has the shape that NumPy gives it: a scalar for the expression ``1``, whatever the
            variables.

        Raises
        ------
        BadInput
            If NumPy can't compute it, or a value isn't numbers.
        TypeError
            If the number of values is not that of the variables.
        """
        return self._computed(_NAMES, np, values)

    def on(self, xp: Any, *values: Any) -> Any:
        """Return the value for arrays of another library, such as CuPy, as an array of that."""
        return self._computed(_names_of(xp), xp, values)

    def tree(self) -> ast.Expression:
        """Return the tree, which has been checked."""
        return _parsed(self.text)

    def _computed(
        self,
        names: dict[str, Any],
        xp: Any,
        values: Sequence[Any],
    ) -> Any:
        if len(values) != len(self.variables):
            raise TypeError(f"{self!r} takes {len(self.variables)} values, got {len(values)}")
        arrays = dict(zip(self.names, map(xp.asarray, values), strict=True))
        if xp is np:
            self._check_numbers(arrays)
            if names is _CAREFUL_NAMES:
                arrays = {name: careful(array) for name, array in arrays.items()}
        try:
            value = xp.asarray(eval(self._code, names, arrays))
            return value[()] if xp is np else value
        except MemoryError:
            raise
        except Exception as error:
            where = f"expression {shortened(self.text)}"
            if isinstance(error, NameError) and error.name in FUNCTIONS:  # not in ``names``
                raise BadInput(f"{where}: there is no {error.name} on GPUs") from None
            raise BadInput(f"{where}: {one_line(error)}") from error

    def _check_numbers(self, arrays: dict[str, Any]) -> None:
        """Raise BadInput for objects, as Python's whole numbers are, which know no limit."""
        for name, array in arrays.items():
            if array.dtype.kind not in "biufc":
                raise BadInput(
                    f"expression {shortened(self.text)}: {name} is not numbers but {array.dtype}"
                )


class CarefulExpression(Expression):
    """An expression that takes care of truth values and whole numbers, which NumPy doesn't: see
    :mod:`mpipar.inputs.careful`.
    """

    def __init__(self, text: str, variables: Sequence[str]) -> None:
        super().__init__(text, variables)
        self._may_be_whole = any(map(_makes_whole, ast.walk(self.tree())))

    @override
    def __call__(self, *values: Any) -> Any:
        if self._may_be_whole or any(np.asarray(value).dtype.kind in "biu" for value in values):
            return self._computed(_CAREFUL_NAMES, np, values)
        return super().__call__(*values)


def _makes_whole(node: ast.AST) -> bool:
    """Return whether a part of a formula may be truth values or whole numbers, of any operands."""
    match node:
        case ast.Name(name):
            return name in NOT_FLOATS
        case ast.Call(_, arguments):
            return any(map(_has_whole_number, arguments))
    return isinstance(node, ast.Compare)


def _has_whole_number(argument: ast.AST) -> bool:
    for node in ast.walk(argument):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return True
    return False


def number_of(node: ast.AST) -> Any:
    """Return what NumPy gives for a part of a tree that has been checked, with no variable in
    it.
    """
    assert isinstance(node, ast.expr)
    code = compile(_TypesByName().visit(ast.Expression(node)), "<expression>", "eval")
    return eval(code, _NAMES)


def _parsed(text: str) -> ast.Expression:
    return ast.parse(text, mode="eval")


def _compiled(text: str, names: Sequence[str]) -> CodeType:
    """Return the code of an expression, if it is one."""
    if not text:
        raise BadInput("there is nothing in it")
    if len(text) > LONGEST:
        raise BadInput(f"longer than {LONGEST} characters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what is refused anyway
        try:
            tree = _parsed(text)
            check_syntax(text, tree, names)
            return compile(_TypesByName().visit(tree), "<expression>", "eval")
        except (RecursionError, MemoryError):
            raise BadInput("nested too deep") from None
        except SyntaxError as error:
            raise BadInput(f"not a formula: {error.msg}{_instead_of(text, error)}") from None
        except UnicodeError as error:
            raise BadInput(f"not a formula: {reason_of(error)}") from None


def _instead_of(text: str, error: SyntaxError) -> str:
    """Return what to write for signs of mathematics that Python hasn't, or nothing."""
    for sign, instead in _SIGNS.items():
        if sign in text:
            return f"; for {sign} write {instead}"
    if error.msg.startswith("invalid decimal literal"):
        return "; to multiply write 2*x"
    return ""


class _TypesByName(ast.NodeTransformer):
    """Writes ``dtype=float64`` as ``dtype="float64"``: the name stands for a function alone."""

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        if node.arg == "dtype" and isinstance(node.value, ast.Name):
            node.value = ast.copy_location(ast.Constant(node.value.id), node.value)
        self.generic_visit(node)
        return node


@functools.cache
def _names_of(xp: Any) -> dict[str, Any]:
    """Return what an expression may use of another array library."""
    functions: dict[str, Function] = {}
    for name in FUNCTIONS:
        if not hasattr(xp, name):
            continue
        if name in TYPES:
            # Other libraries' types are NumPy's, which would not keep the array where it is.
            functions[name] = functools.partial(xp.asarray, dtype=getattr(xp, name))
        else:
            functions[name] = _with_lists(xp, name)
    # CuPy's own code imports modules in the name of the frame that calls it; an expression has no
    # word for that.
    return {"__builtins__": {"__import__": __import__}, **functions, **CONSTANTS}


def _with_lists(xp: Any, name: str) -> Function:
    """Return a function of another array library that takes lists for arrays, as NumPy's does."""
    function = getattr(xp, name)
    is_reduction = ARITIES[name] == (1, 2)

    def call(*arguments: Any, **keywords: Any) -> Any:
        if is_reduction:
            first, *axis = arguments
            return function(arrayed(first), *axis, **keywords)
        return function(*map(arrayed, arguments), **keywords)

    def arrayed(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return value
        if not value:
            return xp.asarray(())
        return xp.stack([xp.asarray(arrayed(part)) for part in value])

    return call


def function_of(
    text: str,
    variables: Sequence[str],
    xp: Any = None,
) -> Function:
    """Return the function that ``text`` names or is; the same object at every call in a process.

    Parameters
    ----------
    text : str
        ``package.module:name`` or ``path/to/file.py:name``, see
        :func:`mpipar.inputs.function.load`; or a formula, see :class:`Expression`.
    variables : sequence of str
        Variables of the formula.
    xp : module, optional
        The array library of its values; by default NumPy.

    Raises
    ------
    BadInput
        If it is neither.
    """
    function = _function_of(text.strip(), tuple(variables))
    if xp is None or xp is np or not isinstance(function, Expression):
        return function
    return functools.partial(function.on, xp)


@functools.cache
def _function_of(text: str, variables: tuple[str, ...]) -> Function:
    if _FUNCTION_NAME.fullmatch(text):
        return load_callable(text)
    return CarefulExpression(text, variables)
