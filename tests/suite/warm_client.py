"""The client of a server of warm interpreters (see warm.py): it stands where the command would, and
ends as it does.

    python -S -I warm_client.py SOCKET ...         ... is what follows ``python``

Its start is what all is about, so it imports hardly anything.
"""

import _signal
import _socket
import os
import struct
import sys

LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")
_FORWARDED = (
    _signal.SIGTERM,
    _signal.SIGINT,
    _signal.SIGUSR1,
    _signal.SIGUSR2,
    _signal.SIGHUP,
    _signal.SIGCONT,
)


def run(path: str, arguments: list[str]) -> None:
    """Let the server run a command, pass on the signals that come, and end as it does."""
    server = _socket.socket(_socket.AF_UNIX)
    server.connect(path)
    files = _inherited(server.fileno())
    text = repr(
        (arguments, os.getcwd(), dict(os.environb), files, _ignored_signals(), _umask())
    ).encode("utf-8", "surrogatepass")
    rights = struct.pack(f"{len(files)}i", *files)
    server.sendmsg([LENGTH.pack(len(text))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    send(server, text)
    for file in files:
        if file != 2:
            os.close(file)
    _end_as(_forwarding(server))


def _inherited(own: int) -> list[int]:
    """Return the file descriptors of this process, but for its own."""
    numbers = map(int, os.listdir("/proc/self/fd"))
    return sorted(number for number in numbers if number != own and _is_open(number))


def _is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return False
    return True


def _umask() -> int:
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def _ignored_signals() -> list[int]:
    with open("/proc/self/status") as status:
        [mask] = [int(line.split()[1], 16) for line in status if line.startswith("SigIgn:")]
    return [number for number in range(1, 65) if mask >> number - 1 & 1]


def _forwarding(server: _socket.socket) -> int:
    """Wait for the command's end, and give it the signals that come meanwhile; return how it
    ended.
    """
    pid = LENGTH.unpack(receive(server, LENGTH.size))[0]

    def forward(number: int, frame: object) -> None:
        try:  # noqa: SIM105 (contextlib takes time to load)
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    for number in _FORWARDED:
        _signal.signal(number, forward)
    answer = receive(server, STATUS.size)
    if len(answer) < STATUS.size:
        os.write(2, b"the server of warm interpreters has ended\n")
        os._exit(70)
    return STATUS.unpack(answer)[0]


def _end_as(status: int) -> None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != _signal.SIGKILL:
            _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def send(connection: _socket.socket, data: bytes) -> None:
    while data:
        data = data[connection.send(data) :]


def receive(connection: _socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        new = connection.recv(count - len(data))
        if not new:
            break
        data += new
    return data


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
