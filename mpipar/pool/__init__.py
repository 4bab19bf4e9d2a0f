"""The faces people know: Pool, Executor, Manager, joblib, scripts as they are.

::

    Pool, Executor, joblib ──▶ Session ──▶ Engine ────────┬─▶ WorkerManager of the root ──▶ its workers
      the script's threads     jobs        a thread, with │   WorkerManager of a rank ────▶ its workers
                                           a Dispatch for │     ▲                (sockets)
                                           each pool      └─▶ agent of that rank (MPI messages)

The root's script hands in jobs. The engine cuts them into batches that take some milliseconds each,
and gives these to workers as they become free. No rank computes itself: each has at least one
worker process, so that whatever a task does to its process, the rank is there to tell of it, and
the root's cores compute, too.
"""  # noqa: E501
