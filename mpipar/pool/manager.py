"""Shared lists, dicts, queues, locks and values for all ranks."""

from __future__ import annotations

from multiprocessing.managers import SyncManager
from typing import Any, ClassVar

from mpipar.pool.definitions import definitions_of_main
from mpipar.pool.main_names import begin_and_define
from mpipar.pool.module_sharing import offered_manager
from mpipar.pool.pool import Pool
from mpipar.pool.pool_runtime import process_runtime
from mpipar.runtime import child
from mpipar.runtime.interfaces import connect_without_delay


class _Manager(SyncManager):
    # Its process gets this table by pickling, which takes the classes in it by name: but the name
    # of multiprocessing's pool may stand for another one.
    _registry: ClassVar[dict[str, Any]] = {
        name: entry
        for name, entry in SyncManager._registry.items()  # type: ignore[attr-defined]
        if name != "Pool"
    }

    def Pool(self, *arguments: Any, **options: Any) -> Pool:  # type: ignore[override]  # noqa: N802
        """Return a pool; there is no need to have it in the manager's process."""
        return Pool(*arguments, **options)


def Manager() -> SyncManager:  # noqa: N802 (as in multiprocessing)
    """Start a manager: as :func:`multiprocessing.Manager`, but its proxies are valid in the workers
    of all ranks.

    Its process runs on the root's node, and listens on a socket in a folder of the user's own if
    all ranks are on that node, or else on an address in a network that they share. Who connects
    must know a random key, which ranks have from MPI. Collective over all ranks, at the first call
    of this or of another of the faces of mpipar.

    Returns
    -------
    multiprocessing.managers.SyncManager
        Started; it ends with ``shutdown()``, at the end of a ``with`` block, or with the script.

    Raises
    ------
    RunFailed
        If the nodes share no network.
    """
    offered = offered_manager()
    if offered is not None:  # a worker imports what has made one in the script
        return offered  # type: ignore[no-any-return]
    engine = process_runtime.attend()
    address = engine.address()
    manager = _Manager(None if address is None else (address, 0), ctx=child.context)
    connect_without_delay()
    with child.main_hidden_from_children():
        manager.start(begin_and_define, (definitions_of_main(),))
    return manager
