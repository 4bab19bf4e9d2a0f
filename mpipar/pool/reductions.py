"""How what is known from where it came, or by what it is made of, is pickled."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import functools
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from types import CodeType, FunctionType
from typing import Any

from cloudpickle.cloudpickle import (
    _class_setstate,
    _code_reduce,
    _lookup_class_or_track,
    _make_skeleton_class,
    _make_skeleton_enum,
)

_LARGE = 2**16  # bytes; buffers from here on travel as frames of their own


def cached(function: Any, parameters: dict[str, Any]) -> Any:
    """Return a function with a cache."""
    return functools.lru_cache(**parameters)(function)


def cached_property(function: Any, name: str | None) -> Any:
    """Return a cached property."""
    made = functools.cached_property(function)
    made.attrname = name
    return made


def single_dispatch(registry: dict[Any, Any]) -> Any:
    """Return a function that is chosen by the type of its argument."""
    made = functools.singledispatch(registry[object])
    for kind, function in registry.items():
        made.register(kind, function)
    return made


class _Memory:
    """The memory of an array that is read-only, for one that isn't."""

    def __init__(self, array: Any) -> None:
        self._array = array
        address = array.__array_interface__["data"][0]
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (array.nbytes,),
            "data": (address, False),
        }


def writable(array: Any) -> Any:
    """Reduce an array that is read-only to one that can be written to, as pickles of protocol 4
    do.
    """
    order = _order(array)
    if array.dtype.hasobject or order is None:
        return NotImplemented
    if array.nbytes < _LARGE:
        return array.copy(order="K").__reduce_ex__(5)
    memory = sys.modules["numpy"].asarray(_Memory(array))  # nobody writes to it here
    return type(array)(array.shape, array.dtype, memory, order=order).__reduce_ex__(5)


def by_value(kind: type, reduced: Any) -> Any:
    """Return how a class is pickled, such that it has its slots, and what is done with new classes
    isn't done again.

    Parameters
    ----------
    kind : type
    reduced : object
        What cloudpickle makes of it.
    """
    if not isinstance(reduced, tuple):
        return reduced
    if issubclass(kind, enum.Enum):
        return _with_members(kind, reduced)
    if reduced[0] is not _make_skeleton_class:
        return reduced
    constructor, name, bases, names, number, extra = reduced[1]
    if type(kind).__name__ == "_TypedDictMeta" and bases == (dict,):
        bases = (sys.modules[type(kind).__module__].TypedDict,)  # it refuses what it makes of that
    # a NamedTuple isn't: it makes another class
    is_plain = tuple(types.resolve_bases(bases)) == kind.__bases__
    if is_plain and "__slots__" in vars(kind):
        names["__slots__"] = vars(kind)["__slots__"]
    attributes, others = reduced[2]
    own = {}
    for key, value in attributes.items():
        if type(value) is not types.MemberDescriptorType:
            own[key] = value
    skeleton = constructor, name, bases, names, number, extra
    return _skeleton, skeleton, (own, others), *reduced[3:]


_OF_ALL_MEMBERS = {"_value_", "_name_", "__objclass__", "_sort_order_"}


