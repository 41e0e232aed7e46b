"""Protocols by hand, so that they can be said wrongly: TLS (RFC 8446), HTTP/2 (RFC 9113), DNS (RFC 1035)."""

from __future__ import annotations

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4


def client_hello(server_name: bytes | None, *extensions: bytes, padding: int = 0) -> bytes:
    """One handshake message in one record, or in several where it is longer than a record may be. None: it names nobody."""
    names = [] if server_name is None else [extension(0, _vector(2, b"\0" + _vector(2, server_name)))]
    usual = [
        extension(10, _vector(2, b"\x00\x1d\x00\x17")),  # groups: x25519, P-256
        extension(13, _vector(2, b"\x04\x03\x08\x04\x04\x01")),  # signatures
        extension(43, _vector(1, b"\x03\x04\x03\x03")),  # versions: 1.3, 1.2
        extension(51, _vector(2, b"\x00\x1d" + _vector(2, bytes(range(32))))),  # a key
    ]
    padded = [extension(21, bytes(padding))] if padding else []
    body = (
        b"\x03\x03" + bytes(32) + _vector(1, bytes(32)) + _vector(2, b"\x13\x01\x13\x03\xc0\x2b\xc0\x2f") + b"\x01\x00"
    )
    body += _vector(2, b"".join([*names, *usual, *extensions, *padded]))
    return records(b"\x01" + len(body).to_bytes(3) + body)


def records(handshake: bytes, size: int = 16384) -> bytes:
    """A handshake message, cut into records of this size."""
    pieces = [handshake[at : at + size] for at in range(0, len(handshake), size)]
    return b"".join(b"\x16\x03\x01" + _vector(2, piece) for piece in pieces)


def extension(number: int, content: bytes) -> bytes:
    """A TLS extension."""
    return struct.pack("!H", number) + _vector(2, content)


def encrypted_client_hello() -> bytes:
    """The outer form of the extension ``encrypted_client_hello`` (RFC 9849), with nothing that anybody could decrypt."""
    return extension(0xFE0D, b"\x00" + b"\x00\x01\x00\x01" + b"\x07" + _vector(2, bytes(32)) + _vector(2, bytes(128)))


def _vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width) + content


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """An HTTP/2 frame."""
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def settings() -> bytes:
    """The client's first frame."""
    return frame(_SETTINGS, 0, 0, b"")


def headers(stream: int, *fields: tuple[bytes, bytes], end: bool = True) -> bytes:
    """A request of HTTP/2. Each field is a literal without indexing (RFC 7541, section 6.2.2), so that anything can be said."""
    block = b"".join(b"\0" + _string(name) + _string(value) for name, value in fields)
    return frame(_HEADERS, _END_HEADERS | (_END_STREAM if end else 0), stream, block)


def get(stream: int, authority: bytes, *more: tuple[bytes, bytes], path: bytes = b"/") -> bytes:
    """The usual request."""
    fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", authority), (b":path", path))
    return headers(stream, *fields, *more)


def _string(text: bytes) -> bytes:
    return bytes([len(text)]) + text if len(text) < 127 else b"\x7f" + _integer(len(text) - 127) + text


def _integer(rest: int) -> bytes:
    encoded = b""
    while rest > 127:
        encoded, rest = encoded + bytes([rest & 127 | 128]), rest >> 7
    return encoded + bytes([rest])


def query(name: str, kind: int = 1, number: int = 4711) -> bytes:
    """A DNS query for one name (labels of any bytes, in Latin-1)."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("latin-1").split(b".") if label)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def over_tcp(message: bytes) -> bytes:
    """A DNS message with its length (RFC 1035, section 4.2.2)."""
    return _vector(2, message)
