"""Machine code of functions, by Numba. The one module that imports it, and is itself imported where
compiled code is asked for.
"""

from __future__ import annotations

import os

# Intel's library of mathematical functions, where Numba finds it, has other bits than that of C.
os.environ.setdefault("NUMBA_DISABLE_INTEL_SVML", "1")

import atexit
import contextlib
import functools
import hashlib
import itertools
import pickle
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import cgutils, compiler, errors, serialize, types
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import RuntimeLinker
from numba.core.types import SimpleIterableType
from numba.extending import (
    NativeValue,
    lower_builtin,
    make_attribute_wrapper,
    models,
    overload,
    overload_attribute,
    register_model,
    typeof_impl,
    unbox,
)

from mpipar.base.errors import BadInput
from mpipar.core.block import Block
from mpipar.core.devices.compiled import JIT
from mpipar.runtime import code_cache, frozen_code, numba_functions

_FIELDS = ("index", "start", "stop")
_DEFAULTS = {"error_model": "python", "boundscheck": True, "strict": True}
_FIXED = {"nogil": True, "fastmath": False}
_HAS_ADDRESSES = (
    "it has addresses of this process, as of an array of the module that isn't contiguous or has"
    " more than 1 MB"
)
_BY_ADDRESS = "functions of it call each other, by addresses of this process"
_SETTINGS = ("BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT")
"""Variables of Numba's configuration that decide on machine code, whatever a function asks for."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class BlockType(SimpleIterableType):
    """A :class:`~mpipar.core.block.Block`, in compiled code."""

    def __init__(self) -> None:
        super().__init__("mpipar.Block", types.range_iter64_type)


BLOCK = BlockType()


@typeof_impl.register(Block)
def _type_of_block(value: Any, context: Any) -> Any:
    return BLOCK


@register_model(BlockType)
class _BlockModel(models.StructModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [(name, types.int64) for name in _FIELDS])


for _name in _FIELDS:
    make_attribute_wrapper(BlockType, _name, _name)


@overload_attribute(BlockType, "size")
def _size(block: Any) -> Any:
    return _size_of


@overload(len)
def _len(block: Any) -> Any:
    if isinstance(block, BlockType):
        return _size_of
    return None


def _size_of(block: Any) -> Any:
    return block.stop - block.start


@unbox(BlockType)
def _unboxed(kind: Any, block: Any, c: Any) -> Any:
    """Return the struct of a Python object."""
    struct = cgutils.create_struct_proxy(kind)(c.context, c.builder)
    for name in _FIELDS:
        number = c.pyapi.object_getattr_string(block, name)
        setattr(struct, name, c.pyapi.long_as_longlong(number))
        c.pyapi.decref(number)
    failed = cgutils.is_not_null(c.builder, c.pyapi.err_occurred())
    return NativeValue(struct._getvalue(), is_error=failed)


@lower_builtin("getiter", BlockType)
def _iterated(
    context: Any,
    builder: Any,
    signature: Any,
    arguments: Any,
) -> Any:
    """Return the iterator of the items."""
    struct = cgutils.create_struct_proxy(BLOCK)(context, builder, value=arguments[0])
    kind = types.range_state64_type
    items = context.compile_internal(
        builder,
        lambda start, stop: range(start, stop),
        kind(types.int64, types.int64),
        [struct.start, struct.stop],
    )
    iterate = context.get_function("getiter", types.range_iter64_type(kind))
    return iterate(builder, [items])


@dataclass(frozen=True, slots=True)
class Compiled:
    """Machine code of a function.

    Attributes
    ----------
    function : callable
        Takes what the function takes, by position.
    seconds : float
        That it took to have it.
    was_kept : bool
        Whether it was on the disk.
    problem : str
        Why it can't be kept there, or nothing.
    """

    function: Callable[..., Any]
    seconds: float
    was_kept: bool
    problem: str


class _Kept:
    """The machine code of one function on disk. Has the methods of Numba's caches."""

    cache_path = ""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self.was_kept = False
        self.problem = ""
        if key is None:
            self.problem = "it uses what can't be told from what it may be later"

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return what is kept, or None."""
        if self._key is None:
            return None
        content = code_cache.read(self._key)
        if content is None:
            return None
        context.refresh()
        with contextlib.suppress(Exception):  # then it is compiled
            result = compiler.CompileResult._rebuild(context, *pickle.loads(content))
            self.was_kept = True
            return result
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what has been compiled, if that can be done."""
        if self._key is None:
            return
        if result.library.has_dynamic_globals or result.lifted:
            self.problem = _HAS_ADDRESSES
            return
        if any(map(_is_by_address, result.library._final_module.global_variables)):
            self.problem = _BY_ADDRESS
            return
        try:
            code_cache.write(self._key, serialize.dumps(result._reduce()))
        except Exception as error:  # a full disk, no home folder, other private names of Numba's
            self.problem = " ".join(str(error).split()) or type(error).__name__


