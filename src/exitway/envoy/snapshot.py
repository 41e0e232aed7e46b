"""Envoy resources that belong together: the whole of what one proxy should have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from exitway.envoy import api
from exitway.envoy.api import CLUSTER, LISTENER, ROUTE_CONFIGURATION, Json

TYPES = (CLUSTER, LISTENER, ROUTE_CONFIGURATION)
"""In the order in which a proxy must be told, so that nothing refers to what is not there yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One Envoy resource: its JSON, its bytes, and a version that is a hash of the bytes."""

    type_url: str
    name: str
    json: Json
    data: bytes
    version: str

    @classmethod
    def of(cls, type_url: str, json: Json) -> Resource:
        """Encode a resource. Equal JSON gives an equal version, on every machine."""
        data = api.encode(type_url, json)
        return cls(type_url, json.get("name", ""), json, data, _version(data))

    def merged(self, part: Resource) -> Resource:
        """This resource with the fields that it lacks, from another of its type.

        A message is the concatenation of its fields, so nothing is
        encoded again (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
        """
        version = _version(self.version.encode() + part.version.encode())
        return Resource(self.type_url, self.name, self.json | part.json, self.data + part.data, version)


def _version(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """An internally consistent set of resources, by type and name."""

    resources: Mapping[str, Mapping[str, Resource]] = field(default_factory=dict)

    @cached_property
    def revision(self) -> str:
        """A hash of what is in it: equal on every machine, and different for what differs."""
        versions = (
            (type_url, name, one.version) for type_url, named in self.resources.items() for name, one in named.items()
        )
        return _version("\n".join(map(" ".join, sorted(versions))).encode())

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Snapshot:
        """A snapshot of these resources."""
        by_type: dict[str, dict[str, Resource]] = {type_url: {} for type_url in TYPES}
        for resource in resources:
            by_type[resource.type_url][resource.name] = resource
        return cls(by_type)

    def named(self, type_url: str) -> Mapping[str, Resource]:
        """The resources of one type, by name."""
        return self.resources.get(type_url, {})
