"""The gRPC shell around :class:`~exitway.xds.stream.DeltaStream`: an aggregated discovery service.

On one machine it is on a Unix socket, and every proxy should have the one snapshot. In a cluster it is on TLS, each proxy proves who it is before
it is told anything, and proxies of equal policy are a group, which shares one snapshot and the bytes of what it is told.

A generic handler takes and gives bytes. Each stream has one writer with one write under way: two at once on one stream fail in gRPC, unseen.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError

from exitway.envoy.snapshot import Snapshot
from exitway.xds.message import Writer, read
from exitway.xds.stream import DeltaStream

_METHOD = "DeltaAggregatedResources"
_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_LARGEST_MESSAGE, _LARGEST_FROM_STRANGERS = 256 * 2**20, 4 * 2**20
STREAMS_OF_ONE = 4
"""How many streams one proxy may have: those that it has left behind without a word are not known to be over yet."""

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


@dataclass(frozen=True, slots=True)
class Peer:
    """Who a proxy has proved to be: ``id``, and the ``group`` whose snapshot it should have."""

    id: str = ""
    group: str = ""


Authenticate = Callable[[str], Awaitable[Peer]]
"""Who has this token; raises :class:`RefusedError`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """``proxies``: how many there are; ``acknowledged``: how many of them have what is meant; ``errors``: who has refused something, and why."""

    proxies: int
    acknowledged: int
    errors: tuple[tuple[Peer, str], ...] = ()


class _Connection:
    """A stream, and what its writer waits for.

    ``since``: the proxy has everything up to this revision, or, if it is in step, up to now. ``over``: it is not to be told more.
    """

    def __init__(self, peer: Peer, snapshot: Snapshot) -> None:
        self.peer = peer
        self.stream = DeltaStream(snapshot)
        self.due = asyncio.Event()
        self.since = 0
        self.over = False


class DiscoveryServer:
    """Tells every connected proxy about the latest snapshot of its group, and knows what each has acknowledged.

    ``moved``: called with the group when a proxy of it came, went or answered.
    ``revision``: of the rules that all snapshots are of; set it when the last of them is published, before anybody else has his turn.
    """

    def __init__(self, authenticate: Authenticate | None = None) -> None:
        self._authenticate = authenticate
        self.moved: Callable[[str], None] = lambda _: None
        self._snapshots: dict[str, Snapshot] = {}
        self._groups: dict[str, set[_Connection]] = {}
        self._peers: dict[str, dict[_Connection, None]] = {}
        self._server: grpc.aio.Server | None = None
        self._progress = asyncio.Event()
        self._writer = Writer()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self.revision = 0

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

    @property
    def connected(self) -> int:
        """How many proxies hold a stream."""
        return sum(map(len, self._groups.values()))

    @property
    def errors(self) -> list[str]:
        """What proxies have refused, and why; empty when all is in force."""
        return [error for one in self._all() for error in one.stream.errors.values()]

    def publish(self, snapshot: Snapshot, group: str = "") -> None:
        """From now on this is what every proxy of the group should have."""
        if self._snapshots.get(group) is snapshot:
            return
        self._snapshots[group] = snapshot
        for connection in self._groups.get(group, ()):
            self._tell(connection, snapshot)
        self._moved(group)

    def forget(self, group: str) -> None:
        """No proxy is in this group any more."""
        self._snapshots.pop(group, None)

    def move(self, peer: str, group: str) -> None:
        """A proxy is in another group from now on; its snapshot has been published."""
        for connection in self._peers.get(peer, ()):
            before = connection.peer.group
            if before != group:
                self._leave_group(connection)
                self._groups.setdefault(group, set()).add(connection)
                connection.peer = Peer(peer, group)
                self._tell(connection, self._snapshots.get(group, _NOTHING))
                self._moved(before)

    def end(self, peer: str) -> None:
        """Whoever proved to be this is that no more: it is told that there is nothing for it, and its streams end.

        A proxy that only lost its stream would keep what it has for ever, whatever becomes of the rules.
        """
        for connection in self._peers.get(peer, ()):
            connection.over = True
            self._tell(connection, _NOTHING)

    def standing(self, groups: Iterable[str], revision: int) -> Standing:
        """How many proxies of these groups have what the rules said at a revision."""
        of_them = [one for group in groups for one in self._groups.get(group, ())]
        having = [one for one in of_them if (self.revision if one.stream.in_step else one.since) >= revision]
        errors = [(one.peer, error) for one in of_them for error in one.stream.errors.values()]
        return Standing(len(of_them), sum(not one.stream.errors for one in having), tuple(errors))

    async def settled(self, proxies: int, timeout_seconds: float) -> bool:
        """Wait until so many proxies are connected and all are in step with their snapshots. False: not within the time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.connected < proxies or not all(one.stream.in_step for one in self._all()):
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    def _all(self) -> Iterable[_Connection]:
        return (one for group in self._groups.values() for one in group)

    def _made(self, options: dict[str, int]) -> grpc.aio.Server:
        self._server = server = grpc.aio.server(options=[*(_OPTIONS | options).items()])
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
        return server

    def _tell(self, connection: _Connection, snapshot: Snapshot) -> None:
        if connection.stream.in_step:
            connection.since = self.revision
        connection.stream.publish(snapshot)
        connection.due.set()

    def _moved(self, group: str) -> None:
        """Wake whoever waits, and arm the event anew for the next move."""
        self._progress.set()
        self._progress = asyncio.Event()
        self.moved(group)

    async def _stream(self, requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        try:
            peer = await self._authenticate(_token(context)) if self._authenticate else Peer()
        except RefusedError as refused:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(refused))
        connection = _Connection(peer, self._snapshots.get(peer.group, _NOTHING))
        self._groups.setdefault(peer.group, set()).add(connection)
        if self._authenticate:
            self._join(connection)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(connection, context))
                async for data in requests:
                    self._take(connection, data)
                writer.cancel()
        except* DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a DeltaDiscoveryRequest")
        except* RefusedError:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "what this token speaks of is gone")
        finally:
            self._gone(connection)

    def _join(self, connection: _Connection) -> None:
        """Note whose it is; of too many the oldest ends."""
        streams = self._peers.setdefault(connection.peer.id, {})
        if len(streams) >= STREAMS_OF_ONE:
            oldest = next(iter(streams))
            oldest.over = True
            oldest.due.set()
        streams[connection] = None

    def _take(self, connection: _Connection, data: bytes) -> None:
        connection.stream.receive(read(data))
        connection.due.set()
        if connection.stream.in_step:
            self._moved(connection.peer.group)

    def _gone(self, connection: _Connection) -> None:
        peer = connection.peer
        self._leave_group(connection)
        streams = self._peers.get(peer.id, {})
        streams.pop(connection, None)
        if not streams:
            self._peers.pop(peer.id, None)
        self._moved(peer.group)

    def _leave_group(self, connection: _Connection) -> None:
        group = self._groups[connection.peer.group]
        group.discard(connection)
        if not group:
            del self._groups[connection.peer.group]

    async def _write(self, connection: _Connection, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
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
            if connection.stream.in_step:
                self._moved(connection.peer.group)

    async def _write_large(self, context: grpc.aio.ServicerContext[bytes, bytes], data: bytes) -> None:
        async with self._large:
            writing = asyncio.ensure_future(context.write(data))
            await asyncio.wait([writing], timeout=LARGE_SECONDS)
        await writing


_NOTHING = Snapshot()


def _token(context: grpc.aio.ServicerContext[bytes, bytes]) -> str:
    """What the proxy sent to prove who it is; empty: nothing."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token if scheme.lower() == "bearer" else ""
    return ""


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
