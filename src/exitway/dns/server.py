"""The name server of one workload, on sockets inside its network namespace. Holds no thread and no timer while nobody asks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from exitway.dns.answer import answer
from exitway.dns.synthetic import SyntheticAddresses
from exitway.names.address import RESOLVER_IPV4, RESOLVER_IPV6

_PORT = 53
_MOST_CONNECTIONS = 32
"""Over TCP, at once. The sockets are the server's, so a workload may not have as many as it likes."""
_PATIENCE_SECONDS = 5.0


def open_sockets() -> list[socket.socket]:
    """The server's sockets. Call it inside the namespace.

    Also on loopback: a machine without ``/etc/resolv.conf`` asks there (resolv.conf(5)).
    """
    families = [(socket.AF_INET, RESOLVER_IPV4), (socket.AF_INET, "127.0.0.1")]
    if socket.has_dualstack_ipv6():
        families.append((socket.AF_INET6, RESOLVER_IPV6))
    kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
    return [_bound(family, kind, address) for family, address in families for kind in kinds]


class Resolver:
    """Serves until closed, in the running event loop."""

    def __init__(self, sockets: Sequence[socket.socket], addresses: SyntheticAddresses) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._addresses = addresses
        self._conversations: set[asyncio.Task[None]] = set()
        for one in sockets:
            receive = self._receive if one.type == socket.SOCK_DGRAM else self._accept
            self._loop.add_reader(one, receive, one)

    def close(self) -> None:
        """Stop, and close the sockets."""
        for one in self._sockets:
            self._loop.remove_reader(one)
            one.close()
        for conversation in self._conversations:
            conversation.cancel()

    def _receive(self, one: socket.socket) -> None:
        try:
            query, asker = one.recvfrom(4096)
            response = answer(query, self._addresses)
            if response is not None:
                one.sendto(response, asker)
        except OSError:
            pass  # the asker has gone, or does not read: it is theirs to ask again

    def _accept(self, one: socket.socket) -> None:
        try:
            connection, _ = one.accept()
        except OSError:
            return
        if len(self._conversations) >= _MOST_CONNECTIONS:
            connection.close()
            return
        conversation = self._loop.create_task(self._converse(connection))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    async def _converse(self, connection: socket.socket) -> None:
        """Queries and answers, each after its length in two bytes (RFC 1035, section 4.2.2), until one side has had enough."""
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            while True:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2))
                    response = answer(await reader.readexactly(length), self._addresses)
                    if response is None:
                        return
                    writer.write(len(response).to_bytes(2) + response)
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def _bound(family: int, kind: int, address: str) -> socket.socket:
    one = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((address, _PORT))
    if kind == socket.SOCK_STREAM:
        one.listen()
    return one
