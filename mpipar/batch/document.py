"""TOML files with a schema: what is wrong with one is told with its line. Imports mpipar.core alone, of mpipar.

A schema is a JSON Schema; the keyword ``expected`` of a value says in words what is allowed there.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import importlib.resources
import json
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpipar.core.errors import BadInput

_LARGEST = 2**20  # bytes; no file that a person has written is larger

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
            self.values: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            what, _, place = str(error).rpartition(" (at ")
            line = place.removeprefix("line ").partition(",")[0] if what else str(len(self.text.splitlines()))
            raise BadInput(f"{_shown(path)}:{line}: not TOML: {what or error}") from None
        except RecursionError:
            raise BadInput(f"{_shown(path)}: nested too deeply") from None

    def change(self, text: str, option: str = "--set") -> None:
        """Change a value as ``key.key=value`` says; the value is TOML, or else text as it stands. Raises BadInput."""
        name, equals, value = text.partition("=")
        keys = tuple(key.strip() for key in name.split("."))
        if not equals or not all(keys):
            raise BadInput(f"{option}: expected KEY=VALUE, such as resources.nodes=4, got {text!r}")
        parsed: Any = value
        with contextlib.suppress(tomllib.TOMLDecodeError):
            if "\n" not in value:
                parsed = tomllib.loads(f"value = {value}")["value"]
        self.put(keys, value if isinstance(parsed, (datetime.date, datetime.time)) else parsed, option)

    def put(self, keys: tuple[str, ...], value: Any, option: str) -> None:
        """Put a value in the place of what the file says, as an option wants it. Raises BadInput."""
        *parents, last = keys
        table = self.values
        for key in parents:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise BadInput(f"{option}: {'.'.join(keys)}: {key!r} is not a table")
        table[last] = value
        self._changes[keys] = option

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise BadInput, with place and remedy, if the values aren't as a schema wants."""
        from jsonschema import Draft202012Validator  # takes time to load

        errors = list(Draft202012Validator(schema).iter_errors(self.values))
        if errors:
            told = [_told(error) for error in errors]
            places = [(self._line(key) or 0, index) for index, (key, _) in enumerate(told)]
            raise self.error(*told[min(places)[1]])

    def error(self, key: Key, problem: str) -> BadInput:
        """Return the error of a key, with its place."""
        place = _shown(self.path)
        changed = next((text for keys, text in self._changes.items() if key[: len(keys)] == keys), None)
        if changed is not None:
            place = changed
        elif (line := self._line(key)) is not None:
            place += f":{line}"
        name = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")
        return BadInput(f"{place}: {name}: {problem}" if name else f"{place}: {problem}")

    def _line(self, key: Key) -> int | None:
        """Return the line where a key's value begins, from 1: the first one whose end the file can't do without."""
        lines = self.text.split("\n")
        begins = 1
        for count in range(1, len(lines) + 1):
            try:
                table: Any = tomllib.loads("\n".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue  # within a value of several lines
            if _has(table, key):
                return begins
            begins = count + 1
        return self._line(key[:-1]) if len(key) > 1 else None


def schema_of(name: str) -> dict[str, Any]:
    """Return a schema that comes with mpipar."""
    text = importlib.resources.files("mpipar.batch").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BadInput(f"{_shown(path)}: is a folder, expected a file")
        if not stat.S_ISREG(status.st_mode):  # to open a pipe could take for ever
            raise BadInput(f"{_shown(path)}: is not a regular file")
        if status.st_size > _LARGEST:
            raise BadInput(f"{_shown(path)}: has {status.st_size} bytes, expected at most {_LARGEST}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        reason = "is not UTF-8 text" if isinstance(error, UnicodeError) else getattr(error, "strerror", None) or error
        raise BadInput(f"{_shown(path)}: {reason}") from None


def _told(error: Any) -> tuple[Key, str]:
    """Return the key that an error of jsonschema is about, and what is wrong with it."""
    key: Key = tuple(error.absolute_path)
    schema, got = error.schema, error.instance
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        name = next(name for name in got if name not in known)
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        return (*key, name), f"there is no such key; {hint}"
    if error.validator == "required":
        return key, f"{next(name for name in schema['required'] if name not in got)!r} is missing"
    if error.validator in ("oneOf", "minProperties", "maxProperties", "propertyNames") or "expected" not in schema:
        return key, str(schema.get("expected_keys", error.message))
    return key, f"expected {schema['expected']}, got {_value(got)}"


def _value(value: Any) -> str:
    text = f"{value}".lower() if isinstance(value, bool) else repr(value)
    if isinstance(value, (dict, list)):
        text = "a table" if isinstance(value, dict) else f"a list, {text}"
    return text if len(text) <= 100 else f"{text[:100]}…"


def _has(value: Any, key: Sequence[str | int]) -> bool:
    for part in key:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _shown(path: Path) -> str:
    """Return a path as it can be printed in one line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))
