"""A proxy's stream to one replica of the control plane, as Envoy would hold it, with every byte that comes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import grpc

from exitway.envoy.api import CLUSTER, LISTENER, ROUTE_CONFIGURATION, message_type
from exitway.names.cluster import XDS_PORT
from exitway.xds.message import answer, told

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN)
"""The connection has ended: it is begun anew, as if it had never been. On a busy machine gRPC's own TLS garbles one (https://github.com/grpc/grpc/issues/28557)."""
Held = dict[str, dict[str, str]]


def ask(type_url: str, names: tuple[str, ...] = (), held: Mapping[str, str] | None = None, node: str = "") -> bytes:
    request: Any = message_type("envoy.service.discovery.v3.DeltaDiscoveryRequest")(
        type_url=type_url, resource_names_subscribe=names, initial_resource_versions=held or {}
    )
    request.node.id = node
    data: bytes = request.SerializeToString()
    return data


class Stream:
    """``received``: every response, as bytes; ``held``: versions by type and name; ``bodies``: what the resources say."""

    def __init__(self, channel: grpc.Channel, token: str, node: str, held: Held) -> None:
        self.error: grpc.RpcError | None = None
        self._came = threading.Condition()
        self._channel, self._token, self._node, self._known = channel, token, node, held
        self._begin()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _begin(self) -> None:
        self.received: list[bytes] = []
        self.held: Held = {kind: dict(self._known.get(kind, {})) for kind in (CLUSTER, LISTENER, ROUTE_CONFIGURATION)}
        self.bodies: dict[str, bytes] = {}
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._out.put(ask(CLUSTER, held=self.held[CLUSTER], node=self._node))
        self._out.put(ask(LISTENER, held=self.held[LISTENER]))
        self._out.put(ask(ROUTE_CONFIGURATION, ("http",), held=self.held[ROUTE_CONFIGURATION]))
        metadata = (("authorization", f"Bearer {self._token}"),) if self._token else ()
        self._call = self._channel.stream_stream(METHOD)(iter(self._out.get, None), metadata=metadata)

    def wait(self, text: bytes, *, gone: bool = False, seconds: float = 15) -> None:
        """Wait until the text is in what the proxy holds, or is in it no more."""
        with self._came:
            held = self._came.wait_for(lambda: self.error or self.says(text) is not gone, seconds)
        assert held and not self.error, self.error or f"{text!r} has not {'gone' if gone else 'come'}"

    def says(self, text: bytes) -> bool:
        return any(text in body for body in self.bodies.values())

    def refusal(self, seconds: float = 15) -> grpc.StatusCode:
        """Why the stream has ended."""
        self._reader.join(seconds)
        assert self.error, "the stream goes on"
        return self.error.code()

    def settle(self, seconds: float = 1.0) -> None:
        """Wait until nothing has come for so long."""
        with self._came:
            while self._came.wait(seconds):
                pass

    def close(self) -> None:
        self._out.put(None)
        self._call.cancel()

    def _read(self) -> None:
        while True:
            try:
                for data in self._call:
                    self._take(data)
            except grpc.RpcError as error:
                if error.code() in _BROKEN:
                    time.sleep(0.1)
                    self._begin()
                    continue
                with self._came:
                    self.error = error
                    self._came.notify_all()
            return

    def _take(self, data: bytes) -> None:
        response = told(data)
        with self._came:
            self.received.append(data)
            for name in response.removed:
                self.held[response.type_url].pop(name, None)
                self.bodies.pop(name, None)
            for resource in response.changed:
                self.held[response.type_url][resource.name] = resource.version
                self.bodies[resource.name] = resource.data
            self._came.notify_all()
        self._out.put(answer(response.type_url, response.nonce))


@contextmanager
def stream(
    address: str, authorities: bytes, name: str, token: str = "", node: str = "pod", held: Held | None = None
) -> Iterator[Stream]:
    """A stream to the replica at this address, whose certificate must be that name's."""
    credentials = grpc.ssl_channel_credentials(authorities)
    options = [("grpc.ssl_target_name_override", name), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"{address}:{XDS_PORT}", credentials, options) as channel:
        made = Stream(channel, token, node, held or {})
        try:
            yield made
        finally:
            with suppress(grpc.RpcError):
                made.close()
