"""Interpreters that are warm: a command of Python as a fork of one that has imported what it needs.

A start of Python with NumPy, h5py and mpipar takes 0.3 s, of which each rank and each command of a
test would pay its part again. Here a server imports them once, and a client of a few milliseconds
stands where the command would::

    test ──▶ mpirun ──▶ client ──(arguments, environment, folder, files)──▶ server ──fork──▶ the
    command
                          ▲ ends as the command did                                │
                          └──────────────────── how it ended ──────────────────────┘

The command has its own process group, environment, working folder and file descriptors, the
launcher's included, and ends as any interpreter does. Only what is loaded already, and whose child
it is, are not as after a start: a test of these, of signals or of the launcher says ``cold=True``.

    python -m suite.warm SOCKET       the server; ends with its standard input

:class:`Warm` is how tests use both.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import contextlib
import ctypes
import fcntl
import gc
import importlib
import os
import random
import runpy
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from pathlib import Path

from suite import quick_end
from suite.starts import note_warm_start
from suite.warm_client import LENGTH, STATUS, receive

CLIENT = str(Path(__file__).with_name("warm_client.py"))
MARK = "for "  # begins the name of each fork
_MOST_FILES = 64

PRELOADED = (
    *(
        "argparse",
        "json",
        "logging",
        "multiprocessing.forkserver",
        "multiprocessing.shared_memory",
        "inspect",
    ),
    *(
        "concurrent.futures.process",
        "numpy",
        "numpy.random",
        "h5py",
        "cloudpickle",
        "mpi4py",
        "tqdm",
        "threadpoolctl",
    ),
    *(
        "mpipar",
        "mpipar.command.driver",
        "mpipar.view.result_text",
        "mpipar.store.output",
        "mpipar.runtime.pool_evaluator",
    ),
    *("mpipar.inputs.function", "mpipar.pool.script", "mpipar.pool.pool", "mpipar.pool.executor"),
    *("mpipar.command.submit", "jsonschema"),
)


class Server:
    """Forks a command for each client, tells it how the command ended, and ends what nobody waits
    for any more.
    """

    def __init__(self, path: str) -> None:
        self.clients: dict[int, socket.socket] = {}  # by the command's process number
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.wake, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.events = selectors.DefaultSelector()
        for file in (0, self.wake, self.listener.fileno()):
            self.events.register(file, selectors.EVENT_READ)

    def serve(self):
        """Serve until standard input ends; return None then, and in a fork its request."""
        while True:
            for key, _ in self.events.select():
                if key.fd == 0:
                    self._end()
                    return None
                if key.fd == self.wake:
                    os.read(self.wake, 1024)
                    self._reap()
                elif key.fd == self.listener.fileno():
                    request = self._request()
                    if request is not None:
                        return request
                else:
                    self._abandon(key.data)

    def _request(self):
        """Fork for a client; one that has been killed meanwhile is none."""
        client, _ = self.listener.accept()
        try:
            return self._forked(client)
        except OSError:
            client.close()
            return None

    def _forked(self, client: socket.socket):
        space = socket.CMSG_SPACE(4 * _MOST_FILES)
        head, rights, _, _ = client.recvmsg(LENGTH.size, space)
        received = []
        for level, kind, data in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                received += struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])
        if len(head) < LENGTH.size:  # it has been killed
            client.close()
            return None
        text = receive(client, LENGTH.unpack(head)[0])
        pid = _fork()
        if pid == 0:
            _name_after(client)
            return (text, received, client)
        for file in received:
            os.close(file)
        with contextlib.suppress(OSError):
            client.send(LENGTH.pack(pid))
        self.clients[pid] = client
        self.events.register(client.fileno(), 1, pid)
        return None

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            client = self.clients.pop(pid, None)
            if client is not None:
                self.events.unregister(client.fileno())
                with contextlib.suppress(OSError):
                    client.send(STATUS.pack(status))
                client.close()

    def _abandon(self, pid: int) -> None:
        """End a command whose client has been killed: the launcher or the test doesn't want it any
        more.
        """
        client = self.clients.pop(pid, None)
        if client is None:  # it has ended meanwhile
            return
        self.events.unregister(client.fileno())
        client.close()
        _kill_group(pid)

    def _end(self) -> None:
        for pid in self.clients:
            _kill_group(pid)

    def close(self) -> None:
        """Leave to the parent what is its own, in a fork."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.events.close()
        self.listener.close()
        os.close(self.wake)
        for client in self.clients.values():
            client.close()


def _name_after(client: socket.socket) -> None:
    """Name this process, and what it will fork, after the client that asked for it."""
    peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    Path("/proc/self/comm").write_text(f"{MARK}{struct.unpack('3i', peer)[0]}")


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, 9)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # threads of BLAS, which knows how to fork
        return os.fork()


def become(request, server: Server) -> list[str]:
    """Take the environment, folder and files of a command; return its arguments."""
    text, received, client = request
    arguments, folder, environment, files, ignored, umask = ast.literal_eval(
        text.decode("utf-8", "surrogatepass")
    )
    server.close()
    client.close()
    os.setsid()
    _take_files(received, files)
    os.environb.clear()
    os.environb.update(environment)
    for name in set(os.environ) - {os.fsdecode(key) for key in environment}:
        del os.environ[name]
    os.chdir(folder)
    os.umask(umask)
    for number in set(ignored) & signal.valid_signals():
        if number not in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores by itself
            signal.signal(number, signal.SIG_IGN)
    return arguments


