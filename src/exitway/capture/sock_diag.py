"""The TCP connections of a network namespace (the caller's), and ending one of them: both ends see a reset.

Wire format: ``linux/sock_diag.h``, ``linux/inet_diag.h``; sock_diag(7). Netlink is in the machine's byte order, addresses and ports in the
network's. To end a connection needs CAP_NET_ADMIN and a kernel with CONFIG_INET_DIAG_DESTROY (Linux 4.5, and all usual distributions).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator

from exitway.names.address import endpoint

_NETLINK_SOCK_DIAG = 4
_BY_FAMILY, _DESTROY = 20, 21
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 1, 4, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NO_COOKIE = b"\xff" * 8
_ESTABLISHED_TO_CLOSE_WAIT = (1, 2, 3, 4, 5, 8, 9, 11)
"""``net/tcp_states.h``. TIME_WAIT and CLOSE are over; LISTEN is what an exact look-up finds where there is no connection."""
_STATES = sum(1 << state for state in _ESTABLISHED_TO_CLOSE_WAIT)
_RECEIVE_BYTES = 1 << 16
_INODE = 68
"""Where it stands in ``struct inet_diag_msg``."""

Connection = tuple[str, str]
"""This end and the other, each ``address:port`` or ``[address]:port``, an IPv4 address always plain."""


def connections() -> set[Connection]:
    """All that are open.

    Raises:
        OSError: the kernel does not say.
    """
    found: set[Connection] = set()
    with _open() as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in _ask(netlink, _BY_FAMILY, _NLM_F_DUMP, _request(family, bytes(36) + bytes(12))):
                found.add(_connection(message))
    return found


def inode(local: str, remote: str) -> int:
    """Of the socket at this end of a connection, as ``/proc/PID/fd`` names it. 0: there is none, or no process has it.

    Raises:
        OSError: the kernel does not say.
    """
    family, ends = _ends(local, remote)
    with _open() as netlink:
        try:
            (found,) = _ask(netlink, _BY_FAMILY, 0, _request(family, ends + bytes(4) + _NO_COOKIE))
        except FileNotFoundError:
            return 0
    return int(struct.unpack_from("I", found, _INODE)[0])


def destroy(local: str, remote: str) -> bool:
    """End a connection. False: there is none such.

    Raises:
        OSError: there is one, and we may not, or the kernel cannot.
    """
    family, ends = _ends(local, remote)
    with _open() as netlink:
        try:
            (found,) = _ask(netlink, _BY_FAMILY, 0, _request(family, ends + bytes(4) + _NO_COOKIE))
            if found[1] not in _ESTABLISHED_TO_CLOSE_WAIT:
                return False
            same = _request(found[0], found[4:52])  # with its cookie: this very socket
            list(_ask(netlink, _DESTROY, _NLM_F_ACK, same))
        except FileNotFoundError:
            return False
    return True


def unavailable() -> str:
    """Why connections cannot be ended here; empty: they can. It is tried on one of our own."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()) as probe,
        ):
            local, remote = (f"{host}:{port}" for host, port in (probe.getsockname(), probe.getpeername()))
            return "" if destroy(local, remote) else "the kernel does not find its own connections"
    except OSError as error:
        return str(error)


def _open() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)


def _request(family: int, identity: bytes) -> bytes:
    """``struct inet_diag_req_v2``; ``identity``: ``struct inet_diag_sockid``."""
    return struct.pack("BBBxI", family, socket.IPPROTO_TCP, 0, _STATES) + identity


def _ask(netlink: socket.socket, kind: int, flags: int, body: bytes) -> Iterator[bytes]:
    """The messages of the answer, ``struct inet_diag_msg``."""
    netlink.send(struct.pack("IHHII", 16 + len(body), kind, _NLM_F_REQUEST | flags, 0, 0) + body)
    while True:
        datagram = netlink.recv(_RECEIVE_BYTES)
        while datagram:
            length, answered = struct.unpack_from("IH", datagram)
            if answered == _NLMSG_DONE:
                return
            if answered == _NLMSG_ERROR:
                (error,) = struct.unpack_from("i", datagram, 16)
                if error:
                    raise OSError(-error, f"sock_diag: {os.strerror(-error)}")
                return
            yield datagram[16:length]
            if not flags:
                return
            datagram = datagram[length + 3 & ~3 :]


def _ends(local: str, remote: str) -> tuple[int, bytes]:
    """The family, and ports and addresses as in ``struct inet_diag_sockid``."""
    ends = [(_plain(ipaddress.ip_address(address)), port) for address, port in map(endpoint, (local, remote))]
    family = socket.AF_INET if ends[1][0].version == 4 else socket.AF_INET6
    ports = struct.pack(">HH", *(port for _, port in ends))
    return family, ports + b"".join(address.packed.ljust(16, b"\0") for address, _ in ends)


def _connection(message: bytes) -> Connection:
    length = 4 if message[0] == socket.AF_INET else 16
    ports = struct.unpack_from(">HH", message, 4)
    addresses = [_plain(ipaddress.ip_address(message[begin : begin + length])) for begin in (8, 24)]
    local, remote = (
        f"{one}:{port}" if one.version == 4 else f"[{one}]:{port}" for one, port in zip(addresses, ports, strict=True)
    )
    return local, remote


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """A v4-mapped address is the IPv4 address: the kernel finds such a socket by either."""
    return getattr(address, "ipv4_mapped", None) or address
