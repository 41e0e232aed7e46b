"""What the page shows, in sections: each a JSON value that says all there is to say of its subject, within bounds. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from exitway.flows.flow import Flow
from exitway.flows.history import Destination
from exitway.names.call import Reason, Verdict
from exitway.resources.resource import Resource
from exitway.resources.summary import summary
from exitway.web.search import Search

Json = dict[str, Any]

MOST_LINKS = 600
MOST_DENIALS = 200
MOST_RULES = 500


@dataclass
class _Link:
    """Everything that was seen between a workload and one port of a destination."""

    counts: dict[str, int] = field(default_factory=lambda: {"allowed": 0, "audited": 0, "denied": 0})
    sent: int = 0
    received: int = 0
    last: str = ""
    reasons: set[Reason] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)

    def add(self, one: Destination) -> None:
        self.counts[_what(one)] += one.count
        self.sent += one.sent
        self.received += one.received
        self.last = max(self.last, one.last)
        self.reasons.add(one.reason)
        if one.rule:
            self.rules.add(one.rule)

    @property
    def rank(self) -> tuple[bool, str]:
        """What was denied comes first, then what was used last."""
        return self.counts["denied"] > 0, self.last


def map_section(rows: Iterable[Destination], search: Search) -> Json:
    """Who talks to whom: a link for each workload and port of a destination, ``leftOff`` how many more there are, totals of all."""
    links: dict[tuple[str, str, int, str], _Link] = {}
    for one in rows:
        if search.finds_destination(one):
            links.setdefault((one.workload, one.name, one.port, one.protocol), _Link()).add(one)
    shown = sorted(links.items(), key=lambda item: item[1].rank, reverse=True)[:MOST_LINKS]
    counts = {what: sum(link.counts[what] for link in links.values()) for what in ("allowed", "audited", "denied")}
    ends = {"workloads": len({key[0] for key in links}), "destinations": len({key[1] for key in links})}
    return {
        "links": [_link(*item) for item in shown],
        "leftOff": len(links) - len(shown),
        "totals": counts | ends,
    }


def denials_section(flows: Sequence[Flow], total: int, search: Search) -> Json:
    """The newest denials, the newest first. ``total``: how many calls were denied, as far as they are counted."""
    found = sorted(filter(search.finds_flow, flows), key=lambda flow: (flow.last or flow.time, flow.id), reverse=True)
    shown = found[:MOST_DENIALS]
    known = sum(flow.count for flow in found) if search.words else max(total, sum(flow.count for flow in shown))
    items = [flow.wire() | {"count": flow.count, "last": flow.last or flow.time} for flow in shown]
    return {"items": items, "total": known, "leftOff": known - sum(flow.count for flow in shown)}


def rules_section(
    resources: Iterable[Resource], use: Mapping[str, tuple[str, int]], now: datetime, search: Search
) -> Json:
    """The rules in force, each in few words, with its last use. ``use``: by key, the time and how often."""
    rows = [_rule(resource, use, now) for resource in resources]
    found = [row for row in rows if search.finds((f"{row['namespace']}/{row['name']}", *row.values()))]
    return {"items": found[:MOST_RULES], "total": len(found), "leftOff": max(0, len(found) - MOST_RULES)}


def running_section(workloads: Iterable[Json], search: Search) -> Json:
    """The workloads that run, as the server's status tells them."""
    found = (one for one in workloads if search.finds((f"{one['namespace']}/{one['name']}", one["pid"])))
    return {"items": sorted(found, key=lambda one: (one["namespace"], one["name"], one["id"]))}


def _what(one: Destination) -> str:
    return "allowed" if one.verdict is Verdict.ALLOW else "audited" if one.audit else "denied"


def _link(key: tuple[str, str, int, str], link: _Link) -> Json:
    workload, destination, port, protocol = key
    seen = {"sent": link.sent, "received": link.received, "last": link.last}
    why = {"reasons": sorted(link.reasons), "rules": sorted(link.rules)}
    ends = {"workload": workload, "destination": destination, "port": port, "protocol": protocol}
    return ends | link.counts | seen | why


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
