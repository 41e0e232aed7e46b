"""Envoy's API as data: Envoy's own JSON in, protobuf bytes out.

The descriptors are those of the Envoy binary itself (``scripts/update-envoy-api``), loaded into a pool of our own, so there is no generated
code and no clash with other packages that bring parts of this API. A wrong field or enum value is named with its path (``ParseDict``).
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import Message

TYPE_PREFIX = "type.googleapis.com/"

CLUSTER = TYPE_PREFIX + "envoy.config.cluster.v3.Cluster"
LISTENER = TYPE_PREFIX + "envoy.config.listener.v3.Listener"
ROUTE_CONFIGURATION = TYPE_PREFIX + "envoy.config.route.v3.RouteConfiguration"

Json = dict[str, Any]


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(resources.files("exitway.envoy").joinpath("api.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


@functools.cache
def message_type(name: str) -> type[Message]:
    """The message class of a full name such as ``envoy.config.route.v3.RouteConfiguration``, or of a type URL."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name.removeprefix(TYPE_PREFIX)))


def encode(type_url: str, wire: Json) -> bytes:
    """The protobuf bytes of a resource. Equal JSON gives equal bytes.

    Raises:
        google.protobuf.json_format.ParseError: the JSON does not fit Envoy's API (a fault of ours).
    """
    message: Any = message_type(type_url)()
    if "virtual_hosts" not in wire:
        json_format.ParseDict(wire, message, descriptor_pool=_pool())
    else:  # ParseDict takes 2 us for each string, and a virtual host may have ten thousand names: those are set directly
        hosts = [{key: value for key, value in host.items() if key != "domains"} for host in wire["virtual_hosts"]]
        json_format.ParseDict({**wire, "virtual_hosts": hosts}, message, descriptor_pool=_pool())
        for made, host in zip(message.virtual_hosts, wire["virtual_hosts"], strict=True):
            made.domains.extend(host["domains"])
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def decode(type_url: str, data: bytes) -> Json:
    """The JSON of a resource's bytes."""
    message = message_type(type_url)()
    message.ParseFromString(data)
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=_pool())
