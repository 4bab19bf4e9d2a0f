"""Words for people."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable


def printable(text: object) -> str:
    """Return a text as it can be printed in one line: what a user gave may have several, or odd
    characters.
    """
    return "".join(map(_printable_letter, str(text)))


def _printable_letter(letter: str) -> str:
    if letter.isprintable():
        return letter
    return repr(letter)[1:-1]


def distinct_names(keys: Iterable[object]) -> list[str]:
    """Return a name for each key of a mapping, no two alike: 1 and "1" are two keys."""
    names: dict[str, None] = {}
    for key in keys:
        name = str(key)
        if name in names:
            name = repr(key)
        while name in names:
            name += "'"
        names[name] = None
    return list(names)


def several(count: int, thing: str, things: str = "") -> str:
    """Return "1 rank", "2 ranks"; ``things`` is the plural, if it is more than an s."""
    if count == 1:
        return f"{count} {thing}"
    return f"{count} {things or thing + 's'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean a, b?" with the names that are like ``name``, or nothing."""
    import difflib  # for mistakes alone

    by_folded = {one.casefold(): one for one in known}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=3)
    if not matches:
        return ""
    meant = ", ".join(by_folded[match] for match in matches)
    return f"; did you mean {meant}?"


def items_in_blocks(n: int, n_blocks: int, block: int) -> str:
    """Return a plan in words."""
    return f"{n:_} item{'s' * (n != 1)} in {n_blocks:_} block{'s' * (n_blocks != 1)} of {block:_}"


def markdown_row(cells: Iterable[str]) -> str:
    """Return a line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def suit_any_encoding() -> None:
    """Let stdout write letters that its encoding hasn't, such as the ± of an error, as escapes; so
    does stderr.
    """
    with contextlib.suppress(AttributeError):  # somebody has put another object in its place
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
