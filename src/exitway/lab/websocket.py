"""A WebSocket that says what is said to it (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import struct
from io import BufferedIOBase

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE, _PING, _PONG = 8, 9, 10


def echo(key: str, read: BufferedIOBase, write: BufferedIOBase) -> None:
    """Accept the upgrade whose ``Sec-WebSocket-Key`` is ``key``; then each frame comes back, until the client closes."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    write.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    write.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    write.flush()
    while head := read.read(2):
        payload = _payload(head[1] & 0x7F, read)
        operation = head[0] & 0x0F
        first = head[0] & 0xF0 | (_PONG if operation == _PING else operation)
        write.write(bytes([first]) + _length(len(payload)) + payload)
        write.flush()
        if operation == _CLOSE:
            return


def _payload(length: int, read: BufferedIOBase) -> bytes:
    """What a client sends is masked (5.3)."""
    if length >= 126:
        length = int.from_bytes(read.read(2 if length == 126 else 8))
    mask = int.from_bytes((read.read(4) * (length // 4 + 1))[:length])
    return (int.from_bytes(read.read(length)) ^ mask).to_bytes(length)


def _length(size: int) -> bytes:
    if size < 126:
        return bytes([size])
    return struct.pack("!BH", 126, size) if size < 65536 else struct.pack("!BQ", 127, size)
