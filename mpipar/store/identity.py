"""What a run is of: its parameters, its functions and the content of its inputs.

Functions and inputs are looked at once, at the start of a run, by the root.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from mpipar.base.errors import BadInput
from mpipar.base.named_files import file_in, texts
from mpipar.core.devices.cpu import CPU
from mpipar.core.kernel import BoundKernel
from mpipar.core.reduction import Each, Reduction
from mpipar.runtime.gathering import may_use_functions
from mpipar.runtime.launcher import is_of_this_start
from mpipar.runtime.node import simd_level
from mpipar.store.source import Surroundings, digests_and_surroundings_of

FUNCTIONS = "functions"
INPUTS = "inputs"
MIXED = "mixed"
AROUND = "around"
SIMD = "simd"
_OURS = (FUNCTIONS, INPUTS, MIXED, AROUND, SIMD)
_FIXED = ("driver", "n", "block", "seed", "device")  # other ones would not even fit together
_LARGE = 2**30
_SAMPLES, _SAMPLE = 1024, 4096  # of a large file: how many, and bytes of each
_MOST_TOLD = 5


def identity_of(bound: BoundKernel) -> dict[str, Any]:
    """Return what decides the result of a kernel, but for functions and files, as plain values."""
    parameters = {name: _plain(value) for name, value in bound.parameters.items()}
    return {
        "driver": bound.kernel.name,
        **{f"parameter {name}": value for name, value in parameters.items()},
        "n": bound.plan.n,
        "block": bound.plan.block,
        "seed": bound.seed,
        "device": bound.device,
    }


def whole_identity(bound: BoundKernel) -> dict[str, Any]:
    """Return all that decides the result of a kernel, with digests of its functions and inputs."""
    kernel = bound.kernel
    parts = [
        kernel.function,
        kernel.n,
        kernel.default_block,
        kernel._reduction,
        kernel._finish,
        kernel._enough,
    ]
    parts += [*kernel._shared.values(), *kernel._variants.values()]
    functions = [part for part in parts if callable(part)]
    named, files = _named_by(bound.parameters)
    functions += _classes(bound.reduction)
    digests, surroundings = digests_and_surroundings_of(functions, named)
    return {
        **identity_of(bound),
        FUNCTIONS: digests,
        INPUTS: files | kernel.inputs(),
        AROUND: _around(surroundings),
        SIMD: simd_level() if may_use_functions(bound) else "",
    }


def _around(surroundings: Surroundings) -> dict[str, str]:
    """Return what is in the files and variables that functions name, under what they are called."""
    around = {f"the file {file}": content(file) for file in surroundings.files}
    for variable in surroundings.variables:
        if not is_of_this_start(variable):
            value = repr(os.environ.get(variable)).encode()
            around[f"the variable {variable}"] = hashlib.sha256(value).hexdigest()
    return around


def _named_by(
    parameters: Mapping[str, Any],
) -> tuple[list[tuple[ModuleType, str]], dict[str, str]]:
    """Return what parameters name: what modules have, as MODULE:NAME, and what is in files."""
    named: list[tuple[ModuleType, str]] = []
    files: dict[str, str] = {}
    for parameter, value in parameters.items():
        for text in texts(value):
            where, _, attribute = text.rpartition(":")
            module = _module(where)
            file = file_in(text)
            if module is not None and attribute:
                named.append((module, attribute.partition(".")[0]))
            elif file is not None:
                files[f"{parameter} {file}"] = content(file)
    return named, files


def _classes(reduction: Reduction) -> Iterator[Any]:
    """Yield the classes of a reduction, and of those side by side in it."""
    yield type(reduction)
    if isinstance(reduction, Each):
        for inner in reduction.reductions.values():
            yield from _classes(inner)


def described(identity: dict[str, Any]) -> dict[str, Any]:
    """Return an identity without digests: what one can read."""
    return {name: value for name, value in identity.items() if name not in _OURS}


def check_identity(
    path: Path,
    there: dict[str, Any],
    here: dict[str, Any],
    anyway: bool = False,
) -> list[str]:
    """Compare the identity in a file with that of a run.

    Parameters
    ----------
    path : Path
        The file.
    there, here : dict
        The identities.
    anyway : bool
        Whether other parameters, functions and inputs will do.

    Returns
    -------
    list of str
        What differs nevertheless, or couldn't be compared, for the user.

    Raises
    ------
    BadInput
        If the run isn't the one that the file has the state of, with the differences spelled out.
    """
    there = {"device": CPU.name, **there}  # which files of versions before GPUs don't say
    names = _different(described(there), described(here))
    fixed = [name for name in names if name in _FIXED]
    changed = _changed(there, here)
    refused = fixed if anyway else names
    if refused or (changed and not anyway):
        differences = [f"{name}: {_both(name, there, here)}" for name in refused] + changed
        message = f"resume: {str(path)!r} is of another run ({'; '.join(differences)})"
        if changed and not fixed:
            message += "; --resume --anyway goes on nevertheless"
        raise BadInput(message)
    return _notes(path, there, here)


def _notes(
    path: Path,
    there: dict[str, Any],
    here: dict[str, Any],
) -> list[str]:
    """Return what a run that goes on should know: what differs, or couldn't be compared."""
    names = _different(described(there), described(here))
    changed = _changed(there, here)
    if names or changed:
        notes = [f"{name} was {there.get(name)!r}" for name in names] + changed
        return [f"{path} goes on with what is done by another run: {'; '.join(notes)}"]
    if FUNCTIONS in here and FUNCTIONS in there:
        surroundings = _surroundings_told(path, there.get(AROUND, {}), here.get(AROUND, {}))
        return surroundings + _processor_told(path, there.get(SIMD), here.get(SIMD))
    if FUNCTIONS in here:
        return [
            f"{path} doesn't say what its functions and inputs were: whether they are the same is"
            " not known"
        ]
    return []


