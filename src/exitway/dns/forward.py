"""Plain queries asked of DNS servers as they are, and the responses as they came."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Sequence
from itertools import cycle

from exitway.dns import wire
from exitway.names.address import name_server

PATIENCE_SECONDS = (1.0, 1.5, 2.0)
"""For each attempt. Together less than what a C library waits (resolv.conf(5): 5 s)."""
_QUERIES_OF_A_SOCKET = 256
_SECONDS_OF_A_SOCKET = 2.0
"""Behind a service's address there are several servers, and the kernel chooses one for each socket."""
_LARGEST = 65_535


class Forwarder:
    """Asks ``servers`` (``address``, ``address:port`` or ``[address]:port``) in turn. Needs a running event loop when it asks."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._patience = PATIENCE_SECONDS if servers else ()
        self._servers = cycle([name_server(server) for server in servers])
        self._exchange: _Exchange | None = None

    async def ask(self, query: wire.Query, *, stream: bool = False) -> bytes | None:
        """The response, with the id of the query. None: nobody answers. ``stream``: over TCP."""
        for patience in self._patience:
            with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(patience):
                    response = await (self._ask_stream(query) if stream else self._ask_datagram(query))
                return query.answered(response)
        return None

    def close(self) -> None:
        """Ask no more."""
        if self._exchange is not None:
            self._exchange.retire()
            self._exchange = None

    async def _ask_datagram(self, query: wire.Query) -> bytes:
        now = asyncio.get_running_loop().time()
        if self._exchange is None or self._exchange.is_worn(now):
            self.close()
            self._exchange = _Exchange(*next(self._servers), now)
        exchange = self._exchange
        try:
            return await exchange.ask(query)
        except (OSError, asyncio.CancelledError):
            if self._exchange is exchange:
                self.close()
            raise

    async def _ask_stream(self, query: wire.Query) -> bytes:
        reader, writer = await asyncio.open_connection(*next(self._servers))
        try:
            message = query.forwarded(query.id)
            writer.write(len(message).to_bytes(2) + message)
            response = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        finally:
            writer.close()
        if response[:2] != query.id or not query.matches(response):
            raise ConnectionError
        return response


class _Exchange:
    """A UDP socket connected to one server, with what waits for its answers."""

    def __init__(self, address: str, port: int, now: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = now + _SECONDS_OF_A_SOCKET
        self._asked = 0
        self._retired = False
        self._waiting: dict[bytes, tuple[wire.Query, asyncio.Future[bytes]]] = {}
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect((address, port))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._receive)

    def is_worn(self, now: float) -> bool:
        """Whether the next question should have another socket."""
        return now > self._until or self._asked >= _QUERIES_OF_A_SOCKET

    async def ask(self, query: wire.Query) -> bytes:
        """The response, with an id of its own.

        Raises:
            OSError: the server is not there.
        """
        identity = secrets.token_bytes(2)
        while identity in self._waiting:
            identity = secrets.token_bytes(2)
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting[identity] = query, future
        self._asked += 1
        try:
            self._socket.send(query.forwarded(identity))
            return await future
        finally:
            del self._waiting[identity]
            self._close_when_done()

    def retire(self) -> None:
        """Nobody asks here any more; who waits still gets an answer."""
        self._retired = True
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._retired and not self._waiting and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _receive(self) -> None:
        try:
            response = self._socket.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError as error:  # refused
            for _, future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)
            return
        if response[:2] in self._waiting:
            query, future = self._waiting[response[:2]]
            if query.matches(response) and not future.done():
                future.set_result(response)
