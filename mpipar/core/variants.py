"""Functions of a kernel for single devices: what may be one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from mpipar.base.errors import BadKernel
from mpipar.base.text import did_you_mean
from mpipar.core.devices import DEVICES
from mpipar.core.devices.compiled import COMPILED, JIT, JIT_OPTIONS
from mpipar.core.signature import arrays_wanted, check_keywords


def check_device(device: str, kernel: str, jit: Mapping[str, Any]) -> None:
    """Raise BadKernel if there is no such device, or these options aren't for it."""
    if device not in DEVICES:
        *others, last = DEVICES
        hint = did_you_mean(device, DEVICES)
        raise BadKernel(
            f"{kernel}: there is no device {device!r}, but {', '.join(others)} and {last}{hint}"
        )
    allowed: Collection[str] = ()
    if device == COMPILED.name:
        allowed = JIT_OPTIONS
    for name in jit.keys() - set(allowed):
        hint = did_you_mean(name, allowed)
        raise BadKernel(f"{kernel}: {DEVICES[device].one} has no option {name!r}{hint}")


def check_variant(
    function: Callable[..., Any],
    device: str,
    kernel: str,
    known: Collection[str],
    jit: Mapping[str, Any],
) -> None:
    """Raise BadKernel if a function can't be a kernel's on a device; note how it is compiled there.

    Parameters
    ----------
    function : callable
    device, kernel : str
        Their names.
    known : collection of str
        Names of the kernel's parameters.
    jit : mapping
        Some of :data:`~mpipar.core.devices.compiled.JIT_OPTIONS`, with their values.
    """
    there = DEVICES[device]
    if hasattr(function, "py_func"):
        raise BadKernel(f"{kernel}: {there.one} is made without Numba's own decorator; remove it")
    wanted = arrays_wanted(function)
    if "xp" in wanted and not there.takes_library:
        raise BadKernel(f"{kernel}: {there.one} can't take xp; import NumPy instead")
    check_keywords(function, f"variant on the {device}", kernel, known)
    if jit:
        setattr(function, JIT, dict(jit))
