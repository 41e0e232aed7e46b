import asyncio
import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitway.capture.nflog import Begun, Opened, RefusalLog, Refused, Report, packet, reports
from exitway.capture.ruleset import BEGUN_GROUP, DIRECT_GROUP, LOG_GROUP
from tests.capture.sealed import started


def ipv4(protocol, address, rest=b"", options=b""):
    return bytes([0x45 + len(options) // 4, *[0] * 8, protocol, *[0] * 6]) + socket.inet_aton(address) + options + rest


def ipv6(protocol, address, rest=b""):
    return bytes([0x60, *[0] * 5, protocol, *[0] * 17]) + socket.inet_pton(socket.AF_INET6, address) + rest


PORTS = struct.pack(">HH", 5000, 443)

PACKETS = [
    (ipv4(17, "198.18.0.1", PORTS), Refused("udp", "198.18.0.1", 443)),
    (ipv4(17, "198.18.0.1", PORTS, options=bytes(4)), Refused("udp", "198.18.0.1", 443)),
    (ipv4(6, "198.18.0.1", PORTS), Refused("tcp", "198.18.0.1", 443)),
    (ipv4(1, "198.18.0.1", PORTS), Refused("icmp", "198.18.0.1", 0)),
    (ipv4(47, "198.18.0.1", PORTS), Refused("gre", "198.18.0.1", 0)),
    (ipv4(253, "198.18.0.1"), Refused("253", "198.18.0.1", 0)),
    (ipv6(17, "2001:db8::1", PORTS), Refused("udp", "2001:db8::1", 443)),
    (ipv6(58, "2001:db8::1", PORTS), Refused("icmpv6", "2001:db8::1", 0)),
    (ipv4(17, "198.18.0.1"), Refused("udp", "198.18.0.1", 0)),
    (b"\x45", None),
    (b"\x60" * 39, None),
    (b"\x00" * 64, None),
]


@pytest.mark.parametrize(("payload", "refused"), PACKETS)
def test_a_packet_says_where_it_was_going(payload, refused):
    found = packet(payload)
    assert (found and found.report(LOG_GROUP)) == refused


def attribute(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind, body):
    return struct.pack("IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


def test_a_datagram_may_hold_several_packets_and_other_news():
    first, second = ipv4(17, "198.18.0.1", PORTS), ipv6(17, "2001:db8::1", PORTS)
    logged = [
        message(4 << 8, bytes([2, 0, 0, LOG_GROUP]) + attribute(10, b"prefix") + attribute(9, payload))
        for payload in (first, second)
    ]
    datagram = logged[0] + message(2, bytes(20)) + logged[1] + message(4 << 8, bytes(4))
    assert list(reports(datagram)) == [Refused("udp", "198.18.0.1", 443), Refused("udp", "2001:db8::1", 443)]


@pytest.mark.parametrize(
    ("payload", "local", "remote"),
    [
        (ipv4(6, "198.18.0.1", PORTS), "0.0.0.0:5000", "198.18.0.1:443"),
        (ipv6(6, "2001:db8::1", PORTS), "[::]:5000", "[2001:db8::1]:443"),
    ],
)
def test_the_group_says_what_became_of_a_connection(payload, local, remote):
    address = remote.removesuffix(":443").strip("[]")
    for group, report in ((BEGUN_GROUP, Begun(local, remote)), (DIRECT_GROUP, Opened(address, 443, local))):
        assert list(reports(message(4 << 8, bytes([2, 0, 0, group]) + attribute(9, payload)))) == [report]


@given(st.binary(max_size=200))
def test_rubbish_does_no_harm(datagram):
    list(reports(datagram))
    list(reports(message(4 << 8, bytes(4) + datagram)))
    list(reports(message(4 << 8, bytes(4) + attribute(9, datagram))))


@pytest.mark.lab
def test_what_a_sealed_command_sends_in_vain_is_reported():
    program = """
import socket, sys
print("ready", flush=True)
for line in sys.stdin:
    for family, address in ((socket.AF_INET, "198.18.0.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", (address, 443))
        except PermissionError:
            pass
"""

    async def follow(netns, write):
        queue: asyncio.Queue[Report] = asyncio.Queue()
        log = RefusalLog.open(netns, queue.put_nowait)
        write(b"\n")
        seen = [await asyncio.wait_for(queue.get(), 5) for _ in range(2)]
        log.close()
        return seen

    with started(sys.executable, "-c", program) as run:
        assert not run.netns.samefile("/proc/self/ns/net")
        seen = asyncio.run(follow(run.netns, run.input.write))
        run.input.close()
        assert seen == [Refused("udp", "198.18.0.1", 443), Refused("udp", "2001:db8::1", 443)]
        assert run.process.wait(10) == 0
