"""TOML files with a schema: what is wrong with one is told with its line.

A schema is a JSON Schema; the keyword ``expected`` of a value says in words what is allowed there.
"""

from __future__ import annotations

import bisect
import contextlib
import datetime
import functools
import importlib.resources
import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.base.text import did_you_mean, printable

_LARGEST = 2**18  # bytes; no file that a person has written is larger
_DEEPEST = 32  # tables within tables
_PARSED = 2**22  # characters, to find the line of an error
_LOOKED_AT = 20  # errors, to find the first
_SHOWN = 100  # characters of a value
_ABOUT_KEYS = ("oneOf", "minProperties", "maxProperties", "propertyNames")

Key = tuple[str | int, ...]


class Document:
    """A TOML file, perhaps with changes from the command line.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    values : dict
        What it says.

    Raises
    ------
    BadInput
        If it can't be read, or isn't TOML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = _read(path)
        self._changes: dict[Key, str] = {}
        try:
            self.values: dict[str, Any] = _parsed(self.text, printable(path))
        except tomllib.TOMLDecodeError as error:
            what, _, place = str(error).rpartition(" (at ")
            line = place.removeprefix("line ").partition(",")[0]
            if not line.isdigit():  # "end of document"
                line = str(max(1, len(self.text.splitlines())))
            raise BadInput(printable(f"{path}:{line}: not TOML: {what or error}")) from None
        self._refuse_unusable(self.values)

    def change(self, text: str, option: str = "--set") -> None:
        """Change a value as ``key.key=value`` says; the value is TOML, or else text as it stands.
        Raises BadInput.
        """
        name, equals, value = text.partition("=")
        keys = tuple(key.strip() for key in name.split("."))
        if not equals or not all(keys):
            raise BadInput(f"{option}: expected KEY=VALUE, such as resources.nodes=4, got {text!r}")
        if len(keys) > _DEEPEST:
            raise BadInput(f"{option}: {printable(keys[0])}: nested too deeply")
        parsed: Any = value
        with contextlib.suppress(tomllib.TOMLDecodeError):
            if "\n" not in value:
                parsed = _parsed(f"value = {value}", f"{option}: {printable(name)}")["value"]
        is_time = isinstance(parsed, (datetime.date, datetime.time))
        self.put(keys, value if is_time else parsed, option)
        self._refuse_unusable(parsed, keys)

    def put(self, keys: tuple[str, ...], value: Any, option: str) -> None:
        """Put a value in the place of what the file says, as an option wants it. Raises
        BadInput.
        """
        *parents, last = keys
        table = self.values
        for key in parents:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise BadInput(f"{option}: {printable('.'.join(keys))}: {key!r} is not a table")
        table[last] = value
        self._changes[keys] = option

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise BadInput, with place and remedy, if the values aren't as a schema wants."""
        from jsonschema import Draft202012Validator  # takes time to load

        errors = list(Draft202012Validator(schema).iter_errors(self.values))
        if errors:
            keys = [key for key, _ in _walk(self.values, ())]
            order = dict(zip(keys, range(len(keys)), strict=True))
            told = sorted(map(_told, errors), key=lambda one: order.get(one[0], 0))
            raise self.error(*min(told[:_LOOKED_AT], key=lambda one: self._line(one[0]) or 0))

    def error(self, key: Key, problem: str) -> BadInput:
        """Return the error of a key, with its place."""
        place = self._option_of(key)
        if place is None:
            line = self._line(key)
            path = printable(self.path)
            place = path if line is None else f"{path}:{line}"
        name = _dotted(key)
        told = f"{name}: {problem}" if name else problem
        return BadInput(problem, option=name, message=printable(f"{place}: {told}"))

    def _option_of(self, key: Key) -> str | None:
        """Return the option that has set a key, or has made the table that should have it; None if
        the file has.
        """
        for changed, option in self._changes.items():
            if key[: len(changed)] == changed:
                return option
        if not key or _has(tomllib.loads(self.text), key):
            return None
        for changed, option in self._changes.items():
            if changed[: len(key)] == key:
                return option
        return None

    def _line(self, key: Key) -> int | None:
        """Return the line, from 1, where the value of a key begins, or of the table that should
        have it.
        """
        lines = self.text.split("\n")
        cuts = self._cuts

        def is_within(count: int) -> bool:
            return _has(tomllib.loads("\n".join(lines[:count])), key)

        if not is_within(cuts[-1]):
            if len(key) <= 1:
                return None
            return self._line(key[:-1])
        return cuts[max(0, bisect.bisect_left(cuts, True, key=is_within) - 1)] + 1

    @functools.cached_property
    def _cuts(self) -> list[int]:
        """The numbers of lines after which the file can be cut: not within a value of several
        lines.
        """
        lines = self.text.split("\n")
        cuts = [0]
        left = _PARSED
        for count in range(1, len(lines) + 1):
            part = "\n".join(lines[cuts[-1] : count])
            left -= len(part)
            if left < 0:
                break
            with contextlib.suppress(tomllib.TOMLDecodeError):
                tomllib.loads(part)
                cuts.append(count)
        return cuts

    def _refuse_unusable(self, value: Any, key: Key = ()) -> None:
        """Raise BadInput for what TOML lets pass, but nothing here can take."""
        for place, one in _walk(value, key):
            if len(place) > _DEEPEST:
                raise self.error(place[:1], "nested too deeply")
            if isinstance(one, int) and not -(2**63) <= one < 2**63:
                raise self.error(place, "expected a number of at most 64 bits")
            if isinstance(one, float) and math.isnan(one):
                raise self.error(place, "expected a number, got nan")


