"""The server, as the commands see it: JSON requests over its Unix socket.

HTTP/1.0 by hand: one request a connection, and the answer ends where the connection ends (RFC 1945, section 7.2.2).
``http.client`` does the same and more, but imports ``email`` and ``ssl``, and adds a quarter to the time of ``exitway get``.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings

PATIENCE_SECONDS = 60.0
"""For one answer. Longer than the server waits for its proxies: it then says which of them did not answer."""


class Refusal(Problems):
    """The server said no, with a Kubernetes Status. ``causes``: problems, and the index of the object at fault."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self.status = status
        causes = (status.get("details") or {}).get("causes") or []
        self.causes = [(cause.get("index"), _problem(cause)) for cause in causes]
        whole = Problem("", str(status.get("message") or "the server gave no reason"))
        super().__init__([problem for _, problem in self.causes] or [whole])


class Unreachable(Problems):
    """No server answered."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__([Problem(code, message, hint)])


class Client:
    """Speaks with the server that listens on ``server``, by default on the socket of the settings."""

    def __init__(self, settings: Settings, server: Path | None = None) -> None:
        self.socket = server or settings.socket
        self.namespace = "default"

    def request(self, method: str, path: str, body: Any = None, patience_seconds: float = PATIENCE_SECONDS) -> Any:
        """The JSON of a 2xx answer.

        Raises:
            Refusal: the server answered with a Status.
            Unreachable: nobody answered.
        """
        with self._connect(patience_seconds) as connection, connection.makefile("rb") as answer:
            self._ask(connection, method, path, body)
            return self._whole(answer, *self._head(answer))

    def stream(self, path: str) -> Iterator[Any]:
        """One JSON value for each line of the answer (a watch), until the server ends it. Raises as :meth:`request`."""
        with self._connect(PATIENCE_SECONDS) as connection, connection.makefile("rb") as answer:
            self._ask(connection, "GET", path, None)
            status, length = self._head(answer)
            if status >= 300:
                self._whole(answer, status, length)
            connection.settimeout(None)
            try:
                for line in answer:
                    yield json.loads(line)
            except (OSError, ValueError) as error:
                raise self._broken(error) from None

    def change(self, body: Mapping[str, Any]) -> Any:
        """Make changes, all or none: request and answer as in :mod:`exitway.api.changes`. Raises as :meth:`request`."""
        return self.request("POST", "/exitway/v1/changes", body)

    def standing(self, wire: Mapping[str, Any]) -> list[str]:
        """Whether the proxy has taken what the server made of all rules, in sentences. Raises as :meth:`request`."""
        del wire
        proxy = self.request("GET", "/exitway/v1/status")["proxy"]
        if not proxy["connected"]:
            return ["accepted; no proxy is connected"]
        refused = [
            f"the proxy refused the newest configuration, and keeps the former: {one}" for one in proxy["refused"]
        ]
        return refused or ["accepted; the proxy has refused nothing"]

    def _connect(self, patience_seconds: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(patience_seconds)
        try:
            connection.connect(str(self.socket))
        except PermissionError:
            connection.close()
            hint = "it serves only the user who started it, and root"
            raise Unreachable("EXW0902", f"the server at {self.socket} is another user's", hint) from None
        except OSError:
            connection.close()
            hint = "`exitway up` starts one; `exitway run` brings its own"
            raise Unreachable("EXW0901", f"no server is running at {self.socket}", hint) from None
        return connection

    def _ask(self, connection: socket.socket, method: str, path: str, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        headers = f"Host: exitway\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        try:
            connection.sendall(f"{method} {path} HTTP/1.0\r\n{headers}\r\n".encode("ascii") + content)
        except OSError as error:
            raise self._broken(error) from None

    def _head(self, answer: BinaryIO) -> tuple[int, int | None]:
        """Status and length (absent: up to the end of the connection)."""
        try:
            status = int(answer.readline().split()[1])
            headers = dict(line.lower().split(b":", 1) for line in iter(answer.readline, b"\r\n"))
            return status, int(headers[b"content-length"]) if b"content-length" in headers else None
        except (OSError, ValueError, IndexError) as error:
            raise self._broken(error) from None

    def _whole(self, answer: BinaryIO, status: int, length: int | None) -> Any:
        try:
            content = answer.read()
            if length is not None and len(content) != length:
                raise self._broken(EOFError())
            value = json.loads(content) if content else None
        except (OSError, ValueError) as error:
            raise self._broken(error) from None
        if status >= 300:
            raise Refusal(
                value if isinstance(value, dict) else {"message": f"the server answered with HTTP status {status}"}
            )
        return value

    def _broken(self, error: Exception) -> Unreachable:
        if isinstance(error, TimeoutError):
            return Unreachable(
                "EXW0903", f"the server at {self.socket} does not answer", "`exitway status` shows how it is"
            )
        return Unreachable(
            "EXW0903", f"the server at {self.socket} broke off its answer", "`exitway status` shows whether it runs"
        )


def _problem(cause: Mapping[str, Any]) -> Problem:
    code, message, hint, field = (str(cause.get(name) or "") for name in ("reason", "message", "hint", "field"))
    return Problem(code, message, hint, field)
