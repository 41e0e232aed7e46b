"""Server-side printing: the columns that ``kubectl get`` shows (meta.k8s.io/v1 Table)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from exitway.resources.brief import age, destinations, few, ports
from exitway.resources.resource import Json, Resource

_ALWAYS, _WIDE = 0, 1
_COLUMNS = [
    ("Name", _ALWAYS, "name", "The rule's name"),
    ("Destinations", _ALWAYS, "", "Names and address ranges that the rule is about"),
    ("Ports", _ALWAYS, "", "Ports, each with its protocol"),
    ("Age", _ALWAYS, "", "Time since the rule was created"),
    ("Action", _WIDE, "", "ALLOW or DENY"),
    ("Selector", _WIDE, "", "Labels of the workloads for which the rule holds; none: all of the namespace"),
    ("Expires", _WIDE, "", "When the rule ends to hold"),
]
_DEFINITIONS = [
    {"name": name, "type": "string", "format": form, "description": text, "priority": priority}
    for name, priority, form, text in _COLUMNS
]


def table(resources: Sequence[Resource], revision: int, now: datetime, include: str = "Metadata") -> Json:
    """The resources as a Table. ``include`` (``includeObject`` of the query): what stands beside each row: None, Metadata or Object."""
    rows = [{"cells": _cells(resource, now), **_object(resource, include)} for resource in resources]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": str(revision)},
        "columnDefinitions": _DEFINITIONS,
        "rows": rows,
    }


def _cells(resource: Resource, now: datetime) -> list[Any]:
    to, on = destinations(resource), ports(resource)
    labels = [f"{name}={value}" for intent in resource.intents for name, value in intent.selector.match_labels]
    expires = [
        intent.expires.astimezone(UTC).isoformat(timespec="seconds") for intent in resource.intents if intent.expires
    ]
    actions = sorted({str(intent.action) for intent in resource.intents})
    wide = [few(cell) or "<none>" for cell in (actions, labels, expires)]
    return [resource.key.name, to, on, age(resource.metadata["creationTimestamp"], now), *wide]


def _object(resource: Resource, include: str) -> Json:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": resource.wire}
    return {"object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": resource.metadata}}
