"""Which rules cannot stand beside each other.

v1alpha2 rules conflict by the rules of Istio (``pilot/pkg/model/egress_rules.go``): one destination has one rule, and one port one class
of protocol. Istio applied them to all namespaces together, dropped the loser and told nobody; here they hold for a namespace together with
``exitway-system``, and who adds the rule is told.

Rules of any kind conflict if they name different certificate authorities for one host and port, or if by one the proxy speaks TLS there and by
the other clear text: their names would decide which of them holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.claims import PortClaim, Voucher, Vouchers, claim_of, clear_text_of, vouchers_of
from exitway.resources.problem import MAX_PROBLEMS, Problem, quoted
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource

_PROTOCOL_CLASSES = ("HTTP", "Mongo", "TCP")
_OWNERS_SHOWN = 5


def conflicts(registry: Registry, resource: Resource) -> list[Problem]:
    """What speaks against the resource, given all others in the registry. It may be in there itself, also in an older form."""
    concerned = _concerned(registry, resource.key.namespace)
    vouchers = list(_voucher_conflicts(registry, concerned, resource))
    claim = claim_of(resource)
    if claim is None:
        return vouchers
    problems = vouchers + list(_destination_conflicts(registry, concerned, resource.key, claim.destination))
    for index, port in enumerate(claim.ports):
        problems += _port_conflicts(registry, concerned, resource.key, port, f"spec.ports[{index}].port")
    return problems


def _concerned(registry: Registry, namespace: str) -> tuple[str, ...]:
    """The namespaces with rules for workloads that the rules of this namespace hold for, too."""
    return registry.namespaces if namespace == SYSTEM_NAMESPACE else (namespace, SYSTEM_NAMESPACE)


def _destination_conflicts(
    registry: Registry, namespaces: tuple[str, ...], key: Key, destination: str
) -> Iterator[Problem]:
    owners = {owner for name in namespaces for owner in registry.claims_in(name).owners.get(destination, ())}
    for owner in sorted(owners - {key}):
        message = (
            f"rule {quoted(str(key))} conflicts with rule {quoted(str(owner))} on domain {destination}, is rejected"
        )
        hint = f"add the ports to {owner}, or use exitway.dev/v1, whose rules may overlap"
        yield Problem("EXW0401", message, hint, "spec.destination.service")


def _port_conflicts(
    registry: Registry, namespaces: tuple[str, ...], key: Key, port: PortClaim, field: str
) -> Iterator[Problem]:
    number, protocol = port
    for other in _PROTOCOL_CLASSES:
        if other == protocol or not any((number, other) in registry.claims_in(name).ports for name in namespaces):
            continue
        owners = [owner for name in namespaces for owner in _owners(registry, name, (number, other)) if owner != key]
        if owners:
            message = (
                f"rule {key} is rejected since it conflicts rules {_listed(owners)} on port {number}, "
                f"protocol {protocol} vs. protocol {other}"
            )
            yield Problem("EXW0402", message, "one port speaks one class of protocol: HTTP, Mongo or TCP", field)


def _voucher_conflicts(registry: Registry, namespaces: tuple[str, ...], resource: Resource) -> Iterator[Problem]:
    found = set[_Contradiction]()
    for contradiction in _contradictions(registry, namespaces, resource):
        found.add(contradiction)
        if len(found) == MAX_PROBLEMS:
            break
    for host, port, voucher, other in sorted(found, key=str):
        if voucher.ca_file is None or other.ca_file is None:
            mine, theirs = ("in clear text" if one.ca_file is None else "over TLS" for one in (voucher, other))
            message = f"requests to {host} at port {port} go on {mine}, and by {other.rule} {theirs}"
            yield Problem("EXW0404", message, "let both say the same of originateTLS", "spec")
        else:
            mine, theirs = (one.ca_file or "the authorities of the system" for one in (voucher, other))
            message = f"servers of {host} at port {port} are verified by {mine}, and in {other.rule} by {theirs}"
            yield Problem("EXW0403", message, "put the certificates into one file, and name it in both", "spec")


_Contradiction = tuple[Host, int, Voucher, Voucher]
"""The rule's host, the port, and who it and who another wants to vouch there."""


def _contradictions(registry: Registry, namespaces: tuple[str, ...], resource: Resource) -> Iterator[_Contradiction]:
    """Each perhaps several times."""
    over_tls, clear_text = vouchers_of(resource), clear_text_of(resource)
    current = frozenset[Voucher]().union(*over_tls.values(), *clear_text.values())
    for claims in map(registry.claims_in, namespaces):
        for own, known in ((over_tls, claims.vouchers), (over_tls, claims.clear_text), (clear_text, claims.vouchers)):
            yield from _between(own, known, resource.key, current)


def _between(own: Vouchers, known: Vouchers, rule: Key, current: frozenset[Voucher]) -> Iterator[_Contradiction]:
    """Of the rule's former self only what it still says counts."""
    if not own or not known:
        return
    near = [(host, one) for host in own for one in known.of(host)]
    others = frozenset[Voucher]().union(*(known[one] for one in {one for _, one in near}))
    others = frozenset(other for other in others if other.rule != rule or other in current)
    against = {
        voucher: frozenset(filter(voucher.contradicts, others)) for voucher in frozenset[Voucher]().union(*own.values())
    }
    yield from (
        (host, port, voucher, other)
        for host, one in near
        for voucher in own[host]
        for other in known[one] & against[voucher]
        for port in voucher.ports & other.ports
    )


def _owners(registry: Registry, namespace: str, port: PortClaim) -> Iterator[Key]:
    for resource in registry.resources_in(namespace):
        claim = claim_of(resource)
        if claim and port in claim.ports:
            yield resource.key


def _listed(owners: list[Key]) -> str:
    shown = [str(owner) for owner in sorted(owners)[:_OWNERS_SHOWN]]
    more = len(owners) - len(shown)
    return f"[{' '.join(shown)}{f' and {more} more' if more else ''}]"
