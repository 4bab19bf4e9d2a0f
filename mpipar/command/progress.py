"""A progress bar on stderr, which no run waits for, nor ends for."""

from __future__ import annotations

import sys
from typing import Any

from mpipar.runtime.launcher import launch, launchers_terminal
from mpipar.runtime.outlets import hint

_SHOWN_AS = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} < {remaining}"


class _Stderr:
    """Stderr as tqdm is to see it: what can't be written at once is left out."""

    def write(self, text: str) -> None:
        hint(text)

    def flush(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def _is_seen() -> bool:
    """Return whether stderr ends at a terminal, perhaps by way of a launcher."""
    return sys.stderr.isatty() or (launch() is not None and launchers_terminal())


class Progress:
    """A bar that a run moves by calling it with the fraction that is done; a context manager.

    Parameters
    ----------
    name : str
        What is running.
    wanted : bool or None
        Whether to show it; None is "on a terminal".
    """

    def __init__(self, name: str, wanted: bool | None) -> None:
        self._bar: Any = None
        if wanted or (wanted is None and _is_seen()):
            from tqdm import tqdm  # takes time to load

            self._bar = tqdm(
                desc=name, total=1.0, bar_format=_SHOWN_AS, file=_Stderr(), dynamic_ncols=True
            )

    def __call__(self, fraction: float) -> None:
        """Show the fraction that is done, 0 to 1."""
        if self._bar is not None:
            self._bar.update(fraction - self._bar.n)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            if kind is None:
                self(1.0)
            self._bar.close()
