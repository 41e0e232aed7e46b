"""Intents to a policy, for one workload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from exitway.names.call import Verdict
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.policy.policy import Policy
from exitway.resources.intent import Intent, Network, Permission, Permissions


def compile_policy(intents: Iterable[Intent], workload: Workload, now: datetime) -> Policy:
    """What the intents mean for this workload at this moment. The order of the intents does not matter."""
    in_force = [
        intent for intent in intents if concerns(intent, workload) and (intent.expires is None or intent.expires > now)
    ]
    hosts: dict[Host, Permissions] = {}
    networks: dict[Network, Permissions] = {}
    for intent in in_force:
        for target, permissions in intent.permissions:
            for host in target.hosts:
                hosts[host] = _merged(hosts[host], permissions) if host in hosts else permissions
            for network in target.cidrs:
                networks[network] = _merged(networks[network], permissions) if network in networks else permissions
    return Policy(
        hosts=_flat(hosts),
        networks=_flat_networks(networks),
        valid_until=min((intent.expires for intent in in_force if intent.expires), default=None),
    )


def concerns(intent: Intent, workload: Workload) -> bool:
    """Whether the intent speaks of this workload, whatever the time."""
    return intent.key.namespace in (workload.namespace, SYSTEM_NAMESPACE) and intent.selector.selects(workload.labels)


def _merged(one: Permissions, other: Permissions) -> Permissions:
    """What two rules say together. DENY wins; among equals the smallest key, so that order cannot matter."""
    merged = dict(one)
    for at, permission in other.items():
        merged[at] = min(merged.get(at, permission), permission, key=_rank)
    return merged


def _rank(permission: Permission) -> tuple[bool, Key, bool]:
    return (permission.verdict is Verdict.ALLOW, permission.because, permission.port.originate_tls)


def _flat(hosts: dict[Host, Permissions]) -> dict[Host, Permissions]:
    """Give each pattern what the wider patterns say as well."""
    wildcards = {host.suffix: permissions for host, permissions in hosts.items() if host.wildcard}
    if not wildcards:
        return hosts
    lengths = sorted({len(suffix) for suffix in wildcards})
    flat: dict[Host, Permissions] = {}
    for host, permissions in hosts.items():
        flat[host] = permissions
        for wider in _wider(host, lengths):
            if wider in wildcards:
                flat[host] = _merged(flat[host], wildcards[wider])
    local = Host(LOCAL_HOST)
    if local in hosts or any(wider in wildcards for wider in _wider(local, lengths)):
        flat[local] = hosts.get(local, {})  # no pattern means this machine
    return flat


def _wider(host: Host, lengths: list[int]) -> Iterator[str]:
    """Suffixes of the wildcards that could cover the host: shorter than its own text, by the lengths that occur."""
    for length in lengths:
        if length >= len(host.suffix):
            return
        yield host.suffix[-length:] if length else ""


def _flat_networks(networks: Mapping[Network, Permissions]) -> dict[Network, Permissions]:
    flat: dict[Network, Permissions] = {}
    for network, permissions in networks.items():
        flat[network] = permissions
        for other, wider in networks.items():
            if other.version == network.version and _contains(other, network):
                flat[network] = _merged(flat[network], wider)
    return flat


def _contains(wider: Network, network: Network) -> bool:
    return wider.prefixlen < network.prefixlen and network.network_address in wider
