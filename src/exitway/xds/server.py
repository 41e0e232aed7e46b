"""The gRPC shell around :class:`~exitway.xds.stream.DeltaStream`: an aggregated discovery service on a Unix socket.

Responses are written by one task for each stream, in order; a generic handler takes and gives bytes, and a resource's bytes are made once
(``envoy/snapshot.py``), whoever it is sent to.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from exitway.envoy.api import message_type
from exitway.envoy.snapshot import Snapshot
from exitway.xds.stream import DeltaStream, Request, Response

_METHOD = "DeltaAggregatedResources"
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_LARGEST_MESSAGE = 256 * 2**20


class DiscoveryServer:
    """Tells every connected proxy about the latest snapshot, and knows what each has acknowledged."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._streams: dict[DeltaStream, asyncio.Queue[Response]] = {}
        self._server: grpc.aio.Server | None = None
        self._progress = asyncio.Event()

    async def start(self, path: Path) -> None:
        """Serve on a Unix socket of mode 0600 (its directory is 0700 anyway)."""
        server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", _LARGEST_MESSAGE), ("grpc.so_reuseport", 0)]
        )
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - a socket of a dead server, on a file system in memory
        before = os.umask(0o177)
        try:
            server.add_insecure_port(f"unix:{path}")
        finally:
            os.umask(before)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """End every stream. The proxies keep what they have."""
        if self._server is not None:
            await self._server.stop(grace=None)

    @property
    def connected(self) -> int:
        """How many proxies hold a stream."""
        return len(self._streams)

    @property
    def errors(self) -> list[str]:
        """What proxies have refused, and why; empty when all is in force."""
        return [error for stream in self._streams for error in stream.errors.values()]

    def publish(self, snapshot: Snapshot) -> None:
        """From now on this is what every proxy should have."""
        self._snapshot = snapshot
        for stream, outbox in self._streams.items():
            for response in stream.publish(snapshot):
                outbox.put_nowait(response)
        self._moved()

    async def settled(self, proxies: int, timeout_seconds: float) -> bool:
        """Wait until so many proxies are connected and all are in step with the snapshot. False: not within the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while len(self._streams) < proxies or not all(stream.in_step for stream in self._streams):
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    def _moved(self) -> None:
        """Wake whoever waits, and arm the event anew for the next move."""
        self._progress.set()
        self._progress = asyncio.Event()

    async def _stream(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        stream = DeltaStream(self._snapshot)
        outbox: asyncio.Queue[Response] = asyncio.Queue()
        self._streams[stream] = outbox
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(_write(outbox, context))
                async for data in requests:
                    for response in stream.receive(_request(data)):
                        outbox.put_nowait(response)
                    self._moved()
                writer.cancel()
        finally:
            del self._streams[stream]
            self._moved()


async def _write(outbox: asyncio.Queue[Response], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
    while True:
        await context.write(_bytes(await outbox.get()))


def _request(data: bytes) -> Request:
    message: Any = message_type("envoy.service.discovery.v3.DeltaDiscoveryRequest")()
    message.ParseFromString(data)
    return Request(
        type_url=message.type_url,
        subscribe=frozenset(message.resource_names_subscribe),
        unsubscribe=frozenset(message.resource_names_unsubscribe),
        held=dict(message.initial_resource_versions),
        nonce=message.response_nonce,
        error=message.error_detail.message,
    )


def _bytes(response: Response) -> bytes:
    message: Any = message_type("envoy.service.discovery.v3.DeltaDiscoveryResponse")(
        type_url=response.type_url, nonce=response.nonce, removed_resources=response.removed
    )
    for resource in response.changed:
        entry = message.resources.add(name=resource.name, version=resource.version)
        entry.resource.type_url = resource.type_url
        entry.resource.value = resource.data
    data: bytes = message.SerializeToString()
    return data
