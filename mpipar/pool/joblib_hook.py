"""Making the name of mpipar's backend known to joblib, which doesn't look for those of others."""

from __future__ import annotations

from typing import Any


def register() -> None:
    """Let joblib know the backend ``"mpipar"``: the workers of all ranks.

    A script that is run by ``mpipar run`` needs no call.

    Raises
    ------
    ImportError
        If joblib isn't installed.
    """
    from joblib.parallel import register_parallel_backend

    register_parallel_backend("mpipar", _backend)


def _backend(**options: Any) -> Any:
    """Return a new backend; what it needs is loaded only now."""
    from mpipar.pool.joblib_backend import MpiparBackend

    return MpiparBackend(**options)
