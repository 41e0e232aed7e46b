"""Reaching inward: metadata, the machine's own services, Exitway itself; and wearing the boundary out."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from exitway.attack import wire
from exitway.attack.attempts.http import request, to_both
from exitway.attack.probe import Reached, Tries, Try, talk, tell
from exitway.attack.target import Target

METADATA = (
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "169.254.170.2",
    "fd00:ec2::254",
    "fd20:ce::254",
)
_ADMIN_PORTS = (1, 2, 9901, 15000, 15001, 15004, 15006, 15010, 15012, 15014, 15020, 15021, 15090, 18000, 19000)


def metadata(target: Target) -> Tries:
    """D1."""
    by_address: Tries = [
        Try(address, _ask_for_metadata, address, f"[{address}]" if ":" in address else address) for address in METADATA
    ]
    named = ("metadata.google.internal", "instance-data", "metadata.azure.internal")
    by_name: Tries = [Try(name, _ask_for_metadata, name, name) for name in named]
    return by_address + by_name + to_both(target, {address: address for address in METADATA})


def _ask_for_metadata(at: str, host: str) -> bytes:
    answer = talk(at, 80, request(host, "Metadata-Flavor: Google"))
    if answer[9:12] in (b"200", b"401"):
        raise Reached(f"{at} answers: {answer[:40]!r}")
    return answer


def services_of_the_machine(target: Target) -> Tries:
    """A23, D2. A helper with a network listens on the machine's loopback."""
    port = target.helper_port
    places = (
        "127.0.0.1",
        "::1",
        "127.0.0.2",
        "localhost",
        "0.0.0.0",
        "::ffff:127.0.0.1",
        "host.exitway.internal",
        "host.docker.internal",
        socket.gethostname(),
    )
    said: Tries = [Try(f"TCP, {place}", talk, place, port, b"x\r\n") for place in places]
    said += [Try(f"UDP, {place}", tell, place, port, b"x") for place in ("127.0.0.1", "::1")]
    return said + to_both(
        target, {f"Host {place}": f"{place}:{port}" for place in ("127.0.0.1", "localhost", "[::1]", "127.1")}
    )


def admin_ports(target: Target) -> Tries:
    """D3. Whatever of the proxy's own speaks HTTP."""
    for port in _ADMIN_PORTS:
        for host in ("127.0.0.1", "::1"):
            with contextlib.suppress(OSError):
                answer = talk(host, port, request("envoy", target="/config_dump"))
                if b"bootstrap" in answer or b" 200 " in answer[:20]:
                    raise Reached(f"an admin interface answers at port {port}")
    return [f"nothing of the proxy's answers at {len(_ADMIN_PORTS)} ports", *sockets(target)]


def sockets(target: Target) -> Tries:
    """D3, D4. Exitway's own sockets: API, admin interface, xDS, names."""
    found = [
        path for directory in target.directories for path in _below(directory) if stat.S_ISSOCK(path.lstat().st_mode)
    ]
    known = [
        Path(directory) / name
        for directory in target.directories
        for name in ("api.sock", "xds.sock", "envoy-admin.sock", "names.sock")
    ]
    for path in {*found, *known}:
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
            with socket.socket(socket.AF_UNIX, kind) as connection, contextlib.suppress(OSError):
                connection.connect(str(path))
                raise Reached(f"{path} answers")
    return [f"{len(known)} sockets do not answer"]


def _below(directory: str) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from Path(directory).rglob("*")


def loops(target: Target) -> Tries:
    """D5. The proxy's own ports, by every way that leads to them."""
    places = [
        ("127.0.0.1", 1),
        ("::1", 1),
        ("127.0.0.1", 2),
        ("::1", 2),
        (target.allowed, 1),
        (target.ipv4, 1),
        (target.ipv4, 2),
    ]
    said: Tries = []
    for host, port in places:
        names = (target.allowed, "127.0.0.1:1", target.refused)
        said += [Try(f"HTTP for {name} at {host} port {port}", talk, host, port, request(name)) for name in names]
        hello = wire.client_hello(target.refused.encode())
        said.append(Try(f"TLS at {host} port {port}", talk, host, port, hello))
    return said


def keys(target: Target) -> Tries:
    """D6, D8. Exitway's keys, tokens and rules, to read or to write."""
    for directory in target.directories:
        for path in _below(directory):
            if path.is_file() and path.name not in ("hosts", "resolv.conf"):  # the workload's own, on its /etc
                for mode in (os.O_RDONLY, os.O_WRONLY):
                    with contextlib.suppress(OSError):
                        os.close(os.open(path, mode))
                        raise Reached(f"{path} can be opened")
        for name in ("token", "store.db", "flows.db"):
            with contextlib.suppress(OSError):
                os.close(os.open(Path(directory) / name, os.O_RDONLY))
                raise Reached(f"{directory}/{name} can be read")
    return ["there is nothing in Exitway's directories"]


def credentials(target: Target) -> Tries:
    """D7. A proxy that one can only use with a secret gives the secret to all who see the environment."""
    del target
    for name, value in os.environ.items():
        if name.upper().endswith("_PROXY") and "@" in value:
            raise Reached(f"{name} holds a credential")
    return ["no variable tells of a proxy"]


def rules(target: Target) -> Tries:
    """D8."""
    return sockets(target) + keys(target)
