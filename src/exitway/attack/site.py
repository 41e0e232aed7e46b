"""What the attempts may reach: a site on the machine's loopback (HTTP, and a port where TLS would be spoken), and an echo for TCP.

The site answers with the headers that it was sent, as JSON.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

from exitway.attack.watcher import Notes


class Site(ExitStack):
    """Serves from the beginning to the end of a ``with`` block, and notes what reaches it, as the lab's witness does."""

    def __init__(self, peer: str) -> None:
        """``peer``: the address where the echo listens."""
        super().__init__()
        notes = Notes()
        self.facts = notes.facts
        self._servers: list[ThreadingHTTPServer | _Tcp] = [
            ThreadingHTTPServer(("127.0.0.1", 0), _handler(notes.note)),
            ThreadingHTTPServer(("127.0.0.1", 0), _handler(notes.note)),
            _Tcp(("127.0.0.1", 0), _echo(notes.note)),
            _Tcp((peer, 0), _echo(notes.note)),
        ]
        self.http, self.limited, self.tls, self.peer_port = (server.server_address[1] for server in self._servers)

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self.callback(server.server_close)
            self.callback(server.shutdown)
        return self


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Note = Callable[[dict[str, Any]], None]


def _echo(note: Note) -> type[socketserver.BaseRequestHandler]:
    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            address, port = self.request.getsockname()[:2]
            note({"kind": "connection", "address": address, "port": port})
            try:
                while data := self.request.recv(65536):
                    self.request.sendall(data)
            except OSError:
                return

    return Echo


def _handler(note: Note) -> type[BaseHTTPRequestHandler]:
    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name: str) -> Any:
            """Every method is answered."""
            if name.startswith("do_"):
                return self._respond
            raise AttributeError(name)

        def log_message(self, *_: Any) -> None:
            """Say nothing: the facts do."""

        def _respond(self) -> None:
            address, port = self.connection.getsockname()[:2]
            host = self.headers.get("Host", "")
            note(
                {
                    "kind": "request",
                    "address": address,
                    "port": port,
                    "method": self.command,
                    "path": self.path,
                    "host": host,
                }
            )
            length = self.headers.get("Content-Length", "0")
            self.rfile.read(int(length) if length.isdecimal() else 0)
            seen = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
            leads = self.path.startswith("/redirect-to?url=")
            self.send_response(302 if leads else 200)
            if leads:
                self.send_header("Location", unquote(self.path.partition("=")[2]))
            self.send_header("Content-Length", str(len(seen)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(seen)

    return Requests
