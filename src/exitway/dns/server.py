"""A name server on sockets that it is given. Holds no thread and no timer while nobody asks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from exitway.names.address import RESOLVER_IPV4, RESOLVER_IPV6
from exitway.names.cluster import NODE_RESOLVER_PORT

_PORT = 53
_MOST_CONNECTIONS = 32
"""Over TCP, at once. The sockets are the server's, so a workload may not have as many as it likes."""
_MOST_QUERIES = 20_000
"""Over UDP, that wait for an answer. Who asks more asks again."""
_MOST_AT_ONCE = 64
"""Datagrams that are taken from a socket before others have their turn."""
_PATIENCE_SECONDS = 5.0
_BUFFER_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Source:
    """Who asks: the address that a query came from. ``stream``: over TCP."""

    address: str
    stream: bool


Answer = Callable[[bytes, Source], Coroutine[Any, Any, bytes | None] | bytes | None]
"""The answer to a query, each without the length that TCP puts before it; at once, or when it is known. None: say nothing, it is not a query."""


def workload_sockets() -> list[socket.socket]:
    """The sockets of a workload's name server. Call it inside the namespace.

    Also on loopback: a machine without ``/etc/resolv.conf`` asks there (resolv.conf(5)).
    """
    return _both_kinds((RESOLVER_IPV4, "127.0.0.1", RESOLVER_IPV6), _PORT)


def pod_sockets() -> list[socket.socket]:
    """The same of a pod, which may have a name server of its own: at a port that is nobody else's."""
    return _both_kinds(("127.0.0.1", "::1"), NODE_RESOLVER_PORT)


def loopback_sockets(port: int = 0) -> list[socket.socket]:
    """A TCP and a UDP socket on one port of this machine's loopback; 0: any that is free.

    Raises:
        OSError: somebody has the port.
    """
    stream = _bound(socket.SOCK_STREAM, "127.0.0.1", port)
    try:
        return [stream, _bound(socket.SOCK_DGRAM, "127.0.0.1", stream.getsockname()[1])]
    except OSError:
        stream.close()
        raise


def public_sockets(port: int) -> list[socket.socket]:
    """A TCP and a UDP socket at all addresses of this machine, IPv4 and (where there is any) IPv6 apart.

    Raises:
        OSError: somebody has the port.
    """
    return _both_kinds(("0.0.0.0", "::"), port)  # noqa: S104


class NameServer:
    """Serves until closed, in the running event loop. Over TCP, no address has more than ``most_of_one`` of the ``most`` connections."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        answer: Answer,
        most: int = _MOST_CONNECTIONS,
        most_of_one: int = _MOST_CONNECTIONS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._answer = answer
        self._most, self._most_of_one = most, most_of_one
        self._connected: Counter[str] = Counter()
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
        for _ in range(_MOST_AT_ONCE):
            try:
                query, asker = one.recvfrom(4096)
            except OSError:
                return
            answer = self._answer(query, Source(asker[0], stream=False))
            if isinstance(answer, bytes):
                _send(one, answer, asker)
            elif answer is not None:
                if len(self._queries) < _MOST_QUERIES:
                    self._begin(self._queries, self._reply(one, answer, asker))
                else:
                    answer.close()

    @staticmethod
    async def _reply(one: socket.socket, answer: Coroutine[Any, Any, bytes | None], asker: Any) -> None:
        response = await answer
        if response is not None:
            _send(one, response, asker)

    def _accept(self, one: socket.socket) -> None:
        try:
            connection, (address, *_) = one.accept()
        except OSError:
            return
        if self._connected.total() >= self._most or self._connected[address] >= self._most_of_one:
            connection.close()
            return
        self._connected[address] += 1
        self._begin(self._conversations, self._converse(connection, Source(address, stream=True)))

    async def _converse(self, connection: socket.socket, source: Source) -> None:
        """Queries and answers, each after its length in two bytes (RFC 1035, section 4.2.2), until one side has had enough."""
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                while True:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        length = int.from_bytes(await reader.readexactly(2))
                        answer = self._answer(await reader.readexactly(length), source)
                        response = answer if answer is None or isinstance(answer, bytes) else await answer
                        if response is None:
                            return
                        writer.write(len(response).to_bytes(2) + response)
                        await writer.drain()
            finally:
                writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connected -= Counter([source.address])

    def _begin(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _send(one: socket.socket, response: bytes, asker: Any) -> None:
    with contextlib.suppress(OSError):  # the asker has gone, or does not read: it is theirs to ask again
        one.sendto(response, asker)


def _both_kinds(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """For UDP and TCP at each address, but for those of IPv6 where there is none."""
    there = [address for address in addresses if ":" not in address or socket.has_dualstack_ipv6()]
    return [_bound(kind, address, port) for address in there for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]


def _bound(kind: int, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        one.bind((address, port))
        if kind == socket.SOCK_STREAM:
            one.listen()
    except OSError:
        one.close()
        raise
    return one
