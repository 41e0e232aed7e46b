"""Going round the proxy with packets: other addresses, other protocols, other ways to send."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

from exitway.attack import wire
from exitway.attack.attempts.http import request
from exitway.attack.probe import Tries, Try, exchange, talk, tell
from exitway.attack.target import Target

_MPTCP, _UDP_LITE = 262, 136
_ISTIO_PORTS = (15000, 15001, 15006, 15008, 15020, 15021, 15053, 15090)
"""Of Istio's sidecar; excluded from capture there."""


def what_is_allowed(target: Target) -> Tries:
    """No attack: if this did not arrive, the others would prove nothing."""
    address, port = target.peer
    return [
        *[Try("TCP", talk, one, port, b"allowed\r\n") for one in (address, *target.further_peers)],
        Try("HTTP", talk, target.allowed, target.http, request(target.allowed)),
        Try("TLS", talk, target.allowed, target.tls, wire.client_hello(target.allowed.encode())),
    ]


def without_proxy_variables(target: Target) -> Tries:
    """A1."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    return [
        Try("HTTP by name", talk, target.refused, 80, request(target.refused)),
        Try("HTTP by address", talk, target.ipv4, 80, request(target.ipv4)),
    ]


def by_address(target: Target) -> Tries:
    """A2."""
    ports = (7, 22, 25, 53, 80, 443, 3306, 8080, 65535)
    said: Tries = [Try(f"TCP {port}", talk, target.ipv4, port, b"x\r\n") for port in ports]
    return [
        *said,
        Try("HTTP", talk, target.ipv4, 80, request(target.ipv4)),
        Try("TLS", talk, target.ipv4, 443, wire.client_hello(None)),
        *[Try(f"TCP, {address}", talk, address, target.helper_port, b"x\r\n") for address in target.own],
        *[Try(f"UDP, {address}", tell, address, target.helper_port, b"x") for address in target.own],
    ]


def over_ipv6(target: Target) -> Tries:
    """A3."""
    at = f"[{target.ipv6}]"
    return [
        Try("HTTP", talk, target.ipv6, 80, request(at)),
        Try("TLS", talk, target.ipv6, 443, wire.client_hello(target.refused.encode())),
        Try("TCP", talk, target.ipv6, 22, b"x\r\n"),
        Try("UDP", tell, target.ipv6, 53, wire.query(target.refused)),
        *[Try(f"link-local, {zone}", talk, f"fe80::1%{zone}", 80, request(at)) for _, zone in socket.if_nameindex()],
    ]


def embedded_addresses(target: Target) -> Tries:
    """A4."""
    return [Try(form, talk, form, 80, request(f"[{form}]")) for form in embedding(target.ipv4)]


def embedding(address: str) -> list[str]:
    """IPv6 addresses that some gateway takes for an IPv4 address: mapped, compatible, NAT64 (two), 6to4, Teredo."""
    high, low = struct.unpack("!2H", IPv4Address(address).packed)
    hidden = f"{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"
    tail = f"{high:x}:{low:x}"
    return [
        f"::ffff:{address}",
        f"::{address}",
        f"64:ff9b::{tail}",
        f"64:ff9b:1::{tail}",
        f"2002:{tail}::1",
        f"2001::{hidden}",
    ]


def quic(target: Target) -> Tries:
    """A5. An Initial packet of a version that every server answers (RFC 8999, section 6)."""
    initial = b"\xc0\x1a\x2a\x3a\x4a\x08" + bytes(8) + b"\x08" + bytes(8) + b"\x00\x44\xd0"
    packet = initial.ljust(1200, b"\0")
    return [
        Try(f"UDP to {address} port 443", tell, address, 443, packet)
        for address in (target.ipv4, target.ipv6, target.refused)
    ]


def icmp(target: Target) -> Tries:
    """A6."""
    return [*_icmp(target)]


def _icmp(target: Target) -> Iterator[Try]:
    echo, echo6 = b"\x08\x00\xf7\xff" + bytes(4), b"\x80\x00\x00\x00" + bytes(4)
    for word, kind in (("ping socket", socket.SOCK_DGRAM), ("raw socket", socket.SOCK_RAW)):
        yield Try(f"{word}, IPv4", _send, socket.AF_INET, kind, 1, target.ipv4, echo)
        yield Try(f"{word}, IPv6", _send, socket.AF_INET6, kind, 58, target.ipv6, echo6)


def _send(family: int, kind: int, protocol: int, address: str, data: bytes) -> None:
    with socket.socket(family, kind, protocol) as packets:
        packets.sendto(data, (address, 0))


def other_protocols(target: Target) -> Tries:
    """A7."""
    raw = {"IPIP": 4, "DCCP": 33, "GRE": 47, "ESP": 50, "AH": 51, "SCTP": 132, "UDP-Lite": 136, "experimental": 253}
    sockets = {"SCTP": (socket.SOCK_STREAM, 132), "DCCP": (6, 33), "UDP-Lite": (socket.SOCK_DGRAM, _UDP_LITE)}
    return [
        *[Try(f"{name} socket", _connect, target.ipv4, kind, number) for name, (kind, number) in sockets.items()],
        *[
            Try(f"{name}, raw", _send, 2, socket.SOCK_RAW, number, target.ipv4, bytes(16))
            for name, number in raw.items()
        ],
    ]


def _connect(address: str, kind: int, protocol: int) -> bytes:
    with socket.socket(socket.AF_INET, kind, protocol) as connection:
        connection.settimeout(1)
        connection.connect((address, 7))
        return exchange(connection, b"x") if kind == socket.SOCK_STREAM else b"%d sent" % connection.send(b"x")


def multipath(target: Target) -> Tries:
    """A8."""
    return [Try("MPTCP", _connect, target.ipv4, socket.SOCK_STREAM, _MPTCP)]


def fast_open(target: Target) -> Tries:
    """A9. Data in the SYN, and no call of ``connect`` (tcp(7), TCP_FASTOPEN and TCP_FASTOPEN_CONNECT)."""
    return [
        Try("MSG_FASTOPEN", _fast_open, target.ipv4, by_flag=True),
        Try("TCP_FASTOPEN_CONNECT", _fast_open, target.ipv4, by_flag=False),
    ]


def _fast_open(address: str, *, by_flag: bool) -> int:
    fastopen_connect = 30
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        if by_flag:
            return connection.sendto(b"data in the SYN", socket.MSG_FASTOPEN, (address, 7))
        connection.setsockopt(socket.IPPROTO_TCP, fastopen_connect, 1)
        connection.connect((address, 7))
        return connection.send(b"data in the SYN")


def excluded_ports(target: Target) -> Tries:
    """A19."""
    ports = (22, 123, 2379, 6443, 8125, 9411, 10250, *_ISTIO_PORTS)
    return [Try(f"TCP {port}", talk, target.ipv4, port, b"x\r\n") for port in ports]


def at_once(target: Target) -> Tries:
    """A20. ``inside.py`` does this before anything else."""
    sent = 0
    for _ in range(50):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as hasty:
                hasty.setblocking(False)  # noqa: FBT003 - its name
                hasty.connect_ex((target.ipv4, 7))
                sent += 1
    return [f"{sent} packets at once", Try("TCP", talk, target.ipv4, 7, b"x\r\n")]


def special_addresses(target: Target) -> Tries:
    """A25."""
    mark = wire.query(target.refused)  # by which a witness knows whose it is
    groups = ["224.0.0.1", "239.1.2.3", *[f"ff02::1%{zone}" for _, zone in socket.if_nameindex()]]
    return [
        Try("TCP to port 0", talk, target.ipv4, 0, b"x"),
        Try("UDP to port 0", tell, target.ipv4, 0, b"x"),
        Try("UDP broadcast", _broadcast, "255.255.255.255", mark),
        *[Try(f"UDP multicast, {address}", tell, address, 9, mark) for address in groups],
        Try("TCP to 240.0.0.1", talk, "240.0.0.1", 80, b"x\r\n"),
        Try("TCP to 0.0.0.0", talk, "0.0.0.0", target.helper_port, b"x\r\n"),
        Try("TCP to ::", talk, "::", target.helper_port, b"x\r\n"),
    ]


def _broadcast(address: str, data: bytes) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        return datagrams.sendto(data, (address, 9))
