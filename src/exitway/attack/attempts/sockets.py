"""Sockets that know no network namespace, or lead out of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import stat
import struct

from exitway.attack.probe import Reached, Tries, Try, exchange, system_call
from exitway.attack.target import Target

_IO_URING_SETUP = 425
_FAMILIES = {
    "AF_PACKET": 17,
    "AF_KEY": 15,
    "AF_RDS": 21,
    "AF_TIPC": 30,
    "AF_BLUETOOTH": 31,
    "AF_VSOCK": 40,
    "AF_QIPCRTR": 42,
    "AF_SMC": 43,
    "AF_XDP": 44,
}
_USUAL_SOCKETS = (
    "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/dbus/system_bus_socket",
    "/run/systemd/private", "/run/systemd/resolve/io.systemd.Resolve", "/run/snapd.socket", "/run/nscd/socket", "/tmp/.X11-unix/X0",
)  # fmt: skip


def io_uring(target: Target) -> Tries:
    """A10."""
    del target
    parameters = ctypes.create_string_buffer(120)
    try:
        ring = system_call(_IO_URING_SETUP, 2, ctypes.addressof(parameters))
    except OSError as error:
        return [f"io_uring_setup: {error.strerror}"]
    os.close(ring)
    raise Reached("io_uring can be used, and goes round whatever watches system calls")


def socket_families(target: Target) -> Tries:
    """A11."""
    opened = []
    for name, family in _FAMILIES.items():
        for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with contextlib.suppress(OSError):
                socket.socket(family, kind).close()
                opened.append(name)
    if opened:
        raise Reached(f"sockets of {', '.join(sorted(set(opened)))} can be made")
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, bytes(4), socket.inet_aton(target.ipv4))
    return [f"none of {', '.join(_FAMILIES)}", Try("raw IP", send_raw, header + b"\0\7\0\7\0\x08\0\0", target.ipv4)]


def unix_sockets(target: Target) -> Tries:
    """A12."""
    agents = [os.environ.get(name, "") for name in ("SSH_AUTH_SOCK", "TMUX", "DBUS_SESSION_BUS_ADDRESS")]
    addresses = [target.helper_socket, f"\0{target.helper_abstract}" if target.helper_abstract else "", *_USUAL_SOCKETS]
    addresses += [agent.rpartition("=")[2].partition(",")[0] for agent in agents]
    for address in filter(None, addresses):
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.connect(address)
            raise Reached(f"{address!a} answers")
    return [f"none of {len(addresses)} answers"]


def inherited_sockets(target: Target) -> Tries:
    """A13."""
    del target
    for descriptor in range(3, 1024):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as connection:
                    if connection.family in (socket.AF_INET, socket.AF_INET6):
                        answer = exchange(connection, b"x")
                        raise Reached(f"descriptor {descriptor} leads out: {answer!r}")
    return ["no socket is inherited"]


def send_raw(packet: bytes, address: str) -> int:
    """An IPv4 packet, header and all."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        return raw.sendto(packet, (address, 0))
