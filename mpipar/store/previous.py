"""The finished outcomes of a script that a new run is to replace, until that is complete."""

from __future__ import annotations

import os
from pathlib import Path

from mpipar.store.files import keep_aside


class Previous:
    """An output with what is pickled beside it, and both under other names.

    Parameters
    ----------
    path, pickled : Path
        The output, and what is beside it.
    """

    def __init__(self, path: Path, pickled: Path) -> None:
        aside = Path(f"{path}.previous")
        self._aside = {path: aside, pickled: Path(f"{aside}.pickled")}
        self._path = path
        self._is_kept = False

    def keep(self) -> None:
        """Keep both, if there is an output. Raises OSError."""
        self._is_kept = self._path.exists()
        if not self._is_kept:
            return
        for file, aside in self._aside.items():
            aside.unlink(missing_ok=True)
            keep_aside(file, aside)

    def forget(self) -> None:
        """Remove both: the new run is complete. Raises OSError."""
        for aside in self._aside.values():
            aside.unlink(missing_ok=True)

    def put_back(self) -> None:
        """Have both again, if they were kept. Raises OSError."""
        if not self._is_kept:
            return
        for file, aside in self._aside.items():
            if aside.exists():
                os.replace(aside, file)
