"""What the kubelet asks a part that has no web server, ``/readyz`` and ``/livez``; and what Prometheus does, ``/metrics``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_PATIENCE_SECONDS = 2.0
_LINES = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


Exposition = Callable[[str], tuple[bytes, str]]
"""What is to be read, and its type, for who accepts this (``Accept``)."""


async def serve_health(port: int, unready: Callable[[], str], exposition: Exposition) -> asyncio.Server:
    """Answer at a port. ``unready``: why the part is not ready, as a sentence; empty: it is. While we answer, it lives."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                path = request.split(b" ", 2)[1].partition(b"?")[0]
                if path == b"/metrics":
                    writer.write(_answer(200, *exposition(_accept(request))))
                else:
                    writer.write(_response(path, unready()))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, None, port)


def _response(path: bytes, why: str) -> bytes:
    status = {b"/livez": 200, b"/readyz": 503 if why else 200}.get(path, 404)
    body = (why if path == b"/readyz" and why else _LINES[status]).encode() + b"\n"
    return _answer(status, body, "text/plain")


def _answer(status: int, body: bytes, content_type: str) -> bytes:
    head = f"HTTP/1.1 {status} {_LINES[status]}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body


def _accept(request: bytes) -> str:
    for line in request.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"accept":
            return value.decode("latin-1").strip()
    return ""
