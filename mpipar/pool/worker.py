"""A worker process: takes batches of tasks, sends what comes out of them.

Messages to a worker, frames that are pickles or words of :mod:`mpipar.runtime.crew`::

    Setup, a number, where its large data is     the first one
    Batch, definitions, the job's function if the worker hasn't it, the items
    no frames                                    it is to end

and from it::

    READY, its number; or BROKEN, an error       the first one
    (DONE | PART, Part), values
    LINGER                                       the last one, if it can't end before somebody reads what it has sent
"""  # noqa: E501

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from mpipar.pool import (
    by_value,
    importing,
    inheritance,
    library_calls,
    main_names,
    module_files,
    module_restoring,
    module_sharing,
    sharing,
    twins,
)
from mpipar.pool.chunks import Chunks
from mpipar.pool.evaluation import (
    Batch,
    Evaluation,
    Items,
    Mailbox,
    Overseer,
    flush,
    portable,
)
from mpipar.pool.inheritance import Inherited
from mpipar.pool.job_function import JobFunction
from mpipar.pool.library_calls import LibraryCall
from mpipar.pool.module_changes import Change
from mpipar.pool.module_sharing import Shared
from mpipar.pool.node_memory import opened
from mpipar.pool.salvage import Broken
from mpipar.runtime.channel import Message
from mpipar.runtime.crew import BROKEN, LINGER, READY
from mpipar.runtime.interfaces import connect_without_delay


class Setup(NamedTuple):
    """What a worker begins with.

    Attributes
    ----------
    main : Identity
        What the main script is.
    definitions : list
        Of names of the main script.
    rest : list
        Definitions of names that tasks don't show, for a worker that hasn't imported the script.
    initializer : list
        Frames of (function, arguments), or of None.
    path, argv : list of str
        The script's ``sys.path`` and ``sys.argv``.
    folder : str
        Its working folder.
    environment : dict
        What it has changed in its environment; None is a variable that it has removed.
    settings : list
        Of Python and of libraries, as the script has them.
    calls : list
        By which it has set others.
    shared : list
        What modules of the script share with it.
    changes : list
        What the script has changed in modules.
    files : dict
        {name: file} of modules that aren't found by their names.
    seed : int or None
        Of the random numbers in tasks.
    stand_in : callable or None
        Lets the names of multiprocessing stand for mpipar's.
    takes_exit : bool
        Whether a task's SystemExit is raised where its value is wanted, or ends the worker.
    """

    main: importing.Identity
    definitions: list[Any]
    rest: list[Any]
    initializer: list[bytes]
    path: list[str]
    argv: list[str]
    folder: str
    environment: dict[str, str | None]
    settings: list[Inherited]
    calls: list[LibraryCall]
    shared: list[Shared]
    changes: list[Change]
    files: dict[str, str]
    seed: int | None
    stand_in: Callable[[], None] | None
    takes_exit: bool


SetUp: TypeAlias = Callable[[Setup, int, bytes], None]


Take: TypeAlias = Callable[[Any], None]


def _map(function: Any, items: Iterator[Any], take: Take) -> None:
    for item in items:
        take(function(item))


def _star(function: Any, items: Iterator[Any], take: Take) -> None:
    for item in items:
        take(function(*item))


def _calls(_: None, items: Iterator[Any], take: Take) -> None:
    for function, arguments, keywords in items:
        take(function(*arguments, **keywords))


_CALLS: dict[str, Callable[[Any, Iterator[Any], Take], None]] = {
    "map": _map,
    "star": _star,
    "calls": _calls,
}


def work(sock: socket.socket) -> None:
    """Do what comes through ``sock``, until it is told to end: the life of a worker process."""
    names = main_names.begin(importing.imported_main(), twins.kept)
    _begin_mpi()
    try:
        _work(sock, _set_up_process, names.define)
    finally:
        _end_mpi()


def work_in_thread(sock: socket.socket) -> None:
    """Do the same in a thread of a process that is a worker already, or otherwise may have no
    children.
    """
    _work(sock, _set_up_thread, main_names.define_given, in_thread=True)


def _work(
    sock: socket.socket,
    set_up: SetUp,
    define: Callable[[Any], None],
    *,
    in_thread: bool = False,
) -> None:
    sock.setblocking(True)  # the script may have set a default timeout
    try:
        with contextlib.suppress(EOFError, ConnectionError), sock:  # the rank is gone
            _Worker(sock, set_up, define, in_thread=in_thread).work()
    finally:
        flush()


def _begin_mpi() -> None:
    """Begin MPI, if the import of the script has loaded it, which it must not be before there is a
    process for it: tasks find it begun.
    """
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and not mpi.Is_initialized():
        mpi.Init_thread()


