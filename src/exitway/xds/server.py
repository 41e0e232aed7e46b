"""The gRPC shell around :class:`~exitway.xds.stream.DeltaStream`: an aggregated discovery service.

On one machine it is on a Unix socket, and every proxy should have the one snapshot. In a cluster it is on TLS, each proxy proves who it is before
it is told anything, and proxies of equal policy are a group, which shares one snapshot and the bytes of what it is told.

A generic handler takes and gives bytes. Each stream has one writer with one write under way: two at once on one stream fail in gRPC, unseen.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from exitway.xds.message import Writer, read
from exitway.xds.proxies import STREAMS_OF_ONE, Connection, Peer, Proxies

_METHOD = "DeltaAggregatedResources"
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_LARGEST_MESSAGE, _LARGEST_FROM_STRANGERS = 256 * 2**20, 4 * 2**20

LARGE_BYTES = 64 * 2**10
LARGE_AT_ONCE = 16
LARGE_SECONDS = 1.0
"""gRPC copies what it writes: of large messages only so many are copied at a time. One that a proxy does not take holds up no other for longer."""

_OPTIONS = {
    "grpc.max_receive_message_length": _LARGEST_MESSAGE,
    "grpc.so_reuseport": 0,
    # the proxies ask for a sign of life; gRPC would take that for a flood (it allows one in five minutes)
    "grpc.http2.min_ping_interval_without_data_ms": 5_000,
    "grpc.http2.max_ping_strikes": 0,
    # and so do we: a proxy that vanished without a word is not counted for long
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    # buffers of each connection: 20 kB less of them, and no slower
    "grpc.tsi.max_frame_size": 4096,
}


class RefusedError(Exception):
    """A proxy did not prove who it is. The text is for its log."""


Authenticate = Callable[[str, str], Awaitable[Peer]]
"""Who has this token, and comes from this address; raises :class:`RefusedError`."""


class DiscoveryServer(Proxies):
    """Tells every connected proxy about the latest snapshot of its group."""

    def __init__(self, authenticate: Authenticate | None = None) -> None:
        super().__init__()
        self._authenticate = authenticate
        self._server: grpc.aio.Server | None = None
        self._writer = Writer()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def start(self, path: Path) -> None:
        """Serve on a Unix socket of mode 0600 (its directory is 0700 anyway)."""
        server = self._made({})
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - a socket of a dead server, on a file system in memory
        before = os.umask(0o177)
        try:
            server.add_insecure_port(f"unix:{path}")
        finally:
            os.umask(before)
        await server.start()

    async def start_tls(self, address: str, certificate: Callable[[], tuple[bytes, bytes]], age_seconds: float) -> int:
        """Serve on TCP with TLS; returns the port.

        ``certificate``: the key and the chain in force, PEM; asked at each connection. ``age_seconds``: after about so long a
        connection is ended, so that proxies prove themselves anew, and spread over the replicas that there are by then.
        """
        age = round(age_seconds * 1000)
        limits = {
            "grpc.max_receive_message_length": _LARGEST_FROM_STRANGERS,
            "grpc.max_concurrent_streams": STREAMS_OF_ONE,
        }
        server = self._made(limits | {"grpc.max_connection_age_ms": age, "grpc.max_connection_age_grace_ms": 1_000})
        port: int = server.add_secure_port(address, _credentials(certificate))
        await server.start()
        return port

    async def stop(self, grace_seconds: float | None = None) -> None:
        """End every stream. The proxies keep what they have. With a grace they are told first to go elsewhere."""
        if self._server is not None:
            await self._server.stop(grace=grace_seconds)

    def _made(self, options: dict[str, int]) -> grpc.aio.Server:
        self._server = server = grpc.aio.server(options=[*(_OPTIONS | options).items()])
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
        return server

    async def _stream(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        try:
            peer = await self._authenticate(_token(context), _address(context)) if self._authenticate else Peer()
        except RefusedError as refused:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(refused))
        connection = self.join(peer)
        why: tuple[grpc.StatusCode, str] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(connection, context))
                async for data in requests:
                    connection.stream.receive(read(data))
                    connection.due.set()
                    self.heard(connection)
                writer.cancel()
        except* DecodeError:
            why = grpc.StatusCode.INVALID_ARGUMENT, "not a DeltaDiscoveryRequest"
        except* RefusedError:
            why = grpc.StatusCode.UNAUTHENTICATED, "what this token speaks of is gone"
        finally:
            self.gone(connection)
        if why:  # gRPC knows its own exception only where it comes alone
            await context.abort(*why)

    async def _write(self, connection: Connection, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while True:
            await connection.due.wait()
            connection.due.clear()
            while response := connection.stream.next():
                data = self._writer.write(response)
                if len(data) > LARGE_BYTES:
                    await self._write_large(context, data)
                else:
                    await context.write(data)
            if connection.over:
                raise RefusedError
            self.heard(connection)

    async def _write_large(self, context: grpc.aio.ServicerContext[bytes, bytes], data: bytes) -> None:
        async with self._large:
            writing = asyncio.ensure_future(context.write(data))
            await asyncio.wait([writing], timeout=LARGE_SECONDS)
        await writing


def _token(context: grpc.aio.ServicerContext[bytes, bytes]) -> str:
    """What the proxy sent to prove who it is; empty: nothing."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token if scheme.lower() == "bearer" else ""
    return ""


def _address(context: grpc.aio.ServicerContext[bytes, bytes]) -> str:
    """Where the proxy comes from, as gRPC writes it but for the port: ``ipv4:198.18.0.7``, ``ipv6:%5B2001:db8::7%5D``."""
    return str(context.peer()).rpartition(":")[0]


def _credentials(certificate: Callable[[], tuple[bytes, bytes]]) -> grpc.ServerCredentials:
    """The certificate is asked for at each connection, in a thread of gRPC; None says that it is the same."""
    last = certificate()

    def fetch() -> object:
        nonlocal last
        now = certificate()
        if now == last:
            return None
        last = now
        return grpc.ssl_server_certificate_configuration([now])

    return grpc.dynamic_ssl_server_credentials(grpc.ssl_server_certificate_configuration([last]), fetch)
