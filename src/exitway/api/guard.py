"""Who may use the API over TCP: who knows the token, and calls the server by an address or by ``localhost``.

The token stands in ``Authorization``: as ``Bearer TOKEN``, or as the password of ``Basic`` for kubectl, which sends no bearer token over
plain HTTP but does send what stands in ``--server=http://exitway:TOKEN@127.0.0.1:8001``.
The Host is checked because of DNS rebinding: the owner of a name can point it here and have a browser call it; an address cannot be pointed
elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import os
import re
import secrets
import stat
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from exitway.api.status import failure
from exitway.resources.problem import Problem, Problems

_HOST = re.compile(r"(?:\[([^]]*)\]|([^:]*))(?::\d*)?\Z", re.ASCII)


def token(path: Path) -> str:
    """The token in that file, which is made (mode 0600) if there is none.

    Raises:
        Problems: the file is another user's, others may read it, or it is empty.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(path)
        with path.open(encoding="ascii") as file:
            status = os.fstat(file.fileno())
            content = file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(f"the token file {path} cannot be read: {error}") from error
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise _problem(f"the token file {path} can be read or changed by others")
    if not content:
        raise _problem(f"the token file {path} is empty")
    return content


class Local:
    """The application for those who call it by an address or by ``localhost``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if is_local(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
        else:
            refusal = failure(403, "Forbidden", "the Host header is neither an address nor localhost")
            await refusal(scope, receive, send)


class Guard(Local):
    """The application behind the token, for the same."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        if not secret:
            raise ValueError("an empty token would admit everybody")
        super().__init__(_Secret(app, secret.encode()))


class _Secret:
    def __init__(self, app: ASGIApp, secret: bytes) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if hmac.compare_digest(_credential(Headers(scope=scope).get("authorization", "")), self._secret):
            await self._app(scope, receive, send)
        else:
            refusal = failure(401, "Unauthorized", "the token is missing or wrong")
            refusal.headers["www-authenticate"] = 'Bearer realm="exitway"'
            await refusal(scope, receive, send)


def is_local(host: str) -> bool:
    """Whether a Host header (``name``, ``name:port``, ``[address]:port``) is an IP literal or ``localhost``."""
    match = _HOST.match(host)
    name = (match[1] or match[2]) if match else ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() == "localhost"
    return True


def _credential(authorization: str) -> bytes:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode("latin-1")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


def _create(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")


def _problem(message: str) -> Problems:
    return Problems([Problem("EXW0605", message, "remove it: the server makes a new one")])