def _take_files(received: list[int], wanted: list[int]) -> None:
    """Give files the numbers that they had in the client."""
    above = max([*wanted, 2]) + 1
    moved = [fcntl.fcntl(file, fcntl.F_DUPFD, above) for file in received]
    for file in received:
        os.close(file)
    for file in (0, 1, 2):
        if file not in wanted:
            with contextlib.suppress(OSError):
                os.close(file)
    for source, number in zip(moved, wanted, strict=True):
        os.dup2(source, number, inheritable=True)
        os.close(source)
    for number, mode in ((0, "r"), (1, "w"), (2, "w")):
        name = ("stdin", "stdout", "stderr")[number]
        stream = None
        if number in wanted:
            errors = "backslashreplace" if number == 2 else "strict"
            stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
            if number == 2 or os.isatty(number):
                stream.reconfigure(line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def execute(arguments: list[str], server: str) -> None:
    """Run what follows ``python`` on a command line, as that would."""
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    main.__annotations__ = {}
    sys.modules["__main__"] = main
    sys.orig_argv[:] = [sys.executable, *arguments]
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[0:0] = paths
    importlib.invalidate_caches()
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    _warm_fork_servers(server)
    first, rest = arguments[0], arguments[1:]
    if first == "-m":
        sys.argv[:] = ["-m", *rest[1:]]
        sys.path.insert(0, os.getcwd())
        runpy._run_module_as_main(rest[0])
    elif first == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    else:
        sys.argv[:] = arguments
        sys.path.insert(0, os.path.dirname(os.path.realpath(first)))
        main.__file__ = os.path.abspath(first)
        main.__cached__ = None
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", main.__file__)
        with open(first, "rb") as file:
            code = compile(file.read(), first, "exec")
        exec(code, vars(main))


def _warm_fork_servers(server: str) -> None:
    """Let multiprocessing start its fork servers warm, too."""
    from multiprocessing import util

    start = util.spawnv_passfds

    def spawnv_passfds(path, arguments, files):
        arguments = [os.fsdecode(argument) for argument in arguments]
        if (
            os.fsdecode(path) == sys.executable
            and "multiprocessing.forkserver import" in arguments[-1]
        ):
            arguments = [*_client(server), *arguments[-2:]]
        return start(path, arguments, files)

    util.spawnv_passfds = spawnv_passfds


def execute_and_end(arguments: list[str], server: str) -> None:
    """Run a command; what it raises is told as the interpreter tells it, without the frames that
    are ours.
    """
    try:
        execute(arguments, server)
    except SystemExit as ended:
        _end(ended.code)
        raise
    except BaseException as error:
        own = {__file__, "<frozen runpy>"}
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_code.co_filename in own:
            traceback = traceback.tb_next
        error.__traceback__ = traceback
        sys.excepthook(type(error), error, traceback)
        if isinstance(error, KeyboardInterrupt):
            sys.stdout.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        _end(1)
        sys.exit(1)
    _end(None)


def _end(code: object) -> None:
    quick_end.end(code, sys.modules["__main__"])


def preload() -> None:
    """Import what commands need."""
    for name in PRELOADED:
        importlib.import_module(name)
    _load_libraries_of_mpi()
    gc.collect()
    gc.freeze()
    gc.unfreeze = _keep_frozen


def _keep_frozen() -> None:
    """Leave what is shared alone: a fork that looks for cycles there copies it all."""


def _load_libraries_of_mpi() -> None:
    """Load the MPI library, which is half of MPI's start, but not Python's module, which the
    commands are to load.
    """
    for name in ("libmpi.so.12", "libmpi.so.40"):
        library = Path(sys.prefix, "lib", name)
        if library.exists():
            ctypes.CDLL(str(library))
            return


def serve(path: str):
    """Serve until standard input ends; in a fork, return its arguments."""
    sys.path.pop(0)  # the folder of the tests, which no command has
    preload()
    server = Server(path)
    os.write(1, b"ready\n")
    request = server.serve()
    if request is None:
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = become(request, server)
    note_warm_start()
    return arguments


class Warm:
    """The server of one test process, which starts it when first asked."""

    def __init__(self) -> None:
        self._process = None
        self._socket = ""
        self._starting = threading.Lock()

    def command(self, arguments: list[str]) -> list[str]:
        """Return the command that runs ``python`` with these arguments, warm."""
        with self._starting:
            if self._process is None or self._process.poll() is not None:
                self._start()
        return [*_client(self._socket), *arguments]

    def processor_seconds(self) -> float:
        """Return what all commands that have ended took."""
        if self._process is None:
            return 0.0
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")

    def has(self, pid: int, command_line: bytes) -> bool:
        """Return whether a process is one of its commands, or has been started by them: they keep
        its command line.
        """
        is_server = self._process is not None and pid == self._process.pid
        return bool(self._socket) and not is_server and self._socket.encode() in command_line

    def _start(self) -> None:
        folder = tempfile.mkdtemp(prefix="mpipar-warm-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self._socket = os.path.join(folder, "socket")
        if self._process is not None:  # it has been killed
            self._process.stdin.close()
            self._process.stdout.close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "suite.warm", self._socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", (
            "the server of warm interpreters did not start"
        )


def can_be_warm(arguments: tuple[str, ...], env: dict[str, str] | None) -> bool:
    """Return whether a warm interpreter does the same as a new one: no option or variable asks for
    another.
    """
    if "MPIPAR_TEST_COLD" in os.environ or not arguments:
        return False
    first = arguments[0]
    if first.startswith("-") and first not in ("-m", "-c"):
        return False
    asked = {name for name, value in (env or {}).items() if value} - {"PYTHONPATH"}
    return not any(name.startswith(("PYTHON", "MPI4PY_")) for name in asked)


def _client(server: str) -> list[str]:
    return [sys.executable, "-S", "-I", CLIENT, server]


if __name__ == "__main__":
    execute_and_end(serve(sys.argv[1]), sys.argv[1])
