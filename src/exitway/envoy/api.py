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
    """The protobuf bytes of a resource. Equal JSON gives equal bytes, in every process.

    Raises:
        google.protobuf.json_format.ParseError: the JSON does not fit Envoy's API (a fault of ours).
    """
    message: Any = message_type(type_url)()
    json_format.ParseDict(_without_names(wire), message, descriptor_pool=_pool())
    _put_in_order(message)
    _set_names(message, wire)
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def _put_in_order(message: Any) -> None:
    """ParseDict packs the maps inside an ``Any`` in an order that is another in each process."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        kind = field.message_type
        if kind.GetOptions().map_entry:
            parts = value.values() if kind.fields_by_name["value"].type == field.TYPE_MESSAGE else ()
        else:
            parts = value if field.is_repeated else (value,)
        for part in parts:
            if kind.full_name == "google.protobuf.Any":
                packed: Any = message_type(part.type_url)()
                packed.ParseFromString(part.value)
                _put_in_order(packed)
                part.value = packed.SerializeToString(deterministic=True)
            else:
                _put_in_order(part)


# ParseDict takes 2 us for each string, and a virtual host or a matcher of server names may have ten thousand: those are set directly.

_NAMED = ("virtual_hosts", "domain_matchers")


def _without_names(wire: Any) -> Any:
    """The same without the names of virtual hosts and of server name matchers."""
    if isinstance(wire, list):
        return [_without_names(item) for item in wire]
    if not isinstance(wire, dict):
        return wire
    bare = {key: _without_names(value) for key, value in wire.items() if key not in _NAMED}
    for key in _NAMED:
        if key in wire:
            bare[key] = [_without_names({k: v for k, v in item.items() if k != "domains"}) for item in wire[key]]
    return bare


def _set_names(message: Any, wire: Json) -> None:
    """Put the names into a route configuration, or into the matchers of a listener."""
    if "virtual_hosts" in wire:
        _extend(message.virtual_hosts, wire["virtual_hosts"])
    if "filter_chain_matcher" in wire:
        _set_matcher_names(message.filter_chain_matcher, wire["filter_chain_matcher"])


def _set_matcher_names(matcher: Any, wire: Json) -> None:
    tree, tree_wire = matcher.matcher_tree, wire["matcher_tree"]
    branches = tree_wire.get("exact_match_map", {}).get("map", {})
    nested = [(tree.exact_match_map.map[value], branch) for value, branch in branches.items()]
    for on_match, on_match_wire in [*nested, (matcher.on_no_match, wire["on_no_match"])]:
        if "matcher" in on_match_wire:
            _set_matcher_names(on_match.matcher, on_match_wire["matcher"])
    custom = tree_wire.get("custom_match", {}).get("typed_config", {})
    if custom:
        packed = tree.custom_match.typed_config
        unpacked: Any = message_type(custom["@type"])()
        unpacked.ParseFromString(packed.value)
        _set_custom_names(unpacked, custom)
        packed.value = unpacked.SerializeToString(deterministic=True)


def _set_custom_names(custom: Any, wire: Json) -> None:
    if "domain_matchers" in wire:
        _extend(custom.domain_matchers, wire["domain_matchers"])
    for made, range_wire in zip(
        custom.range_matchers if "range_matchers" in wire else (), wire.get("range_matchers", ()), strict=True
    ):
        if "matcher" in range_wire["on_match"]:
            _set_matcher_names(made.on_match.matcher, range_wire["on_match"]["matcher"])


def _extend(made: Any, wire: list[Json]) -> None:
    for one, its_wire in zip(made, wire, strict=True):
        one.domains.extend(its_wire["domains"])


def decode(type_url: str, data: bytes) -> Json:
    """The JSON of a resource's bytes."""
    message = message_type(type_url)()
    message.ParseFromString(data)
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=_pool())
