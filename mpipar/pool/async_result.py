"""The results of a pool that are still to come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from multiprocessing import TimeoutError as PoolTimeoutError
from multiprocessing import pool
from typing import Any

from mpipar.pool.jobs import Raised
from mpipar.pool.pool_runtime import process_runtime

Callback = Callable[[Any], object]


class AsyncResult(pool.ApplyResult[Any]):
    """The result of ``apply_async``, ``map_async`` or ``starmap_async``, once there is one."""

    def __init__(
        self,
        owner: Any,
        callback: Callback | None,
        error_callback: Callback | None,
    ) -> None:
        self._pool = owner  # which lives as long as there is something to come
        self._callback, self._error_callback = callback, error_callback
        self._event = threading.Event()
        self._outcome: Any = None

    def ready(self) -> bool:
        """Return whether the call is complete."""
        return self._event.is_set()

    def successful(self) -> bool:
        """Return whether it was without an exception. Raises ValueError if it is not ready."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return type(self._outcome) is not Raised

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the result, for ``timeout`` seconds at most."""
        self._event.wait(timeout)

    def get(self, timeout: float | None = None) -> Any:
        """Return the result.

        Raises
        ------
        multiprocessing.TimeoutError
            If it isn't there after ``timeout`` seconds.
        Exception
            Whatever the call raised, with the remote traceback as cause.
        WorkerLost
            If the call was given up, as the workers that had it died.
        """
        if not self._event.wait(timeout):
            raise PoolTimeoutError
        if type(self._outcome) is Raised:
            if process_runtime.is_ending and threading.current_thread().daemon:
                # as with multiprocessing: it ends with the process, silently
                threading.Event().wait()
            raise self._outcome.error
        return self._outcome

    def start(self) -> bool:
        """Return True: the engine's way to ask whether the result is still wanted."""
        return True

    def cancel(self) -> None:
        """Do nothing: results of a pool can't be cancelled."""

    def put(self, outcome: Any) -> None:
        """Take in the outcome; the engine calls this."""
        self._outcome = outcome
        callback, argument = self._callback, outcome
        if type(outcome) is Raised:
            callback, argument = self._error_callback, outcome.error
        if callback is None:
            self._event.set()
            return

        def call_back() -> None:
            try:
                callback(argument)
            finally:
                self._event.set()

        self._pool._session.later(call_back)


class MapResult(AsyncResult, pool.MapResult[Any]):
    """The result of ``map_async`` or ``starmap_async``, once there is one."""
