"""A name server on sockets that it is given. Holds no thread and no timer while nobody asks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from exitway.names.address import RESOLVER_IPV4, RESOLVER_IPV6

_PORT = 53
_MOST_CONNECTIONS = 32
"""Over TCP, at once. The sockets are the server's, so a workload may not have as many as it likes."""
_MOST_QUERIES = 20_000
"""Over UDP, that wait for an answer. Who asks more asks again."""
_PATIENCE_SECONDS = 5.0

Answer = Callable[[bytes], Awaitable[bytes | None]]
"""The answer to a query, each without the length that TCP puts before it. None: say nothing, it is not a query."""


def workload_sockets() -> list[socket.socket]:
    """The sockets of a workload's name server. Call it inside the namespace.

    Also on loopback: a machine without ``/etc/resolv.conf`` asks there (resolv.conf(5)).
    """
    families = [(socket.AF_INET, RESOLVER_IPV4), (socket.AF_INET, "127.0.0.1")]
    if socket.has_dualstack_ipv6():
        families.append((socket.AF_INET6, RESOLVER_IPV6))
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    return [_bound(family, kind, address, _PORT) for family, address in families for kind in kinds]


def loopback_sockets(port: int = 0) -> list[socket.socket]:
    """A TCP and a UDP socket on one port of this machine's loopback; 0: any that is free.

    Raises:
        OSError: somebody has the port.
    """
    stream = _bound(socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1", port)
    try:
        return [stream, _bound(socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1", stream.getsockname()[1])]
    except OSError:
        stream.close()
        raise


class NameServer:
    """Serves until closed, in the running event loop."""

    def __init__(self, sockets: Sequence[socket.socket], answer: Answer) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._answer = answer
        self._queries: set[asyncio.Task[None]] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        for one in sockets:
            receive = self._receive if one.type == socket.SOCK_DGRAM else self._accept
            self._loop.add_reader(one, receive, one)

    def close(self) -> None:
        """Stop, and close the sockets."""
        for one in self._sockets:
            self._loop.remove_reader(one)
            one.close()
        for task in self._queries | self._conversations:
            task.cancel()

    def _receive(self, one: socket.socket) -> None:
        try:
            query, asker = one.recvfrom(4096)
        except OSError:
            return
        if len(self._queries) < _MOST_QUERIES:
            self._begin(self._queries, self._reply(one, query, asker))

    async def _reply(self, one: socket.socket, query: bytes, asker: Any) -> None:
        response = await self._answer(query)
        if response is not None:
            with contextlib.suppress(OSError):  # the asker has gone, or does not read: it is theirs to ask again
                one.sendto(response, asker)

    def _accept(self, one: socket.socket) -> None:
        try:
            connection, _ = one.accept()
        except OSError:
            return
        if len(self._conversations) >= _MOST_CONNECTIONS:
            connection.close()
            return
        self._begin(self._conversations, self._converse(connection))

    async def _converse(self, connection: socket.socket) -> None:
        """Queries and answers, each after its length in two bytes (RFC 1035, section 4.2.2), until one side has had enough."""
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            while True:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2))
                    response = await self._answer(await reader.readexactly(length))
                    if response is None:
                        return
                    writer.write(len(response).to_bytes(2) + response)
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _begin(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _bound(family: int, kind: int, address: str, port: int) -> socket.socket:
    one = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen()
    except OSError:
        one.close()
        raise
    return one
