"""Intents to a policy, for one workload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby

from exitway.names.call import Verdict
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.policy.direct import compile_direct
from exitway.policy.policy import Policy
from exitway.resources.intent import Action, Intent, Network, Permission, Permissions


def compile_policy(
    intents: Iterable[Intent],
    workload: Workload,
    now: datetime,
    ranges: tuple[Network, ...] = (),
    *,
    audit: bool = False,
) -> Policy:
    """What the intents mean for this workload at this moment. The order of the intents does not matter.

    ``ranges``: networks that the workload reaches directly, at all ports, whatever the intents allow.
    """
    in_force = [
        intent for intent in intents if concerns(intent, workload) and (intent.expires is None or intent.expires > now)
    ]
    if any(intent.action is Action.DENY and not intent.to for intent in in_force):
        in_force = []  # a DENY that names nothing denies everything (resources/unreadable.py)
    hosts: dict[Host, Permissions] = {}
    networks: dict[Network, Permissions] = {}
    for intent in in_force:
        for target, permissions in intent.permissions:
            if target.direct:
                continue
            for host in target.hosts:
                hosts[host] = _merged(hosts[host], permissions) if host in hosts else permissions
            for network in target.cidrs:
                networks[network] = _merged(networks[network], permissions) if network in networks else permissions
    return Policy(
        hosts=_flat(hosts),
        networks=_flat_networks(networks),
        direct=compile_direct(in_force, ranges),
        valid_until=min((intent.expires for intent in in_force if intent.expires), default=None),
        audit=audit,
    )


def concerns(intent: Intent, workload: Workload) -> bool:
    """Whether the intent speaks of this workload, whatever the time."""
    return intent.key.namespace in (workload.namespace, SYSTEM_NAMESPACE) and intent.selector.selects(workload.labels)


def labels_asked(intents: Iterable[Intent]) -> frozenset[str]:
    """The labels that decide which of the intents concern a workload."""
    return frozenset(label for intent in intents for label, _ in intent.selector.match_labels)


def _merged(one: Permissions, other: Permissions) -> Permissions:
    """What two rules say together."""
    merged = Permissions(one)
    for at, said in other.items():
        merged[at] = _together(merged[at], said) if at in merged else said
    return merged


def _together(some: tuple[Permission, ...], others: tuple[Permission, ...]) -> tuple[Permission, ...]:
    """DENY wins, and comes first. Neither the order of rules nor how many say the same can matter."""
    if len(some) == len(others) == 1 and some[0].terms == others[0].terms:
        return some if some[0].because <= others[0].because else others
    said = some + others
    denials = _least([one for one in said if one.verdict is Verdict.DENY])
    if denials and denials[0].is_whole:
        return denials
    return denials + _least([one for one in said if one.verdict is Verdict.ALLOW])


def _least(said: list[Permission]) -> tuple[Permission, ...]:
    """What speaks of all requests makes superfluous what speaks of some; of those that say the same, the smallest key is kept."""
    whole = [one for one in said if one.is_whole]
    if whole:
        return (min(whole, key=lambda one: (one.because, one.port)),)
    ordered = sorted(said, key=lambda one: (not one.port.originate_tls, one.terms, one.because, one.port))
    return tuple(next(equal) for _, equal in groupby(ordered, key=lambda one: one.terms))


def _flat(hosts: dict[Host, Permissions]) -> dict[Host, Permissions]:
    """Give each pattern what the wider patterns say as well."""
    wildcards = {host.suffix: permissions for host, permissions in hosts.items() if host.wildcard}
    if not wildcards:
        return hosts
    lengths = sorted({len(suffix) for suffix in wildcards})
    flat: dict[Host, Permissions] = {}
    known: dict[tuple[int, int], Permissions] = {}  # by identity: the names of one rule have the same permissions
    for host, permissions in hosts.items():
        merged = permissions
        for wider in filter(wildcards.__contains__, _wider(host, lengths)):
            pair = id(merged), id(wildcards[wider])
            if pair not in known:
                known[pair] = _merged(merged, wildcards[wider])
            merged = known[pair]
        flat[host] = merged
    local = Host(LOCAL_HOST)
    if local in hosts or any(wider in wildcards for wider in _wider(local, lengths)):
        flat[local] = hosts.get(local, Permissions())  # no pattern means this machine
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