def _surroundings_told(
    path: Path,
    there: Mapping[str, str],
    here: Mapping[str, str],
) -> list[str]:
    """Return what functions name and was changed: a log that they write, or data that they read."""
    changed = [name for name in sorted(there) if here.get(name, there[name]) != there[name]]
    if not changed:
        return []
    what = ", ".join(changed[:_MOST_TOLD])
    return [
        f"{path}: {what} changed meanwhile, which its functions name; what is done"
        " already stays as it was"
    ]


def _processor_told(path: Path, there: str | None, here: str | None) -> list[str]:
    """Return that functions of a library may have other last digits on this kind of processor."""
    if not there or not here or there == here:
        return []
    return [
        f"{path} was begun on a processor of another kind ({there}; this one: {here}): functions"
        " such as exp and sin may differ in their last digits"
    ]


def _different(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return the names that one of both doesn't have, or has otherwise."""
    return [name for name in {**there, **here} if there.get(name) != here.get(name)]


def _both(name: str, there: dict[str, Any], here: dict[str, Any]) -> str:
    return f"{there.get(name)!r} there, {here.get(name)!r} here"


def known_of_both(kind: str, there: dict[str, Any], here: dict[str, Any]) -> dict[str, str]:
    """Return the inputs, or the surroundings, of a run that goes on: what wasn't there when it
    began is its own work, as a log is.
    """
    known = there.get(kind)
    inputs: dict[str, str] = here[kind]
    if known is None:
        return dict(inputs)
    return {label: told for label, told in inputs.items() if label in known}


def _changed(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return what differs in functions and inputs, where both are known."""
    if FUNCTIONS not in there or FUNCTIONS not in here:
        return []
    functions = sorted(_different(there[FUNCTIONS], here[FUNCTIONS]))
    # Only inputs of both: the run may make files.
    kept = there[INPUTS].keys() & here[INPUTS].keys()
    inputs = [label for label in sorted(kept) if there[INPUTS][label] != here[INPUTS][label]]
    told = [_function_told(label) for label in functions]
    for label in inputs[:_MOST_TOLD]:
        told.append(f"input {label.partition(' ')[2]} was changed")
    if len(inputs) > _MOST_TOLD:
        told.append(f"so were {len(inputs) - _MOST_TOLD} more inputs")
    return told


def _function_told(label: str) -> str:
    file, _, name = label.partition(":")
    if name:
        return f"{name} of {file} was changed"
    return f"{file} was changed"


def content(path: str) -> str:
    """Return the size and a digest of what is in a file; of a large one, with its time, and a
    digest of samples.
    """
    try:
        about = os.stat(path)
        with open(path, "rb") as file:
            if about.st_size <= _LARGE:
                return f"{about.st_size} {hashlib.file_digest(file, 'sha256').hexdigest()}"
            return f"{about.st_size} {about.st_mtime_ns} {_digest_of_samples(file, about.st_size)}"
    except OSError:
        return "unreadable"


def _digest_of_samples(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    for number in range(_SAMPLES):
        file.seek(number * (size - _SAMPLE) // (_SAMPLES - 1))
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def _module(where: str) -> ModuleType | None:
    """Return the module that is meant, if it is loaded: what checked the parameter has done
    that.
    """
    if not where.endswith(".py"):
        return sys.modules.get(where)
    found = sys.modules.get(Path(where).stem)
    path = getattr(found, "__file__", None)
    if path is None or not os.path.exists(where) or not os.path.exists(path):
        return None
    return found if os.path.samefile(path, where) else None


def _plain(value: Any) -> Any:
    """Return the value of a parameter as what JSON has."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
