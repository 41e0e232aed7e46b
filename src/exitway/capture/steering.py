"""Which way a workload's packets go, as far as that depends on rules: the content of sets in its ruleset. Pure.

The sets never protect: the proxy's listeners deny what they do not know, whichever of them a connection comes to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import collapse_addresses, ip_network
from typing import Any

from exitway.names.address import SYNTHETIC, Pinned
from exitway.names.call import Sort, Verdict
from exitway.policy.decide import by_name
from exitway.policy.policy import Policy
from exitway.resources.intent import Network

Destination = tuple[Network, int]
"""A network and a port on all its addresses."""


@dataclass(frozen=True, slots=True)
class Steering:
    """``tcp``: destinations where no protocol is looked for, so that servers may speak first. No two of them overlap."""

    tcp: frozenset[Destination] = frozenset()


def steering(policy: Policy, pinned: Pinned) -> Steering:
    """What a policy means for the ruleset of a workload with these names."""
    tcp = (
        (network, port)
        for network, permissions in policy.networks.items()
        for (port, sort), said in permissions.items()
        if sort is Sort.TCP and said[0].verdict is Verdict.ALLOW
    )
    named = {
        (ip_network(address), port)
        for name, addresses in pinned.items()
        for port, sort in by_name(policy, name)
        if sort is Sort.TCP
        for address in addresses
    }
    return Steering(tcp=frozenset(_collapsed(tcp)) | named)


def elements(steering: Steering) -> str:
    """Input of ``nft -f -``: the sets of :func:`exitway.capture.ruleset.ruleset` get this content, all at once."""
    return _set("tcp4", steering.tcp, 4) + _set("tcp6", steering.tcp, 6)


def _set(name: str, destinations: Iterable[Destination], version: int) -> str:
    lines = sorted(f"{network} . {port}" for network, port in destinations if network.version == version)
    text = f"flush set inet exitway {name}\n"
    return text + f"add element inet exitway {name} {{ {', '.join(lines)} }}\n" if lines else text


def _collapsed(destinations: Iterable[Destination]) -> Iterator[Destination]:
    """The same without overlaps, which the kernel refuses, and without synthetic addresses: behind those stands a name, no network."""
    by_port: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    for network, port in destinations:
        by_port[network.version, port] += without(network, SYNTHETIC)
    for (_, port), networks in by_port.items():
        yield from ((network, port) for network in collapse_addresses(networks))


def without(network: Network, holes: Iterable[Network]) -> list[Network]:
    """The parts of a network that are in none of the others."""
    parts = [network]
    for hole in holes:
        parts = [rest for part in parts for rest in _rest(part, hole)]
    return parts


def _rest(network: Network, hole: Any) -> Iterable[Network]:
    if network.version != hole.version or not network.overlaps(hole):
        return (network,)
    return network.address_exclude(hole) if hole.subnet_of(network) else ()
