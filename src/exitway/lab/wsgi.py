"""What the world's HTTP programs are given, whatever version of HTTP it came by (PEP 3333), and the program that most addresses have.

The mirror answers with what it was asked, as JSON; to ``/bytes/N`` with N bytes. httpbin is the other program.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from exitway.lab.servers import Connection

Environ = dict[str, Any]
StartResponse = Callable[..., None]
Program = Callable[[Environ, StartResponse], Iterable[bytes]]

_NOT_SHOWN = 65536
"""A body from this size on is counted, and not said back."""
_BLOCK = bytes(65536)


@dataclass(frozen=True)
class Request:
    """A request that was read whole. ``number`` counts those of the connection; ``headers`` are without those that frame the body."""

    connection: Connection
    number: int
    version: str
    scheme: str
    method: str
    path: str
    host: str
    sni: str
    headers: Sequence[tuple[str, str]]
    content_type: str = ""
    body: bytes = b""

    def facts(self) -> dict[str, Any]:
        """What the witness is told."""
        at = self.connection
        return {
            "name": at.name,
            "address": at.address,
            "port": at.port,
            "connection": at.number,
            "request": self.number,
            "version": self.version,
            "method": self.method,
            "path": self.path,
            "host": self.host,
            "sni": self.sni,
        }

    def environ(self) -> Environ:
        """What the program is given."""
        path, _, query = self.path.partition("?")
        facts = self.facts()
        return {
            **{f"HTTP_{key.upper().replace('-', '_')}": value for key, value in self.headers},
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.content_type,
            "CONTENT_LENGTH": str(len(self.body)) if self.body else "",
            "REMOTE_ADDR": self.connection.client,
            "SERVER_NAME": facts["name"] or facts["address"],
            "SERVER_PORT": str(facts["port"]),
            "SERVER_PROTOCOL": self.version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": self.scheme,
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "lab.facts": facts,
        }


def mirror(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Who was reached, and what was asked: one JSON object. Below ``/bytes/``: so many zeros."""
    if environ["PATH_INFO"].startswith("/bytes/"):
        size = int(environ["PATH_INFO"].removeprefix("/bytes/"))
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
        return _zeros(size)
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    sent = environ["wsgi.input"].read()
    shown = sent.decode(errors="replace") if len(sent) < _NOT_SHOWN else ""
    answer = {**environ["lab.facts"], "headers": headers, "body": shown, "length": len(sent)}
    body = json.dumps(answer, indent=2).encode() + b"\n"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield _BLOCK[:size]
        size -= len(_BLOCK)
