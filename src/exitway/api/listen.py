"""Serving the API inside a running asyncio loop: on a Unix socket for the user who started the server, and on TCP for those with the token.

stop = asyncio.Event()
with unix_socket(settings.socket) as socket:
    await serve(create_app(...), socket, stop)                       # returns after stop.set()
    await serve(create_app(...), socket, stop, tcp=tcp_socket("127.0.0.1:8001"), secret=token(path))
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from exitway.api.bounded import MOST_CONNECTIONS, Bounded
from exitway.api.ending import Ending
from exitway.api.guard import Guard
from exitway.api.peer import PeerChecked, network_namespace
from exitway.resources.problem import Problem, Problems

GRACE_SECONDS = 5
"""How long requests may go on after the stop."""
CALLER_SECONDS = 90
"""How long the API server keeps a connection to a webhook for the next call: that of Go's ``http.DefaultTransport``."""
_ADDRESS = "give a free address, such as 127.0.0.1:8001"


@contextmanager
def unix_socket(path: Path, unbound: socket.socket | None = None) -> Iterator[socket.socket]:
    """A listening socket of mode 0600 in a directory of mode 0700, both ours. One that a killed server left behind is replaced.

    ``unbound``: the socket to use; clients have to live in the network namespace in which it was made.

    Raises:
        Problems: a server is listening there, the directory is another user's, or the kernel cannot tell us who connects.
    """
    lock = _lock(path)
    try:
        with unbound or socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listener:
            network_namespace(listener)  # raises on a kernel that cannot tell, before anyone connects
            path.unlink(missing_ok=True)
            try:
                _bind(listener, path)
                yield listener
            finally:
                path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def tcp_socket(address: str) -> socket.socket:
    """A listening socket at ``host:port`` or ``[address]:port``; port 0 is any free one. What goes over it is not encrypted.

    Raises:
        Problems: the address is not one, or is taken.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port[:6]) > 65535:
        raise _problem("EXW0603", f"cannot listen at {address}: it is not of the form host:port", _ADDRESS)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Without a host (":8001") it would be every address of the machine; that has to be said (0.0.0.0).
        return socket.create_server((host.strip("[]") or "127.0.0.1", int(port)), family=family)
    except (OSError, UnicodeError) as error:
        raise _problem("EXW0603", f"cannot listen at {address}: {error}", _ADDRESS) from error


async def serve(
    app: ASGIApp, unix: socket.socket, stop: asyncio.Event, *, tcp: socket.socket | None = None, secret: str = ""
) -> None:
    """Answer requests until ``stop`` is set: then watches end, and other requests have :data:`GRACE_SECONDS`. ``tcp`` asks for ``secret``."""
    app = Ending(app, stop)

    class Checked(PeerChecked):
        home = network_namespace(unix)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_run(uvicorn.Config(app, http=Checked, **_CONFIG), unix, stop))
        if tcp is not None:
            tasks.create_task(_run(uvicorn.Config(Guard(app, secret), **_OPEN), tcp, stop))


async def serve_openly(app: ASGIApp, listener: socket.socket, stop: asyncio.Event) -> None:
    """Answer whoever reaches the listener, without a token, until ``stop`` is set: for what everybody may read."""
    await _run(uvicorn.Config(Ending(app, stop), **_OPEN), listener, stop)


_CONFIG: dict[str, Any] = {
    "lifespan": "off",
    "ws": "none",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # nobody in front of us may say who the client is
    "timeout_graceful_shutdown": GRACE_SECONDS,
}
_OPEN = _CONFIG | {"http": Bounded, "backlog": MOST_CONNECTIONS}
"""Where strangers may connect. asyncio takes so many connections at once as may be queued."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's, not uvicorn's."""
        yield


async def serve_tls(app: ASGIApp, listener: socket.socket, context: ssl.SSLContext, stop: asyncio.Event) -> None:
    """Answer requests until ``stop`` is set. Each handshake uses what the context has then, so its certificate may be renewed.

    A connection that is idle is the caller's to close: whoever closes it just when the next call comes by it has refused that call.
    """
    config = uvicorn.Config(app, http="h11", timeout_keep_alive=CALLER_SECONDS + 30, **_CONFIG)
    config.load()
    config.ssl = context
    await _run(config, listener, stop)


async def _run(config: uvicorn.Config, listener: socket.socket, stop: asyncio.Event) -> None:
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    async with asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(end())
        await server.serve(sockets=[listener])
        ending.cancel()


def _lock(path: Path) -> int:
    """Held as long as the process lives, so a lock that is free says that a socket beside it is a dead server's."""
    try:
        _own(path.parent)
        lock = os.open(
            path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise _problem(
            "EXW0601", f"cannot listen at {path}: {error}", "check the directory's owner and mode"
        ) from error
    try:
        # A POSIX lock: a forked child does not inherit it.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise _problem("EXW0602", f"a server is already listening at {path}", "`exitway down` ends it") from error
    return lock


def _own(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{directory} is not a directory of this user")
    directory.chmod(0o700)


def _bind(listener: socket.socket, path: Path) -> None:
    former = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen()
    except OSError as error:
        raise _problem(
            "EXW0601", f"cannot listen at {path}: {error}", "a socket's path has at most 107 bytes"
        ) from error
    finally:
        os.umask(former)


def _problem(code: str, message: str, hint: str) -> Problems:
    return Problems([Problem(code, message, hint)])
