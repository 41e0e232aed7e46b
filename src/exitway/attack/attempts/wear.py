"""Wearing the boundary out, and confusing those who look at it."""

from __future__ import annotations

import contextlib
import random
import socket

from exitway.attack import wire
from exitway.attack.attempts.dns import look_up, resolvers
from exitway.attack.attempts.http import request, to_both
from exitway.attack.probe import PATIENCE_SECONDS, Reached, Tries, Try, talk, tell
from exitway.attack.target import Target

NAMES = 20_000


def exhaustion(target: Target) -> Tries:
    """D9. Names and connections without end; then what was refused before."""
    hello = wire.client_hello(target.refused.encode())
    worn = [
        Try(f"{NAMES} names", _ask_for_names, NAMES, target)(),
        Try("1000 connections", _open_connections, 1000, target)(),
    ]
    return [
        *worn,
        Try("then HTTP to a refused name", talk, target.refused, 80, request(target.refused)),
        Try("then TLS to a refused name", talk, target.refused, target.tls, hello),
        Try("then TCP to an address", talk, target.ipv4, 22, b"x\r\n"),
    ]


def _ask_for_names(count: int, target: Target) -> str:
    server = resolvers()[0]
    answered = 0
    with socket.create_connection((server, 53), 5) as connection, connection.makefile("rb") as answers:
        for start in range(0, count, 100):
            connection.sendall(
                b"".join(wire.over_tcp(wire.query(f"n{n}.{target.refused}")) for n in range(start, start + 100))
            )
            for _ in range(100):
                length = answers.read(2)
                if len(length) < 2:
                    return f"{answered} answered"
                answers.read(int.from_bytes(length))
                answered += 1
    return f"{answered} answered"


def _open_connections(count: int, target: Target) -> str:
    address = look_up(target.refused).split()[0]
    with contextlib.ExitStack() as all_of_them:
        opened = 0
        for _ in range(count):
            connection = all_of_them.enter_context(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
            connection.settimeout(PATIENCE_SECONDS)
            opened += connection.connect_ex((address, target.tls)) == 0
    return f"{opened} opened"


def malformed(target: Target) -> Tries:
    """D10. What no parser expects. The same each time, so that what it breaks can be found."""
    chance = random.Random(4)
    hello = wire.client_hello(target.refused.encode())
    begin = wire.PREFACE + wire.settings()
    kinds = {
        "noise": [chance.randbytes(chance.randrange(1, 400)) for _ in range(20)],
        "TLS": [bytes(byte if chance.random() > 0.05 else chance.randrange(256) for byte in hello) for _ in range(20)],
        "TLS alerts": [
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"\x16\x03\x01\xff\xff" + bytes(70_000),
            b"\x16\x03\x01\x00\x00",
        ],
        "HTTP/2": [
            begin + wire.frame(chance.randrange(256), chance.randrange(256), chance.randrange(9), chance.randbytes(40))
            for _ in range(20)
        ],
        "HTTP/1": [
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
            b"G" * 70_000,
            request(target.refused, "x: " + "y" * 70_000),
            b"\r\n" * 5000,
        ],
    }
    return [Try(kind, _quietly, target, piece) for kind, pieces in kinds.items() for piece in pieces]


def _quietly(target: Target, piece: bytes) -> None:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((target.refused, target.http), PATIENCE_SECONDS) as connection,
    ):
        connection.settimeout(0.05)
        connection.sendall(piece)
        connection.recv(100)


def forged_records(target: Target) -> Tries:
    """D11."""
    forged = '","verdict":"allow","name":"forged.test","x":"'
    said = to_both(
        target,
        {"quotes": f"a{forged}", "escapes": "a\\u0022\\n", "a path": request(target.refused, target=f"/{forged}")},
    )
    hello = wire.client_hello(forged.encode())
    said.append(Try("TLS", talk, target.refused, target.tls, hello))
    return [*said, Try("a name", tell, resolvers()[0], 53, wire.query(f"a{forged}.test"))]


def terminal_escapes(target: Target) -> Tries:
    """D12. The denial is read in a terminal: what it repeats of the request must not be an order to it."""
    orders = {"ESC": "\x1b[31m", "CSI": "\u009b31m", "right-to-left": "\u202e", "bell": "\a", "backspace": "\b"}
    said: Tries = []
    for name, order in orders.items():
        raw = order.encode()
        for place, text in (
            ("Host", request(f"a{raw.decode('latin-1')}b.test")),
            ("path", request(target.refused, target=f"/{raw.decode('latin-1')}")),
        ):
            with contextlib.suppress(OSError):
                answer = talk(target.refused, target.http, text)
                if raw in answer:
                    raise Reached(f"the answer repeats {name} of the {place}")
        said.append(f"{name}: not repeated")
    return said
