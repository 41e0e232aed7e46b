"""The dashboard's own end on this machine: it listens on the loopback while ``exitway dashboard`` runs, and passes on to the server's Unix socket.

Only a GET of the dashboard's own paths is passed on, so whoever gets hold of the token can look, and change nothing. The page's files are for
everybody who calls us by an address or by ``localhost`` (DNS rebinding: ``api/guard.py``); what the page asks for takes the token as well.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exitway.api.guard import Guard, Local
from exitway.api.status import failure
from exitway.web.page import ASKED, ROOT, files

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Of every answer. Nothing but the page's own files is loaded, and none of what it shows can become markup or a script."""

_PASSED_BACK = ("content-type", "cache-control", "etag")
_CHUNK = 65_536
_LARGEST_HEAD = 65_536


def relay(server: Path, secret: str) -> ASGIApp:
    """The application in front of the server's socket."""
    return _Secured(Local(_Relay(server, secret)))


class _Secured:
    """Adds the headers to every answer, also to those of the guard."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


class _Relay:
    def __init__(self, server: Path, secret: str) -> None:
        self._passing = _Passing(server)
        self._guarded = Guard(self._passing, secret)
        self._files = {f"/{name}" for name in files()}
        self._asked = {f"/{name}" for name in ASKED}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        app = self._for(scope)
        await app(scope, receive, send)

    def _for(self, scope: Scope) -> ASGIApp:
        if scope["path"] in self._asked:
            return self._guarded if scope["method"] == "GET" else _NOT_ALLOWED
        if scope["path"] in self._files:
            return self._passing if scope["method"] == "GET" else _NOT_ALLOWED
        return failure(404, "NotFound", "the dashboard has no such path")


_NOT_ALLOWED = failure(405, "MethodNotAllowed", "the dashboard only reads: GET is all there is")


class _Passing:
    """Passes a request on, and what is answered back, as it comes."""

    def __init__(self, server: Path) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Ends when the client has gone."""
        passing = asyncio.ensure_future(self._pass(scope, receive, send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({passing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if passing.done():
                passing.result()
        finally:
            passing.cancel()
            gone.cancel()
            await asyncio.gather(passing, gone, return_exceptions=True)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(self._server, limit=_LARGEST_HEAD)
        except OSError:
            await _AWAY(scope, receive, send)
            return
        try:
            writer.write(_request(scope))
            try:
                start = _start(await reader.readuntil(b"\r\n\r\n"))
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                await _AWAY(scope, receive, send)
                return
            await send(start)
            while chunk := await reader.read(_CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            writer.close()


_AWAY = Response(
    "No server is running: `exitway up` starts one. This page comes back with it.\n",
    503,
    {"refresh": "2", "cache-control": "no-store"},
    "text/plain",
)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _request(scope: Scope) -> bytes:
    """HTTP/1.0: the answer ends where the connection ends. The path is one of ours, and what is in the query is escaped by who sent it."""
    query = scope["query_string"]
    target = f"{ROOT}{scope['path']}".encode() + (b"?" + query if query else b"")
    known = Headers(scope=scope).get("if-none-match", "")
    condition = f"if-none-match: {known}\r\n" if known else ""
    return b"GET " + target + f" HTTP/1.0\r\nhost: exitway\r\n{condition}\r\n".encode("latin-1")


def _start(head: bytes) -> Message:
    """The beginning of the answer, of its headers those that are passed back."""
    first, *lines = head.rstrip().split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    headers = [(name.lower(), value.strip()) for name, _, value in pairs if name.lower().decode() in _PASSED_BACK]
    return {"type": "http.response.start", "status": int(first.split()[1]), "headers": headers}
