"""Objects that pickle knows by a name of their module, such as the only one of a class: what is in
them, where the module is the user's own.
"""

from __future__ import annotations

from typing import Any

from mpipar.store.own_code import is_own_module, module_of
from mpipar.store.pickling import Unfingerprintable

_MADE_BY_PYTHON = 1 << 9  # a flag of classes that aren't C's
_OF_TYPES = ("__supertype__", "__bound__", "__constraints__", "__default__", "__value__")
_MISSING = "nothing"


def content_of_named(value: Any) -> Any:
    """Return what tells an object from others of its name; None for one of an installed package.

    Raises
    ------
    Unfingerprintable
        If its class derives from one of C's, which may have anything in it.
    """
    module = str(getattr(value, "__module__", None) or "builtins")
    if not is_own_module(module):
        return None
    kind = type(value)
    if module_of(kind) == "typing":  # type variables, new types
        return tuple(_attribute(value, name) for name in _OF_TYPES)
    if _class_of_c(kind) is not object:
        raise Unfingerprintable(kind)
    return object.__getstate__(value)


def _class_of_c(kind: type) -> type:
    base: type | None = kind
    while base is not None and base.__flags__ & _MADE_BY_PYTHON:
        base = base.__base__
    return base or object


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, _MISSING)
    except Exception:  # of a bound that is evaluated when it is looked at
        return _MISSING