def expanded(name: str) -> str:
    """Return a folder's name with ~ and variables replaced. Raises ValueError for one that is not
    set.
    """
    found = os.path.expandvars(os.path.expanduser(name))
    if re.search(r"\$(\w|\{)", found):
        raise ValueError(f"names a variable that is not set, got {name!r}")
    return found


def schema_of(name: str) -> dict[str, Any]:
    """Return a schema that comes with mpipar."""
    text = (
        importlib.resources.files("mpipar.batch")
        .joinpath(f"{name}.schema.json")
        .read_text(encoding="utf-8")
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BadInput(f"{printable(path)}: is a folder, expected a file")
        if not stat.S_ISREG(status.st_mode):  # to open a pipe could take for ever
            raise BadInput(f"{printable(path)}: is not a regular file")
        if status.st_size > _LARGEST:
            raise BadInput(
                f"{printable(path)}: has {status.st_size} bytes, expected at most {_LARGEST}"
            )
        return path.read_text(encoding="utf-8")
    except BadInput:
        raise
    except UnicodeError:
        raise BadInput(f"{printable(path)}: is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{printable(path)}: {reason}") from None


def _parsed(text: str, place: str) -> dict[str, Any]:
    """Return what TOML says. Raises TOMLDecodeError; BadInput for what Python can't take."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadInput(f"{place}: nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of Python's int, which is given thousands of digits
        raise BadInput(f"{place}: expected numbers of at most 64 bits") from None


def _walk(value: Any, key: Key) -> Iterator[tuple[Key, Any]]:
    """Yield a value and all that are in it, with their keys, in order."""
    left = [(key, value)]
    while left:
        key, value = left.pop()
        yield key, value
        parts: list[tuple[str | int, Any]] = []
        if isinstance(value, dict):
            parts = list(value.items())
        elif isinstance(value, list):
            parts = list(enumerate(value))
        left += [((*key, name), part) for name, part in reversed(parts)]


def _told(error: Any) -> tuple[Key, str]:
    """Return the key that an error of jsonschema is about, and what is wrong with it."""
    key: Key = tuple(error.absolute_path)
    schema = error.schema
    got = error.instance
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        name = _first_not_in(known, got)
        hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
        return (*key, name), f"there is no such key{hint}"
    if error.validator == "required":
        return key, f"{_first_not_in(got, schema['required'])!r} is missing"
    if error.validator in _ABOUT_KEYS or "expected" not in schema:
        return key, str(schema.get("expected_keys", error.message))
    return key, f"expected {schema['expected']}, got {_value(got)}"


def _first_not_in(known: Iterable[str], names: Iterable[str]) -> str:
    return next(name for name in names if name not in known)


def _dotted(key: Key) -> str:
    """Return a key as people write it: "run.arguments[2]"."""
    name = ""
    for part in key:
        name += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return name.removeprefix(".")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        text = f"{value}".lower()
    elif isinstance(value, list):
        text = f"a list, {value!r}"
    elif isinstance(value, (datetime.date, datetime.time)):
        text = f"{value} without quotes"
    else:
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _has(value: Any, key: Sequence[str | int]) -> bool:
    for part in key:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
