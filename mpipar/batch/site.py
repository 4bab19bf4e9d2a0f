"""What a site does in its own way: launcher, partition, account, modules.

The profile is ``site.toml`` in ``$XDG_CONFIG_HOME/mpipar``, or what ``--site`` names; see
docs/sites.md.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpipar.base.errors import BadInput
from mpipar.batch.document import Document, expanded, schema_of
from mpipar.batch.job_file import check_options
from mpipar.batch.schedulers import scheduler


@dataclass(frozen=True)
class Site:
    """A site's profile.

    Attributes
    ----------
    launcher : str
        What starts the ranks.
    partition, account : str
        What jobs go to if they don't say; empty for the site's default.
    prologue : str
        Lines of shell that each job runs first.
    python : str
        The Python of jobs; empty for the one that submits.
    scratch : str
        Where relative output folders go; empty for the working folder.
    start_seconds : float
        How long ranks may take to find each other.
    own_options : dict
        More options, which are the scheduler's own.
    text : str
        The profile itself; empty if there is none.
    """

    launcher: str = "mpirun"
    partition: str = ""
    account: str = ""
    prologue: str = ""
    python: str = ""
    scratch: str = ""
    start_seconds: float = 300.0
    own_options: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    def folder(self, name: str) -> Path:
        """Return where an output folder is, absolute."""
        try:
            base = expanded(self.scratch)
        except ValueError as error:
            raise BadInput(f"site: scratch: {error}") from None
        return Path(os.path.abspath(os.path.join(base, name)))


def read_site(path: Path | None = None) -> Site:
    """Return the profile in a file; by default the user's, or an empty one if there is none.

    Raises
    ------
    BadInput
        If it isn't a valid one.
    """
    if path is None:
        path = user_profile()
        if not path.exists():
            return Site()
    document = Document(path)
    document.check(schema_of("site"))
    values = dict(document.values)
    options = scheduler().options_table
    own_options = values.pop(options, {})
    check_options(document, (options,), own_options)
    try:
        shlex.split(values.get("launcher", "mpirun"))
    except ValueError as error:
        raise document.error(("launcher",), f"can't be split into words ({error})") from None
    return Site(**values, own_options=own_options, text=document.text)


def user_profile() -> Path:
    """Return where the user's profile is, or would be."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "mpipar" / "site.toml"
