"""Which rules cannot stand beside each other.

v1alpha2 rules conflict by the rules of Istio (``pilot/pkg/model/egress_rules.go``): one destination has one rule, and one port one class
of protocol. Istio applied them to all namespaces together, dropped the loser and told nobody; here they hold for a namespace together with
``exitway-system``, and who adds the rule is told.

Rules of any kind conflict if they name different certificate authorities for one host and port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from exitway.names.host import Host, patterns
from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.claims import PortClaim, claim_of, vouchers_of
from exitway.resources.problem import Problem, quoted
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
    own = list(vouchers_of(resource))
    current = {voucher for _, voucher in own}
    found = {
        (host, voucher, other)
        for name in namespaces
        for host, voucher in own
        for one in _overlapping(registry.claims_in(name).vouchers, host)
        for other in registry.claims_in(name).vouchers[one]
        if voucher.contradicts(other) and (other.rule != resource.key or other in current)
    }
    for host, voucher, other in sorted(found, key=str):
        mine, theirs = (one.ca_file or "the authorities of the system" for one in (voucher, other))
        message = f"servers of {host} at port {voucher.port} are verified by {mine}, and in {other.rule} by {theirs}"
        yield Problem("EXW0403", message, "put the certificates into one file, and name it in both", "spec")


def _overlapping(hosts: Mapping[Host, object], host: Host) -> Iterator[Host]:
    """Those of the hosts that have a name in common with this one."""
    if host.wildcard:
        yield from (one for one in hosts if host.covers(one) or one.covers(host))
        return
    yield from (one for one in patterns(host.suffix) if one in hosts)


def _owners(registry: Registry, namespace: str, port: PortClaim) -> Iterator[Key]:
    for resource in registry.resources_in(namespace):
        claim = claim_of(resource)
        if claim and port in claim.ports:
            yield resource.key


def _listed(owners: list[Key]) -> str:
    shown = [str(owner) for owner in sorted(owners)[:_OWNERS_SHOWN]]
    more = len(owners) - len(shown)
    return f"[{' '.join(shown)}{f' and {more} more' if more else ''}]"
