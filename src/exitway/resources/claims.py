"""What the rules of one namespace have claimed (see :mod:`.conflicts`).

v1alpha2 rules claim destinations, and the protocol of each port; all rules, whether the proxy speaks TLS with servers, and who vouches for these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.workload import Selector
from exitway.resources import istio_egress_rule
from exitway.resources.intent import Action
from exitway.resources.overlap import Overlapping
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
    """The certificate authorities that one rule names for a host, at some ports.

    ``ca_file`` is empty for those of the system, and None where nobody vouches: requests go on in clear text.
    """

    ports: frozenset[int]
    ca_file: str | None
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


Vouchers = Overlapping[AbstractSet[Voucher]]


def vouchers_of(resource: Resource) -> Vouchers:
    """Who the rule wants to vouch for which hosts, at the ports where the proxy speaks TLS."""
    return _by_host(resource, over_tls=True)


def clear_text_of(resource: Resource) -> Vouchers:
    """To which hosts, at which ports, the rule lets requests go on in clear text."""
    return _by_host(resource, over_tls=False)


def _by_host(resource: Resource, *, over_tls: bool) -> Vouchers:
    vouchers: dict[Host, set[Voucher]] = {}
    for intent in resource.intents:
        for target in intent.to if intent.action is Action.ALLOW else ():
            ports = [port for port in target.ports if port.protocol.is_http and port.originate_tls is over_tls]
            for ca_file in {port.ca_file for port in ports}:
                numbers = frozenset(port.number for port in ports if port.ca_file == ca_file)
                voucher = Voucher(numbers, ca_file if over_tls else None, resource.key, intent.selector)
                for host in target.hosts:
                    vouchers.setdefault(host, set()).add(voucher)
    return Overlapping(vouchers)


@dataclass(frozen=True, slots=True)
class Claims:
    """Of each destination the owners; of each port and protocol class, how many; of each host the vouchers, and where there is clear text."""

    owners: Mapping[str, frozenset[Key]] = field(default_factory=dict)
    ports: Mapping[PortClaim, int] = field(default_factory=dict)
    vouchers: Vouchers = field(default_factory=Overlapping)
    clear_text: Vouchers = field(default_factory=Overlapping)

    def changed(self, put: Iterable[Resource], removed: Iterable[Resource]) -> Claims:
        """The claims without those of the removed resources and with those of the put ones."""
        put, removed = list(put), list(removed)
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
        return Claims(
            owners,
            {port: count for port, count in ports.items() if count},
            _changed(self.vouchers, map(vouchers_of, put), map(vouchers_of, removed)),
            _changed(self.clear_text, map(clear_text_of, put), map(clear_text_of, removed)),
        )


def _changed(known: Vouchers, put: Iterable[Vouchers], removed: Iterable[Vouchers]) -> Vouchers:
    changed: dict[Host, AbstractSet[Voucher]] = {}
    for gone in removed:
        changed |= {host: changed.get(host, known[host]) - ones for host, ones in gone.items()}
    for come in put:
        changed |= {host: changed.get(host, known.get(host, frozenset())) | ones for host, ones in come.items()}
    if not changed:
        return known
    return Overlapping({host: ones for host, ones in {**known, **changed}.items() if ones})
