"""HTTP for the world, inside TLS or not, in front of any WSGI program: version 1.1 here (keep-alive, chunked both ways), 2 in ``http2.py``.

Which of them is the client's choice: by ALPN inside TLS, and in clear text by its first words (RFC 9113, 3.3: prior knowledge).
"""

from __future__ import annotations

import importlib.util
import socket
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from exitway.lab import websocket
from exitway.lab.servers import Connection, Talk
from exitway.lab.wsgi import Program, Request

ALPN = ["h2", "http/1.1"] if importlib.util.find_spec("h2") else ["http/1.1"]
"""What is spoken here. Without the library h2, which a developer has and a user need not, version 1.1."""

_WITHOUT_BODY = (204, 304)
_FRAMING = ("transfer-encoding", "content-length", "content-type")
"""Headers that say how the body was sent; the program gets the body whole."""


def http(
    choose: Callable[[Connection], Program], context: Callable[[Connection], ssl.SSLContext] | None = None
) -> Talk:
    """What to do with a connection: speak HTTP for the program chosen for it; with a ``context``, inside TLS."""

    def talk(connection: Connection) -> None:
        stream = connection.socket
        if context is not None:
            stream = context(connection).wrap_socket(stream, server_side=True)
        if "h2" in ALPN and _begins_http2(stream):
            from exitway.lab import http2  # noqa: PLC0415  a user need not have it

            http2.speak(stream, connection, choose(connection))
        else:
            _Requests(stream, connection, choose(connection))

    return talk


def _begins_http2(stream: socket.socket) -> bool:
    if isinstance(stream, ssl.SSLSocket):
        return stream.selected_alpn_protocol() == "h2"
    return stream.recv(3, socket.MSG_PEEK | socket.MSG_WAITALL) == b"PRI"


class _Requests(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "lab"
    disable_nagle_algorithm = True
    wbufsize = -1

    def __init__(self, stream: Any, connection: Connection, program: Program) -> None:
        self._connection = connection
        self._program = program
        self._requests = 0
        self._chunked = False
        super().__init__(stream, stream.getpeername(), None)  # type: ignore[arg-type]

    def log_message(self, *_: Any) -> None:
        """Say nothing: the witness does."""

    def _respond(self) -> None:
        request = self._request()
        self._connection.witness.record("request", **request.facts())
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.close_connection = True
            websocket.echo(self.headers.get("Sec-WebSocket-Key", ""), self.rfile, self.wfile)
            return
        for block in self._program(request.environ(), self._start_response):
            self._send(block)
        if self._chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = _respond  # noqa: N815

    def _request(self) -> Request:
        self._requests += 1
        return Request(
            connection=self._connection,
            number=self._requests,
            version=self.request_version,
            scheme="https" if isinstance(self.connection, ssl.SSLSocket) else "http",
            method=self.command,
            path=self.path,
            host=self.headers.get("Host", ""),
            sni=getattr(self.connection, "sni", ""),
            headers=[(key, value) for key, value in self.headers.items() if key.lower() not in _FRAMING],
            content_type=self.headers.get("Content-Type", ""),
            body=self._body(),
        )

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.flush()  # that it may go on has been written
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        blocks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            blocks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(blocks)

    def _start_response(self, status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for header in headers:
            self.send_header(*header)
        has_end = any(key.lower() == "content-length" for key, _ in headers) or int(code) in _WITHOUT_BODY
        self._chunked = not has_end and self.command != "HEAD" and self.request_version == "HTTP/1.1"
        if self._chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not has_end:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, block: bytes) -> None:
        if self.command == "HEAD" or not block:
            return
        self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if self._chunked else block)
        self.wfile.flush()
