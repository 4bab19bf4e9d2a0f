"""Functions that call themselves, in machine code: a few calls deep they are one, as C compilers
have it.

LLVM puts no function into itself. So a function gets copies of itself, of which each calls the
next, and the last one the function: these LLVM does put into it.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

import llvmlite.binding as llvm
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

from mpipar.base.overriding import override

COPIES = 2
"""Beside the function: with more, few get faster, and all take longer to compile."""

MOST_LINES = 4000
"""Of LLVM's code, in all copies that are put into one function."""


class _Lowering(Lower):
    @override
    def lower(self) -> None:
        super().lower()
        library = self.library
        name = self.fndesc.llvm_func_name
        with contextlib.suppress(RuntimeError):  # LLVM can't read it, as with debugging on
            library._final_module = _unrolled(library._final_module, name)


@register_pass(mutates_CFG=True, analysis_only=False)
class RecursiveLowering(NativeLowering):
    """Numba's way to LLVM's code, and copies of functions that call themselves."""

    _name = "mpipar_recursive_lowering"

    @property
    @override
    def lowering_class(self) -> Any:
        return _Lowering


def _unrolled(module: Any, name: str) -> Any:
    """Return a module whose function calls copies of itself; the same if it calls itself nowhere.
    Raises RuntimeError.
    """
    body = str(module.get_function(name)).strip()
    text = str(module)
    head, opened, code = body.partition("{\n")
    own = _quoted(name)
    calls = code.count(own + "(")
    lines = body.count("\n") * sum(calls**depth for depth in range(COPIES + 1))
    is_known = text.count(body) == 1 and head.count(own + "(") == 1
    if calls == 0 or lines > MOST_LINES or not is_known:
        return module
    names = [own, *(_quoted(f"{name}.{number}") for number in range(COPIES))]
    copies = []
    for one, following in zip(names, [*names[1:], own], strict=True):
        start = head.replace(own, one)
        if one != own:
            start = re.sub("^define ", "define internal ", start).rstrip() + " alwaysinline "
        copies.append(start + opened + code.replace(own + "(", following + "("))
    made = llvm.parse_assembly(text.replace(body, "\n\n".join(copies)))
    made.name = module.name
    made.verify()
    return made


def _quoted(name: str) -> str:
    """Return a function's name as LLVM writes it."""
    is_plain = re.fullmatch(r"[\w.$-]+", name) is not None
    return f"@{name}" if is_plain else f'@"{name}"'
