"""HTTP/1.1 for the world: keep-alive, chunked both ways, inside TLS or not, in front of any WSGI program (PEP 3333).

httpbin is such a program. The other is the mirror, which answers at all other addresses with what it was asked, as JSON.
"""

from __future__ import annotations

import io
import json
import ssl
import sys
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote_to_bytes

from exitway.lab.servers import Connection, Talk, plain

Environ = dict[str, Any]
StartResponse = Callable[..., None]
Program = Callable[[Environ, StartResponse], Iterable[bytes]]

_WITHOUT_BODY = (204, 304)


def http(
    choose: Callable[[Connection], Program], context: Callable[[Connection], ssl.SSLContext] | None = None
) -> Talk:
    """What to do with a connection: speak HTTP for the program chosen for it; with a ``context``, inside TLS."""

    def talk(connection: Connection) -> None:
        stream = connection.socket
        if context is not None:
            stream = context(connection).wrap_socket(stream, server_side=True)
        _Requests(stream, connection, choose(connection))

    return talk


def mirror(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Who was reached, and what was asked: one JSON object."""
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    answer = {**environ["lab.facts"], "headers": headers, "body": environ["wsgi.input"].read().decode(errors="replace")}
    body = json.dumps(answer, indent=2).encode() + b"\n"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


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
        facts = self._facts()
        self._connection.witness.record("request", **facts)
        for block in self._program(self._environ(facts), self._start_response):
            self._send(block)
        if self._chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = _respond  # noqa: N815

    def _facts(self) -> dict[str, Any]:
        self._requests += 1
        at = self._connection
        return {
            "name": at.name,
            "address": at.address,
            "port": at.port,
            "connection": at.number,
            "request": self._requests,
            "method": self.command,
            "path": self.path,
            "host": self.headers.get("Host", ""),
            "sni": getattr(self.connection, "sni", ""),
        }

    def _environ(self, facts: dict[str, Any]) -> Environ:
        path, _, query = self.path.partition("?")
        body = self._body()
        return {
            **{
                f"HTTP_{key.upper().replace('-', '_')}": value
                for key, value in self.headers.items()
                if not _is_framing(key)
            },
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "REMOTE_ADDR": plain(self.client_address[0]),
            "SERVER_NAME": facts["name"] or facts["address"],
            "SERVER_PORT": str(facts["port"]),
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if isinstance(self.connection, ssl.SSLSocket) else "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "lab.facts": facts,
        }

    def _body(self) -> bytes:
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


def _is_framing(header: str) -> bool:
    """Whether the header says how the body was sent; the program gets the body whole."""
    return header.lower() in ("transfer-encoding", "content-length", "content-type")
