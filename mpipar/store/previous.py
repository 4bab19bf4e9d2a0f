"""The finished outcomes of a script that a new run is to replace, until that is complete.

::

    run.h5  run.h5.pickled        finished
    run.h5                        a new run begins: both are kept under other names, …
    run.h5  run.h5.pickled        … and it writes its own

Whenever a process is killed, what was finished is there: see :meth:`Previous.recover`.
"""

from __future__ import annotations

import os
from pathlib import Path

from mpipar.store.files import are_same, keep_aside


class Previous:
    """An output with what is pickled beside it, and both under other names.

    Parameters
    ----------
    path, pickled : Path
        The output, and what is beside it.
    """

    def __init__(self, path: Path, pickled: Path) -> None:
        self._path = path
        self._pickled = pickled
        self._aside = Path(f"{path}.previous")
        self._pickled_aside = Path(f"{self._aside}.pickled")
        self._is_kept = False

    def recover(self) -> None:
        """Have what is pickled beside the output again, if a new run was killed before it had
        written its own output. Raises OSError.
        """
        is_moved = self._pickled_aside.exists() and not self._pickled.exists()
        if is_moved and self._is_output_as_it_was():
            os.replace(self._pickled_aside, self._pickled)

    def _is_output_as_it_was(self) -> bool:
        if not self._path.exists():
            return False
        if not self._aside.exists():  # it was put back
            return True
        return are_same(self._path, self._aside)

    def keep(self) -> None:
        """Keep both, if there is an output. Raises OSError."""
        self._is_kept = self._path.exists()
        if not self._is_kept:
            return
        self.forget()
        keep_aside(self._path, self._aside)
        keep_aside(self._pickled, self._pickled_aside)

    def forget(self) -> None:
        """Remove both: the new run is complete. Raises OSError."""
        self._pickled_aside.unlink(missing_ok=True)
        self._aside.unlink(missing_ok=True)

    def put_back(self) -> None:
        """Have both in place of the new run's, or neither, if there was none. Raises OSError."""
        self._pickled.unlink(missing_ok=True)
        if not self._is_kept:
            self._path.unlink(missing_ok=True)
            return
        os.replace(self._aside, self._path)
        self._aside.unlink(missing_ok=True)  # which stays, if it is another name of the same file
        if self._pickled_aside.exists():
            os.replace(self._pickled_aside, self._pickled)
