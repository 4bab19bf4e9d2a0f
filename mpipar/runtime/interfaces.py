"""Network interfaces that nodes share."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import socket
import struct
from ipaddress import IPv4Interface, IPv4Network
from multiprocessing import connection
from typing import Any

_ADDRESS = 0x8915  # SIOCGIFADDR of <linux/sockios.h>
_NETMASK = 0x891B  # SIOCGIFNETMASK


def own_interfaces() -> list[str]:
    """Return the IPv4 addresses of this node with their networks, as ``10.0.0.1/24``, but for the
    loopback.
    """
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has none
                address = _asked(sock, _ADDRESS, name)
                mask = _asked(sock, _NETMASK, name)
                interface = IPv4Interface(f"{address}/{mask}")
                if not interface.is_loopback:
                    found.append(str(interface))
    return found


def _asked(sock: socket.socket, number: int, interface: str) -> str:
    """Return what the kernel says of an interface, as an address."""
    request = struct.pack("256s", interface.encode()[:15])
    return socket.inet_ntoa(fcntl.ioctl(sock, number, request)[20:24])


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
        interface = IPv4Interface(text)
        if all(_is_in(interface.network, node) for node in others):
            return str(interface.ip)
    return None


def _is_in(network: IPv4Network, node: list[str]) -> bool:
    return any(IPv4Interface(text).ip in network for text in node)


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
