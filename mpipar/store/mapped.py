"""The outcomes of a map in a result file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from mpipar.base.errors import BadInput
from mpipar.core.reduction import Array

DATASET = "outcomes"


def stored_outcomes(path: Path) -> tuple[Array, int]:
    """Return the outcomes of a finished map as bytes, and the number of its items. Raises
    BadInput.
    """
    try:
        with h5py.File(path, "r") as file:
            if not file.attrs.get("finished", False) or DATASET not in file:
                raise BadInput(f"{str(path)!r} is not the finished output of a map")
            rows = np.asarray(file[DATASET][...], np.uint8)
            return rows, int(file.attrs["n"])
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{str(path)!r} can't be read: {' '.join(str(error).split())[:200]}"
        ) from None
