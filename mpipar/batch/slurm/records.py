"""Lists that Slurm's programs print, whatever people have put into the names of their jobs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator


def mark() -> str:
    """Return what to put between fields: nothing that anybody can put into the name of a job."""
    return f"~x{secrets.token_hex(6)}~"


def records(text: str, mark: str, fields: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield {field: text} of each record; the last field is a name, which may have lines, and all
    that is no record is left out.
    """
    begins = re.compile(rf"^(?=\d+(?:_\d+|_\[[^]\n]*\])?{re.escape(mark)})", re.MULTILINE)
    for record in begins.split(text):
        *told, name = record.rstrip("\n").split(mark, len(fields) - 1)
        if len(told) == len(fields) - 1:
            yield dict(zip(fields, [*(field.strip() for field in told), name], strict=True))
