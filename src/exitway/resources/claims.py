"""What the rules of one namespace have claimed (see :mod:`.conflicts`).

v1alpha2 rules claim destinations, and the protocol of each port; all rules, who vouches for the servers that the proxy speaks TLS with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.workload import Selector
from exitway.resources import istio_egress_rule
from exitway.resources.resource import Resource

PortClaim = tuple[int, str]
"""A port's number and the class of its protocol."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one rule claims."""

    destination: str
    ports: tuple[PortClaim, ...]


@dataclass(frozen=True, slots=True)
class Voucher:
    """The certificate authorities (``ca_file``; empty: those of the system) that one rule names for a host, at some ports."""

    ports: frozenset[int]
    ca_file: str
    rule: Key
    selector: Selector = field(hash=False)  # the rule's: it may be long, and says no more than its name

    def contradicts(self, other: Voucher) -> bool:
        """Whether there could be a request of which the two say different things."""
        if self.ca_file == other.ca_file or self.ports.isdisjoint(other.ports):
            return False
        return self.selector is other.selector or self.selector.meets(other.selector)


def claim_of(resource: Resource) -> Claim | None:
    """What the resource claims; only v1alpha2 rules claim anything."""
    if resource.api_version != istio_egress_rule.API_VERSION:
        return None
    return Claim(istio_egress_rule.destination(resource.wire), istio_egress_rule.port_classes(resource.wire))


def vouchers_of(resource: Resource) -> dict[Host, set[Voucher]]:
    """Who the rule wants to vouch for which hosts, at the ports where the proxy speaks TLS."""
    vouchers: dict[Host, set[Voucher]] = {}
    for intent in resource.intents:
        for target in intent.to:
            for ca_file in {port.ca_file for port in target.ports if port.originate_tls}:
                ports = frozenset(
                    port.number for port in target.ports if port.originate_tls and port.ca_file == ca_file
                )
                voucher = Voucher(ports, ca_file, resource.key, intent.selector)
                for host in target.hosts:
                    vouchers.setdefault(host, set()).add(voucher)
    return vouchers


@dataclass(frozen=True, slots=True)
class Claims:
    """Of each destination the owners; of each port and protocol class, how many; of each host the vouchers."""

    owners: Mapping[str, frozenset[Key]] = field(default_factory=dict)
    ports: Mapping[PortClaim, int] = field(default_factory=dict)
    vouchers: Mapping[Host, frozenset[Voucher]] = field(default_factory=dict)

    def changed(self, put: Iterable[Resource], removed: Iterable[Resource]) -> Claims:
        """The claims without those of the removed resources and with those of the put ones."""
        owners, ports, vouchers = dict(self.owners), dict(self.ports), dict(self.vouchers)
        for resource in removed:
            for host, gone in vouchers_of(resource).items():
                vouchers[host] = vouchers.get(host, frozenset()) - gone
            if claim := claim_of(resource):
                owners[claim.destination] -= {resource.key}
                ports.update({port: ports[port] - 1 for port in claim.ports})
                if not owners[claim.destination]:
                    del owners[claim.destination]
        for resource in put:
            for host, come in vouchers_of(resource).items():
                vouchers[host] = vouchers.get(host, frozenset()) | come
            if claim := claim_of(resource):
                owners[claim.destination] = owners.get(claim.destination, frozenset()) | {resource.key}
                ports.update({port: ports.get(port, 0) + 1 for port in claim.ports})
        return Claims(
            owners,
            {port: count for port, count in ports.items() if count},
            {host: ones for host, ones in vouchers.items() if ones},
        )
