"""Which address of a node the others can connect to."""

import socket
from ipaddress import IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpipar.runtime.interfaces import own_interfaces, shared_address

addresses = st.builds(
    lambda number, bits: f"10.{number % 4}.{number // 4 % 4}.{number // 16 % 200 + 1}/{bits}",
    st.integers(0, 3199),
    st.sampled_from([8, 16, 24, 30]),
)
interfaces = st.lists(addresses, max_size=4)


@pytest.mark.parametrize(
    ("own", "others", "shared"),
    [
        (["10.0.0.1/24"], [["10.0.0.2/24"]], "10.0.0.1"),
        (["10.0.0.1/24"], [["10.0.1.2/24"]], None),
        (
            ["192.168.1.1/24", "10.0.0.1/24"],
            [["192.168.1.2/24", "10.0.0.2/24"], ["10.0.0.3/24"]],
            "10.0.0.1",
        ),
        (["10.0.0.1/24", "10.1.0.1/16"], [["10.0.0.2/24", "10.1.7.2/16"]], "10.0.0.1"),
        (["10.0.0.1/24"], [["10.0.0.2/24"], []], None),
        ([], [["10.0.0.2/24"]], None),
        (["10.0.0.1/24"], [], "10.0.0.1"),
        ([], [], None),
        (["10.0.0.1/32"], [["10.0.0.2/32"]], None),
    ],
)
def test_the_first_network_that_all_nodes_are_in(own, others, shared):
    assert shared_address(own, others) == shared


@given(own=interfaces, others=st.lists(interfaces, max_size=4))
def test_a_shared_address_is_own_and_all_others_are_in_its_network(own, others):
    found = shared_address(own, others)
    reachable = [
        interface
        for interface in map(IPv4Interface, own)
        if all(
            any(IPv4Interface(other).ip in interface.network for other in node) for node in others
        )
    ]
    assert found == (str(reachable[0].ip) if reachable else None)


def test_this_node_has_interfaces_that_one_can_listen_on():
    for text in own_interfaces():
        interface = IPv4Interface(text)
        assert not interface.is_loopback
        with socket.socket() as sock:
            sock.bind((str(interface.ip), 0))
