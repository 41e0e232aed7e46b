"""Lying about the name in TLS."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable

from exitway.attack import wire
from exitway.attack.attempts.http import request
from exitway.attack.probe import Tries, Try, heard, talk
from exitway.attack.target import Target


def server_name_at_other_address(target: Target) -> Tries:
    """B1."""
    hello = wire.client_hello(target.allowed.encode())
    places = (target.ipv4, target.ipv6, target.refused)
    return [Try(f"at {place}", talk, place, target.tls, hello) for place in places]


def split_hello(target: Target) -> Tries:
    """A24."""
    hello = wire.client_hello(target.refused.encode())
    bytewise = [hello[at : at + 1] for at in range(len(hello))]
    handshake = hello[5:]
    large = wire.client_hello(target.refused.encode(), padding=17_000)
    post_quantum = wire.client_hello(target.refused.encode(), wire.extension(0x1234, random.randbytes(1700)))
    return [
        *_to_both(target, "segments of one byte", *bytewise, pause_seconds=0.0005),
        *_to_both(target, "records of one byte", wire.records(handshake, 1)),
        *_to_both(
            target,
            "records of one byte in segments of their own",
            *[wire.records(handshake[at : at + 1]) for at in range(len(handshake))],
        ),
        *_to_both(target, "17 kB", large),
        *_to_both(
            target, "as long as with a post-quantum key", post_quantum[:1400], post_quantum[1400:], pause_seconds=0.05
        ),
        *_to_both(target, "first segment of one byte", hello[:1], hello[1:], pause_seconds=0.3),
        *_to_both(target, "never ending", hello[:-1]),
    ]


def _to_both(target: Target, what: str, *pieces: bytes, pause_seconds: float = 0.0) -> Tries:
    places = {"an allowed": target.allowed, "a refused": target.refused}
    return [
        Try(f"{what}, at {word} name", talk, at, target.tls, *pieces, pause_seconds=pause_seconds)
        for word, at in places.items()
    ]


def server_names(target: Target, *forms: bytes | None) -> Tries:
    """A ClientHello for each form of a name."""
    return [line for form in forms for line in _to_both(target, repr(form), wire.client_hello(form))]


def letters(target: Target) -> Tries:
    """B11."""
    return server_names(target, *_each(target, str.upper, str.title))


def trailing_dots(target: Target) -> Tries:
    """B12."""
    return server_names(target, *_each(target, lambda name: name + ".", lambda name: "." + name))


def _each(target: Target, *changes: Callable[[str], str]) -> list[bytes]:
    names = [name for name in (target.refused, target.barred) if name]
    return [change(name).encode() for name in names for change in changes]


def odd_bytes(target: Target) -> Tries:
    """B15."""
    allowed, refused = target.allowed.encode(), target.refused.encode()
    return server_names(
        target,
        *[
            first + odd + b"." + last
            for odd in (b"\0", b"\r\n", b" ", b"\n")
            for first, last in ((allowed, refused), (refused, allowed))
        ],
    )


def international(target: Target) -> Tries:
    """B16."""
    return server_names(
        target,
        target.refused.replace(".", "\u3002").encode(),
        target.allowed.replace("a", "\u0430").encode(),
        b"\xff\xfe",
    )


def wide_wildcards(target: Target) -> Tries:
    """B17."""
    near = [
        f"x{target.allowed}",
        f"{target.allowed}.{target.refused}",
        f"x.{target.allowed}",
        "*",
        f"*.{target.wildcard}",
    ]
    near += [f"x{target.wildcard}", f"{target.wildcard}.{target.refused}", target.barred] if target.wildcard else []
    return server_names(target, *[form.encode() for form in near])


def nameless(target: Target) -> Tries:
    """B20. The outer name of an encrypted hello is what counts; ours names a refused one."""
    hidden = wire.client_hello(target.refused.encode(), wire.encrypted_client_hello())
    two = wire.client_hello(target.allowed.encode(), wire.extension(0, b"\x00\x09\x00\x00\x06" + b"a.test"))
    odd = server_names(
        target,
        None,
        b"",
        target.ipv4.encode(),
        f"[{target.ipv6}]".encode(),
        target.addresses[0].encode() if target.addresses else None,
    )
    return odd + _to_both(target, "ECH with a refused outer name", hidden) + _to_both(target, "two server names", two)


def other_protocol(target: Target) -> Tries:
    """B21."""
    mail = b"EHLO x\r\nSTARTTLS\r\n"
    hello = wire.client_hello(target.refused.encode())
    return [
        Try("TLS on the port of HTTP", talk, target.allowed, target.http, wire.client_hello(target.allowed.encode())),
        Try("HTTP on the port of TLS", talk, target.allowed, target.tls, request(target.refused)),
        Try("STARTTLS to a refused name", talk, target.refused, 25, mail, hello, pause_seconds=0.05),
        Try("STARTTLS on the port of TLS", talk, target.allowed, target.tls, mail, hello, pause_seconds=0.05),
        Try("TLS to a refused name", _handshake, target.refused, target.tls),
        Try("HTTP, then TLS", talk, target.allowed, target.http, request(target.refused), hello, pause_seconds=0.05),
    ]


def _handshake(name: str, port: int) -> bytes:
    import socket  # noqa: PLC0415

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((name, port), 1) as raw, context.wrap_socket(raw, server_hostname=name) as connection:
        connection.sendall(request(name))
        return heard(connection)
