"""Copies of the tree, for campaigns that change code and look which tests notice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_tree(folder: Path, *below: str) -> None:
    """Copy the files that git knows, of the whole tree or of what is below some names."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *below],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def environment_of(copy: Path, *others: Path) -> dict[str, str]:
    """Return the environment in which Python takes mpipar from a copy, and looks in other folders.

    No byte code is kept: of two changes within a second it would be that of the first.
    """
    path = os.pathsep.join(map(str, (copy, *others)))
    # A test run within a test would wait for the locks that this one holds.
    own = {name: value for name, value in os.environ.items() if name != "MPIPAR_TEST_LOCKS"}
    return {**own, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
