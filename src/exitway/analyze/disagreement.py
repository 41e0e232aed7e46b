"""Rules that cannot both be meant: those that ``create`` refuses beside each other, and those of which one silently loses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.finding import Finding
from exitway.analyze.overlap import meet, wider_than
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.resources.conflicts import conflicts
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource

_Said = tuple[Host, int, bool]
"""A pattern, a port, and whether the proxy speaks TLS."""


def contradictions(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Each once, at the rule that comes later."""
    registry = Registry().changed(put=resources, revision=1)
    concerned = [resource for resource in resources if conflicts(registry, resource)]
    before = Registry()
    for resource in concerned:
        for problem in conflicts(before, resource):
            if problem.code == "EXW0404":  # :func:`origination` says where
                continue
            message = f"{problem.message} ({problem.code})"
            yield replace(found("EXW2001", resource.key, message, problem.hint), field=problem.field)
        before = before.changed(put=[resource], revision=1)


def origination(resources: Sequence[Resource]) -> Iterator[Finding]:
    """Who speaks TLS for a request, the program or the proxy: where two rules say both, what holds is decided by their names."""
    order = {resource.key: number for number, resource in enumerate(resources)}
    known: dict[_Said, list[Destination]] = defaultdict(list)
    for destination in destinations(resources):
        for said in _said(destination):
            known[said].append(destination)
    seen = set[frozenset[Key]]()
    for (host, port, originate), those in list(known.items()):
        for wider in wider_than(host):
            for one, other in product(those, known.get((wider, port, not originate), ())):
                pair = frozenset((one.key, other.key))
                if pair not in seen and meet(one.intent, other.intent):
                    seen.add(pair)
                    before, after = sorted((one, other), key=lambda which: order[which.key])
                    yield _disagreement(before, after, port)


def _said(destination: Destination) -> Iterator[_Said]:
    if isinstance(destination.what, Host) and destination.allowed:
        for port in destination.target.ports:
            if port.protocol.is_http:
                yield destination.what, port.number, port.originate_tls


def _disagreement(before: Destination, destination: Destination, port: int) -> Finding:
    """At the one that comes later."""
    originates = next(one.originate_tls for one in destination.target.ports if one.number == port)
    says, opposite = ("TLS", "clear text") if originates else ("clear text", "TLS")
    where = "another entry of it" if before.key == destination.key else str(before.key)
    message = f"requests to {destination.what}:{port} go on as {says}, and by {where} as {opposite}"
    return found("EXW2006", destination.key, message, "let both say the same of originateTLS", destination.field)
