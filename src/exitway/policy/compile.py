"""Intents to a policy, for one workload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from exitway.names.call import Sort, Verdict
from exitway.names.host import Host
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.policy.policy import Permission, Permissions, Policy, sort_of
from exitway.resources.intent import Action, Intent, Network, Target

Destination = TypeVar("Destination", Host, Network)
_Grants = dict[tuple[int, Sort], Permission]


def compile_policy(intents: Iterable[Intent], workload: Workload, now: datetime) -> Policy:
    """What the intents mean for this workload at this moment. The order of the intents does not matter."""
    concerning = [intent for intent in intents if concerns(intent, workload)]
    in_force = [intent for intent in concerning if intent.expires is None or intent.expires > now]
    hosts: dict[Host, _Grants] = {}
    networks: dict[Network, _Grants] = {}
    for intent in in_force:
        for target in intent.to:
            grants = _grants(intent, target)
            _add(hosts, target.hosts, grants)
            _add(networks, target.cidrs, grants)
    return Policy(
        hosts=_flat(hosts),
        networks=_flat_networks(networks),
        valid_until=min((intent.expires for intent in in_force if intent.expires), default=None),
    )


def concerns(intent: Intent, workload: Workload) -> bool:
    """Whether the intent speaks of this workload, whatever the time."""
    return intent.key.namespace in (workload.namespace, SYSTEM_NAMESPACE) and intent.selector.selects(workload.labels)


def _grants(intent: Intent, target: Target) -> _Grants:
    verdict = Verdict.ALLOW if intent.action is Action.ALLOW else Verdict.DENY
    return {(port.number, sort_of(port)): Permission(verdict, port, intent.key) for port in target.ports}


def _add(to: dict[Destination, _Grants], destinations: Iterable[Destination], grants: _Grants) -> None:
    for destination in destinations:
        known = to.get(destination)
        if known is None:
            to[destination] = dict(grants)
        else:
            _merge(known, grants)


def _merge(into: _Grants, grants: Permissions) -> None:
    """Add grants of an equally wide or wider destination. DENY wins; among equals the smallest key, so that order cannot matter."""
    for at, new in grants.items():
        old = into.get(at)
        if old is None or _rank(new) < _rank(old):
            into[at] = new


def _rank(permission: Permission) -> tuple[bool, object, bool]:
    return (permission.verdict is Verdict.ALLOW, permission.because, permission.port.originate_tls)


def _flat(hosts: Mapping[Host, _Grants]) -> dict[Host, Permissions]:
    """Give each pattern what the wider patterns say as well."""
    wildcards = {host.suffix: grants for host, grants in hosts.items() if host.wildcard}
    if not wildcards:
        return dict(hosts)
    lengths = sorted({len(suffix) for suffix in wildcards})
    flat: dict[Host, Permissions] = {}
    for host, grants in hosts.items():
        merged = dict(grants)
        for wider in _wider(host, lengths):
            if wider in wildcards:
                _merge(merged, wildcards[wider])
        flat[host] = merged
    return flat


def _wider(host: Host, lengths: list[int]) -> Iterator[str]:
    """Suffixes of the wildcards that could cover the host: shorter than its own text, by the lengths that occur."""
    for length in lengths:
        if length >= len(host.suffix):
            return
        yield host.suffix[-length:] if length else ""


def _flat_networks(networks: Mapping[Network, _Grants]) -> dict[Network, Permissions]:
    flat: dict[Network, Permissions] = {}
    for network, grants in networks.items():
        merged = dict(grants)
        for other, wider in networks.items():
            if other is not network and other.version == network.version and _contains(other, network):
                _merge(merged, wider)
        flat[network] = merged
    return flat


def _contains(wider: Network, network: Network) -> bool:
    return wider.prefixlen < network.prefixlen and network.network_address in wider
