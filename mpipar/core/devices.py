"""What a kernel can be evaluated on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

DEVICES = ("cpu", "gpu")
"""What a result can be of: it depends on which of them, and not on which GPU."""


class Accelerator(NamedTuple):
    """What a kernel needs to be evaluated on a GPU.

    Attributes
    ----------
    xp : module
        The array library, whose arrays are on the GPU.
    to_host : callable
        Returns a partial with numbers and NumPy arrays for what is on the GPU.
    """

    xp: Any
    to_host: Callable[[Any], Any]
