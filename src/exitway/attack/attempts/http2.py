"""Lying about the name in HTTP/2, and tunnels that begin as a request."""

from __future__ import annotations

from exitway.attack import wire
from exitway.attack.attempts.http import request, to_both
from exitway.attack.probe import Tries
from exitway.attack.target import Target

_BEGIN = wire.PREFACE + wire.settings()


def other_streams(target: Target) -> Tries:
    """B5. Each stream says its own name."""
    allowed, refused = target.allowed.encode(), target.refused.encode()
    return to_both(
        target,
        {
            "second stream": _BEGIN + wire.get(1, allowed) + wire.get(3, refused),
            "first stream": _BEGIN + wire.get(1, refused) + wire.get(3, allowed),
            "authority and Host differ": _BEGIN + wire.get(1, allowed, (b"host", refused)),
            "Host alone": _BEGIN
            + wire.headers(1, (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"host", refused)),
            "two authorities": _BEGIN + wire.get(1, allowed, (b":authority", refused)),
            "upper case": _BEGIN + wire.get(1, refused.upper()),
            "line end in the authority": _BEGIN + wire.get(1, allowed + b"\r\nHost: " + refused),
            "line end in a header": _BEGIN
            + wire.get(1, allowed, (b"x", b"1\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: " + refused + b"\r\n\r\n")),
            "URL as the path": _BEGIN + wire.get(1, allowed, path=b"http://" + refused + b"/"),
            "userinfo": _BEGIN + wire.get(1, allowed + b"@" + refused),
        },
    )


def upgrade_to_h2c(target: Target) -> Tries:
    """B6."""
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    frames = wire.PREFACE + wire.settings() + wire.get(3, target.refused.encode())
    return to_both(
        target,
        {
            "Upgrade: h2c": request(target.allowed, *upgrade) + frames,
            "Upgrade: h2c, refused": request(target.refused, *upgrade) + frames,
            "prior knowledge": _BEGIN + wire.get(1, target.refused.encode()),
            "preface after a request": request(target.allowed) + frames,
        },
    )


def tunnels(target: Target) -> Tries:
    """B25."""
    allowed, refused = target.allowed, target.refused
    masque = f"/.well-known/masque/udp/{target.ipv4}/53/"
    upgrade = "Connection: Upgrade"
    socket = (upgrade, "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    return to_both(
        target,
        {
            "WebSocket to a refused name": request(refused, *socket) + request(refused),
            "CONNECT-UDP, HTTP/1.1": request(
                refused, upgrade, "Upgrade: connect-udp", "Capsule-Protocol: ?1", target=masque
            ),
            "CONNECT-IP, HTTP/1.1": request(
                refused, upgrade, "Upgrade: connect-ip", target="/.well-known/masque/ip/*/*/"
            ),
            "CONNECT, HTTP/2": _BEGIN
            + wire.headers(1, (b":method", b"CONNECT"), (b":authority", f"{refused}:443".encode()), end=False),
            "CONNECT to an address, HTTP/2": _BEGIN
            + wire.headers(1, (b":method", b"CONNECT"), (b":authority", f"{target.ipv4}:443".encode()), end=False),
            **{
                f"extended CONNECT, {protocol}": _BEGIN + _extended_connect(refused, protocol, masque)
                for protocol in ("websocket", "connect-udp")
            },
            "gRPC to a refused name": _BEGIN
            + wire.get(1, refused.encode(), (b"content-type", b"application/grpc"), (b"te", b"trailers")),
            "upgrade to anything": request(refused, upgrade, "Upgrade: x") + b"x" * 64,
            "CONNECT-UDP at an allowed name": _BEGIN + _extended_connect(allowed, "connect-udp", masque),
        },
    )


def _extended_connect(authority: str, protocol: str, path: str) -> bytes:
    """RFC 8441."""
    fields = {":method": "CONNECT", ":protocol": protocol, ":scheme": "http", ":authority": authority, ":path": path}
    return wire.headers(1, *[(name.encode(), value.encode()) for name, value in fields.items()], end=False)
