"""The metadata that the store gives to a resource (Kubernetes API conventions, "Metadata"). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from exitway.resources.resource import Json, Resource

_OWN = ("name", "namespace", "labels", "annotations")
"""What of the metadata is the user's; everything else that comes in is ignored, as by Kubernetes."""


def stamp(resource: Resource, before: Resource | None, *, revision: int, now: datetime, uid: str) -> Resource:
    """The resource as it is stored at that revision. ``uid`` and ``now`` are for a new one; an old one keeps its own."""
    new: Json = {"uid": uid, "creationTimestamp": _timestamp(now), "generation": 0}
    old: Mapping[str, Any] = before.metadata if before else new
    same_spec = before is not None and before.wire.get("spec") == resource.wire.get("spec")
    stored: Json = {
        **_own(resource),
        "uid": old["uid"],
        "resourceVersion": str(revision),
        "generation": old["generation"] + (not same_spec),
        "creationTimestamp": old["creationTimestamp"],
    }
    return replace(resource, wire={**resource.wire, "metadata": stored})


def same(resource: Resource, before: Resource | None) -> bool:
    """Whether putting the resource would change nothing: spec, labels and annotations are equal."""
    return before is not None and _own(resource) == _own(before) and _rest(resource) == _rest(before)


def deleted(before: Resource, revision: int) -> Resource:
    """The last state of a resource, at the revision of its deletion."""
    return replace(before, wire={**before.wire, "metadata": {**before.metadata, "resourceVersion": str(revision)}})


def _own(resource: Resource) -> Json:
    mine = {**resource.metadata, "namespace": resource.key.namespace}
    return {field: mine[field] for field in _OWN if mine.get(field)}


def _rest(resource: Resource) -> Json:
    return {field: value for field, value in resource.wire.items() if field != "metadata"}


def _timestamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, UTC, as Kubernetes writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
