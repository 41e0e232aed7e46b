"""What the page shows, in sections: each a JSON value that says all there is to say of its subject, within bounds. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from exitway.flows.flow import Flow
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from exitway.resources.summary import summary
from exitway.web.search import Search

Json = dict[str, Any]

MOST_DENIALS = 200
MOST_RULES = 500


def json_text(value: object) -> str:
    """As it goes to the page: on one line."""
    return json.dumps(value, separators=(",", ":"))


def denials_section(flows: Sequence[Flow], total: int, search: Search) -> Json:
    """The newest denials, the newest first. ``total``: how many calls were denied, as far as they are counted."""
    found = sorted(filter(search.finds_flow, flows), key=lambda flow: (flow.last or flow.time, flow.id), reverse=True)
    shown = found[:MOST_DENIALS]
    known = sum(flow.count for flow in found) if search.words else max(total, sum(flow.count for flow in shown))
    items = [flow.wire() | {"count": flow.count, "last": flow.last or flow.time} for flow in shown]
    return {"items": items, "total": known, "leftOff": known - sum(flow.count for flow in shown)}


def rules_section(registry: Registry, use: Mapping[str, tuple[str, int]], now: datetime, search: Search) -> Json:
    """The rules in force, each in few words, with its last use. ``use``: by key, the time and how often."""
    found: Iterable[Resource] = registry
    if search.words:
        found = [one for one in registry if search.finds(_rule(one, use, now).values())]
    total = len(found) if isinstance(found, list) else len(registry)
    items = [_rule(one, use, now) for one in islice(found, MOST_RULES)]
    return {"items": items, "total": total, "leftOff": total - len(items)}


def running_section(workloads: Iterable[Json], search: Search) -> Json:
    """The workloads that run, as the server's status tells them."""
    found = (one for one in workloads if search.finds((f"{one['namespace']}/{one['name']}", one["pid"])))
    return {"items": sorted(found, key=lambda one: (one["namespace"], one["name"], one["id"]))}


def _rule(resource: Resource, use: Mapping[str, tuple[str, int]], now: datetime) -> Json:
    said = summary(resource.wire)
    last, uses = use.get(str(resource.key), ("", 0))
    return {
        "key": str(resource.key),
        "apiVersion": resource.api_version,
        "namespace": resource.key.namespace,
        "name": resource.key.name,
        "action": said.action,
        "workloads": said.workloads,
        "to": [{"destinations": way.destinations, "ports": way.ports} for way in said.ways],
        "expires": said.expires,
        "expired": bool(said.expires) and datetime.fromisoformat(said.expires) <= now,
        "last": last,
        "uses": uses,
    }
