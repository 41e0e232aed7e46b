"""What the v1alpha2 rules of one namespace have claimed: destinations, and the protocol of each port (see :mod:`.conflicts`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exitway.names.key import Key
from exitway.resources import istio_egress_rule
from exitway.resources.resource import Resource

PortClaim = tuple[int, str]
"""A port's number and the class of its protocol."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one rule claims."""

    destination: str
    ports: tuple[PortClaim, ...]


def claim_of(resource: Resource) -> Claim | None:
    """What the resource claims; only v1alpha2 rules claim anything."""
    if resource.api_version != istio_egress_rule.API_VERSION:
        return None
    return Claim(istio_egress_rule.destination(resource.wire), istio_egress_rule.port_classes(resource.wire))


@dataclass(frozen=True, slots=True)
class Claims:
    """Of each destination the owners; of each port and protocol class, how many."""

    owners: Mapping[str, frozenset[Key]] = field(default_factory=dict)
    ports: Mapping[PortClaim, int] = field(default_factory=dict)

    def changed(self, put: Iterable[Resource], removed: Iterable[Resource]) -> Claims:
        """The claims without those of the removed resources and with those of the put ones."""
        owners, ports = dict(self.owners), dict(self.ports)
        for resource in removed:
            if claim := claim_of(resource):
                owners[claim.destination] -= {resource.key}
                ports.update({port: ports[port] - 1 for port in claim.ports})
                if not owners[claim.destination]:
                    del owners[claim.destination]
        for resource in put:
            if claim := claim_of(resource):
                owners[claim.destination] = owners.get(claim.destination, frozenset()) | {resource.key}
                ports.update({port: ports.get(port, 0) + 1 for port in claim.ports})
        return Claims(owners, {port: count for port, count in ports.items() if count})
