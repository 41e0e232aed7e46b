"""The messages of the protocol: bytes in, bytes out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from exitway.envoy.api import message_type
from exitway.envoy.snapshot import Resource
from exitway.xds.stream import Request, Response

_REQUEST = "envoy.service.discovery.v3.DeltaDiscoveryRequest"
_RESPONSE = "envoy.service.discovery.v3.DeltaDiscoveryResponse"

KEPT_BYTES = 16 * 2**20
"""How much of what has been said is remembered, so that it need not be put together again for the next stream."""


def read(data: bytes) -> Request:
    """What a proxy says. Raises google.protobuf.message.DecodeError."""
    message: Any = message_type(_REQUEST)()
    message.ParseFromString(data)
    return Request(
        type_url=message.type_url,
        subscribe=frozenset(message.resource_names_subscribe),
        unsubscribe=frozenset(message.resource_names_unsubscribe),
        held=dict(message.initial_resource_versions),
        nonce=message.response_nonce,
        error=message.error_detail.message,
    )


def write(response: Response) -> bytes:
    """What a proxy is told."""
    message: Any = message_type(_RESPONSE)(
        type_url=response.type_url, nonce=response.nonce, removed_resources=response.removed
    )
    for resource in response.changed:
        entry = message.resources.add(name=resource.name, version=resource.version)
        entry.resource.type_url = resource.type_url
        entry.resource.value = resource.data
    data: bytes = message.SerializeToString()
    return data


def ask(type_url: str, held: Mapping[str, str], node: str) -> bytes:
    """The first request of a client that is no Envoy: everything of a type. ``held``: what it has, by name, with versions."""
    message: Any = message_type(_REQUEST)(type_url=type_url, initial_resource_versions=held)
    message.node.id = node
    data: bytes = message.SerializeToString()
    return data


def answer(type_url: str, nonce: str, error: str = "") -> bytes:
    """Its ACK, or with an error its NACK."""
    message: Any = message_type(_REQUEST)(type_url=type_url, response_nonce=nonce)
    if error:
        message.error_detail.code, message.error_detail.message = 13, error
    data: bytes = message.SerializeToString()
    return data


def told(data: bytes) -> Response:
    """What such a client is told."""
    message: Any = message_type(_RESPONSE)()
    message.ParseFromString(data)
    resources = (
        Resource(one.resource.type_url, one.name, {}, one.resource.value, one.version) for one in message.resources
    )
    return Response(message.type_url, message.nonce, tuple(resources), tuple(message.removed_resources))


class Writer:
    """Puts responses together, equal ones once: all streams with the same snapshot are told the same bytes."""

    def __init__(self) -> None:
        self._written: OrderedDict[Response, bytes] = OrderedDict()
        self._bytes = 0

    def write(self, response: Response) -> bytes:
        """The bytes of a response."""
        data = self._written.get(response)
        if data is None:
            data = self._written[response] = write(response)
            self._bytes += len(data)
            while self._bytes > KEPT_BYTES:
                self._bytes -= len(self._written.popitem(last=False)[1])
        else:
            self._written.move_to_end(response)
        return data
