"""What the ruleset refused, let out past the proxy, or saw begin, as the kernel reports it: packets of three NFLOG groups.

Wire format: ``linux/netfilter/nfnetlink.h``, ``nfnetlink_log.h``. Netlink is in the machine's byte order, its packets' fields in the network's.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from exitway.capture.netns import in_netns
from exitway.capture.ruleset import BEGUN_GROUP, DIRECT_GROUP, LOG_GROUP
from exitway.names.address import bracketed

_NETLINK_NETFILTER = 12
_ULOG_PACKET, _ULOG_CONFIG = 4 << 8 | 0, 4 << 8 | 1
_ATTRIBUTE_PAYLOAD = 9
_CONFIG_COMMAND, _CONFIG_MODE, _CONFIG_THRESHOLD = 1, 2, 5
_COMMAND_BIND, _COPY_PACKET = 1, 2
_PACKET_BYTES = 128
_NLM_F_REQUEST, _NLM_F_ACK, _NLMSG_ERROR = 1, 4, 2

_PROTOCOLS = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    47: "gre",
    50: "esp",
    58: "icmpv6",
    132: "sctp",
    136: "udplite",
}
_WITH_PORTS = frozenset({6, 17, 33, 132, 136})


@dataclass(frozen=True, slots=True)
class Refused:
    """A packet that did not leave. ``protocol``: its name, or its number; ``port``: the destination's, 0 where there is none."""

    protocol: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A TCP connection that begins past the proxy, to an address and port that was not used for a while. ``local``: its end here."""

    address: str
    port: int
    local: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A TCP connection that begins. Both ends, each ``address:port`` or ``[address]:port``."""

    local: str
    remote: str


Report = Refused | Opened | Begun


class RefusalLog:
    """Calls ``told`` with everything that the kernel reports, in the running event loop, until closed."""

    def __init__(self, source: socket.socket, told: Callable[[Report], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = source
        self._told = told
        self._loop.add_reader(source, self._receive)

    @classmethod
    def open(cls, netns: Path, told: Callable[[Report], None]) -> RefusalLog:
        """Follow the reports of a network namespace.

        Raises:
            OSError: there is none at the path, or it is not ours to watch.
        """
        return cls(in_netns(netns, open_socket), told)

    def close(self) -> None:
        """Stop, when all that it has told until now is passed on."""
        self._loop.remove_reader(self._socket)
        while self._receive():
            pass
        self._socket.close()

    def _receive(self) -> bool:
        """Whether there may be more."""
        try:
            datagram = self._socket.recv(1 << 16)
        except OSError as error:  # ENOBUFS: we were too slow, and some are lost
            return error.errno == errno.ENOBUFS
        for one in reports(datagram):
            self._told(one)
        return True


def open_socket() -> socket.socket:
    """The groups' socket. Call it inside the namespace."""
    source = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    try:
        source.bind((0, 0))
        for group in (LOG_GROUP, DIRECT_GROUP, BEGUN_GROUP):
            _configure(source, group, _CONFIG_COMMAND, struct.pack("B", _COMMAND_BIND))
            _configure(source, group, _CONFIG_MODE, struct.pack(">IBx", _PACKET_BYTES, _COPY_PACKET))
            _configure(source, group, _CONFIG_THRESHOLD, struct.pack(">I", 1))  # do not wait for more
        source.setblocking(False)  # noqa: FBT003  its name
    except BaseException:
        source.close()
        raise
    return source


def _configure(source: socket.socket, group: int, kind: int, value: bytes) -> None:
    attribute = struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    body = struct.pack(">BBH", socket.AF_UNSPEC, 0, group) + attribute
    source.send(struct.pack("IHHII", 16 + len(body), _ULOG_CONFIG, _NLM_F_REQUEST | _NLM_F_ACK, 0, 0) + body)
    answer = source.recv(4096)
    while struct.unpack_from("H", answer, 4)[0] != _NLMSG_ERROR:  # a packet, logged as soon as we were bound
        answer = source.recv(4096)
    (error,) = struct.unpack_from("i", answer, 16)
    if error:
        raise OSError(-error, f"nflog: {os.strerror(-error)}")


def reports(datagram: bytes) -> Iterator[Report]:
    """The packets of one netlink datagram."""
    while len(datagram) >= 16:
        length, kind = struct.unpack_from("IH", datagram)
        if kind == _ULOG_PACKET:
            payload = _attribute(datagram[20:length], _ATTRIBUTE_PAYLOAD)
            found = packet(payload) if payload else None
            if found:
                yield found.report(int.from_bytes(datagram[18:20]))
        datagram = datagram[max(16, length + 3 & ~3) :]


@dataclass(frozen=True, slots=True)
class Packet:
    """What the first bytes of an IP packet say of it. Ports are 0 where there is none."""

    protocol: int
    source: str
    source_port: int
    address: str
    port: int

    def report(self, group: int) -> Report:
        """What it means in an NFLOG group."""
        local = f"{bracketed(self.source)}:{self.source_port}"
        if group == DIRECT_GROUP:
            return Opened(self.address, self.port, local)
        if group == BEGUN_GROUP:
            return Begun(local, f"{bracketed(self.address)}:{self.port}")
        return Refused(_PROTOCOLS.get(self.protocol, str(self.protocol)), self.address, self.port)


def packet(payload: bytes) -> Packet | None:
    """What the first bytes of an IP packet say of it. None: they are not one."""
    version = payload[0] >> 4
    if version == 4 and len(payload) >= 20:
        protocol, ends, begin = payload[9], (payload[12:16], payload[16:20]), 4 * (payload[0] & 15)
    elif version == 6 and len(payload) >= 40:
        protocol, ends, begin = payload[6], (payload[8:24], payload[24:40]), 40
    else:
        return None
    ported = payload if protocol in _WITH_PORTS else b""
    ports = (int.from_bytes(ported[at : at + 2]) for at in (begin, begin + 2))
    source, address = (str(ipaddress.ip_address(end)) for end in ends)
    source_port, port = ports
    return Packet(protocol, source, source_port, address, port)


def _attribute(attributes: bytes, wanted: int) -> bytes | None:
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("HH", attributes)
        if kind & 0x7FFF == wanted:
            return attributes[4:length]
        attributes = attributes[max(4, length + 3 & ~3) :]
    return None
