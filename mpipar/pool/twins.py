"""Whether a name means in an imported main script what it means in the script that runs.

A worker that has imported the script has a *twin* of most that the script has. It keeps its twins:
their classes are those of its other objects, their registries are filled once. But what the main
part of the script has set since takes their place: it is sent by value. So is always what processes
share: a twin would be another one.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import io
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any

from mpipar.pool.by_value import Pickler, loads
from mpipar.pool.main_names import Definition, own_names
from mpipar.pool.sharing import holds_shared

_CONSTANTS = (int, float, complex, str, bytes, bool, type(None), type(...))
_Cached: Any = type(functools.cache(len))
_ABSENT = object()

Dumps = Callable[[Any], bytes]


def describe(
    definition: Definition,
    value: Any,
    dumps: Dumps,
) -> Definition:
    """Return a definition with what tells whether a worker has the same already, on the root.

    Parameters
    ----------
    definition : Definition
    value : object
        What it defines.
    dumps : callable
        Pickles for workers.
    """
    if holds_shared(value):
        return definition
    if not _has_shape(value):
        return definition._replace(shape=_type_of(value))
    attributes: dict[str, bytes | None] = {}
    if isinstance(value, type):
        for name, data in data_of(value).items():
            try:
                attributes[name] = dumps(data)
            except Exception:
                if holds_shared(data):
                    return definition
                attributes[name] = None  # the twin's will do
    return definition._replace(shape=_digest(value, dumps), attributes=attributes)


def kept(definition: Definition) -> bool:
    """Return whether a worker has what is to be defined, and let a class have its attributes as
    they are now.
    """
    twin = own_names().get(definition.name, _ABSENT)
    if twin is _ABSENT or definition.shape is None:
        return False

    if not _has_shape(twin):
        if definition.shape != _type_of(twin):
            return False
        return not definition.pickled or _is_same(twin, definition)
    if definition.shape != _digest(twin, _pickled):
        return False
    if isinstance(twin, type):
        _put_attributes(twin, definition.attributes)
    return True


def _is_same(twin: Any, definition: Definition) -> bool:
    """Return whether a value that is neither function nor class is as it is in the script."""
    try:
        return _pickled(twin, definition.name) == definition.pickled
    except Exception:
        return False


def _pickled(value: Any, defined: str | None = None) -> bytes:
    file = io.BytesIO()
    Pickler(file, defined=defined).dump(value)
    return file.getvalue()


def _put_attributes(twin: type, attributes: dict[str, bytes | None]) -> None:
    own = data_of(twin)
    for name in own.keys() - attributes.keys():
        delattr(twin, name)
    for name, pickled in attributes.items():
        if pickled is None:
            continue
        try:
            is_same = name in own and _pickled(own[name]) == pickled
        except Exception:
            is_same = False
        if not is_same:
            setattr(twin, name, loads([pickled]))


def _has_shape(value: Any) -> bool:
    return isinstance(value, (FunctionType, type, _Cached))


def _type_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def data_of(kind: type) -> dict[str, Any]:
    """Return the attributes of a class that are neither methods nor Python's or a library's own."""
    if issubclass(kind, enum.Enum):
        return {}
    found = {}
    for name, value in vars(kind).items():
        if _is_data(name, value):
            found[name] = value
    return found


def _is_data(name: str, value: Any) -> bool:
    is_special = name.startswith("__") and name.endswith("__")
    if is_special or name == "_abc_impl":
        return False
    if isinstance(value, (type, *_WRAPPERS)):
        return False
    return not hasattr(type(value), "__get__")


_AROUND = (staticmethod, classmethod, property, functools.cached_property, _Cached)
"""What functions are wrapped in."""
_WRAPPERS = (FunctionType, *_AROUND)


def _digest(value: Any, dumps: Dumps) -> str:
    text = repr(_shape(value, dumps, {}))
    data = text.encode(errors="surrogatepass")
    return hashlib.blake2b(data).hexdigest()


def _shape(value: Any, dumps: Dumps, seen: dict[int, int]) -> Any:
    """Return what tells values apart by what they do: code, with what is bound to it."""
    if isinstance(value, _CONSTANTS):
        return type(value).__name__, repr(value)
    if id(value) in seen:
        return "again", seen[id(value)]
    seen[id(value)] = len(seen)
    shape = functools.partial(_shape, dumps=dumps, seen=seen)
    if isinstance(value, FunctionType):
        return _shape_of_function(value, shape)
    if isinstance(value, _AROUND):
        return _shape_of_wrapper(value, shape)
    if isinstance(value, CodeType):
        return _shape_of_code(value)
    if isinstance(value, type):
        return _shape_of_class(value, shape)
    if type(value) in (tuple, list):
        return type(value).__name__, [shape(each) for each in value]
    try:
        return "data", hashlib.blake2b(dumps(value)).hexdigest()
    except Exception:
        return "object", _type_of(value)


def _shape_of_wrapper(wrapper: Any, shape: Callable[[Any], Any]) -> Any:
    if isinstance(wrapper, property):
        functions = (wrapper.fget, wrapper.fset, wrapper.fdel)
        return "property", *map(shape, functions)
    if isinstance(wrapper, functools.cached_property):
        return "cached_property", shape(wrapper.func)
    if isinstance(wrapper, _Cached):
        parameters = sorted(wrapper.cache_parameters().items())
        return "cached", shape(wrapper.__wrapped__), parameters
    return type(wrapper).__name__, shape(wrapper.__func__)


def _shape_of_function(function: FunctionType, shape: Callable[[Any], Any]) -> Any:
    # In this order: what has been seen is numbered.
    closure = [shape(_contents(cell)) for cell in function.__closure__ or ()]
    keywords = _shapes(function.__kwdefaults__ or {}, shape)
    attributes = _shapes(vars(function), shape)
    code = _shape_of_code(function.__code__)
    defaults = shape(function.__defaults__ or ())
    return (
        "function",
        function.__qualname__,
        code,
        defaults,
        keywords,
        closure,
        attributes,
    )


def _shapes(table: Mapping[str, Any], shape: Callable[[Any], Any]) -> list[Any]:
    return [(name, shape(value)) for name, value in sorted(table.items())]


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _shape_of_code(code: CodeType) -> Any:
    constants = [_shape_of_constant(each) for each in code.co_consts]
    counts = (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_firstlineno,
    )
    return (
        code.co_name,
        counts,
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        constants,
    )


def _shape_of_constant(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return _shape_of_code(constant)
    if isinstance(constant, tuple):
        return [_shape_of_constant(each) for each in constant]
    if isinstance(constant, frozenset):
        return sorted(map(repr, constant))
    return type(constant).__name__, repr(constant)


def _shape_of_class(kind: type, shape: Callable[[Any], Any]) -> Any:
    if kind.__module__ != "__main__":
        return "class", kind.__module__, kind.__qualname__
    methods = {}
    for name, value in vars(kind).items():
        if _is_method(value):
            methods[name] = value
    shapes = _shapes(methods, shape)
    members: list[str] = []
    if issubclass(kind, enum.Enum):
        members = list(kind.__members__)
    bases = [shape(base) for base in kind.__bases__]
    return "class", kind.__qualname__, shape(type(kind)), bases, shapes, members


def _is_method(value: Any) -> bool:
    """Return whether an attribute of a class is a method of it, or a class of the script's."""
    if isinstance(value, type):
        return value.__module__ == "__main__"
    return isinstance(value, _WRAPPERS)