def _with_members(kind: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return how an enumeration is pickled, with what its members have of their own, and their
    other names.
    """
    if reduced[0] is not _make_skeleton_enum or len(reduced) != 6:
        return reduced
    attributes, slots = reduced[2]
    own: dict[str, dict[str, Any]] = {}
    others: dict[str, str] = {}
    for name, member in kind.__members__.items():
        if member.name != name:
            others[name] = member.name
            attributes.pop(name, None)
        else:
            values = getattr(member, "__dict__", {})
            own[name] = {key: values[key] for key in values.keys() - _OF_ALL_MEMBERS}
    state = attributes, slots, own, others
    return *reduced[:2], state, *reduced[3:5], _set_members


def _set_members(kind: Any, state: tuple[Any, ...]) -> Any:
    """Let an enumeration have its attributes, and its members theirs."""
    attributes, slots, own, others = state
    _class_setstate(kind, (attributes, slots))
    for name, values in own.items():
        vars(kind[name]).update(values)
    for name, member in others.items():
        kind._member_map_[name] = kind[member]
        type.__setattr__(kind, name, kind[member])
    return kind


def _skeleton(
    kind: Any,
    name: str,
    bases: tuple[type, ...],
    names: dict[str, Any],
    number: str,
    extra: Any,
) -> Any:
    """Return a class without its attributes, made by what its metaclass has from a library."""
    resolved = types.resolve_bases(bases)
    hooked = _with_hooks(resolved)
    has_own_kind = isinstance(kind, type) and _is_scripts(kind)
    if not hooked and not has_own_kind:
        return _make_skeleton_class(kind, name, bases, names, number, extra)
    maker = next(each for each in kind.__mro__ if not _is_scripts(each))
    if resolved is not bases:
        names = {**names, "__orig_bases__": bases}
    with _hooks_off(hooked):
        made = maker.__new__(kind, name, tuple(resolved), dict(names))
    return _lookup_class_or_track(number, made)


_HOOK = "__init_subclass__"


def _with_hooks(bases: Iterable[type]) -> list[type]:
    """Return the classes of the script among some bases, and theirs, that are told of new ones."""
    found: dict[type, None] = {}  # in this order, each once
    for base in bases:
        for each in base.__mro__:
            if _is_scripts(each) and _HOOK in vars(each):
                found[each] = None
    return list(found)


@contextlib.contextmanager
def _hooks_off(kinds: list[type]) -> Iterator[None]:
    """Tell some classes nothing of new ones meanwhile."""
    with contextlib.ExitStack() as stack:
        for each in kinds:
            stack.callback(setattr, each, _HOOK, vars(each)[_HOOK])
            setattr(each, _HOOK, classmethod(_do_nothing))
        yield


def _is_scripts(kind: type) -> bool:
    return kind.__module__ == "__main__"


def _do_nothing(*_: Any, **__: Any) -> None:
    pass


def reduce_code(code: CodeType) -> Any:
    """Reduce code to what has its file, in which tracebacks and debuggers look for its lines."""
    make, arguments = _code_reduce(code)
    own = list(arguments)
    for index, each in enumerate(arguments):
        if each == "<dynamic-code>":
            own[index] = code.co_filename
    return make, tuple(own)


OF_TYPES: dict[type, Any] = {CodeType: reduce_code}
"""{type: what reduces its objects}."""


def by_method(function: FunctionType) -> Any:
    """Reduce a function of a module to the class method that its name leads to; None, if that is
    not of this function.
    """
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    if getattr(found, "__func__", None) is not function:
        return None
    return getattr, (found, "__func__")


def of_global(value: Any) -> Any:
    """Reduce what forked workers share or have anew, where a global variable is it: to where it
    came from.

    Returns
    -------
    tuple or None
        None if it is nothing of that kind.
    """
    kind = type(value)
    if kind in _LOCKS:
        if not _is_free(value):
            return None
        return _LOCKS[kind], ()
    if kind is threading.local:
        return threading.local, (), dict(vars(value)) or None
    if kind is ContextVar:
        return _context_variable, (value.name, *_current(value))
    if kind in (ctypes.CDLL, ctypes.PyDLL):
        return _library, (kind, value._name, _signatures(value))
    if is_manager(kind):
        return _connected, (kind, value.address, bytes(value._authkey), value._serializer)
    return None


def is_manager(kind: type) -> bool:
    """Return whether objects of a class are managers of multiprocessing."""
    managers = sys.modules.get("multiprocessing.managers")
    return managers is not None and issubclass(kind, managers.BaseManager)


def _connected(kind: Any, address: Any, key: bytes, serializer: str) -> Any:
    """Return a manager whose process is another's."""
    manager = kind(address, key, serializer)
    manager.connect()
    return manager


_LOCKS: dict[type, Any] = {
    type(threading.Lock()): threading.Lock,
    type(threading.RLock()): threading.RLock,
}


def _is_free(lock: Any) -> bool:
    """Return whether nobody has a lock: one that is held would be free in a worker."""
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    is_own = getattr(lock, "_is_owned", None)
    return is_own is None or not is_own()


def _current(variable: ContextVar[Any]) -> tuple[Any, ...]:
    try:
        return (variable.get(),)
    except LookupError:
        return ()


def _context_variable(name: str, *value: Any) -> ContextVar[Any]:
    """Return a context variable, with what it is in the script."""
    if value:
        return ContextVar(name, default=value[0])
    return ContextVar(name)


def _signatures(library: ctypes.CDLL) -> dict[str, tuple[Any, Any]]:
    """Return what the functions of a library that have been used return and take."""
    found = {}
    for name, value in vars(library).items():
        if isinstance(value, library._FuncPtr):
            found[name] = value.restype, value.argtypes
    return found


def _library(
    kind: Any,
    name: str | None,
    signatures: dict[str, tuple[Any, Any]],
) -> Any:
    library = kind(name)
    for function, (returned, taken) in signatures.items():
        found = getattr(library, function)
        found.restype = returned
        if taken is not None:
            found.argtypes = taken
    return library


def _order(array: Any) -> str | None:
    """Return the order of an array's elements in memory; None if there are gaps."""
    if array.flags.c_contiguous:
        return "C"
    if array.flags.f_contiguous:
        return "F"
    return None
