"""Making the name of mpipar's backend known to joblib, without loading joblib.

Joblib has no way to find the backends of other packages: each must be registered, which takes
joblib. So that happens where it has been loaded, or else when it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_PLACE = "joblib.parallel"


def introduce() -> None:
    """Have joblib know the backend "mpipar": at once, or as soon as it is loaded."""
    if _PLACE in sys.modules:
        _register()
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def _register() -> None:
    from joblib.parallel import register_parallel_backend

    register_parallel_backend("mpipar", _backend)


def _backend(**options: Any) -> Any:
    """Return a new backend; what it needs is loaded only now."""
    from mpipar.pool.joblib_backend import MpiparBackend

    return MpiparBackend(**options)


class _Finder:
    """What the import system asks for modules: for one of them, it finds what others do, and adds
    the registration.
    """

    @staticmethod
    def find_spec(
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the spec of the one module, and None for all others."""
        spec = PathFinder.find_spec(name, path, target) if name == _PLACE else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
