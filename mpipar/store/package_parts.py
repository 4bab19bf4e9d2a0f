"""What objects of installed packages are made of, where pickle sees more, or less: numbers of this
process, caches, lines of a source; or no more of a function of the user's than its name.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from mpipar.store.class_parts import hides_state
from mpipar.store.own_code import is_function, is_own_module, module_of

PARTS = {
    "_struct.Struct": ("format",),
    "joblib.memory.MemorizedFunc": ("func", "ignore", "mmap_mode", "cache_validation_callback"),
    "pydantic._internal._decorators.Decorator": ("cls_var_name", "func", "shim", "info"),
}
"""{class: the attributes that tell its objects apart}."""

_MADE_BY_PYDANTIC = {
    "__pydantic_core_schema__",
    "__pydantic_serializer__",
    "__pydantic_setattr_handlers__",
    "__pydantic_validator__",
}


def is_made_by_pydantic(kind: type, name: str) -> bool:
    """Return whether an attribute of a class is what pydantic makes of its fields and validators:
    identities are in it.
    """
    return name in _MADE_BY_PYDANTIC and "__pydantic_fields__" in vars(kind)


def functions_hidden_in(value: Any, kind: type) -> Iterator[Any]:
    """Yield the functions of the user's that an object of a package has, which says itself what
    pickle sees of it: that may be no more than their names.
    """
    if is_own_module(module_of(kind)) or not hides_state(kind):
        return
    for _, each in sorted(vars(value).items()):
        while isinstance(each, functools.partial):
            each = each.func
        if is_function(each) and is_own_module(module_of(each)):
            yield each
