"""Network interfaces that nodes share."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import socket
import struct
from ipaddress import IPv4Interface
from multiprocessing import connection
from typing import Any

_ADDRESS, _NETMASK = 0x8915, 0x891B  # SIOCGIFADDR, SIOCGIFNETMASK of <linux/sockios.h>


def own_interfaces() -> list[str]:
    """Return the IPv4 addresses of this node with their networks, as ``10.0.0.1/24``, but for the
    loopback.
    """
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):  # it has none
                address, mask = (
                    socket.inet_ntoa(fcntl.ioctl(sock, number, request)[20:24])
                    for number in (_ADDRESS, _NETMASK)
                )
                interface = IPv4Interface(f"{address}/{mask}")
                if not interface.is_loopback:
                    found.append(str(interface))
    return found


def shared_address(own: list[str], others: list[list[str]]) -> str | None:
    """Return an address of this node in a network that all other nodes are in, too, or None.

    Parameters
    ----------
    own : list of str
        This node's, as :func:`own_interfaces` gives them.
    others : list of list of str
        Those of each other node.
    """
    for text in own:
        network = IPv4Interface(text).network
        if all(any(IPv4Interface(other).ip in network for other in node) for node in others):
            return str(IPv4Interface(text).ip)
    return None


@functools.cache
def connect_without_delay() -> None:
    """Let connections of :mod:`multiprocessing` from this process send at once.

    Else TCP waits for 40 ms in the greeting of each, as two small messages follow one another
    there.
    """
    connect = connection.SocketClient  # type: ignore[attr-defined]

    def connect_at_once(address: Any) -> Any:
        made = connect(address)
        if isinstance(address, tuple):
            with socket.socket(fileno=os.dup(made.fileno())) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    connection.SocketClient = connect_at_once  # type: ignore[attr-defined]
