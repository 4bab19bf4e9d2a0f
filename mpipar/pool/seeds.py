"""Random numbers in tasks that don't depend on who does them.

Before each task, ``random`` and ``numpy.random`` are seeded by (seed, job, task), and generators
that a task makes without a seed of its own are made from the same.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

_current = np.random.SeedSequence(0)


def install() -> None:
    """Let ``numpy.random.default_rng()`` without a seed take the task's."""
    original = np.random.default_rng

    def default_rng(seed: Any = None) -> np.random.Generator:
        if seed is None:
            seed = _current.spawn(1)[0]
        return original(seed)

    default_rng.__doc__ = original.__doc__
    np.random.default_rng = np.random._generator.default_rng = default_rng


def seed(key: tuple[int, ...]) -> None:
    """Seed all for one task."""
    global _current
    _current = np.random.SeedSequence(key)
    words = _current.generate_state(8)
    np.random.seed(words[:4])  # noqa: NPY002 (for scripts that use it)
    random.seed(words[4:].tobytes())