def _end_mpi() -> None:
    """End MPI, if a task has used it, or it would leave files of its shared memory."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized():
        mpi.Finalize()


def _set_up_thread(setup: Setup, _: int, __: bytes) -> None:
    """Let this thread have the settings that each thread has for itself."""
    inheritance.put_first(setup.settings, in_thread=True)


def _set_up_process(setup: Setup, number: int, ticket: bytes) -> None:
    """Make this process like the script's, as far as tasks can see, and give it a number that no
    other worker has.
    """
    process = multiprocessing.current_process()
    process._identity = (number,)
    process.name = f"ForkPoolWorker-{number}"
    vars(process)["_config"][
        "daemon"
    ] = not setup.takes_exit  # a task of an Executor may start processes
    connect_without_delay()
    if importing.imported_main() is None:
        names = main_names.current()
        names.define_when_looked_for(setup.rest)
        names.names.update(vars(importing.new_main(setup.main)))
    sys.path[:] = setup.path
    sys.argv[:] = setup.argv
    with contextlib.suppress(OSError):  # a folder that only the root's node has
        os.chdir(setup.folder)
    for name, value in setup.environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    inheritance.put_first(setup.settings)
    library_calls.call_first(setup.calls)
    module_files.find(setup.files)
    module_restoring.put_first(setup.changes, opened(ticket))
    module_sharing.put_first(setup.shared)
    if setup.stand_in is not None:
        setup.stand_in()
    if setup.seed is not None:
        from mpipar.pool import seeds

        seeds.install()
    elif "numpy.random" in sys.modules:
        # Else the numbers would be the fork server's, the same in all workers. NumPy loads this
        # when it is first looked at, which takes longer than all the rest of a worker's start.
        sys.modules["numpy.random"].seed()


_NONE = JobFunction([bytearray(pickle.dumps(None))])


def _items(batch: Batch, frames: Message) -> Items | Chunks:
    if batch.is_chunked:
        return Chunks(frames)
    return Items(list(by_value.loads_each(frames)))


class _Worker:
    def __init__(
        self,
        sock: socket.socket,
        set_up: SetUp,
        define: Callable[[Any], None],
        *,
        in_thread: bool,
    ) -> None:
        self._mailbox = Mailbox(sock)
        self._in_thread = in_thread
        self._set_up = set_up
        self._define = define
        self._functions: dict[int, JobFunction] = {}  # {number of a job: its function}
        self._seed: int | None = None
        self._takes_exit = False

    def work(self) -> None:
        packed, number, ticket = self._mailbox.receive()
        setup = pickle.loads(packed)
        try:
            self._seed = setup.seed
            self._takes_exit = setup.takes_exit
            self._mailbox.is_executors = setup.takes_exit
            self._set_up(setup, int(bytes(number)), bytes(ticket))
            self._define(setup.definitions)
            inheritance.put_rest(setup.settings, in_thread=self._in_thread)
            if not self._in_thread:
                library_calls.call_rest(setup.calls)
                module_restoring.put_rest(setup.changes)
                module_sharing.put_rest(setup.shared)
            initializer = by_value.loads(setup.initializer)
            if initializer is not None:
                function, arguments = initializer
                function(*arguments)
                flush()
        except SystemExit:
            raise
        except BaseException as error:
            self._mailbox.send(BROKEN, *by_value.dumps(portable(error)).frames)
            return
        self._mailbox.send(READY, str(os.getpid()).encode())
        overseer = Overseer(self._mailbox)
        while message := self._mailbox.receive():
            head, *frames = message
            self._do(Batch(*pickle.loads(head)), frames, overseer)
        if sharing.has_unsent():
            self._mailbox.send(LINGER)

    def _do(
        self,
        batch: Batch,
        frames: Message,
        overseer: Overseer,
    ) -> None:
        for job in batch.forget:
            self._functions.pop(job, None)
        try:
            count = len(batch.definitions)
            if count:
                pairs = zip(batch.definitions, frames[:count], strict=True)
                self._define([each._replace(pickled=bytes(frame)) for each, frame in pairs])
            frames = frames[count:]
            if batch.function_frames:
                self._functions[batch.job] = JobFunction(frames[: batch.function_frames])
            function = self._functions.get(batch.job, _NONE)
            if function.error is not None:
                raise function.error
            broken_before = Broken.made
            items = _items(batch, frames[batch.function_frames :])
        except Exception as error:  # none of the tasks can be begun
            self._mailbox.send_outcomes(
                batch, [error] * len(batch.indices), range(len(batch.indices))
            )
            return
        call = _CALLS[batch.kind]
        if self._mailbox.has_returned(batch):
            items.take_back()
        evaluate = functools.partial(call, function.current)
        has_broken = batch.is_chunked or Broken.made != broken_before
        evaluation = Evaluation(
            batch,
            items,
            evaluate,
            self._seed,
            begin_chunk=function.begin if function.has_state else None,
            takes_exit=self._takes_exit,
            has_broken=has_broken,
        )
        evaluation.run(overseer)
