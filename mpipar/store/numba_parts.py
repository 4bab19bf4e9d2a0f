"""What Numba's compiled functions are made of, told without Numba: they are of another process
each time, but for what was written in the script.
"""

from __future__ import annotations

from typing import Any


def source_of(value: Any) -> Any:
    """Return what has the source of something that Numba compiles, or None."""
    for name in ("", "_dispatcher", "gufunc_builder"):
        found = getattr(value, name, None) if name else value
        if hasattr(found, "py_func") and hasattr(found, "targetoptions"):
            return found
    return None


def types_of(value: Any) -> tuple[str, ...]:
    """Return the types that were declared for something that Numba compiles, as text: its
    signatures, its local variables, its layout.

    What it compiles for types that it meets depends on what was called before, and doesn't count.
    """
    declared = [
        *_signatures_of(value),
        *_locals_of(value),
        getattr(value, "identity", None),  # of a ufunc
        getattr(value, "_identity", None),
    ]
    builder = getattr(value, "gufunc_builder", None)
    if builder is not None:
        declared += [builder.signature, getattr(builder, "writable_args", None)]
    return tuple(map(str, declared))


def _signatures_of(value: Any) -> list[Any]:
    if getattr(value, "_can_compile", True) is False:
        return list(value.nopython_signatures)
    if not getattr(value, "_frozen", False):
        return []
    builder = getattr(value, "gufunc_builder", None)
    if builder is not None:
        return list(builder._sigs)
    return list(value.types)


def _locals_of(value: Any) -> list[Any]:
    declared = getattr(value, "locals", None)
    if type(declared) is not dict:
        return []
    return sorted(f"{name}: {kind}" for name, kind in declared.items())