def _is_by_address(variable: Any) -> bool:
    """Return whether a variable of machine code has the address of a function, which is another one
    in each process.
    """
    name: str = variable.name
    return name.startswith(RuntimeLinker.PREFIX)


_made: dict[str, Compiled] = {}


def compiled(function: FunctionType, arguments: Sequence[Any]) -> Compiled:
    """Return the machine code of a function for arguments of these types.

    Raises
    ------
    BadInput
        If Numba refuses the function, with its reason in one line.
    """
    began = time.perf_counter()
    signature = _signature(function, arguments)
    options = {**_DEFAULTS, **getattr(function, JIT, {}), **_FIXED}
    key = _key(function, signature, options)
    if key in _made:
        return _made[key]
    kept = _Kept(key)
    dispatcher = numba_functions.dispatcher(_positional(function), options)
    dispatcher._cache = kept
    _name_apart()
    try:
        dispatcher.compile(signature)
    except Exception as error:  # also assertions in Numba
        raise BadInput(f"Numba refuses {function.__qualname__}: {_reason(error)}") from None
    finally:
        _leave_stdout_alone()
    dispatcher.disable_compile()
    (code,) = dispatcher.overloads.values()
    made = Compiled(
        code.entry_point,  # its arguments are of these types: to find that out takes 2 µs
        time.perf_counter() - began,
        kept.was_kept,
        kept.problem,
    )
    if key is not None:
        _made[key] = replace(made, was_kept=True, problem="")
    return made


def _leave_stdout_alone() -> None:
    """Write no colours when this process ends: Numba's messages, shown or not, have colorama do so,
    and a rank's standard output may look like a terminal.
    """
    colours = sys.modules.get("colorama.initialise")
    if colours is not None:
        atexit.unregister(colours.reset_all)


def _name_apart() -> None:
    """Have Numba number what it compiles from now on as no other process does.

    Symbols of machine code have these numbers. It counts from 1, and so would take a function that
    another process kept, as one that is made for each formula, for one of the same name here.
    """
    FunctionIdentity._unique_ids = itertools.count(secrets.randbits(60))


def _signature(function: FunctionType, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return the types of arguments. Raises BadInput."""
    names = function.__code__.co_varnames
    signature = []
    for name, value in zip(names, arguments, strict=False):
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if is_whole and not -(2**63) <= value < 2**63:
            raise BadInput(f"{name}: compiled code has whole numbers of 64 bits, got {value}")
        try:
            signature.append(numba.typeof(value))
        except (ValueError, errors.NumbaError):
            kind = type(value).__name__
            raise BadInput(f"{name}: compiled code can't take what is of {kind}") from None
    return tuple(signature)


def _key(
    function: FunctionType,
    signature: tuple[Any, ...],
    options: dict[str, Any],
) -> str | None:
    """Return a name for machine code, which has all that it depends on; None if that can't be
    told.
    """
    try:
        source = frozen_code.digest_of(function)
    except (frozen_code.Unknown, ValueError):  # a variable of an outer function, not yet bound
        return None
    parts = (
        source,
        str(function.__module__),
        repr(signature),
        repr(sorted(options.items())),
        _surroundings(),
        repr([getattr(numba.config, name, None) for name in _SETTINGS]),
        repr(_processor()),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _processor() -> Any:
    """Return for which processor Numba compiles: its name and features."""
    return numba.core.registry.cpu_target.target_context.codegen().magic_tuple()


@functools.cache
def _surroundings() -> str:
    """Return the versions of all that has a part in machine code."""
    of_compiler = ("numba_*", "frozen_code", "checked_*", "refusals")
    folder = Path(__file__).parent
    own = [path for name in of_compiler for path in sorted(folder.glob(f"{name}.py"))]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in own]
    versions = (sys.version, np.__version__, numba.__version__, llvmlite.__version__)
    return repr((versions, digests, numba.config.USING_SVML))


def _positional(function: FunctionType) -> FunctionType:
    """Return a function that takes by position what it took by keyword alone."""
    code = function.__code__
    changed = code.replace(
        co_argcount=code.co_argcount + code.co_kwonlyargcount, co_kwonlyargcount=0
    )
    copy = FunctionType(
        changed, function.__globals__, function.__name__, None, function.__closure__
    )
    copy.__qualname__ = function.__qualname__
    return copy


def _reason(error: Exception) -> str:
    """Return why Numba refuses a function, in one line."""
    text = _COLOURS.sub("", str(error)).replace("mpipar.checked_", "operator.")
    found = re.search(r'File "([^"]+)", line (\d+)', text)
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith("Failed in nopython mode")]
    reason = type(error).__name__
    if told:
        reason = told[0]
    if reason.endswith(":") and len(told) > 1:
        reason += f" {told[1].lstrip('> ')}"
    if found:
        reason += f" ({Path(found[1]).name}, line {found[2]})"
    return reason
