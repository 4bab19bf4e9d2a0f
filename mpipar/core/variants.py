"""Functions of a kernel for single devices: what may be one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from mpipar.base.errors import BadInput, BadKernel
from mpipar.base.text import did_you_mean
from mpipar.core.devices import DEVICES
from mpipar.core.devices.compiled import COMPILED, JIT, JIT_OPTIONS
from mpipar.core.devices.port import Device
from mpipar.core.signature import GIVEN, arrays_wanted, call, check_keywords, fitting

_F = TypeVar("_F", bound=Callable[..., Any])

_UNLESS = "__mpipar_unless__"
_MAKES = "__mpipar_makes__"  # has the options for what a function makes


def decorator(
    variants: dict[str, Callable[..., Any]],
    device: str,
    kernel: str,
    known: Collection[str],
    jit: Mapping[str, Any],
    check: Callable[..., None],
) -> Callable[[_F], _F]:
    """Return a decorator that puts a function among the variants of a kernel, once checked."""
    check_device(device, kernel, jit)

    def use(function: _F) -> _F:
        check(function, device, kernel, known, jit)
        variants[device] = function
        return function

    return use


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
    unless: Callable[..., str | None] | None = None,
) -> None:
    """Raise BadKernel if a function can't be a kernel's on a device; note how it is compiled there,
    and for which values of parameters it can't be used.

    Parameters
    ----------
    function : callable
    device, kernel : str
        Their names.
    known : collection of str
        Names of the kernel's parameters.
    jit : mapping
        Some of :data:`~mpipar.core.devices.compiled.JIT_OPTIONS`, with their values.
    unless : callable, optional
        Takes some of the kernel's parameters, and returns why the function can't be used.
    """
    there = DEVICES[device]
    if hasattr(function, "py_func"):
        raise BadKernel(f"{kernel}: {there.one} is made without Numba's own decorator; remove it")
    wanted = arrays_wanted(function)
    for name in set(GIVEN).intersection(wanted).difference(there.gives):
        raise BadKernel(f"{kernel}: {there.one} can't be given {name!r}")
    if {"rng", "seeds"} <= set(wanted):
        raise BadKernel(f"{kernel}: rng and seeds are of one stream; take one of both")
    check_keywords(function, f"variant on the {device}", kernel, known)
    if jit:
        setattr(function, JIT, dict(jit))
    if unless is not None:
        setattr(function, _UNLESS, fitting(unless, "unless", (), kernel, known))


def check_maker(
    function: Callable[..., Any],
    device: str,
    kernel: str,
    known: Collection[str],
    jit: Mapping[str, Any],
) -> None:
    """Raise BadKernel if a function can't make a kernel's on a device; note that it does."""
    fitting(function, f"maker for the {device}", (), kernel, known)
    setattr(function, _MAKES, dict(jit))


def made(function: Callable[..., Any], parameters: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a kernel's function on a device, or what that makes of the parameters. Raises
    BadInput.
    """
    jit = getattr(function, _MAKES, None)
    if jit is None:
        return function
    found: Callable[..., Any] = call(function, **parameters)
    setattr(found, JIT, jit)
    return found


def reason_against(
    function: Callable[..., Any] | None, values: Mapping[str, Any] | None
) -> str | None:
    """Return why a kernel's function for a device can't be used for these values of parameters,
    where they are known; None if it can.
    """
    if function is None or values is None:
        return None
    try:
        made(function, values)
    except BadInput as error:
        return str(error)
    unless = getattr(function, _UNLESS, None)
    if unless is None:
        return None
    reason: str | None = call(unless, **values)
    return reason


def refusal(
    device: Device,
    kernel: str,
    function: Callable[..., Any] | None,
    values: Mapping[str, Any],
) -> BadInput:
    """Return what to raise for a kernel that can't be evaluated on a device."""
    remedy = reason_against(function, values) or device.needs
    return BadInput(
        f"{kernel} has no kernel for {device.one}",
        option="device",
        remedy=remedy,
    )
