"""Rules that cannot both be meant: those that ``create`` refuses beside each other, and those of which one silently loses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.finding import Finding
from exitway.analyze.overlap import Overlaps
from exitway.names.host import Host
from exitway.names.port import Port
from exitway.resources.conflicts import conflicts
from exitway.resources.intent import Action, Intent
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource


def contradictions(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Each once, at the rule that comes later."""
    registry = Registry().changed(put=resources, revision=1)
    concerned = [resource for resource in resources if conflicts(registry, resource)]
    before = Registry()
    for resource in concerned:
        for problem in conflicts(before, resource):
            message = f"{problem.message} ({problem.code})"
            yield replace(found("EXW2001", resource.key, message, problem.hint), field=problem.field)
        before = before.changed(put=[resource], revision=1)


def origination(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Who speaks TLS for a request, the program or the proxy: where rules say both, what holds is decided by their names."""
    by_rule: dict[object, list[Destination]] = {}
    for destination in destinations(resources):
        if isinstance(destination.what, Host) and destination.allowed and any(map(_is_http, destination.target.ports)):
            by_rule.setdefault(destination.key, []).append(destination)
    overlaps = Overlaps(intent for resource in resources for intent in resource.intents)
    order = {resource.key: number for number, resource in enumerate(resources)}
    for resource in resources:
        for intent in resource.intents:
            if resource.key in by_rule:
                earlier = [one for one in overlaps.of(intent) if order[one.key] < order[intent.key]]
                yield from _unlike(intent, by_rule[resource.key], earlier, by_rule)


def _unlike(
    intent: Intent, own: Sequence[Destination], others: Sequence[Intent], by_rule: dict[object, list[Destination]]
) -> Iterator[Finding]:
    for other in (intent, *others):
        if other.action is Action.DENY:
            continue
        pair = next(
            (
                (one, port)
                for one in own
                for against in by_rule.get(other.key, ())
                for port in one.target.ports
                if _overlap(one, against) and any(_differs(port, theirs) for theirs in against.target.ports)
            ),
            None,
        )
        if pair is not None:
            destination, port = pair
            where = "another entry of this rule" if other is intent else str(other.key)
            says, opposite = ("TLS", "clear text") if port.originate_tls else ("clear text", "TLS")
            message = f"requests to {destination.what}:{port.number} go on as {says}, and by {where} as {opposite}"
            yield found("EXW2006", intent.key, message, "let both say the same of originateTLS", destination.field)


def _overlap(one: Destination, other: Destination) -> bool:
    if not isinstance(one.what, Host) or not isinstance(other.what, Host):
        return False
    return one.what.covers(other.what) or other.what.covers(one.what)


def _differs(port: Port, other: Port) -> bool:
    both_http = _is_http(port) and _is_http(other)
    return port.number == other.number and both_http and port.originate_tls != other.originate_tls


def _is_http(port: Port) -> bool:
    return port.protocol.is_http
