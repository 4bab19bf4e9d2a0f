"""Classes of ctypes that are defined in the script, as they are pickled by value."""

from __future__ import annotations

import ctypes
from typing import Any

_METACLASSES: dict[Any, Any] = {type(kind): kind for kind in (ctypes.Structure, ctypes.Union)}


def metaclass(kind: Any) -> Any:
    """Reduce a metaclass of ctypes, which no name leads to; None for other objects."""
    if not isinstance(kind, type) or kind not in _METACLASSES:
        return None
    return type, (_METACLASSES[kind],)


def without_fields(kind: Any, reduced: Any) -> Any:
    """Return how a class is reduced; if it is of ctypes, without the descriptors that its
    ``_fields_`` make anew.
    """
    if type(kind) in _METACLASSES and isinstance(reduced, tuple):
        attributes, *_ = reduced[2]
        for name, each in list(attributes.items()):
            if type(each).__name__ == "CField":
                del attributes[name]
    return reduced
